"""Which Python interpreters this machine has.

Looked for in the places that the user names, on PATH, in pyenv and in uv; each is asked once for its version and
prefix, and the answers are remembered in the cache by path and modification time, so that starting Lambent does
not start every interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec

_QUESTION = "import sys; print(*sys.version_info[:3], sys.base_prefix, sep='\\n')"
_ANSWER_TIMEOUT_S = 10.0
_MINORS = range(8, 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A CPython on this machine."""

    executable: str
    version: tuple[int, int, int]
    prefix: str
    """The installation's root, for instance ``/usr``."""

    @property
    def version_text(self) -> str:
        """For instance ``3.12.1``."""
        return ".".join(map(str, self.version))

    @property
    def library(self) -> str:
        """The directory of the standard library."""
        return f"{self.prefix}/lib/python{self.version[0]}.{self.version[1]}"


def find_interpreters(*, search: str, environ: Mapping[str, str], cache_file: Path) -> list[Interpreter]:
    """Return the interpreters found, each installation once, those of the user's own search path first.

    Args:
        search: paths of interpreters, or of directories that hold them, separated by ``:``.
        environ: for PATH, PYENV_ROOT and HOME.
        cache_file: where the answers are remembered; may be missing or unreadable.
    """
    candidates = list(dict.fromkeys(_candidates(search, environ)))
    remembered = _read_cache(cache_file)
    unknown = [path for path in candidates if _stamp(path) not in remembered]
    if unknown:
        with ThreadPoolExecutor(max_workers=4) as pool:
            for path, found in zip(unknown, pool.map(_ask, unknown), strict=True):
                remembered[_stamp(path)] = found
        _write_cache(cache_file, remembered)
    unique: dict[tuple[str, tuple[int, int, int]], Interpreter] = {}
    for interpreter in (remembered[_stamp(path)] for path in candidates):
        if interpreter is not None and interpreter.version >= (3, 8, 0):
            unique.setdefault((interpreter.prefix, interpreter.version), interpreter)
    return list(unique.values())


def _candidates(search: str, environ: Mapping[str, str]) -> Iterable[Path]:
    """Yield executables that may be interpreters, resolved, without pyenv's shims (shell scripts)."""
    for place in filter(None, search.split(":")):
        path = Path(place).expanduser()
        yield from _in_directory(path)
        yield from _real(path)
    for directory in filter(None, environ.get("PATH", "").split(":")):
        yield from _in_directory(Path(directory))
    home = Path(environ.get("HOME", "/nonexistent"))
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    for root in (pyenv, uv):
        for installation in sorted(_inside(root), reverse=True):
            yield from _in_directory(installation / "bin")
    yield from _in_directory(Path("/usr/bin"))
    yield from _real(Path(getattr(sys, "_base_executable", sys.executable)))


def _inside(directory: Path) -> list[Path]:
    """Return what lies in a directory; nothing when it is missing or somebody else's."""
    try:
        return list(directory.iterdir())
    except OSError:
        return []


def _in_directory(directory: Path) -> Iterable[Path]:
    for minor in _MINORS:
        yield from _real(directory / f"python3.{minor}")


def _real(path: Path) -> Iterable[Path]:
    try:
        with path.open("rb") as file:
            is_program = file.read(4) == b"\x7fELF"
        # A virtual environment's interpreter is a link: what it points to is the installation.
        if is_program and os.access(path, os.X_OK):
            yield path.resolve()
    except OSError:
        return


def _ask(path: Path) -> Interpreter | None:
    try:
        answer = subprocess.run(
            [str(path), "-I", "-S", "-c", _QUESTION],
            capture_output=True,
            text=True,
            timeout=_ANSWER_TIMEOUT_S,
            check=True,
            env={"PATH": "/usr/bin:/bin"},
        ).stdout.splitlines()
        major, minor, micro = (int(part) for part in answer[:3])
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(executable=str(path), version=(major, minor, micro), prefix=answer[3])


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
