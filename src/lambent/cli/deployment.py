"""From a source on disk to a function that can be invoked: what every command that deploys has in common."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambent.cli import dependencies, handler, package, role
from lambent.cli.client import Connection
from lambent.cli.package import Source
from lambent.cli.plan import Choices, Request, Wish, plan
from lambent.cli.terminal import CommandError, UsageError, notices, one_line
from lambent.cli.zipping import Deflated

# A state on this machine changes within milliseconds, unless a runtime has to be fetched first.
FIRST_PAUSE_S = 0.004
LOCAL_PAUSE_MAX_S = 0.1
AWS_PAUSE_S = 1.0  # as AWS's own waiters
WAIT_MAX_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What a deploy did: the function's configuration now, and the requests it took."""

    configuration: dict[str, Any]
    requests: tuple[Request, ...]


def deploy_path(connection: Connection, path: Path, choices: Choices) -> Deployed:
    """Create or update the function that a path holds, and wait until it can be invoked.

    Raises:
        UsageError, CommandError: see `package`, `handler`, `dependencies` and `role`; or the function failed.
    """
    source = package.read_source(path)
    return deploy_source(connection, source, choices.name or handler.function_name(source.path), choices)


def deploy_source(
    connection: Connection, source: Source, name: str, choices: Choices, deflated: Deflated | None = None
) -> Deployed:
    """Create or update the function that a source holds; see `deploy_path`.

    Args:
        connection: where.
        source: what.
        name: under which name.
        choices: what the user says about it.
        deflated: remembers what is compressed, for the next time.
    """
    client = connection.client("lambda")
    current = _settled(client, name, connection)
    wish = wish_for(connection, source, name, choices, current, deflated=deflated)
    requests = plan(wish, current)
    configuration = current or {}
    for request in requests:
        getattr(client, request.operation)(**request.parameters)
        configuration = wait_until_ready(client, name, connection)
    return Deployed(configuration=configuration, requests=requests)


def wait_until_ready(
    client: Any, name: str, connection: Connection, qualifier: str | None = None
) -> dict[str, Any]:
    """Wait until a function, or a version of it, can be invoked, and return its configuration.

    Raises:
        CommandError: it failed, or is gone.
    """
    configuration = _settled(client, name, connection, qualifier)
    if configuration is None:
        raise CommandError(f"{name} was deleted while it was deployed.")
    _check_ready(name, configuration)
    return configuration


def _settled(
    client: Any, name: str, connection: Connection, qualifier: str | None = None
) -> dict[str, Any] | None:
    """Return the function's configuration once no change is under way, None when there is none."""
    named = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    is_aws = connection.target.is_aws
    pause_s, deadline_s = AWS_PAUSE_S if is_aws else FIRST_PAUSE_S, time.monotonic() + WAIT_MAX_S
    while True:
        try:
            configuration: dict[str, Any] = client.get_function_configuration(**named)
        except client.exceptions.ResourceNotFoundException:
            return None
        is_changing = configuration.get("State") == "Pending" or (
            configuration.get("LastUpdateStatus") == "InProgress"
        )
        if not is_changing or time.monotonic() > deadline_s:
            return configuration
        time.sleep(pause_s)
        pause_s = AWS_PAUSE_S if is_aws else min(pause_s * 1.5, LOCAL_PAUSE_MAX_S)


def _check_ready(name: str, configuration: dict[str, Any]) -> None:
    for status, reason in (("State", "StateReason"), ("LastUpdateStatus", "LastUpdateStatusReason")):
        if configuration.get(status) in {"Failed", "Pending", "InProgress"}:
            why = one_line(configuration.get(reason) or "no reason given")
            raise CommandError(f"{name} is not ready ({status} {configuration[status]}): {why}")


