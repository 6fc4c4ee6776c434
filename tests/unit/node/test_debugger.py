"""The way to a debugger: who comes early waits, and time stands still for whoever debugs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from lambent.node.debugger import Debugger, open_debugger

PATIENCE_S = 10.0


class Process:
    """A sandbox in which a debugger listens that says everything twice."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def connect(self, port: int) -> socket.socket:
        assert port == 7
        made = socket.socket()
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self._port))
        return made


class World:
    """A debugger's way, and an environment's deadline."""

    def __init__(self, debugger: Debugger, process: Any) -> None:
        self.debugger = debugger
        self.process = process
        self.told_end = os.dup(debugger.told_end)
        self.reached = 0
        self.deadline = debugger.deadline(asyncio.get_running_loop(), self._reach)

    def _reach(self) -> None:
        self.reached += 1

    def start(self) -> None:
        """The environment has been started, and its debugger listens."""
        self.debugger.reach(self.process)
        os.write(self.told_end, b"!")

    async def attach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.debugger.address)

    async def is_time_up(self) -> bool:
        """Whether a deadline that is now comes."""
        before = self.reached
        self.deadline.set(0.0)
        for _ in range(20):
            await asyncio.sleep(0.001)
        self.deadline.lift()
        return self.reached > before


@contextlib.asynccontextmanager
async def world() -> AsyncGenerator[World]:
    async def say_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said * 2)
        writer.close()

    server = await asyncio.start_server(say_twice, "127.0.0.1", 0)
    debugger = await open_debugger(0, family="python", task_root="/var/task")
    debugger.inner_port = 7
    made = World(debugger, Process(server.sockets[0].getsockname()[1]))
    try:
        yield made
    finally:
        os.close(made.told_end)
        await debugger.close()
        await debugger.close()  # twice is as good
        made.deadline.close()
        server.close()


def run(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with asyncio.timeout(PATIENCE_S), world() as here:
            await story(here)

    asyncio.run(tell())


def test_who_comes_early_is_heard_when_the_debugger_listens() -> None:
    async def story(here: World) -> None:
        reader, writer = await here.attach()
        writer.write(b"hello")
        await asyncio.sleep(0.01)
        assert not here.debugger.is_attached
        here.start()
        assert await reader.readexactly(10) == b"hellohello"
        assert here.debugger.is_attached
        writer.close()

    run(story)


def test_time_stands_still_until_a_debugger_has_come_and_gone() -> None:
    async def story(here: World) -> None:
        here.start()
        assert not await here.is_time_up()
        reader, writer = await here.attach()
        writer.write(b"x")
        assert await reader.readexactly(2) == b"xx"
        assert not await here.is_time_up()
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert await here.is_time_up()

    run(story)


def test_who_only_asks_what_there_is_has_not_come() -> None:
    """As browsers do with Node.js's inspector, once in a second."""

    async def story(here: World) -> None:
        here.start()
        reader, writer = await here.attach()
        writer.write(b"GET /json/list HTTP/1.1\r\n\r\n")
        await reader.read(10)
        assert not here.debugger.is_attached
        assert not here.debugger.was_attached
        writer.close()
        assert not await here.is_time_up()

    run(story)


def test_where_no_debugger_ever_listens_who_waits_for_it_is_let_go() -> None:
    async def story(here: World) -> None:
        reader, writer = await here.attach()
        writer.write(b"hello")
        here.debugger.reach(here.process)
        os.close(here.told_end)
        here.told_end = os.open("/dev/null", os.O_RDONLY)
        assert await reader.read() == b""
        writer.close()

    run(story)
