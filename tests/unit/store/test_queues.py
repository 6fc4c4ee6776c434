"""The queue engine: who waits is woken when there is something, and never polls."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lambent.store.messages import DeadLetters, Message, NewMessage, Postponement, Receipt, Take, Taken
from lambent.store.queues import Queues
from lambent.testing import ManualClock, MemoryMessages

ONE = Take(limit=1, visibility_ms=30_000)


class Counted(MemoryMessages):
    """Counts how often somebody looks."""

    looks = 0

    async def receive(self, queue: str, take: Take, *, now_ms: int) -> Taken:
        self.looks += 1
        return await super().receive(queue, take, now_ms=now_ms)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.messages = Counted()
        self.queues = Queues(self.messages, self.clock, waiting=self.clock)

    async def send(self, *bodies: str, queue: str = "q", **options: Any) -> None:
        new = [NewMessage(message_id=body, body=body.encode(), **options) for body in bodies]
        await self.queues.send(queue, new)

    def receiving(
        self, take: Take = ONE, queue: str = "q", wait_s: float = 20
    ) -> asyncio.Task[Sequence[Message]]:
        return asyncio.create_task(self.queues.receive(queue, take, wait_s=wait_s))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def bodies(task: asyncio.Task[Sequence[Message]]) -> list[str]:
    return [message.body.decode() for message in task.result()]


def test_a_waiting_receiver_gets_a_message_as_it_is_sent_and_looks_no_oftener_than_it_must() -> None:
    async def story() -> None:
        world = World()
        waiting = world.receiving()
        await settle()
        await world.clock.advance(19)
        assert not waiting.done()
        looks = world.messages.looks
        await world.send("a")
        await settle()
        assert bodies(waiting) == ["a"]
        assert world.messages.looks == looks + 1

    asyncio.run(story())


def test_a_receiver_that_waited_long_enough_gets_nothing() -> None:
    async def story() -> None:
        world = World()
        waiting = world.receiving(wait_s=20)
        await settle()
        await world.clock.advance(20)
        await settle()
        assert bodies(waiting) == []

    asyncio.run(story())


def test_a_receiver_whose_client_has_gone_takes_nothing_and_the_next_one_gets_it() -> None:
    async def story() -> None:
        world = World()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        first = asyncio.create_task(world.queues.receive("q", ONE, wait_s=20, gone=lambda: gone))
        second = world.receiving()
        await settle()
        gone.set_result(None)
        await world.send("a")
        await settle()
        assert (bodies(first), bodies(second)) == ([], ["a"])

    asyncio.run(story())


def test_a_receiver_whose_client_goes_as_it_is_woken_leaves_its_message_to_the_next() -> None:
    async def story() -> None:
        world = World()
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        first = asyncio.create_task(world.queues.receive("q", ONE, wait_s=20, gone=lambda: gone))
        second = world.receiving()
        await settle()
        await world.send("a")
        gone.set_result(None)
        await settle()
        assert sorted([*bodies(first), *bodies(second)]) == ["a"]

    asyncio.run(story())


def test_who_waits_at_a_queue_that_is_deleted_is_sent_home_and_its_successor_is_waited_for() -> None:
    async def story() -> None:
        world = World()
        before = world.receiving()
        await settle()
        world.queues.dismiss("q")
        after = world.receiving()
        await settle()
        assert (bodies(before), after.done()) == ([], False)
        await world.send("a")
        await settle()
        assert bodies(after) == ["a"]

    asyncio.run(story())


def test_one_message_wakes_one_receiver_in_the_order_of_their_coming() -> None:
    async def story() -> None:
        world = World()
        first, second = world.receiving(), world.receiving()
        await settle()
        await world.send("a")
        await settle()
        assert (bodies(first), second.done()) == (["a"], False)
        await world.send("b")
        await settle()
        assert bodies(second) == ["b"]

    asyncio.run(story())


def test_a_receiver_that_goes_away_as_it_is_woken_leaves_its_message_to_the_next() -> None:
    async def story() -> None:
        world = World()
        first, second = world.receiving(), world.receiving()
        await settle()
        await world.send("a")
        first.cancel()
        await settle()
        assert bodies(second) == ["a"]

    asyncio.run(story())


def test_a_delayed_message_arrives_at_its_time() -> None:
    async def story() -> None:
        world = World()
        await world.send("later", delay_ms=5_000)
        waiting = world.receiving()
        await settle()
        await world.send("soon", delay_ms=2_000)
        await settle()
        await world.clock.advance(2.1)
        await settle()
        assert bodies(waiting) == ["soon"]

    asyncio.run(story())


def test_a_message_that_nobody_deleted_wakes_whoever_waits_when_it_is_visible_again() -> None:
    async def story() -> None:
        world = World()
        await world.send("a")
        await world.queues.receive("q", Take(limit=1, visibility_ms=3_000))
        waiting = world.receiving()
        await settle()
        await world.clock.advance(3.1)
        await settle()
        assert bodies(waiting) == ["a"]

    asyncio.run(story())


def test_a_receive_while_others_wait_sets_their_alarm() -> None:
    async def story() -> None:
        world = World()
        waiting = world.receiving(Take(limit=1, visibility_ms=1_000), wait_s=20)
        behind = world.receiving(wait_s=20)
        await settle()
        await world.send("a")
        await settle()
        assert bodies(waiting) == ["a"]
        await world.clock.advance(1.1)
        await settle()
        assert bodies(behind) == ["a"]

    asyncio.run(story())


def test_a_message_that_is_given_back_wakes_whoever_waits() -> None:
    async def story() -> None:
        world = World()
        await world.send("a")
        (message,) = await world.queues.receive("q", ONE)
        waiting = world.receiving()
        await settle()
        now = Postponement(receipt=message.receipt, visible_ms=world.queues.now_ms)
        assert await world.queues.postpone("q", [now]) == [True]
        await settle()
        assert bodies(waiting) == ["a"]

    asyncio.run(story())


def test_deleting_a_message_of_a_group_lets_the_next_one_be_received() -> None:
    async def story() -> None:
        world = World()
        fifo = Take(limit=1, visibility_ms=30_000, is_fifo=True)
        await world.send("a1", "a2", group="a")
        (first,) = await world.queues.receive("q", fifo)
        waiting = world.receiving(fifo)
        await settle()
        assert not waiting.done()
        assert await world.queues.delete("q", [first.receipt, Receipt(0, 0)]) == [True, False]
        await settle()
        assert bodies(waiting) == ["a2"]

    asyncio.run(story())


def test_dead_letters_wake_whoever_waits_for_them_and_moving_them_back_too() -> None:
    async def story() -> None:
        world = World()
        take = Take(limit=1, visibility_ms=0, dead_letters=DeadLetters(queue="dead", max_receive_count=1))
        await world.send("a")
        await world.queues.receive("q", take)
        mourning = world.receiving(Take(limit=1, visibility_ms=0), queue="dead")
        await settle()
        assert await world.queues.receive("q", take) == ()
        await settle()
        assert bodies(mourning) == ["a"]
        again = world.receiving()
        await settle()
        assert await world.queues.move("dead", None, limit=10) == 1
        await settle()
        assert bodies(again) == ["a"]

    asyncio.run(story())


def test_waiting_without_taking_returns_at_once_when_there_is_something_and_else_when_it_comes() -> None:
    async def story() -> None:
        world = World()
        waiting = asyncio.create_task(world.queues.wait("q", ONE))
        await settle()
        assert not waiting.done()
        await world.send("a")
        await settle()
        assert waiting.done()
        await world.queues.wait("q", ONE)
        assert (await world.queues.counts("q")).visible == 1

    asyncio.run(story())
