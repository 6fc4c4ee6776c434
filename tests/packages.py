"""Packages from npm and PyPI for tests: installed once into the shared cache, or the test is skipped.

What takes a minute to be built is kept for every copy of the repository on this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import CACHE_DIRECTORY

_PATIENCE_S = 180
_BUILD_PATIENCE_S = 600
_BUILDS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambent" / "test-builds"
RUNTIME_CLIENT = "aws-lambda-ric@4.0.2"
"""AWS's runtime interface client for Node.js, whose native half is compiled at its installation."""


class CannotBeBuilt(Exception):
    """A package cannot be built here. The message is one sentence."""


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


def build_runtime_client() -> Path:
    """Return a directory whose node_modules has AWS's client for Node.js, installed with its own scripts.

    Raises:
        CannotBeBuilt: tools for it are missing, or npm is out of reach.
    """
    place = _BUILDS / RUNTIME_CLIENT
    if place.is_dir():
        return place
    missing = [name for name in ("node", "npm", "cmake", "make", "c++", "xz") if shutil.which(name) is None]
    if missing:
        raise CannotBeBuilt(f"{RUNTIME_CLIENT} cannot be built here without {', '.join(missing)}.")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as draft:
        _build(Path(draft))
        if not place.is_dir():  # another worker may have been faster
            shutil.move(draft, place)
            Path(draft).mkdir()  # which is removed now
    return place


def _build(draft: Path) -> None:
    command = ["npm", "install", "--prefix", ".", "--no-audit", "--no-fund", "--no-update-notifier"]
    # The headers that come with Node.js; otherwise they would be looked for on the network.
    headers = Path(shutil.which("node") or "").resolve().parent.parent
    environ = {**os.environ, "npm_config_nodedir": str(headers)}
    try:
        subprocess.run(
            [*command, RUNTIME_CLIENT],
            cwd=draft,
            env=environ,
            check=True,
            capture_output=True,
            timeout=_BUILD_PATIENCE_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBeBuilt(f"{RUNTIME_CLIENT} cannot be installed here: {error}") from error
    if not any(draft.rglob("rapid-client.node")):
        raise CannotBeBuilt(f"npm did not run the scripts that build {RUNTIME_CLIENT}.")


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
