"""debugpy for Python functions: Lambent's own copy, kept in the cache, compiled for each interpreter once.

It is an ordinary dependency of Lambent. Its compiled parts fit the Python that Lambent runs on; under others it does
without them, as it is made to.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from lambent.runtimes import DebuggerLaunch, RuntimeUnavailable
from lambent.runtimes.python.interpreters import Interpreter
from lambent.runtimes.python.library import link_or_copy

PACKAGE = "debugpy"
PLACE = "/var/debugger"
VARIABLE = "_LAMBENT_DEBUGGER"
"""Tells the runtime client where debugpy is."""


async def debugger(interpreter: Interpreter, cache_directory: Path) -> DebuggerLaunch:
    """Return how debugpy is started, made ready for an interpreter on first use.

    Raises:
        RuntimeUnavailable: debugpy is not installed.
    """
    place = await asyncio.to_thread(_ready, interpreter, cache_directory)
    return DebuggerLaunch(
        mounts=((str(place), PLACE),),
        environment={VARIABLE: PLACE},
        host_environment={VARIABLE: str(place)},
    )


def _ready(interpreter: Interpreter, cache_directory: Path) -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise RuntimeUnavailable("debugpy is not installed beside Lambent: pip install debugpy.")
    source = Path(spec.origin).parent
    place = cache_directory / "python" / f"{PACKAGE}-{metadata.version(PACKAGE)}-{interpreter.version_text}"
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            draft.chmod(0o755)
            _fill(draft, source, interpreter)
            with contextlib.suppress(OSError):  # another server was faster
                draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return place


def _fill(draft: Path, source: Path, interpreter: Interpreter) -> None:
    shutil.copytree(
        source,
        draft / PACKAGE,
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
        copy_function=link_or_copy,
    )
    # Some of its files are for other versions and cannot be compiled, which is no failure.
    options = ["-q", "-q", "-d", f"{PLACE}/{PACKAGE}"]
    command = [interpreter.executable, "-I", "-S", "-m", "compileall", *options, str(draft / PACKAGE)]
    subprocess.run(command, check=False, capture_output=True)
