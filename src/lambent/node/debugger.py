"""The way from a port of this machine to the debugger in one execution environment.

A debugger that is attached, or is still awaited, suspends the environment's limits of time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Generator

from lambent.node.deadline import SuspendableDeadline
from lambent.sandbox import SandboxError, SandboxProcess

PORT_VARIABLE = "_LAMBENT_DEBUG_PORT"
"""Tells a runtime client of ours where to wait for a debugger."""
READY_DESCRIPTOR = 5
"""On which it says that it does, by a byte: who comes before can confuse debugpy."""
_CHUNK_BYTES = 65536
_SETTLE_PAUSE_S = 0.02
_SETTLE_S = 0.1
"""A debugger to which nothing has been said for so long has heard all."""
_SETTLE_MAX_S = 1.0
_LOOKS = (b"GET /json", b"HEAD /json", b"PUT /json")
"""How requests to Node.js's inspector begin that attach nothing: they ask what there is."""
_HOST = "127.0.0.1"


class Debugger:
    """Listens on the machine's loopback and relays what comes to the debugger inside. Belongs to one environment."""

    def __init__(self, listener: socket.socket, *, family: str, task_root: str) -> None:
        """Prepare; see `open_debugger`."""
        self.address: tuple[str, int] = listener.getsockname()
        """Where debuggers attach."""
        self.family = family
        """The runtime's, which says what kind of debugger is meant: ``python``, ``nodejs``."""
        self.task_root = task_root
        """Where the function's code is, as its debugger sees it."""
        self.inner_port = 0
        """Where the debugger inside listens."""
        self.was_attached = False
        """Whether one has been attached; until then it is awaited."""
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._relayed_s = self._loop.time()
        self._server: asyncio.Server | None = None
        self._attached = 0
        self._process: asyncio.Future[SandboxProcess] = self._loop.create_future()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ready_end, self.told_end = os.pipe2(os.O_CLOEXEC)
        self._loop.add_reader(self._ready_end, self._hear)
        self._relays: set[asyncio.Task[None]] = set()
        self._deadlines: list[SuspendableDeadline] = []

    @property
    def is_attached(self) -> bool:
        """Whether a debugger is attached now."""
        return self._attached > 0

    @property
    def _is_time_suspended(self) -> bool:
        return self.is_attached or not self.was_attached

    async def serve(self) -> None:
        """Begin to accept debuggers; those that come early wait for the environment."""
        self._server = await asyncio.start_server(self._accept, sock=self._listener)

    def reach(self, process: SandboxProcess) -> None:
        """Say where the debugger inside is, once there is one."""
        if not self._process.done():
            self._process.set_result(process)
            self._close_told_end()

    def deadline(
        self, loop: asyncio.AbstractEventLoop, on_reached: Callable[[], None]
    ) -> SuspendableDeadline:
        """Return a deadline whose time stands still while a debugger is attached or awaited."""
        made = SuspendableDeadline(loop, on_reached)
        if self._is_time_suspended:
            made.suspend()
        self._deadlines.append(made)
        return made

    async def settle(self) -> None:
        """Return when an attached debugger has heard what there was to say, as far as can be told."""
        deadline_s = self._loop.time() + _SETTLE_MAX_S
        # Nothing tells that nothing comes.
        while self.is_attached and self._loop.time() < min(self._relayed_s + _SETTLE_S, deadline_s):  # noqa: ASYNC110
            await asyncio.sleep(_SETTLE_PAUSE_S)

    async def close(self) -> None:
        """Accept and relay no longer. May be repeated."""
        if self._server is not None:
            self._server.close()
        self._listener.close()
        self._close_told_end()
        self._stop_hearing()
        self._process.cancel()
        self._ready.cancel()
        relays = list(self._relays)
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)

    def _hear(self) -> None:
        """The debugger inside listens, or whoever was to start it is gone."""
        if os.read(self._ready_end, 1) and not self._ready.done():
            self._ready.set_result(None)
        self._stop_hearing()
        self._ready.cancel()

    def _stop_hearing(self) -> None:
        if self._ready_end >= 0:
            self._loop.remove_reader(self._ready_end)
            os.close(self._ready_end)
            self._ready_end = -1

    def _close_told_end(self) -> None:
        if self.told_end >= 0:
            os.close(self.told_end)
            self.told_end = -1

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        try:
            with contextlib.suppress(OSError, SandboxError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._relays.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.shield(self._ready)
        inside = await (await asyncio.shield(self._process)).connect(self.inner_port)
        inner_reader, inner_writer = await asyncio.open_connection(sock=inside)
        outward = asyncio.create_task(self._pump(inner_reader, writer))
        try:
            first = await reader.read(_CHUNK_BYTES)
            with self._attaching(first):
                inner_writer.write(first)
                inward = asyncio.create_task(self._pump(reader, inner_writer))
                try:
                    await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    inward.cancel()
                    await asyncio.gather(inward, return_exceptions=True)
        finally:
            outward.cancel()
            await asyncio.gather(outward, return_exceptions=True)
            inner_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
            self._relayed_s = self._loop.time()

    @contextlib.contextmanager
    def _attaching(self, first: bytes) -> Generator[None]:
        """Count a connection as an attached debugger, by its first bytes."""
        is_debugger = bool(first) and not first.startswith(_LOOKS)
        self._attached += is_debugger
        self.was_attached = self.was_attached or is_debugger
        self._tell()
        try:
            yield
        finally:
            self._attached -= is_debugger
            self._tell()

    def _tell(self) -> None:
        for deadline in self._deadlines:
            if self._is_time_suspended:
                deadline.suspend()
            else:
                deadline.resume()


async def open_debugger(port: int, *, family: str, task_root: str) -> Debugger:
    """Return a debugger's way that listens on a port of this machine's loopback.

    Args:
        port: 0 picks a free one.
        family: the runtime's.
        task_root: where the function's code is, as its debugger sees it.

    Raises:
        OSError: nobody can listen there.
    """
    listener = socket.create_server((_HOST, port))
    debugger = Debugger(listener, family=family, task_root=task_root)
    try:
        await debugger.serve()
    except BaseException:
        listener.close()
        raise
    return debugger


def free_port() -> int:
    """Return a port on which nothing listens now."""
    with socket.create_server((_HOST, 0)) as listener:
        return int(listener.getsockname()[1])
