"""Takers: every queue is taken from by itself, so many messages at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lambent.delivery.takers import Takers
from lambent.store.messages import Message, NewMessage
from lambent.store.queues import Queues
from lambent.testing import ManualClock, MemoryMessages

PLAIN, OTHER, ORDERED = ("kind/a/r/plain", "kind/a/r/other", "kind/a/r/t.fifo")


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queues = Queues(MemoryMessages(), self.clock, waiting=self.clock)
        self.handled: list[tuple[str, bytes]] = []
        self.going_on = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures = 0
        self.takers = Takers(
            queues=self.queues,
            prefix="kind/",
            handle=self.handle,
            at_once_max=3,
            is_fifo=lambda queue: queue == ORDERED,
        )

    async def handle(self, queue: str, message: Message) -> None:
        self.going_on += 1
        self.most = max(self.most, self.going_on)
        try:
            if queue == PLAIN:
                await self.gate.wait()
            if self.failures:
                self.failures -= 1
                raise RuntimeError("no")
            self.handled.append((queue, message.body))
            await self.queues.delete(queue, [message.receipt])
        finally:
            self.going_on -= 1

    async def send(self, queue: str, *bodies: bytes, group: str | None = None) -> None:
        await self.queues.send(
            queue, [NewMessage(message_id=body.decode(), body=body, group=group) for body in bodies]
        )
        self.takers.wake(queue)
        await settle()


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


def told(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        world = World()
        await world.takers.start()
        await story(world)
        await world.takers.close()

    asyncio.run(tell())


def test_one_queue_s_messages_are_handled_so_many_at_a_time_and_in_nobody_s_way() -> None:
    async def story(world: World) -> None:
        world.gate.clear()
        await world.send(PLAIN, *(b"%d" % number for number in range(7)))
        await world.send(OTHER, b"x")
        assert (world.handled, world.most) == ([(OTHER, b"x")], 4)
        world.gate.set()
        await settle()
        assert len(world.handled) == 8

    told(story)


def test_what_a_bug_interrupts_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        world.failures = 1
        await world.send(OTHER, b"x")
        assert world.handled == []
        await world.clock.advance(1.1)
        await settle()
        assert world.handled == [(OTHER, b"x")]

    told(story)
    assert "The message x of kind/a/r/other is tried again later." in caplog.text


def test_a_group_waits_for_its_first_message() -> None:
    async def story(world: World) -> None:
        world.failures = 1
        await world.send(ORDERED, b"1", b"2", b"3", group="g")
        assert world.handled == []
        await world.clock.advance(1.1)
        await settle()
        assert [body for _, body in world.handled] == [b"1", b"2", b"3"]

    told(story)


def test_what_was_being_handled_when_a_server_stopped_is_handled_by_the_next() -> None:
    async def story(world: World) -> None:
        world.gate.clear()
        await world.send(PLAIN, b"1")
        await world.takers.close()
        assert world.handled == []
        world.gate.set()
        await world.takers.start()
        await settle()
        assert world.handled == [(PLAIN, b"1")]

    told(story)
