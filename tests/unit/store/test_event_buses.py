"""Buses and rules as documents: what is remembered is what is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from lambent.domain.event_bus import EventBus
from lambent.domain.rule import Rule, RuleTarget
from lambent.store import RevisionConflict
from lambent.store.event_buses import BusHasRules, EventBuses
from lambent.testing import MemoryStore

PLACE = "000000000000/us-east-1"


def bus(name: str) -> EventBus:
    return EventBus(account="000000000000", region="us-east-1", name=name)


def rule(name: str, on: str = "default", schedule: str = "") -> Rule:
    return Rule(
        account="000000000000",
        region="us-east-1",
        bus=on,
        name=name,
        schedule=schedule,
        created_by="000000000000",
        targets=(RuleTarget(members={"Id": "1", "Arn": "a", "RetryPolicy": {"MaximumRetryAttempts": 3}}),),
        since_s=1.5,
    )


def told(story: Callable[[EventBuses, EventBuses], Awaitable[None]]) -> None:
    """Tell a story of a server and the one that comes after it."""

    async def tell() -> None:
        with contextlib.closing(MemoryStore()) as store:
            await story(EventBuses(store), EventBuses(store))

    asyncio.run(tell())


async def names(buses: EventBuses, **page: object) -> list[str]:
    given = {"prefix": "", "after": "", "limit": 10} | page
    return [one.name for one in await buses.list("000000000000", "us-east-1", **given)]  # type: ignore[arg-type]


def test_the_default_bus_is_there_without_being_kept_and_can_be_changed() -> None:
    async def story(buses: EventBuses, later: EventBuses) -> None:
        assert await names(buses) == ["default"]
        assert await buses.get(f"{PLACE}/default") == bus("default")
        assert not await buses.put_new(bus("default"), others_max=9)
        await buses.change(f"{PLACE}/default", lambda now: replace(now, policy="{}"))
        found = await later.get(f"{PLACE}/default")
        assert found is not None
        assert found.policy == "{}"
        assert await names(later) == ["default"]

    told(story)


def test_buses_are_listed_with_the_default_one_in_its_place() -> None:
    async def story(buses: EventBuses, _: EventBuses) -> None:
        for name in ("z", "a", "b"):
            assert await buses.put_new(bus(name), others_max=9)
        assert await names(buses) == ["a", "b", "default", "z"]
        assert await names(buses, limit=3) == ["a", "b", "default"]
        assert await names(buses, after="b", limit=1) == ["default"]
        assert await names(buses, after="default") == ["z"]
        assert await names(buses, prefix="b") == ["b"]
        with pytest.raises(OverflowError):
            await buses.put_new(bus("more"), others_max=2)

    told(story)


def test_rules_are_kept_with_their_targets() -> None:
    async def story(buses: EventBuses, later: EventBuses) -> None:
        await buses.put_new(bus("b"), others_max=9)
        made = rule("r", "b")
        assert await buses.change_rule(made.key, lambda before: made if before is None else None) == made
        assert await later.rules(f"{PLACE}/b") == [made]
        assert await later.rule(made.key) == made
        assert await later.rules(f"{PLACE}/default") == []

    told(story)


def test_a_bus_is_not_forgotten_while_it_has_rules() -> None:
    async def story(buses: EventBuses, _: EventBuses) -> None:
        await buses.put_new(bus("b"), others_max=9)
        made = rule("r", "b")
        await buses.change_rule(made.key, lambda _: made)
        with pytest.raises(BusHasRules):
            await buses.delete(f"{PLACE}/b")
        await buses.change_rule(made.key, lambda _: None)
        assert await buses.delete(f"{PLACE}/b") == bus("b")
        assert await buses.delete(f"{PLACE}/b") is None
        with pytest.raises(RevisionConflict):
            await buses.change_rule(made.key, lambda _: made)

    told(story)


def test_a_change_that_is_refused_changes_nothing() -> None:
    async def story(buses: EventBuses, _: EventBuses) -> None:
        made = rule("r")
        await buses.change_rule(made.key, lambda _: made)

        def refuse(_: Rule | None) -> Rule:
            raise ValueError

        with pytest.raises(ValueError):
            await buses.change_rule(made.key, refuse)
        assert await buses.rule(made.key) == made

    told(story)


def test_scheduled_rules_are_found_wherever_they_are() -> None:
    async def story(buses: EventBuses, later: EventBuses) -> None:
        scheduled = replace(rule("s", schedule="rate(1 minute)"), account="111111111111")
        for one in (rule("r"), scheduled):
            await buses.change_rule(one.key, lambda _, one=one: one)
        assert await later.scheduled() == [scheduled]

    told(story)
