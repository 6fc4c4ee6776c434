"""Python, 3.8 and newer: which interpreter runs a ``python3.X`` function, and how its environment starts it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from lambent.runtimes import DebuggerLaunch, Launch, Preparation, RuntimeUnavailable
from lambent.runtimes.python.debugger import debugger
from lambent.runtimes.python.interpreters import Interpreter
from lambent.runtimes.python.library import RuntimeLibrary

_log = logging.getLogger(__name__)
AWS_MINORS = range(8, 16)
"""The minor versions that AWS has, or had, a runtime for."""
_IDENTIFIER = re.compile(r"python3\.(\d+)")

# AWS's values (recorded from Python 3.13); user variables may replace those that AWS lets them replace.
_ENVIRONMENT = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": (
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
    ),
    "PYTHONPATH": "/var/runtime",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
}
_BOOTSTRAP = "/var/runtime/bootstrap.py"
_PREPARED_MINIMUM_PYTHON = (3, 10, 0)
"""The oldest that the sandbox's own code runs on."""
_CLIENT_MODULES = ("json", "lambda_context", "lambda_json", "lambda_log")
"""What the bootstrap imports."""
_LIBRARY_DIRECTORIES = ("/var/task/lib", "/opt/lib")
"""What the C library must not find missing in LD_LIBRARY_PATH, because it remembers."""


class Python:
    """The language `python3.X`. See `lambent.runtimes.Language`."""

    def __init__(
        self,
        *,
        interpreters: Sequence[Interpreter],
        library: RuntimeLibrary,
        exact: bool,
        preloaded: tuple[str, ...],
    ) -> None:
        """Offer interpreters.

        Args:
            interpreters: those of this machine.
            library: what lies under /var/runtime.
            exact: whether no other version may stand in for one that is missing.
            preloaded: modules that functions often import.
        """
        self._interpreters = tuple(interpreters)
        self._library = library
        self._exact = exact
        self._preloaded = preloaded

    def identifiers(self) -> list[str]:
        minors = sorted({interpreter.version[1] for interpreter in self._interpreters})
        return [f"python3.{minor}" for minor in minors]

    def stand_ins(self) -> dict[str, str]:
        if self._exact:
            return {}
        exact = set(self.identifiers())
        missing = [f"python3.{minor}" for minor in AWS_MINORS if f"python3.{minor}" not in exact]
        found = {name: nearest(self._interpreters, int(name.rpartition(".")[2])) for name in missing}
        return {name: interpreter.version_text for name, interpreter in found.items() if interpreter}

    def fetched(self) -> list[str]:
        return []

    def serves(self, identifier: str) -> bool:
        return _IDENTIFIER.fullmatch(identifier) is not None

    async def settle(self, identifier: str, directories: Sequence[Path]) -> None:
        """Have nothing that comes later."""

    async def debugger(self, identifier: str) -> DebuggerLaunch:
        return await debugger(self._nearest(identifier), self._library.cache_directory)

    def _nearest(self, identifier: str) -> Interpreter:
        interpreter = nearest(self._interpreters, int(identifier.rpartition(".")[2]))
        if interpreter is None:
            raise RuntimeUnavailable("No Python interpreter was found on this machine.")
        return interpreter

    async def launch(self, identifier: str) -> Launch:
        wanted = int(identifier.rpartition(".")[2])
        interpreter = self._nearest(identifier)
        is_exact = interpreter.version[1] == wanted
        if not is_exact and self._exact:
            raise RuntimeUnavailable(
                f"No interpreter for {identifier} was found on this machine, and exact_runtime forbids another one."
            )
        if not is_exact:
            _log.warning(
                "%s is not installed here; Python %s runs it instead.", identifier, interpreter.version_text
            )
        directory = await self._library.directory(interpreter)
        return _launch(interpreter, directory, is_exact=is_exact, preloaded=self._preloaded)


def nearest(interpreters: Sequence[Interpreter], minor: int) -> Interpreter | None:
    """Return the interpreter whose minor version is nearest, newer before older, newest patch first.

    Installations named first by the user win over others of the same version.
    """

    def distance(interpreter: Interpreter) -> tuple[int, bool, int]:
        difference = interpreter.version[1] - minor
        return abs(difference), difference < 0, -interpreter.version[2]

    return min(interpreters, key=distance, default=None)


def _launch(
    interpreter: Interpreter, directory: Path, *, is_exact: bool, preloaded: tuple[str, ...]
) -> Launch:
    name = f"python3.{interpreter.version[1]}"
    is_system = interpreter.prefix == "/usr"
    # The system's own interpreter cannot be moved: its libraries are spread over /usr, which is there anyway.
    prefix = "/usr" if is_system else "/var/lang"
    mounts = [(str(directory), "/var/runtime")]
    if not is_system:
        mounts.insert(0, (interpreter.prefix, prefix))
    is_prepared = interpreter.version >= _PREPARED_MINIMUM_PYTHON
    program = (f"{prefix}/bin/{name}", "-u")
    return Launch(
        command=(*program, _BOOTSTRAP),
        host_command=(interpreter.executable, "-u", str(directory / "bootstrap.py")),
        mounts=tuple(mounts),
        hidden=_site_directories(interpreter, prefix),
        environment=_ENVIRONMENT,
        host_environment={"PYTHONPATH": str(directory), "LAMBDA_RUNTIME_DIR": str(directory)},
        preparation=_preparation(program, preloaded) if is_prepared else None,
        family="python",
        version=interpreter.version_text,
        is_exact=is_exact,
    )


def _preparation(program: tuple[str, ...], preloaded: tuple[str, ...]) -> Preparation:
    return Preparation(
        interpreter=program,
        modules=_CLIENT_MODULES,
        likely_modules=preloaded,
        scripts=(_BOOTSTRAP,),
        places=("/var/task",),
        passing=_LIBRARY_DIRECTORIES,
    )


def _site_directories(interpreter: Interpreter, prefix: str) -> tuple[str, ...]:
    """Where the host keeps installed packages: hidden, because AWS does not have them either."""
    minor = interpreter.version[1]
    places = {f"{interpreter.library}/site-packages": f"{prefix}/lib/python3.{minor}/site-packages"}
    if interpreter.prefix == "/usr":
        for place in ("/usr/lib/python3/dist-packages", f"/usr/local/lib/python3.{minor}/dist-packages"):
            places[place] = place
    return tuple(inside for outside, inside in places.items() if Path(outside).is_dir())
