"""What lies under /var/runtime of a Python function: the runtime client and the AWS SDK.

AWS's Python runtimes come with boto3. Lambent copies its own boto3 and the client into one directory per Python
version, compiled for that version, and mounts it; the copy is keyed by everything that it is made from, so it is
made once per machine and shared by all data directories. Pythons that our boto3 no longer supports get the last
one that does, from the package index.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from lambent.runtimes.python.interpreters import Interpreter

_log = logging.getLogger(__name__)
_CLIENT = Path(__file__).parent / "client"
_COMPILED_MARK = ".compiled"
SDK_PACKAGES = (
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six",
    "urllib3",
    "snapshot_restore_py",
)
"""And the registry of SnapStart's hooks."""
SDK_MINIMUM_PYTHON = (3, 10)
"""Our boto3 needs this Python."""
SDK_BEFORE = (
    "boto3==1.37.38",
    "botocore==1.37.38",
    "jmespath==1.0.1",
    "python-dateutil==2.9.0.post0",
    "s3transfer==0.11.5",
    "six==1.17.0",
    "urllib3==1.26.20",
)
"""The last releases for older Pythons, down to 3.8."""
_DOWNLOAD_TIMEOUT_S = 120.0


class RuntimeLibrary:
    """The directories for /var/runtime, one per interpreter version."""

    def __init__(self, cache_directory: Path) -> None:
        self.cache_directory = cache_directory
        self._directory = cache_directory / "python"
        self._compiling: list[subprocess.Popen[bytes]] = []

    async def directory(self, interpreter: Interpreter) -> Path:
        """Return the directory for /var/runtime, made on first use.

        The client is compiled before this returns; the SDK's byte code follows in the background, because it
        takes seconds and only makes importing boto3 faster.
        """
        place = self._directory / f"{interpreter.version_text}-{_fingerprint()}"
        if not place.is_dir():
            place = await asyncio.to_thread(_build, place, interpreter)
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
        packages = [str(package) for package in sorted(place.iterdir()) if package.is_dir()]
        command = _compile_command(interpreter, place, packages)
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


def _build(place: Path, interpreter: Interpreter) -> Path:
    """Make the directory and return it; without the SDK it has another name, so that it is tried again."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        draft.chmod(0o755)
        for source in sorted(_CLIENT.glob("*.py")):
            shutil.copyfile(source, draft / source.name)
        if not _add_sdk(draft, interpreter):
            place = place.with_name(f"{place.name}-without-sdk")
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
    return place


def _add_sdk(draft: Path, interpreter: Interpreter) -> bool:
    """Put the SDK into the directory; False when it could not be had."""
    if interpreter.version[:2] >= SDK_MINIMUM_PYTHON:
        for source in _sdk_sources():
            _copy(source, draft / source.name)
        return True
    version = f"{interpreter.version[0]}.{interpreter.version[1]}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--retries=1",
    ]
    command += ["--python-version", version, "--target", str(draft), *SDK_BEFORE]
    environ = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_DOWNLOAD_TIMEOUT_S, env=environ)
    except (OSError, subprocess.SubprocessError) as error:
        _log.warning("Functions on Python %s have no boto3: it could not be downloaded (%s).", version, error)
        return False
    return True


def _compile_command(interpreter: Interpreter, place: Path, files: list[str]) -> list[str]:
    """The command that writes byte code with paths as they will be inside the walls."""
    # Python 3.8 can only name the directory that files will be in.
    where = (
        ["-s", str(place), "-p", "/var/runtime"]
        if interpreter.version >= (3, 9, 0)
        else ["-d", "/var/runtime"]
    )
    options = ["-q", *where]
    return [interpreter.executable, "-I", "-S", "-m", "compileall", *options, *files]


def _sdk_sources() -> list[Path]:
    """The SDK's packages and modules as they lie in our own installation."""
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
        source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), copy_function=link_or_copy
    )


def link_or_copy(source: str, target: str) -> None:
    """Give a file another name, or copy it."""
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
    for name in ("boto3", "botocore", "s3transfer", "urllib3", "snapshot-restore-py"):
        digest.update(f"{name}={metadata.version(name)};".encode())
    digest.update(repr(SDK_BEFORE).encode())
    return digest.hexdigest()[:12]
