"""A Lambent server of a command's own: a child process that never outlives the command."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import IO

from lambent.cli import signals
from lambent.cli.terminal import CommandError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_INTERVAL_S = 0.05
CONNECT_TIMEOUT_S = 5.0


@contextlib.contextmanager
def running(folder: Path, *, port: int | None = None, config: Path | None = None) -> Generator[str]:
    """Start a server whose files are all below a folder, give its endpoint, and stop it in the end.

    Args:
        folder: where its files go.
        port: where it listens; None: a free one.
        config: the file with its settings, for what is not said here.

    Raises:
        CommandError: it did not start; the message has its last words.
    """
    port = _free_port() if port is None else port
    log_path = folder / "server.log"
    # The user's own configuration is for the user's own server.
    environment = {name: value for name, value in os.environ.items() if name != "LAMBENT_CONFIG"}
    with signals.as_exits(), log_path.open("wb") as log:
        process = _start(_command(port, folder) + _config(config), environment, folder, log)
        try:
            _wait_for_health(process, f"http://127.0.0.1:{port}", log_path)
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


def is_answering(host: str, port: int) -> bool:
    """Say whether anything listens there."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True  # who asks next is told what is wrong
    return True


def _config(config: Path | None) -> list[str]:
    return [f"--config={config}"] if config is not None else []


def _command(port: int, folder: Path) -> list[str]:
    flags = {"host": "127.0.0.1", "port": port, "auth": "open", "data-dir": folder / "data"}
    return [sys.executable, "-m", "lambent", "up", *(f"--{name}={value}" for name, value in flags.items())]


def _start(
    command: list[str], environment: dict[str, str], folder: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,  # where no lambent.toml lies
        # Its own session: a Ctrl-C reaches only us, and we stop the server in order.
        start_new_session=True,
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for_health(process: subprocess.Popen[bytes], endpoint: str, log_path: Path) -> None:
    # Proxies are for other machines.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise CommandError(
                f"The server ended at once (exit code {process.returncode}): {_last_words(log_path)}"
            )
        try:
            with opener.open(f"{endpoint}/_lambent/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(POLL_INTERVAL_S)
    raise CommandError(f"The server did not answer within {START_TIMEOUT_S:g} s: {_last_words(log_path)}")


def _last_words(log_path: Path) -> str:
    lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it said nothing."


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop the server: in order if it can, with its whole process group if it cannot or we are in a hurry."""
    try:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
