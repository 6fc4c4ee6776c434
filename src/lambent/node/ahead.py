"""What can be made ready for a runtime before it is known for which function: pure.

What the environments of one runtime have in common becomes a zygote, and for runtimes that can wait, with a memory
size, a seedling (`lambent.sandbox`).
"""

from __future__ import annotations

from lambent.domain.limits import OPEN_FILES_MAX, PROCESSES_MAX
from lambent.node.command import TASK_ROOT, command_line
from lambent.node.runtime_process import OUTPUT_FDS, RUNTIME_FD
from lambent.node.variables import LOCALE
from lambent.runtimes import Launch, Preparation
from lambent.sandbox import Mount, SeedlingSpec, ZygoteSpec

WAITS_FD = "_LAMBENT_WAITS_FD"
"""Tells a runtime that is started ahead from which descriptor it reads what it is to run."""
_MB = 1024 * 1024
_WALLS_ALONE = Preparation(
    interpreter=(), modules=(), likely_modules=(), scripts=(), places=(TASK_ROOT,), passing=()
)
"""What is done ahead for runtimes that have to be started."""


def zygote_of(
    launch: Launch, *, memory_mb: int, hostname: str, listen: tuple[tuple[str, int], ...]
) -> ZygoteSpec:
    """Return what the environments of a runtime have in common.

    Args:
        launch: the runtime's.
        memory_mb: what they may use, for what can be started ahead.
        hostname: theirs.
        listen: where something listens inside each of them.
    """
    ahead = launch.preparation or _WALLS_ALONE
    return ZygoteSpec(
        interpreter=ahead.interpreter,
        environment=tuple((LOCALE | dict(launch.environment)).items()) if ahead.interpreter else (),
        modules=ahead.modules,
        likely_modules=ahead.likely_modules,
        scripts=ahead.scripts,
        mounts=tuple(Mount(*mount) for mount in launch.mounts),
        hidden=launch.hidden,
        places=ahead.places,
        passing=ahead.passing,
        hostname=hostname,
        listen=listen,
        seedling=_seedling_of(launch, memory_mb=memory_mb),
    )


def _seedling_of(launch: Launch, *, memory_mb: int) -> SeedlingSpec | None:
    """Return what can be started of a runtime before its function is known; None: nothing."""
    if launch.waiting is None:
        return None
    return SeedlingSpec(
        command=command_line(launch.command, launch, memory_mb=memory_mb, environment={}),
        environment=tuple((LOCALE | dict(launch.environment) | {WAITS_FD: str(RUNTIME_FD)}).items()),
        fixed_variables=launch.waiting.fixed_variables,
        changing_variables=launch.waiting.changing_variables,
        channel=RUNTIME_FD,
        output=OUTPUT_FDS,
        memory_bytes=memory_mb * _MB,
        max_processes=PROCESSES_MAX,
        max_open_files=OPEN_FILES_MAX,
        passing=launch.waiting.passing,
    )
