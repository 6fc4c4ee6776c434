"""An invocation under a debugger has an environment of its own, is known by its id alone, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lambent.domain.function import FunctionVersion
from lambent.errors import InvalidParameterValueException, ServiceException
from lambent.invoke.debugging import REASON, Debugging
from lambent.runtimes import RuntimeUnavailable
from samples import invocation
from unit.invoke.pools import FakeEnvironment


class FakeDebugger:
    """A debugger's way that leads nowhere."""

    address = ("127.0.0.1", 5678)
    family = "python"
    task_root = "/var/task"
    was_attached = False
    is_attached = False
    is_closed = False

    async def settle(self) -> None:
        self.is_attached = False

    async def close(self) -> None:
        self.is_closed = True


class World:
    """Environments that start when a debugger attaches."""

    def __init__(self) -> None:
        self.attached = asyncio.Event()
        self.debugger = FakeDebugger()
        self.environment = FakeEnvironment(1)
        self.debugging = Debugging(open_debugger=self._open, start=self._start)
        self.failure: Exception | None = None

    async def _open(self, version: FunctionVersion, port: int) -> FakeDebugger:
        if self.failure is not None:
            raise self.failure
        return self.debugger

    async def _start(self, version: FunctionVersion, debugger: Any) -> FakeEnvironment:
        assert debugger is self.debugger
        await self.attached.wait()
        return self.environment


def run(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        await story(World())

    asyncio.run(tell())


def test_it_runs_when_a_debugger_has_attached_and_its_environment_ends_with_it() -> None:
    async def story(world: World) -> None:
        one = invocation()
        running = asyncio.create_task(world.debugging.invoke(one, 0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert world.debugging.find(one.request_id) is world.debugger
        assert world.debugging.find("another") is None
        world.attached.set()
        assert (await running).payload == b"null"
        assert world.environment.stopped == REASON
        assert world.debugger.is_closed
        assert world.debugging.find(one.request_id) is None

    run(story)


@pytest.mark.parametrize("by", ["its caller", "the server"])
def test_one_that_waits_can_be_ended(by: str) -> None:
    async def story(world: World) -> None:
        one = invocation()
        running = asyncio.create_task(world.debugging.invoke(one, 0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await world.debugging.end("another")
        await (world.debugging.end(one.request_id) if by == "its caller" else world.debugging.close())
        assert world.debugger.is_closed
        with pytest.raises(ServiceException):
            await running

    run(story)


@pytest.mark.parametrize("is_asked_about", [True, False])
def test_one_whose_caller_has_gone_is_given_up(is_asked_about: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller who asked for news, and asks no more, is gone; one who never asked waits for longer."""
    monkeypatch.setattr("lambent.invoke.debugging.SILENCE_MAX_S", 0.0)
    monkeypatch.setattr("lambent.invoke.debugging._LOOK_S", 0.001)

    async def story(world: World) -> None:
        one = invocation()
        running = asyncio.create_task(world.debugging.invoke(one, 0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if is_asked_about:
            world.debugging.find(one.request_id)
            with pytest.raises(ServiceException):
                await running
        else:
            await asyncio.wait([running], timeout=0.01)
            assert not running.done()
            world.attached.set()
            await running

    run(story)


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (RuntimeUnavailable("There is none."), "There is none."),
        (
            OSError(98, "Address already in use"),
            "No debugger can be awaited on port 5678: Address already in use.",
        ),
    ],
)
def test_what_keeps_a_debugger_from_being_awaited_is_the_callers_to_know(
    failure: Exception, sentence: str
) -> None:
    async def story(world: World) -> None:
        world.failure = failure
        with pytest.raises(InvalidParameterValueException) as refused:
            await world.debugging.invoke(invocation(), 5678)
        assert refused.value.message == sentence

    run(story)


def test_where_nothing_can_be_debugged_that_is_said() -> None:
    async def story(_: World) -> None:
        with pytest.raises(InvalidParameterValueException):
            await Debugging.impossible().invoke(invocation(), 0)

    run(story)
