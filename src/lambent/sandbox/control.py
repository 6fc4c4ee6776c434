"""The asyncio side of the spawner: start it, hand report sockets to it, stop it.

Used by both kinds of sandbox; what the spawner does is in `lambent.sandbox.spawner`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lambent.sandbox import SandboxError
from lambent.sandbox.order import parse_report

_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop()); from lambent.sandbox.spawner import main; main()"


class Spawner:
    """The helper process that forks every sandbox. It dies with this object's socket."""

    def __init__(self, mode: str) -> None:
        """Prepare; `mode` is ``walls`` or ``plain``."""
        self._mode = mode
        self.kept = -1
        """Descriptor that the program holds until everything below it is gone (`lambent.sandbox.keeper`)."""
        self.pasta = ""
        """Path of the program that leads to the outside, where the server may not (`lambent.sandbox.pasta`)."""
        self.way_out: dict[str, Any] | None = None
        """What became of that: ``block`` and ``mtu_bytes`` (`lambent.sandbox.nat.Links`), and ``how``."""
        self._control: socket.socket | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self.is_root = False
        self.generation = 0
        """How many programs there have been: what one of them has mounted is gone with it."""

    @property
    def is_running(self) -> bool:
        """Whether it is there to fork."""
        return self._program is not None and self._program.poll() is None

    async def open(self) -> None:
        """Start the program and wait until it is ready.

        Raises:
            SandboxError: it could not do what it needs.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        self._control = control
        self.generation += 1
        try:
            with theirs:
                self._program = _run_spawner(theirs.fileno(), self._mode, self.kept, self.pasta)
            async with asyncio.timeout(_START_TIMEOUT_S):
                await readable(control.fileno())
            message = parse_report(control.recv(65536) or b'{"event": "gone"}')
            if message["event"] != "ready":
                raise SandboxError(
                    message.get("step", "spawner"), message.get("reason", "ended without a word")
                )
            self.is_root, self.way_out = message["is_root"], message["way_out"]
        except (TimeoutError, OSError) as error:
            await self.close()
            raise SandboxError("spawner", str(error) or type(error).__name__) from error
        except BaseException:
            await self.close()
            raise

    async def hand_over(self, descriptors: Sequence[int], message: bytes = b"launch") -> None:
        """Let the spawner fork a child that owns this report socket, or do what else the message says.

        Args:
            descriptors: ``launch``, ``zygote`` and ``tmp``: the child's report socket; ``trees``: a socket for the
                copies; ``link``: a network namespace, and a socket that tells how it went; ``socket``: a socket of a
                network, and one over which another of that network comes back.
            message: ``launch``, ``zygote``, ``tmp``, ``socket``, or ``trees`` or ``link`` and more about it, as
                JSON.

        Raises:
            SandboxError: the spawner is gone.
        """
        while True:
            if self._control is None:
                raise SandboxError("spawner", "is not running")
            try:
                socket.send_fds(self._control, [message], descriptors)
            except BlockingIOError:
                await writable(self._control.fileno())
            except OSError as error:
                raise SandboxError("spawner", error.strerror or str(error)) from error
            else:
                return

    async def close(self) -> None:
        """Stop the program and everything below it."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._program is not None:
            program, self._program = self._program, None
            await _join(program)


def _run_spawner(control: int, mode: str, kept: int, pasta: str) -> subprocess.Popen[bytes]:
    arguments = [str(control), mode, str(kept), pasta, str(Path(__file__).resolve().parents[2])]
    return subprocess.Popen(
        # -I -S: no site-packages, no environment, no user code at start.
        [sys.executable, "-I", "-S", "-c", _PROGRAM, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(control,) if kept < 0 else (control, kept),
        cwd="/",
        start_new_session=True,  # a Ctrl-C in the server's terminal is for the server, which drains first
        env={},
    )


async def _join(program: subprocess.Popen[bytes]) -> None:
    """Wait for the program, and insist if it does not follow its closed socket."""
    if program.poll() is not None:
        return
    pidfd = os.pidfd_open(program.pid)  # not reaped yet, so the pid is still its own
    try:
        async with asyncio.timeout(_STOP_TIMEOUT_S):
            await readable(pidfd)
    except TimeoutError:
        program.kill()
    finally:
        os.close(pidfd)
        program.wait()


async def readable(descriptor: int) -> None:
    """Return when a descriptor can be read."""
    loop = asyncio.get_running_loop()
    await _event(descriptor, loop.add_reader, loop.remove_reader)


async def writable(descriptor: int) -> None:
    """Return when a descriptor can be written."""
    loop = asyncio.get_running_loop()
    await _event(descriptor, loop.add_writer, loop.remove_writer)


async def _event(
    descriptor: int, add: Callable[[int, Callable[[], None]], None], remove: Callable[[int], bool]
) -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def happened() -> None:
        if not ready.done():
            ready.set_result(None)

    add(descriptor, happened)
    try:
        await ready
    finally:
        remove(descriptor)
