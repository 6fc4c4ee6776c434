"""Packages for functions of the bench, by pip into the bench's own cache, for the interpreter that will import them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_TIMEOUT_S = 180
_LEFT_OUT = ("tests", "__pycache__", "include")
"""Of each package: what nobody imports, so that it stays below AWS's 50 MB for a zip in a request."""


class PackagesMissing(Exception):
    """They cannot be had here. The message is one sentence."""


def package_with(cache: Path, python: str, names: tuple[str, ...], source: str) -> bytes:
    """Return a deployment package of this source, packages and what they need, downloading them if need be.

    Raises:
        PackagesMissing: this machine is offline, or there are no wheels for it.
    """
    content = io.BytesIO(_archive(cache, python, names).read_bytes())
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as package:
        package.writestr("app.py", source)
    return content.getvalue()


def _archive(cache: Path, python: str, names: tuple[str, ...]) -> Path:
    """The packages as a zip, which takes seconds to make and is kept."""
    archive = cache / f"packages-{python}-{'-'.join(names)}.zip"
    if archive.exists():
        return archive
    draft = archive.with_suffix(".part")
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        _install(Path(directory), python, names)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as package:
            for path in sorted(Path(directory).rglob("*")):
                inside = path.relative_to(directory)
                if path.is_file() and not set(inside.parts).intersection(_LEFT_OUT):
                    package.write(path, str(inside))
    draft.rename(archive)
    return archive


def _install(place: Path, python: str, names: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--target",
        str(place),
        "--upgrade",
        "--only-binary",
        ":all:",
        "--python-version",
        python,
        *names,
    ]
    # Constraints pin what Lambent depends on; this is none of it.
    environ = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise PackagesMissing(f"{', '.join(names)} could not be installed within {_TIMEOUT_S} s") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PackagesMissing(f"{', '.join(names)} could not be installed: {reason}")
