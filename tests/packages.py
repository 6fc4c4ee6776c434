"""Packages from npm and PyPI for tests: installed once into the shared cache, or the test is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from builds import RUNTIME_CLIENT, CannotBeBuilt, build_runtime_client
from harness import CACHE_DIRECTORY

_PATIENCE_S = 180


def npm_packages(*packages: str) -> Path:
    """Return a directory whose node_modules has these packages."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    options = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", "--fetch-retries=0"]
    return _installed("npm", packages, ["npm", "install", "--prefix", ".", *options, *packages])


def python_packages(*packages: str) -> Path:
    """Return a directory with these packages for this Python."""
    options = ["--quiet", "--retries=0", "--disable-pip-version-check", "--target", "."]
    return _installed("pip", packages, [sys.executable, "-m", "pip", "install", *options, *packages])


def runtime_client_for_nodejs() -> dict[str, bytes]:
    """Return the files that run of AWS's client as npm installs it, for a deployment package; else skip."""
    try:
        place = build_runtime_client() / "node_modules" / RUNTIME_CLIENT.partition("@")[0]
    except CannotBeBuilt as error:
        pytest.skip(str(error))
    return {name: (place / name).read_bytes() for name in ("index.mjs", "package.json", "rapid-client.node")}


def _installed(kind: str, packages: tuple[str, ...], command: list[str]) -> Path:
    name = "-".join([kind, *(package.replace("/", "_") for package in packages)])
    place = CACHE_DIRECTORY / "test-packages" / name
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as draft:
        environ = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
        try:
            subprocess.run(
                command, cwd=draft, env=environ, check=True, capture_output=True, timeout=_PATIENCE_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"{', '.join(packages)} cannot be installed: {error}")
        if not place.is_dir():  # another worker may have been faster
            shutil.move(draft, place)
            Path(draft).mkdir()  # which is removed now
    return place


def files_below(directory: Path, *, unneeded: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return every file of a directory for a deployment package."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.suffix not in {".map", ".md", ".pyc", ".ts", *unneeded}
    }
