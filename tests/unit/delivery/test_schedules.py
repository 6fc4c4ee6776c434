"""Scheduled rules: fired when they are due, each time once, and nothing is made up for but on a clock that leaps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from lambent.delivery.schedules import Schedules
from lambent.domain.bus_event import BusEvent
from lambent.domain.rule import Rule
from lambent.store.event_buses import EventBuses
from lambent.testing import ManualClock, MemoryStore

NOON_S = 1_767_355_200.0


class World:
    def __init__(self, *, catches_up: bool = True) -> None:
        self.clock = ManualClock(NOON_S)
        self.store = MemoryStore()
        self.buses = EventBuses(self.store)
        self.fired: list[tuple[str, float]] = []
        self.events: list[BusEvent] = []
        self.failures = 0
        self.catches_up = catches_up
        self.schedules = self.new()

    def new(self) -> Schedules:
        events: Any = self
        return Schedules(buses=self.buses, events=events, clock=self.clock, catches_up=self.catches_up)

    async def send(self, rule: Rule, event: BusEvent) -> None:
        """In place of `BusEvents.send`."""
        if self.failures:
            self.failures -= 1
            raise OSError("the disk is full")
        self.events.append(event)
        self.fired.append((rule.name, event.time_s - NOON_S))

    async def rule(self, schedule: str, name: str = "r", **members: Any) -> Rule:
        rule = Rule(
            account="0",
            region="r",
            bus="default",
            name=name,
            schedule=schedule,
            created_by="0",
            since_s=self.clock.now_s(),
            **members,
        )
        await self.buses.change_rule(rule.key, lambda _: rule)
        self.schedules.changed(rule)
        return rule

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    async def leap(self, seconds: float) -> None:
        """Let time pass without what lies between."""
        await settle()
        self.clock._now_s += seconds
        await self.pass_time(0)


async def settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def told(story: Callable[[World], Awaitable[None]], *, catches_up: bool = True) -> None:
    async def tell() -> None:
        world = World(catches_up=catches_up)
        await world.schedules.start()
        try:
            await story(world)
        finally:
            await world.schedules.close()
            world.store.close()

    asyncio.run(tell())


def test_rules_are_fired_when_they_are_due() -> None:
    async def story(world: World) -> None:
        await world.rule("rate(5 minutes)", "five")
        await world.rule("cron(2 12 * * ? *)", "cron")
        for _ in range(11):
            await world.pass_time(60)
        assert world.fired == [("cron", 120), ("five", 300), ("five", 600)]

    told(story)


def test_a_scheduled_event_is_aws_s() -> None:
    async def story(world: World) -> None:
        rule = await world.rule("rate(1 minute)")
        await world.pass_time(60)
        (event,) = world.events
        assert (event.source, event.detail_type, event.detail) == ("aws.events", "Scheduled Event", "{}")
        assert (event.resources, event.time_s) == ((rule.arn,), NOON_S + 60)

    told(story)


def test_a_virtual_clock_that_leaps_makes_up_for_what_it_leapt_over() -> None:
    async def story(world: World) -> None:
        await world.rule("rate(1 hour)")
        await world.leap(3 * 3600 + 1)
        assert [at_s for _, at_s in world.fired] == [3600, 7200, 10_800]

    told(story)


def test_a_machine_that_slept_passes_over_what_it_missed() -> None:
    async def story(world: World) -> None:
        await world.rule("rate(1 hour)")
        await world.leap(3 * 3600 + 30)
        await world.pass_time(3570)
        assert [at_s for _, at_s in world.fired] == [10_800, 14_400]

    told(story, catches_up=False)


def test_what_was_due_while_no_server_ran_is_passed_over_and_nothing_comes_twice() -> None:
    async def story(world: World) -> None:
        await world.rule("rate(1 minute)")
        await world.pass_time(60)
        await world.schedules.close()
        world.schedules = world.new()
        await world.schedules.start()
        await settle()
        assert len(world.fired) == 1
        await world.schedules.close()
        await world.pass_time(600)
        world.schedules = world.new()
        await world.schedules.start()
        await world.pass_time(60)
        assert [at_s for _, at_s in world.fired] == [60, 720]

    told(story)


def test_a_rule_that_is_changed_switched_off_or_deleted_is_fired_so_or_not_at_all() -> None:
    async def story(world: World) -> None:
        rule = await world.rule("rate(1 hour)")
        await world.rule("rate(2 minutes)")
        await world.pass_time(120)
        off = replace(rule, state="DISABLED")
        await world.buses.change_rule(rule.key, lambda _: off)
        world.schedules.changed(off)
        await world.pass_time(240)
        await world.rule("rate(2 minutes)")
        await world.buses.change_rule(rule.key, lambda _: None)
        world.schedules.forget(rule)
        await world.pass_time(240)
        assert [at_s for _, at_s in world.fired] == [120]

    told(story)


def test_a_time_that_could_not_be_fired_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        await world.rule("rate(1 minute)")
        world.failures = 1
        await world.pass_time(60)
        world.schedules._changed.set()
        await asyncio.sleep(1.05)  # it waits for real time then
        await world.pass_time(60)
        assert [at_s for _, at_s in world.fired] == [120]

    told(story)
    assert "could not be fired" in caplog.text


def test_more_than_a_thousand_times_at_once_are_too_many(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        await world.rule("rate(1 minute)")
        await world.leap(2000 * 60)
        assert len(world.fired) == 1000
        await world.pass_time(60)
        assert world.fired[-1] == ("r", 2001 * 60)

    told(story)
    assert "more than 1000 times at once" in caplog.text
