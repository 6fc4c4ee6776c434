"""The log listener: facts become events of the right stream, in a group that exists."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from lambent.domain.facts import EnvironmentStopped, LogLine, Origin, Output, Start
from lambent.domain.function import FunctionKey
from lambent.domain.log_subscription import SubscriptionFilter
from lambent.domain.parcel import Parcel
from lambent.store import Documents, LogEvents, LogQuery, StoredEvent
from lambent.store.log_groups import LogGroupKey, LogGroups, new_log_group
from lambent.telemetry.log_subscriptions import LogSubscriptions
from lambent.telemetry.logs import LogListener
from lambent.testing import ManualClock, MemoryLogEvents, MemoryStore
from samples import replace

ORIGIN = Origin(
    environment_id="e-1",
    function=FunctionKey(account="111122223333", region="eu-west-1", name="f"),
    version="$LATEST",
    memory_mb=128,
    architecture="x86_64",
    log_group="/aws/lambda/f",
    log_stream="s-1",
    log_format="Text",
    runtime_version="python:3.12.v36",
    runtime_version_arn="arn:aws:lambda:us-east-1::runtime:abc",
)
GROUP = LogGroupKey(account="111122223333", region="eu-west-1", name="/aws/lambda/f")


class Listening:
    """A listener with its stores."""

    def __init__(self, documents: Documents) -> None:
        self.groups = LogGroups(documents)
        self.log_events: LogEvents = MemoryLogEvents()
        clock = ManualClock(now_s=2_000.5)
        self.parcels: list[Parcel] = []
        self.listener = LogListener(
            documents=documents,
            log_events=self.log_events,
            clock=clock,
            subscriptions=LogSubscriptions(self._tell),
        )

    async def _tell(self, parcels: Sequence[Parcel]) -> None:
        self.parcels += parcels

    async def events(self, **asked: Any) -> Sequence[StoredEvent]:
        group = await self.groups.get(GROUP)
        assert group is not None
        return (await self.log_events.read(LogQuery(group=group.events_key, **asked))).events


@pytest.fixture
def here() -> Iterator[Listening]:
    store = MemoryStore()
    yield Listening(store)
    store.close()


def said(text: str, *, at_s: float = 1_000.25, origin: Origin = ORIGIN) -> Output:
    return Output(at_s=at_s, origin=origin, request_id="r", lines=(LogLine(at_s=at_s, text=text),))


def test_lines_become_events_of_the_environments_stream(here: Listening) -> None:
    async def story() -> None:
        other = replace(ORIGIN, log_stream="s-2")
        start = Start(at_s=1_000.0, origin=ORIGIN, request_id="r", trace_id="")
        await here.listener.consume([start, said("hello\n"), said("elsewhere", origin=other)])
        (group,) = await here.groups.list("111122223333", "eu-west-1")
        assert (group.key, group.created_ms) == (GROUP, 2_000_500)
        found = [(e.stream, e.timestamp_ms, e.ingestion_ms, e.message) for e in await here.events()]
        assert found == [
            ("s-1", 1_000_000, 2_000_500, "START RequestId: r Version: $LATEST\n"),
            ("s-1", 1_000_250, 2_000_500, "hello\n"),
            ("s-2", 1_000_250, 2_000_500, "elsewhere\n"),
        ]

    asyncio.run(story())


def test_facts_without_lines_make_no_group(here: Listening) -> None:
    async def story() -> None:
        await here.listener.consume([EnvironmentStopped(at_s=1.0, origin=ORIGIN, reason="idle")])
        assert await here.groups.get(GROUP) is None

    asyncio.run(story())


def test_batches_of_many_streams_come_further_apart(here: Listening) -> None:
    async def story() -> None:
        many = [said("hello", origin=replace(ORIGIN, log_stream=f"s-{number}")) for number in range(100)]
        await here.listener.consume(many)
        assert here.listener.pace_s > 0
        assert len(await here.events()) == 100
        await here.listener.consume([said("hello") for _ in range(100)])
        assert here.listener.pace_s == 0

    asyncio.run(story())


def test_a_group_that_exists_is_left_as_it_is(here: Listening) -> None:
    async def story() -> None:
        made = await here.groups.ensure(GROUP, now_ms=7)
        await here.listener.consume([said("hello")])
        assert await here.groups.get(GROUP) == made
        assert len(await here.events()) == 1

    asyncio.run(story())


def test_a_group_that_was_deleted_is_made_again_without_the_old_events(here: Listening) -> None:
    """Even events that were appended after the deletion, by someone who did not know, stay out of the new group."""

    async def story() -> None:
        await here.listener.consume([said("old")])
        revision, old = await here.groups.get_with_revision(GROUP) or (0, None)
        assert old is not None
        await here.groups.delete(GROUP, expect_revision=revision)
        await here.listener.consume([said("new")])
        assert [event.message for event in await here.events()] == ["new\n"]

    asyncio.run(story())


def test_groups_of_the_same_name_in_other_regions_are_other_groups(here: Listening) -> None:
    async def story() -> None:
        far = replace(ORIGIN, function=replace(ORIGIN.function, region="us-east-1"))
        await here.listener.consume([said("near"), said("far", origin=far)])
        assert [event.message for event in await here.events()] == ["near\n"]
        assert len(await here.groups.list("111122223333", "us-east-1")) == 1

    asyncio.run(story())


def test_subscribers_of_a_group_get_what_functions_write(here: Listening) -> None:
    async def story() -> None:
        subscription = SubscriptionFilter(name="f", pattern="hello", destination_arn="arn", created_ms=1)
        group = new_log_group(GROUP, created_ms=1)
        await here.groups.put(replace(group, subscription_filters=(subscription,)), expect_revision=0)
        other = replace(ORIGIN, log_stream="s-2")
        await here.listener.consume([said("hello\n"), said("bye\n"), said("hello again\n", origin=other)])
        assert [parcel.arn for parcel in here.parcels] == ["arn", "arn"]
        sent = [json.loads(gzip.decompress(base64.b64decode(_data(parcel)))) for parcel in here.parcels]
        told = [(one["logStream"], [event["id"] for event in one["logEvents"]]) for one in sent]
        ids = [(event.stream, [event.event_id]) for event in await here.events() if "hello" in event.message]
        assert sorted(told) == sorted(ids)

    asyncio.run(story())


def _data(parcel: Parcel) -> str:
    return json.loads(parcel.body)["awslogs"]["data"]
