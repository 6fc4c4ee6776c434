"""Peers of the queues: moto's server and MiniStack, emulators of many AWS services that can be had from PyPI.

Neither keeps anything durably: their queues are lists in memory. Both are installed by pip into an environment of
their own in the bench's cache, because what they depend on is none of Lambent's business. Nothing is measured here.
"""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from tests.bench.goals import MINISTACK, MOTO
from tests.bench.peers import Process, free_port
from tests.harness import ACCOUNT, REGION

_REQUIREMENTS = ("moto[server]==5.2.5", "ministack==1.5.33")
"""Pinned, so that figures of two runs can be compared."""
_INSTALL_TIMEOUT_S = 300


class EmulatorsMissing(Exception):
    """They cannot be had here. The message is one sentence."""


class Emulator(Process):
    """One of them, running. Use as a context manager."""

    def __init__(self, name: str, environment: Path, directory: Path) -> None:
        """Start it; returns when it listens.

        Args:
            name: `MOTO` or `MINISTACK`.
            environment: where they are installed; see `install`.
            directory: where it may write.
        """
        self.name = name
        port = free_port()
        command = [str(environment / "bin" / "ministack")]
        if name == MOTO:
            command = [str(environment / "bin" / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
        environ: Mapping[str, str] = {
            "GATEWAY_PORT": str(port),
            # What they would log of each request costs them time.
            "LOG_LEVEL": "ERROR",
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }
        super().__init__(command, port=port, environ=environ, directory=directory)

    def client(self, service: str) -> Any:
        """Return a boto3 client of it."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 0}),
        )


def install(cache: Path) -> Path:
    """Return the environment that they are installed in, installing them if need be.

    Raises:
        EmulatorsMissing: this machine is offline, or they have no packages for it.
    """
    environment = cache / "emulators"
    note = environment / "installed"
    wanted = "\n".join(_REQUIREMENTS)
    if note.is_file() and note.read_text() == wanted:
        return environment
    venv.create(environment, clear=True, with_pip=True)
    command = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    command += ["--disable-pip-version-check", *_REQUIREMENTS]
    # Constraints pin what Lambent depends on; this is none of it.
    environ = {
        name: value for name, value in os.environ.items() if name not in ("PIP_CONSTRAINT", "PYTHONPATH")
    }
    try:
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise EmulatorsMissing(f"{MOTO} and {MINISTACK} could not be installed in time.") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EmulatorsMissing(f"{MOTO} and {MINISTACK} could not be installed: {reason}")
    note.write_text(wanted)
    return environment


def versions() -> str:
    """Say who they are, with their versions."""
    return " and ".join(requirement.replace("==", " ") for requirement in _REQUIREMENTS)
