"""Node.js, 16 and newer: which interpreter runs a ``nodejsX.x`` function, and how its environment starts it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from lambent.runtimes import DebuggerLaunch, Launch, OwnOptions, RuntimeUnavailable, Waiting
from lambent.runtimes.nodejs.interpreters import Interpreter, fetch
from lambent.runtimes.nodejs.library import PACKAGES, RuntimeLibrary

_log = logging.getLogger(__name__)
AWS_MAJORS = (18, 20, 22, 24, 26)
"""The major versions that AWS has a runtime for; an older one can be asked for by its name."""
_IDENTIFIER = re.compile(r"nodejs(\d+)\.x")

_RUNTIME = "/var/runtime"
_ENVIRONMENT = {
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": (
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib"
    ),
    "LAMBDA_RUNTIME_DIR": _RUNTIME,
}
# What AWS's runtimes give to V8, as shares of the memory size.
_MEMORY_OPTIONS = (("--max-semi-space-size", 0.05), ("--max-old-space-size", 0.9))
_FLAGS = ("--expose-gc",)
# What is experimental is off, unless NODE_OPTIONS turns it on (AWS page "Building Lambda functions with Node.js").
_NO_REQUIRE_OF_ES_MODULES = "--no-experimental-require-module"
_NO_DETECTION_OF_ES_MODULES = "--no-experimental-detect-module"
_OWN_OPTIONS = OwnOptions(
    variable="NODE_OPTIONS",
    memory=("max-old-space-size", "max_old_space_size", "max-semi-space-size", "max_semi_space_size"),
    revoked={
        option: option.replace("--no-", "--")
        for option in (_NO_REQUIRE_OF_ES_MODULES, _NO_DETECTION_OF_ES_MODULES)
    },
)
_WAITING = Waiting(
    # Node.js, V8, libuv, ICU, OpenSSL and the C library read these once.
    fixed_variables=("NODE_", "UV_", "ICU_", "OPENSSL_", "SSL_", "LD_", "LANG", "LC_", "MALLOC_", "GLIBC_"),
    changing_variables=("NODE_ENV", "NODE_TLS_REJECT_UNAUTHORIZED"),
    # The C library remembers which directories of LD_LIBRARY_PATH are missing.
    passing=("/opt/lib", "/var/task/lib"),
)


class NodeJs:
    """The language `nodejsX.x`. See `lambent.runtimes.Language`."""

    def __init__(
        self,
        *,
        interpreters: Sequence[Interpreter],
        library: RuntimeLibrary,
        exact: bool,
        cache_directory: Path,
        fetches: bool,
    ) -> None:
        """Prepare.

        Args:
            interpreters: those of this machine.
            library: makes what lies under /var/runtime.
            exact: refuse to let another version stand in for a missing one.
            cache_directory: where fetched interpreters go.
            fetches: whether a missing version is fetched from npm when a function needs it.
        """
        self._interpreters = list(interpreters)
        self._library = library
        self._exact = exact
        self._cache_directory = cache_directory
        self._fetches = fetches

    def identifiers(self) -> list[str]:
        return [f"nodejs{major}.x" for major in sorted({found.version[0] for found in self._interpreters})]

    def stand_ins(self) -> dict[str, str]:
        if self._exact or self._fetches:
            return {}
        missing = [major for major in AWS_MAJORS if f"nodejs{major}.x" not in self.identifiers()]
        found = {major: nearest(self._interpreters, major) for major in missing}
        return {f"nodejs{major}.x": node.version_text for major, node in found.items() if node}

    def fetched(self) -> list[str]:
        """Return the identifiers whose interpreters are fetched when they are needed, for the start block."""
        known = self.identifiers()
        names = [f"nodejs{major}.x" for major in AWS_MAJORS]
        return [name for name in names if name not in known] if self._fetches else []

    def serves(self, identifier: str) -> bool:
        return _IDENTIFIER.fullmatch(identifier) is not None

    async def launch(self, identifier: str) -> Launch:
        found = _IDENTIFIER.fullmatch(identifier)
        assert found, "serves comes first"
        wanted = int(found[1])
        interpreter = await self._interpreter(identifier, wanted)
        return _launch(
            interpreter,
            await self._library.client(),
            self._library.sdk(),
            wanted=wanted,
            is_complete=self._library.is_complete,
        )

    async def settle(self, identifier: str, directories: Sequence[Path]) -> None:
        del identifier
        await self._library.settle(directories)

    async def debugger(self, identifier: str) -> DebuggerLaunch:
        del identifier
        return DebuggerLaunch()  # Node.js has its inspector on board

    async def _interpreter(self, identifier: str, wanted: int) -> Interpreter:
        found = nearest(self._interpreters, wanted)
        if (found is None or found.version[0] != wanted) and self._fetches:
            fetched = await fetch(wanted, self._cache_directory)
            if fetched is not None:
                self._interpreters.append(fetched)
                return fetched
        if found is None:
            raise RuntimeUnavailable("No Node.js interpreter was found on this machine.")
        if found.version[0] == wanted:
            return found
        if self._exact:
            raise RuntimeUnavailable(
                f"No interpreter for {identifier} was found on this machine, and exact_runtime forbids another one."
            )
        _log.warning("%s is not installed here; Node.js %s runs it instead.", identifier, found.version_text)
        return found


def nearest(interpreters: Sequence[Interpreter], major: int) -> Interpreter | None:
    """Return the interpreter whose major version is nearest, newer before older, newest first among equals."""

    def distance(interpreter: Interpreter) -> tuple[int, bool, int, int]:
        difference = interpreter.version[0] - major
        return abs(difference), difference < 0, -interpreter.version[1], -interpreter.version[2]

    return min(interpreters, key=distance, default=None)


def _launch(
    interpreter: Interpreter, client: Path, sdk: Path | None, *, wanted: int, is_complete: bool
) -> Launch:
    is_system = interpreter.prefix == "/usr"
    program = "/usr/bin/node" if is_system else f"/var/lang/bin/{Path(interpreter.executable).name}"
    mounts = [] if is_system else [(interpreter.prefix, "/var/lang")]
    mounts.append((str(client), _RUNTIME))
    if sdk is not None:
        mounts.append((str(sdk), f"{_RUNTIME}/{PACKAGES}"))
    return Launch(
        command=(program, *_FLAGS, f"{_RUNTIME}/bootstrap.js"),
        host_command=(interpreter.executable, *_FLAGS, str(client / "bootstrap.js")),
        memory_options=_MEMORY_OPTIONS,
        default_options=_disabled(interpreter.version),
        own_options=_OWN_OPTIONS,
        mounts=tuple(mounts),
        environment=_ENVIRONMENT | {"NODE_PATH": _node_path(wanted, _RUNTIME, f"{_RUNTIME}/{PACKAGES}")},
        host_environment={
            "LAMBDA_RUNTIME_DIR": str(client),
            "NODE_PATH": _node_path(wanted, str(client), str(sdk or client / PACKAGES)),
        },
        waiting=_WAITING,
        family="nodejs",
        version=interpreter.version_text,
        is_exact=interpreter.version[0] == wanted,
        is_complete=is_complete,
    )


def _disabled(version: tuple[int, int, int]) -> tuple[str, ...]:
    """Return the options that turn off what is experimental; older versions do not know them."""
    if version >= (22, 0, 0):
        return _NO_REQUIRE_OF_ES_MODULES, _NO_DETECTION_OF_ES_MODULES
    return (_NO_REQUIRE_OF_ES_MODULES,) if (20, 17, 0) <= version < (21, 0, 0) else ()


def _node_path(major: int, runtime: str, sdk: str) -> str:
    """Return AWS's search path for packages."""
    layers = (f"/opt/nodejs/node{major}/{PACKAGES}", f"/opt/nodejs/{PACKAGES}")
    return ":".join([*layers, sdk, runtime, "/var/task"])
