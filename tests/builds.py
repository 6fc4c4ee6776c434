"""Packages whose installation compiles something, which takes a minute: built once for all copies of the repository on
this machine. For tests, which skip without them, and for the bench."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

RUNTIME_CLIENT = "aws-lambda-ric@4.0.2"
"""AWS's runtime interface client for Node.js, whose native half is compiled at its installation."""
_BUILDS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambent" / "test-builds"
_PATIENCE_S = 600


class CannotBeBuilt(Exception):
    """A package cannot be built here. The message is one sentence."""


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
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotBeBuilt(f"{RUNTIME_CLIENT} cannot be installed here: {error}") from error
    if not any(draft.rglob("rapid-client.node")):
        raise CannotBeBuilt(f"npm did not run the scripts that build {RUNTIME_CLIENT}.")
