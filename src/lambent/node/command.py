"""What is executed in an environment: from a runtime's launch and a function's files to one command line.

Reads the file system to find out whether a program is there; starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lambent.runtimes import Launch

TASK_ROOT = "/var/task"
LAYER_ROOT = "/opt"
EXEC_WRAPPER = "AWS_LAMBDA_EXEC_WRAPPER"
"""Names a script that is executed in the runtime's place (AWS page "Modifying the runtime environment")."""

# The words and exit codes that AWS's runtimes have for a wrapper that cannot be executed.
_WRAP = """\
if [ ! -f "$1" ]; then echo "$1: does not exist"; exit 127; fi
if [ ! -x "$1" ]; then echo "$1: is not an executable"; exit 126; fi
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, or why there is none."""

    line: tuple[str, ...]
    fault: str | None = None
    """In AWS's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Where a function's own files are on the host."""

    code: Path
    layers: Path | None
    are_virtual: bool
    """Whether the function finds them at TASK_ROOT and LAYER_ROOT, and not at their host paths."""

    def seen(self, path: str) -> str:
        """Return where the function finds a file that it names by its path inside the walls."""
        if not self.are_virtual:
            for root, place in ((TASK_ROOT, self.code), (LAYER_ROOT, self.layers)):
                if place is not None and (path == root or path.startswith(f"{root}/")):
                    return f"{place}{path[len(root) :]}"
        return path


def environment_of(launch: Launch, roots: Roots) -> dict[str, str]:
    """Return a runtime's own variables, with the paths as the function finds them."""
    if roots.are_virtual:
        return dict(launch.environment)
    return {
        name: ":".join(roots.seen(path) for path in value.split(":"))
        for name, value in launch.host_environment.items()
    }


def command_of(launch: Launch, roots: Roots, *, memory_mb: int, environment: Mapping[str, str]) -> Command:
    """Return what to execute for a function.

    Args:
        launch: how its runtime is started.
        roots: its files.
        memory_mb: its memory size.
        environment: its variables, of which one may name a wrapper.
    """
    if launch.entrypoint is not None:
        return _entrypoint(launch.entrypoint, roots)
    command = launch.command if roots.are_virtual else launch.host_command
    line = command_line(command, launch, memory_mb=memory_mb, environment=environment)
    wrapper = environment.get(EXEC_WRAPPER)
    if wrapper and launch.takes_wrapper:
        line = ("/bin/sh", "-c", _WRAP, "bootstrap", roots.seen(wrapper), *line)
    return Command(line=line)


def command_line(
    command: Sequence[str], launch: Launch, *, memory_mb: int, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return a runtime's command with all its options: those for the memory size, and those that the user keeps.

    Args:
        command: program, options and script.
        launch: has the further options.
        memory_mb: the function's memory size.
        environment: its variables.
    """
    program, *arguments = command
    memory = [f"{name}={max(1, int(memory_mb * share))}" for name, share in launch.memory_options]
    defaults = list(launch.default_options)
    own = launch.own_options
    if own is not None:
        text = environment.get(own.variable, "")
        memory = [] if any(name in text for name in own.memory) else memory
        defaults = [option for option in defaults if own.revoked.get(option, "\0") not in text]
    return (program, *memory, *defaults, *arguments)


def _entrypoint(name: str, roots: Roots) -> Command:
    """Return the program that the function or one of its layers brings along."""
    candidates = [(roots.code, f"{TASK_ROOT}/{name}"), (roots.layers, f"{LAYER_ROOT}/{name}")]
    for place, path in candidates:
        if place is not None and _is_file(place / name):
            return Command(line=(roots.seen(path),))
    paths = " ".join(path for _, path in candidates)
    return Command(line=(candidates[0][1],), fault=f"Couldn't find valid bootstrap(s): [{paths}]")


def _is_file(path: Path) -> bool:
    # A link may lead to a place that exists inside the walls alone.
    return path.is_symlink() or path.is_file()
