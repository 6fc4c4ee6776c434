"""What a project consists of: functions, the layers and queues that they share, and where all that is written.

A project is a folder with a `lambent.toml` that has `[functions.…]`, or with a SAM template, or a folder or file that
is one function by itself. The values are here, and the decision which of them a path means; `cli.project_file` and
`cli.sam_template` read the two kinds of file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lambent.cli import handler
from lambent.cli.plan import Choices
from lambent.cli.terminal import UsageError

PROJECT_FILE = "lambent.toml"
TEMPLATES = ("template.yaml", "template.yml", "template.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFolder:
    """A layer of the project."""

    name: str
    """What the project calls it."""
    published_as: str
    path: Path
    runtimes: tuple[str, ...] = ()
    """With which it is compatible."""
    built_for: str | None = None
    """A Python runtime: the folder's files and the packages of its ``requirements.txt`` go below ``python/``.
    None: the folder is the layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectQueue:
    """A message queue of the project, with SQS's attributes."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSource:
    """A queue whose messages a function is invoked with."""

    queue: str
    """Name of a queue of the project, or an ARN."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of CreateEventSourceMapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFunction:
    """One function of a project."""

    name: str
    path: Path | None
    """Its code: a folder, a ``.py`` or a ``.zip`` file. None: `code` has it."""
    code: bytes | None = None
    """A zip."""
    choices: Choices
    layers: tuple[str, ...] | None = None
    """Names of layers of the project, and ARNs. None: not said."""
    url: Mapping[str, Any] | None = None
    """Parameters of CreateFunctionUrlConfig, when it is to have an address."""
    queues: tuple[QueueSource, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names by which the file calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """All that is deployed together."""

    file: Path | None
    """Where it is written; None: the code alone says everything."""
    functions: tuple[ProjectFunction, ...]
    layers: tuple[LayerFolder, ...] = ()
    queues: tuple[ProjectQueue, ...] = ()
    remarks: tuple[str, ...] = ()
    """What the file asks for and does not get: sentences for the user."""

    def named(self, name: str) -> ProjectFunction | None:
        """Return the function of this name."""
        return next((one for one in self.functions if name == one.name or name in one.aliases), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a project will live, for what its file says about that."""

    region: str
    account: str
    queue_url_prefix: str
    """What a queue's URL is before the account."""
    partition: str = "aws"


NOWHERE = Place(region="", account="", queue_url_prefix="")
"""For whoever asks for names and paths alone."""


def project_file(path: Path) -> Path | None:
    """Return the file that describes the functions of a path, None when the path is one function.

    Raises:
        UsageError: the file cannot be read.
    """
    if path.is_file() and (path.name == PROJECT_FILE or path.suffix in {".yaml", ".yml", ".json"}):
        return path
    if not path.is_dir():
        return None
    from lambent.cli.project_file import describes_functions

    own = path / PROJECT_FILE
    if own.is_file() and describes_functions(own):
        return own
    return next((path / name for name in TEMPLATES if (path / name).is_file()), None)


def read_project(path: Path, place: Callable[[], Place]) -> Project:
    """Return the project that a path means.

    Args:
        path: a folder or a file.
        place: tells where it will live, when its file asks.

    Raises:
        UsageError: its file says something that cannot be; in one sentence.
    """
    path = path.absolute()
    file = project_file(path)
    if file is None:
        function = ProjectFunction(name=handler.function_name(path), path=path, choices=Choices())
        return Project(file=None, functions=(function,))
    if file.name == PROJECT_FILE:
        from lambent.cli.project_file import read_project_file

        project = read_project_file(file)
    else:
        from lambent.cli.sam_template import read_template

        project = read_template(file, place)
    if not project.functions:
        raise UsageError(f"{file} describes no function that could be deployed.")
    return project
