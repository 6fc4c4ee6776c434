"""What lies under /var/runtime of a Python function: the runtime client and the AWS SDK.

AWS's Python runtimes come with boto3. Lambent copies its own boto3 and the client into one directory per Python
version, compiled for that version, and mounts it; the copy is keyed by everything that it is made from, so it is
made once per machine and shared by all data directories.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

from lambent.runtimes.python.interpreters import Interpreter

_CLIENT = Path(__file__).parent / "client"
_COMPILED_MARK = ".compiled"
SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
SDK_MINIMUM_PYTHON = (3, 10)
"""Current boto3 needs this Python; functions on older ones bring their own."""


class RuntimeLibrary:
    """The directories for /var/runtime, one per interpreter version."""

    def __init__(self, cache_directory: Path) -> None:
        self._directory = cache_directory / "python"
        self._compiling: list[subprocess.Popen[bytes]] = []

    async def directory(self, interpreter: Interpreter) -> Path:
        """Return the directory for /var/runtime, made on first use.

        The client is compiled before this returns; the SDK's byte code follows in the background, because it
        takes seconds and only makes importing boto3 faster.
        """
        place = self._directory / f"{interpreter.version_text}-{_fingerprint()}"
        if not place.is_dir():
            await asyncio.to_thread(_build, place, interpreter)
        if not (place / _COMPILED_MARK).exists():
            self._compile_sdk(place, interpreter)
        return place

    def close(self) -> None:
        """Stop compiling; what is missing is made the next time."""
        for process in self._compiling:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        self._compiling.clear()

    def _compile_sdk(self, place: Path, interpreter: Interpreter) -> None:
        names = [source.name for source in _sdk_sources(interpreter)]
        command = _compile_command(interpreter, place, [str(place / name) for name in names])
        script = f"{shlex.join(command)}; touch {shlex.quote(str(place / _COMPILED_MARK))}"
        self._compiling.append(
            subprocess.Popen(
                ["nice", "-n", "10", "/bin/sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        )


def _build(place: Path, interpreter: Interpreter) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        draft.chmod(0o755)
        for source in sorted(_CLIENT.glob("*.py")):
            shutil.copyfile(source, draft / source.name)
        for source in _sdk_sources(interpreter):
            _copy(source, draft / source.name)
        clients = [str(draft / source.name) for source in sorted(_CLIENT.glob("*.py"))]
        subprocess.run(_compile_command(interpreter, draft, clients), check=True, capture_output=True)
        try:
            draft.rename(place)
        except OSError:
            # Another server was faster; its copy is as good as ours.
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _compile_command(interpreter: Interpreter, place: Path, files: list[str]) -> list[str]:
    """The command that writes byte code with paths as they will be inside the walls."""
    options = ["-q", "-s", str(place), "-p", "/var/runtime"]
    return [interpreter.executable, "-I", "-S", "-m", "compileall", *options, *files]


def _sdk_sources(interpreter: Interpreter) -> list[Path]:
    """The SDK's packages and modules as they lie in our own installation; none where they cannot run."""
    if interpreter.version[:2] < SDK_MINIMUM_PYTHON:
        return []
    sources: list[Path] = []
    for name in SDK_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        sources.append(origin.parent if origin.name == "__init__.py" else origin)
    return sources


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target)
        return
    shutil.copytree(
        source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), copy_function=_link_or_copy
    )


def _link_or_copy(source: str, target: str) -> None:
    # Botocore's models are 20 MB that nobody changes: a hard link costs nothing where one can be made.
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _fingerprint() -> str:
    """Changes when the client or the SDK changes."""
    digest = hashlib.sha256()
    for source in sorted(_CLIENT.glob("*.py")):
        digest.update(source.read_bytes())
    for name in ("boto3", "botocore", "s3transfer", "urllib3"):
        digest.update(f"{name}={metadata.version(name)};".encode())
    return digest.hexdigest()[:12]
