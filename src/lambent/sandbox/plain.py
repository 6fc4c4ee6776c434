"""The launch of a command without walls: ordered steps, in a monitor process that the spawner has forked.

The monitor adopts whatever the command leaves behind and kills it when the command ends, so that nothing
outlives the sandbox even though there is no process namespace. SIGTERM to the monitor, from the asyncio side
or from the kernel when the spawner dies, kills the command and thereby everything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lambent.sandbox import SandboxSpec, command, linux, network
from lambent.sandbox.order import Order, report, step


class _Monitor:
    """The command's pid, and the wish to kill it, which may come first."""

    def __init__(self) -> None:
        self.pid = 0
        self.is_doomed = False

    def doom(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self.is_doomed = True
        if self.pid:
            _kill(self.pid)

    def watch(self, pid: int) -> None:
        self.pid = pid
        if self.is_doomed:
            _kill(pid)


def launch(channel: socket.socket, order: Order, inherited: Sequence[int]) -> NoReturn:
    """Start the command, wait for its end, kill what is left of it, report."""
    monitor = _Monitor()
    with step("monitor"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, monitor.doom)
        linux.die_with_parent(signal.SIGTERM)
        linux.become_subreaper()
    with step("listen"):
        listeners = network.listen(network.on_host(order.spec.listen))
        report(
            channel,
            "listening",
            [listener.fileno() for listener in listeners],
            addresses=[listener.getsockname() for listener in listeners],
        )
        for listener in listeners:
            listener.close()
    with step("limits"):
        command.prefer_as_victim()
        command.limit_resources(order.spec, processes=False, data_bytes=None)

    def orders() -> tuple[SandboxSpec, Sequence[int]]:
        with step("session"):
            linux.die_with_parent()
        return order.spec, inherited

    try:
        pid = command.start(channel, orders, inherited, meanwhile=_nothing, become=command.execute)
        monitor.watch(pid)
        status, peak_bytes = command.reap_until_end(monitor.pid)
    finally:
        kill_descendants()  # also when there is no server any more to report to
    report(channel, "exited", status=status, peak_bytes=peak_bytes)
    os._exit(0)


def _nothing() -> None:
    """Do nothing meanwhile."""


def kill_descendants() -> None:
    """Kill and reap every descendant of this process; orphans among them become its children and follow."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        for pid in _children(os.getpid()):
            _kill(pid)
        os.waitpid(-1, 0)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