def wish_for(
    connection: Connection,
    source: Source,
    name: str,
    choices: Choices,
    current: dict[str, Any] | None,
    *,
    deflated: Deflated | None = None,
) -> Wish:
    """Return the function as it shall be: the user's word first, then what is there, then what the code says.

    Raises:
        UsageError, CommandError: see `package`, `handler`, `dependencies` and `role`.
    """
    present = current or {}
    version = (sys.version_info[0], sys.version_info[1])
    runtime = choices.runtime or present.get("Runtime") or handler.infer_runtime(source.names, version)
    architecture = choices.architecture or _architecture(connection, present)
    chosen_handler = _handler(source, runtime, choices.handler, present.get("Handler"))
    # Before minutes are spent on packages: is there a role at all?
    role_arn = role.find_role(connection, choices.role) if choices.role or not present else None
    wanted = dependencies.python_of(runtime)
    packages = None
    if wanted is not None:
        is_aws = connection.target.is_aws
        packages = dependencies.Wanted(python=wanted, architecture=architecture, is_aws=is_aws)
    archive = build_archive(source, packages, choices.is_verbose, deflated)
    return Wish(
        name=name,
        runtime=runtime,
        handler=chosen_handler,
        architecture=architecture,
        archive=archive,
        code_sha256=base64.b64encode(hashlib.sha256(archive).digest()).decode(),
        role=role_arn,
        memory_mb=choices.memory_mb,
        timeout_s=choices.timeout_s,
        description=choices.description,
        variables=choices.variables,
        layers=choices.layers,
        ephemeral_storage_mb=choices.ephemeral_storage_mb,
    )


def _architecture(connection: Connection, present: dict[str, Any]) -> str:
    if architectures := present.get("Architectures"):
        return str(architectures[0])
    # AWS's default there; here, what this machine can run.
    return "x86_64" if connection.target.is_aws else dependencies.this_architecture()


def _handler(source: Source, runtime: str, given: str | None, present: str | None) -> str:
    if given:
        return given
    # An update keeps the handler, which the user may have chosen, as long as the code still has it.
    if present and (not runtime.startswith("python") or handler.has_handler(present, source.modules)):
        return present
    own_name = handler.function_name(source.path)
    try:
        return handler.infer_handler(runtime, source.names, source.modules, own_name)
    except UsageError:
        if present:
            return present
        raise


def build_archive(
    source: Source, wanted: dependencies.Wanted | None, is_verbose: bool, deflated: Deflated | None = None
) -> bytes:
    """Return the zip of a source, the packages of its ``requirements.txt`` included.

    Args:
        source: what is zipped.
        wanted: whom packages are for; None: there are none for its runtime.
        is_verbose: whether to show all that pip says.
        deflated: remembers what is compressed, for the next time.

    Raises:
        CommandError: pip failed, or the zip is too large.
    """
    if source.archive is not None:
        return package.checked(source.archive)
    if source.requirements is None or wanted is None:
        return package.write_zip(source.entries, deflated=deflated)
    with (
        progress(is_verbose) as bar,
        dependencies.installed(source.requirements, wanted, bar.say) as folder,
    ):
        entries = package.merge(source.entries, package.collect(folder)) if folder else source.entries
        bar.measure("Zipping", sum(entry.size_bytes for entry in entries))
        return package.write_zip(entries, bar.advance, deflated)


class Bar:
    """A bar on stderr: it pulses while pip works, then counts bytes. Without a terminal it is silent."""

    def __init__(self, bar: Any, is_verbose: bool) -> None:
        self._bar = bar
        self._is_verbose = is_verbose
        self._task = bar.add_task("Installing requirements", total=None)

    def say(self, line: str) -> None:
        """Show what pip does."""
        if self._is_verbose:
            self._bar.console.print(line, style="dim")
        if line.startswith(
            ("Collecting ", "Installing collected ", "Building ", "  Downloading ", "  Building ")
        ):
            words = one_line(line)
            self._bar.update(self._task, description=words if len(words) <= 60 else f"{words[:59]}…")

    def measure(self, description: str, total_bytes: int) -> None:
        """Begin to count bytes."""
        self._bar.update(self._task, description=description, total=total_bytes, completed=0)

    def advance(self, size_bytes: int) -> None:
        """Count some."""
        self._bar.advance(self._task, size_bytes)


@contextlib.contextmanager
def progress(is_verbose: bool) -> Generator[Bar]:
    """Show how packages are installed, as long as the context lasts."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = notices()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), TimeElapsedColumn())
    # `disable` keeps the lines of --verbose and draws nothing where nobody would see it move.
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Bar(bar, is_verbose)
