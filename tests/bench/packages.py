"""Packages for functions of the bench, by pip into the bench's own cache, for the interpreter that will import them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TIMEOUT_S = 180
_LEFT_OUT = ("tests", "__pycache__", "include")
"""Of each package: what nobody imports, so that it stays below AWS's 50 MB for a zip in a request."""


class PackagesMissing(Exception):
    """They cannot be had here. The message is one sentence."""


def fetch(cache: Path, python: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the files of packages and of what they need, downloading them if need be.

    Raises:
        PackagesMissing: this machine is offline, or there are no wheels for it.
    """
    place = cache / f"packages-{python}-{'-'.join(names)}"
    if not place.is_dir():
        _install(place, python, names)
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file() and not set(path.relative_to(place).parts).intersection(_LEFT_OUT)
    }


def _install(place: Path, python: str, names: tuple[str, ...]) -> None:
    draft = place.with_name(f"{place.name}.part")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += [
        "--target",
        str(draft),
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
    draft.rename(place)
