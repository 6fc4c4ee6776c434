"""Asynchronous invocations: kept, run, retried, told of, over a queue in memory and a clock set by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.function_facts import EventBegun, EventDropped, EventReceived, FunctionFact, LoopEnded
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.parcel import Parcel
from lambent.domain.queued_event import QueuedEvent
from lambent.errors import ResourceConflictException, TooManyRequestsException
from lambent.invoke.queue import Attempt, EventQueue
from lambent.store.queues import Queues
from lambent.testing import ManualClock, MemoryMessages
from samples import KEY, VERSION, report


class World:
    """An event queue, and a path whose outcomes the test decides."""

    def __init__(self, *, concurrency: int = 16) -> None:
        self.clock = ManualClock()
        self.messages = MemoryMessages()
        self.queues = Queues(self.messages, self.clock, waiting=self.clock)
        self.concurrency = concurrency
        self.config: EventInvokeConfig | None = EventInvokeConfig(
            on_success="good", on_failure="bad", last_modified_s=0
        )
        self.attempt_changes: dict[str, Any] = {}
        self.is_gone = False
        self.ran: list[Invocation] = []
        self.limits: list[dict[str, Any]] = []
        self.at_once = 0
        self.at_once_max = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.outcome: Callable[[], str | None] = lambda: None
        self.told: list[Parcel] = []
        self.facts: list[FunctionFact] = []
        self.events = self.new_queue()

    def new_queue(self) -> EventQueue:
        return EventQueue(
            queues=self.queues,
            invoke=self.invoke,
            tell=self.tell,
            clock=self.clock,
            concurrency=self.concurrency,
            retry_base_s=60.0,
            emit=self.facts.append,
        )

    async def prepare(self, event: QueuedEvent, payload: bytes) -> Attempt | None:
        if self.is_gone:
            return None
        invocation = Invocation(
            request_id=event.request_id, version=VERSION, invoked_arn=event.invoked_arn, payload=payload
        )
        attempt = Attempt(
            invocation=invocation,
            config=self.config,
            dead_letter_arn=None,
            reserved_concurrency=None,
            provisioned_concurrency=0,
            unreserved_concurrency=None,
            is_recursive=False,
        )
        return replace(attempt, **self.attempt_changes)

    async def invoke(self, invocation: Invocation, **limits: Any) -> Outcome:
        self.ran.append(invocation)
        self.limits.append(limits)
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            await self.gate.wait()
            error = self.outcome()
        finally:
            self.at_once -= 1
        payload = json.dumps({"errorMessage": error} if error else "fine").encode()
        return Outcome(
            payload=payload, report=report(invocation), function_error="Unhandled" if error else None
        )

    async def tell(self, parcels: Sequence[Parcel]) -> None:
        self.told += parcels

    async def accept(self, *names: str) -> None:
        for name in names:
            event = QueuedEvent(request_id=name, key=KEY, accepted_s=self.clock.now_s())
            await self.events.accept(event, b'"an event"')

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    def conditions(self) -> list[tuple[str, str, int]]:
        contexts = [json.loads(parcel.body)["requestContext"] for parcel in self.told]
        return [(c["requestId"], c["condition"], c["approximateInvokeCount"]) for c in contexts]

    async def left(self) -> int:
        return (await self.queues.counts(f"events/{KEY.path}")).total


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


def story(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def tell() -> None:
            world = World()
            await world.events.start(world.prepare)
            await test(world)
            world.gate.set()
            await world.events.close()

        asyncio.run(tell())

    run.__name__, run.__doc__, run.__module__ = test.__name__, test.__doc__, test.__module__
    return run


@story
async def test_an_event_runs_once_is_told_of_and_is_gone(world: World) -> None:
    await world.accept("a")
    await settle()
    assert [(i.request_id, i.payload) for i in world.ran] == [("a", b'"an event"')]
    assert world.conditions() == [("a", "Success", 1)]
    assert await world.left() == 0


@story
async def test_events_are_not_held_to_the_rate_of_synchronous_requests(world: World) -> None:
    await world.accept("a")
    await settle()
    assert world.limits == [
        {
            "reserved_concurrency": None,
            "provisioned_concurrency": 0,
            "unreserved_concurrency": None,
            "is_rate_limited": False,
        }
    ]


@story
async def test_function_errors_are_retried_with_the_same_request_id_until_they_are_exhausted(
    world: World,
) -> None:
    world.outcome = lambda: "no"
    await world.accept("a")
    await settle()
    await world.pass_time(59)
    assert len(world.ran) == 1
    await world.pass_time(2)
    assert len(world.ran) == 2
    await world.pass_time(119)
    assert len(world.ran) == 2
    await world.pass_time(2)
    assert [i.request_id for i in world.ran] == ["a", "a", "a"]
    assert world.conditions() == [("a", "RetriesExhausted", 3)]
    assert world.told[0].arn == "bad"
    assert await world.left() == 0


@story
async def test_what_becomes_of_an_event_is_stated_as_facts(world: World) -> None:
    errors = iter(["no", None, "no"])
    world.outcome = lambda: next(errors)
    await world.accept("a")
    await world.pass_time(61)
    received, first, second = world.facts
    assert received == EventReceived(function=KEY)
    assert first == EventBegun(function=KEY, age_ms=0.0)
    assert isinstance(second, EventBegun)
    assert second.age_ms == pytest.approx(60_000, abs=1_001)
    world.facts.clear()
    world.config = EventInvokeConfig(maximum_retry_attempts=0, last_modified_s=0)
    await world.accept("b")
    await settle()
    assert world.facts[-1] == EventDropped(function=KEY)
    world.facts.clear()
    world.attempt_changes = {"is_recursive": True}
    await world.accept("c")
    await settle()
    assert world.facts[1:] == [LoopEnded(function=KEY), EventDropped(function=KEY)]


@story
async def test_a_retry_that_succeeds_is_a_success(world: World) -> None:
    errors = iter(["no", None])
    world.outcome = lambda: next(errors)
    await world.accept("a")
    await world.pass_time(61)
    assert world.conditions() == [("a", "Success", 2)]


@story
async def test_a_throttled_event_comes_back_and_loses_no_attempt(world: World) -> None:
    refusals = iter([True, True, False])

    def refuse() -> str | None:
        if next(refusals):
            raise TooManyRequestsException("Rate Exceeded.")
        return None

    world.outcome = refuse
    await world.accept("a")
    await world.pass_time(1.1)
    assert world.conditions() == []
    await world.pass_time(2.1)
    assert world.conditions() == [("a", "Success", 1)]


@story
async def test_a_function_that_cannot_run_just_now_gets_its_events_later(world: World) -> None:
    good = world.prepare
    refusals = iter([True, False])

    async def pending_first(event: QueuedEvent, payload: bytes) -> Attempt | None:
        if next(refusals):
            raise ResourceConflictException("The function is pending.")
        return await good(event, payload)

    await world.events.start(pending_first)
    await world.accept("a")
    await world.pass_time(1.1)
    assert world.conditions() == [("a", "Success", 1)]


@story
async def test_reserved_concurrency_of_zero_sends_events_straight_to_failure(world: World) -> None:
    world.attempt_changes = {"reserved_concurrency": 0}
    await world.accept("a")
    await settle()
    assert world.ran == []
    assert world.conditions() == [("a", "ZeroReservedConcurrency", 0)]


@story
async def test_a_recursive_event_does_not_run(world: World) -> None:
    world.attempt_changes = {"is_recursive": True}
    await world.accept("a")
    await settle()
    assert world.ran == []
    assert world.conditions() == [("a", "RecursiveInvocation", 0)]


@story
async def test_events_of_a_function_that_is_gone_are_dropped(world: World) -> None:
    world.is_gone = True
    await world.accept("a")
    await settle()
    assert (world.ran, world.told, await world.left()) == ([], [], 0)


@story
async def test_no_more_events_run_at_once_than_there_are_slots_and_all_run(world: World) -> None:
    world.gate.clear()
    await world.accept(*(str(number) for number in range(50)))
    await settle()
    assert world.at_once == 16
    world.gate.set()
    for _ in range(10):
        await settle()
    assert world.at_once_max == 16
    assert len(world.ran) == 50
    assert await world.left() == 0


@story
async def test_no_more_events_run_at_once_than_the_function_has_reserved(world: World) -> None:
    world.attempt_changes = {"reserved_concurrency": 2}
    await world.accept("first")
    await settle()
    world.gate.clear()
    await world.accept(*(str(number) for number in range(9)))
    await settle()
    assert world.at_once == 2
    world.gate.set()
    for _ in range(10):
        await settle()
    assert len(world.ran) == 10


@story
async def test_the_backlog_of_one_function_does_not_hold_up_another(world: World) -> None:
    world.attempt_changes = {"reserved_concurrency": 1}
    await world.accept("first")
    await settle()
    world.gate.clear()
    await world.accept("a", "b", "c")
    await settle()
    other = msgspec.structs.replace(KEY, name="other")
    event = QueuedEvent(request_id="other", key=other, accepted_s=world.clock.now_s())
    await world.events.accept(event, b"{}")
    await settle()
    assert [i.request_id for i in world.ran] == ["first", "a", "other"]


@story
async def test_what_cannot_be_told_runs_again_rather_than_being_lost(world: World) -> None:
    good, failures = world.tell, iter([True, False])

    async def fail_first(parcels: Sequence[Parcel]) -> None:
        if next(failures):
            raise OSError("the disk is full")
        await good(parcels)

    world.tell = fail_first  # type: ignore[method-assign]
    events = world.new_queue()
    await world.events.close()
    world.events = events
    await events.start(world.prepare)
    await world.accept("a")
    await world.pass_time(1.1)
    assert world.conditions() == [("a", "Success", 1)]
    assert len(world.ran) == 2


def test_the_next_server_runs_what_a_killed_one_had_begun_and_what_it_had_not() -> None:
    async def tell() -> None:
        world = World(concurrency=1)
        world.gate.clear()
        await world.events.start(world.prepare)
        await world.accept("begun", "waiting")
        await settle()
        assert [i.request_id for i in world.ran] == ["begun"]
        killed = world.events
        world.events, world.ran = world.new_queue(), []
        await world.events.start(world.prepare)
        world.gate.set()
        await settle()
        assert sorted({i.request_id for i in world.ran}) == ["begun", "waiting"]
        assert await world.left() == 0
        await killed.close()
        await world.events.close()

    asyncio.run(tell())


@story
async def test_nothing_runs_after_closing_and_nothing_is_lost(world: World) -> None:
    await world.events.close()
    await world.accept("a")
    await settle()
    assert (world.ran, await world.left()) == ([], 1)
