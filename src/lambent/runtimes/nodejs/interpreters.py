"""Which Node.js interpreters this machine has, and how another one is fetched.

Looked for in the places that the user names, on PATH, in nvm, fnm and n, and among those that were fetched before;
each is asked once for its version, and the answers are remembered in the cache by path and modification time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lambent.runtimes.nodejs.npm import NpmError, run_npm

_log = logging.getLogger(__name__)
_ANSWER_TIMEOUT_S = 20.0
_FETCH_TIMEOUT_S = 120.0
_OLDEST_MAJOR = 16
_PLACES_OF_MANAGERS = (
    ".nvm/versions/node/*/bin",
    ".local/share/fnm/node-versions/*/installation/bin",
    "n/n/versions/node/*/bin",
)
_SYSTEM_PLACES = ("/usr/local/n/versions/node/*/bin",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Node.js on this machine."""

    executable: str
    version: tuple[int, int, int]

    @property
    def version_text(self) -> str:
        """For instance ``22.3.0``."""
        return ".".join(map(str, self.version))

    @property
    def prefix(self) -> str:
        """The installation's root, for instance ``/usr``."""
        return str(Path(self.executable).parent.parent)


def find_interpreters(*, search: str, environ: Mapping[str, str], cache_directory: Path) -> list[Interpreter]:
    """Return the interpreters found, each version once, those of the user's own search path first.

    Args:
        search: paths of interpreters, or of directories that hold them, separated by ``:``.
        environ: for PATH and HOME.
        cache_directory: where fetched ones and the answers are.
    """
    candidates = list(dict.fromkeys(_candidates(search, environ, cache_directory)))
    cache_file = cache_directory / "nodejs-interpreters.json"
    remembered = _read_cache(cache_file)
    unknown = [path for path in candidates if _stamp(path) not in remembered]
    if unknown:
        with ThreadPoolExecutor(max_workers=4) as pool:
            for path, found in zip(unknown, pool.map(ask, unknown), strict=True):
                remembered[_stamp(path)] = found
        _write_cache(cache_file, remembered)
    unique: dict[tuple[int, int, int], Interpreter] = {}
    for interpreter in (remembered[_stamp(path)] for path in candidates):
        if interpreter is not None and interpreter.version[0] >= _OLDEST_MAJOR:
            unique.setdefault(interpreter.version, interpreter)
    return list(unique.values())


def _candidates(search: str, environ: Mapping[str, str], cache_directory: Path) -> Iterable[Path]:
    for place in filter(None, search.split(":")):
        path = Path(place).expanduser()
        yield from _real(path / "node")
        yield from _real(path)
    for directory in filter(None, environ.get("PATH", "").split(":")):
        yield from _real(Path(directory) / "node")
    home = Path(environ.get("HOME", "/nonexistent"))
    for pattern in _PLACES_OF_MANAGERS:
        for directory in sorted(home.glob(pattern), reverse=True):
            yield from _real(directory / "node")
    for pattern in _SYSTEM_PLACES:
        for directory in sorted(Path("/").glob(pattern[1:]), reverse=True):
            yield from _real(directory / "node")
    for directory in sorted(fetched_directory(cache_directory).glob("*/bin"), reverse=True):
        yield from _real(directory / "node")


def _real(path: Path) -> Iterable[Path]:
    try:
        with path.open("rb") as file:
            is_program = file.read(4) == b"\x7fELF"
        # What a version manager puts on PATH may be a program of its own, with another name.
        if is_program and os.access(path, os.X_OK) and path.resolve().name.startswith("node"):
            yield path.resolve()
    except OSError:
        return


def ask(path: Path) -> Interpreter | None:
    """Return what a program says of itself; None when it is no Node.js."""
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=True,
            env={"PATH": "/usr/bin:/bin"},
        ).stdout.strip()
        major, minor, patch = (int(part) for part in answer.removeprefix("v").split("-")[0].split("."))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(executable=str(path), version=(major, minor, patch))


def fetched_directory(cache_directory: Path) -> Path:
    """Return where fetched interpreters are, each in a directory named by its version."""
    return cache_directory / "nodejs" / "interpreters"


async def fetch(major: int, cache_directory: Path) -> Interpreter | None:
    """Return the newest Node.js of a major version, fetched from npm; None, and a warning, when it cannot be had."""
    architecture = "arm64" if platform.machine().lower() in {"arm64", "aarch64"} else "x64"
    package = f"node-linux-{architecture}@{major}"
    directory = fetched_directory(cache_directory)
    _log.warning("Node.js %d is not installed here; it is being fetched (%s from npm).", major, package)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as draft:
            await run_npm("pack", "--silent", package, directory=Path(draft), timeout_s=_FETCH_TIMEOUT_S)
            return await asyncio.to_thread(_unpack, Path(draft), major, directory)
    except (OSError, NpmError, tarfile.TarError, ValueError) as error:
        _log.warning("Node.js %d could not be fetched: %s", major, error)
        return None


def _unpack(draft: Path, major: int, directory: Path) -> Interpreter:
    (archive,) = draft.glob("*.tgz")
    program = draft / "bin" / "node"
    program.parent.mkdir()
    with tarfile.open(archive) as packed, program.open("wb") as file:
        content = packed.extractfile("package/bin/node")
        if content is None:
            raise ValueError("the package holds no program")
        shutil.copyfileobj(content, file)
    program.chmod(0o755)
    found = ask(program)
    if found is None or found.version[0] != major:
        raise ValueError("what the package holds does not run here")
    place = directory / found.version_text
    place.mkdir(exist_ok=True)
    with contextlib.suppress(OSError):  # another server was faster
        program.parent.rename(place / "bin")
    return Interpreter(executable=str(place / "bin" / "node"), version=found.version)


def _stamp(path: Path) -> str:
    return f"{path}@{path.stat().st_mtime_ns}"


def _read_cache(cache_file: Path) -> dict[str, Interpreter | None]:
    """Return what is remembered, by path and time; None for what is no interpreter."""
    try:
        return msgspec.json.decode(cache_file.read_bytes(), type=dict[str, Interpreter | None])
    except (OSError, msgspec.DecodeError):
        return {}


def _write_cache(cache_file: Path, remembered: Mapping[str, Interpreter | None]) -> None:
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        draft = cache_file.with_suffix(f".{os.getpid()}.part")
        draft.write_bytes(msgspec.json.encode(remembered))
        draft.replace(cache_file)
    except OSError:
        return
