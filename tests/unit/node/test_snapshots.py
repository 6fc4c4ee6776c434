"""Who takes a snapshot, how often, and which ones are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lambent.domain.function import FunctionVersion
from lambent.node.plan import Snapshot
from lambent.node.snapshots import SnapshotInitError, Snapshots
from lambent.sandbox import SandboxError
from lambent.testing import ManualClock
from samples import KEY, VERSION


class Runtime:
    """A runtime whose snapshot can be taken, or not."""

    def __init__(self, version: FunctionVersion, failure: Exception | None = None) -> None:
        self.version = version
        self.failure = failure
        self.is_alive = True
        self.is_closed = False
        self.idle_mb = 50
        self.is_leaving = False
        self.said: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def take(self) -> Snapshot:
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        template: Any = self
        return Snapshot(template=template, tmp=template)

    async def close(self) -> None:
        self.is_closed = True

    def leave(self) -> None:
        self.is_leaving = True

    def say(self, text: str) -> None:
        self.said.append(text)


class Node:
    """Begins runtimes, and fails them as told."""

    def __init__(self, snapshots_max: int = 10) -> None:
        self.begun: list[Runtime] = []
        self.failure: Exception | None = None
        self.is_slow = False
        self.has_begun = asyncio.Event()
        self.clock = ManualClock()
        self.snapshots = Snapshots(self.begin, snapshots_max=snapshots_max, clock=self.clock)

    async def begin(self, version: FunctionVersion) -> Runtime:
        runtime = Runtime(version, self.failure)
        if self.is_slow:
            runtime.may_end.clear()
            self.has_begun.set()
        self.begun.append(runtime)
        return runtime


def version(number: str) -> FunctionVersion:
    return replace(VERSION, version=number, configuration_id=f"configuration {number}")


def story(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def limited() -> None:
            async with asyncio.timeout(10):
                await test()

        asyncio.run(limited())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@story
async def test_whoever_asks_meanwhile_gets_the_same_snapshot() -> None:
    node = Node()
    first, second = await asyncio.gather(node.snapshots.of(version("1")), node.snapshots.of(version("1")))
    assert first is second
    assert await node.snapshots.of(version("1")) is first
    assert len(node.begun) == 1


@story
async def test_an_init_that_fails_is_tried_again_by_the_next_who_asks() -> None:
    node = Node()
    node.failure = SnapshotInitError("error", "Runtime.ImportModuleError")
    for _ in range(2):
        with pytest.raises(SnapshotInitError):
            await node.snapshots.of(version("1"))
    await node.snapshots.close()
    assert [runtime.is_closed for runtime in node.begun] == [True, True]


@story
async def test_what_cannot_be_copied_is_asked_once_and_said_in_the_functions_log() -> None:
    node = Node()
    node.failure = SandboxError("template", "1 threads of the function are running")
    assert await node.snapshots.of(version("1")) is None
    assert await node.snapshots.of(version("1")) is None
    (runtime,) = node.begun
    assert "1 threads of the function" in runtime.said[0]


@story
async def test_a_template_that_has_died_is_taken_anew() -> None:
    node = Node()
    first = await node.snapshots.of(version("1"))
    node.begun[0].is_alive = False
    assert await node.snapshots.of(version("1")) is not first
    await node.snapshots.close()
    assert node.begun[0].is_closed


@story
async def test_of_too_many_the_one_used_longest_ago_goes_and_comes_back_when_needed() -> None:
    node = Node(snapshots_max=2)
    for number in ("1", "2", "1", "3"):
        await node.snapshots.of(version(number))
    await asyncio.sleep(0)
    assert [runtime.is_closed for runtime in node.begun] == [False, True, False]
    await node.snapshots.of(version("2"))
    assert len(node.begun) == 4


@story
async def test_what_no_environment_lives_from_may_go_to_make_room_and_comes_back_when_needed() -> None:
    node = Node()
    for number in ("1", "2", "1", "3"):
        await node.snapshots.of(version(number))
        await node.clock.advance(1)
    node.begun[2].idle_mb = 0  # A copy of it lives.
    idle = sorted(node.snapshots.idle(), key=lambda it: it.idle_since_s)
    assert [it.mb for it in idle] == [50, 50]
    idle[0].evict()
    idle[0].evict()
    await asyncio.sleep(0)
    assert [runtime.is_closed for runtime in node.begun] == [False, True, False]
    assert node.begun[1].is_leaving
    await node.snapshots.of(version("2"))
    assert [runtime.version.version for runtime in node.begun] == ["1", "2", "3", "2"]
    idle[0].evict()
    await asyncio.sleep(0)
    assert not node.begun[3].is_closed


@story
async def test_a_deleted_version_is_forgotten_also_while_its_snapshot_is_being_taken() -> None:
    node = Node()
    await node.snapshots.of(version("1"))
    node.is_slow = True
    asking = asyncio.create_task(node.snapshots.of(version("2")))
    await node.has_begun.wait()
    node.snapshots.forget(msgspec.structs.replace(KEY, name="other"))
    node.snapshots.forget(KEY, "3")
    assert not any(runtime.is_closed for runtime in node.begun)
    node.snapshots.forget(KEY)
    with pytest.raises(SandboxError):
        await asking
    await node.snapshots.close()
    assert all(runtime.is_closed for runtime in node.begun)
