"""The promises of `lambent.store.LogEvents`, kept by every implementation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.store import LogEvent, LogEvents, LogQuery, StoredEvent, StreamKey
from lambent.store.log_order import identified
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.store.sqlite.log_events import SqliteLogEvents
from lambent.testing import MemoryLogEvents

MINUTE_MS = 60_000
GROUP = "000000000000/eu-west-1/app#1"


@pytest.fixture(params=["sqlite", "memory"])
def events(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogEvents]:
    if request.param == "memory":
        yield MemoryLogEvents()
        return
    database = LightDatabase(tmp_path / "logs.db", migrations="logs", full_sync=False)
    yield SqliteLogEvents(database)
    database.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def key(stream: str = "s", group: str = GROUP) -> StreamKey:
    return StreamKey(group=group, stream=stream)


def made(*moments: int, text: str = "line") -> list[LogEvent]:
    return [LogEvent(moment, f"{text} {moment}") for moment in moments]


async def found(events: LogEvents, **asked: Any) -> list[StoredEvent]:
    wanted: dict[str, Any] = {"group": GROUP} | asked
    return list((await events.read(LogQuery(**wanted))).events)


def times(events: list[StoredEvent]) -> list[int]:
    return [event.timestamp_ms for event in events]


def test_events_are_read_as_they_were_written(events: LogEvents) -> None:
    async def story() -> None:
        message = "zeile\twith ünïcode \u2028 and\nnewlines\n"
        await events.append([(key(), [LogEvent(1000, message)])], ingestion_ms=1500)
        (event,) = await found(events)
        assert (event.stream, event.timestamp_ms, event.ingestion_ms) == ("s", 1000, 1500)
        assert event.message == message
        assert len(event.event_id) == 56

    run(story())


def test_a_character_without_utf8_does_not_lose_the_batch(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), [LogEvent(1, "broken \ud800!"), LogEvent(2, "whole")])], ingestion_ms=3)
        assert [event.message for event in await found(events)] == ["broken ?!", "whole"]

    run(story())


def test_events_of_one_batch_are_ordered_by_time_and_equal_times_keep_their_order(events: LogEvents) -> None:
    async def story() -> None:
        batch = [LogEvent(20, "c"), LogEvent(10, "a"), LogEvent(10, "b")]
        await events.append([(key(), batch)], ingestion_ms=30)
        assert [event.message for event in await found(events)] == ["a", "b", "c"]

    run(story())


def test_batches_that_overlap_in_time_are_interleaved(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key("one"), made(10, 30, 50))], ingestion_ms=60)
        await events.append([(key("two"), made(20, 40, 60))], ingestion_ms=70)
        await events.append([(key("one"), made(15, 30))], ingestion_ms=80)
        forwards = await found(events)
        assert times(forwards) == [10, 15, 20, 30, 30, 40, 50, 60]
        assert [e.event_id for e in forwards] == sorted({e.event_id for e in forwards})
        assert await found(events, newest_first=True) == forwards[::-1]

    run(story())


def test_a_batch_that_spans_a_day_is_read_in_order(events: LogEvents) -> None:
    async def story() -> None:
        moments = list(range(0, 24 * 60 * MINUTE_MS, 7 * MINUTE_MS))
        await events.append([(key(), made(*moments))], ingestion_ms=moments[-1])
        await events.append([(key("other"), made(*moments))], ingestion_ms=moments[-1])
        assert times(await found(events, streams=["s"])) == moments
        late = [m for m in moments if m >= 12 * 60 * MINUTE_MS]
        assert times(await found(events, streams=["s"], start_ms=late[0])) == late
        assert times(await found(events, streams=["s"], end_ms=late[0], newest_first=True, limit=2)) == [
            late[0] - 7 * MINUTE_MS,
            late[0] - 14 * MINUTE_MS,
        ]

    run(story())


def test_start_is_inclusive_and_end_exclusive(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(10, 20, 30))], ingestion_ms=40)
        assert times(await found(events, start_ms=20)) == [20, 30]
        assert times(await found(events, end_ms=20)) == [10]
        assert times(await found(events, start_ms=20, end_ms=21)) == [20]
        assert times(await found(events, start_ms=31)) == []

    run(story())


def test_times_at_the_edge_of_what_a_long_can_hold_are_no_error(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(0, 10))], ingestion_ms=40)
        assert times(await found(events, start_ms=0, end_ms=2**63 - 1)) == [0, 10]
        assert times(await found(events, start_ms=2**63 - 1)) == []
        assert times(await found(events, end_ms=0)) == []

    run(story())


def test_only_the_streams_asked_for_are_read(events: LogEvents) -> None:
    async def story() -> None:
        for stream in ("api-1", "api-2", "job-1"):
            await events.append([(key(stream), made(10))], ingestion_ms=10)
        await events.append([(key("api-1", group="other#1"), made(10))], ingestion_ms=10)
        assert [e.stream for e in await found(events, streams=["job-1", "api-2", "gone"])] == [
            "api-2",
            "job-1",
        ]
        assert [e.stream for e in await found(events, stream_prefix="api-")] == ["api-1", "api-2"]
        assert await found(events, stream_prefix="zzz") == []
        assert await found(events, streams=[]) == []
        assert await found(events, group="nowhere") == []

    run(story())


def test_a_prefix_of_more_streams_than_can_be_walked_one_by_one(events: LogEvents) -> None:
    async def story() -> None:
        batches = [(key(f"env-{n:03d}"), made(n)) for n in range(150)]
        await events.append([*batches, (key("other"), made(1))], ingestion_ms=200)
        assert times(await found(events, stream_prefix="env-")) == list(range(150))
        assert times(await found(events, stream_prefix="env-", newest_first=True)) == list(range(149, -1, -1))

    run(story())


def test_after_and_before_go_on_where_a_page_ended(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(10, 10, 10, 20))], ingestion_ms=20)
        first, second, third, fourth = await found(events)
        assert await found(events, after=second.event_id) == [third, fourth]
        assert await found(events, before=second.event_id) == [first]
        assert await found(events, before=fourth.event_id, newest_first=True, limit=1) == [third]
        assert await found(events, after=fourth.event_id) == []

    run(story())


def test_a_page_tells_where_it_stopped_only_when_something_is_left(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(1, 2, 3))], ingestion_ms=3)
        page = await events.read(LogQuery(group=GROUP, limit=2))
        assert page.position == page.events[-1].event_id
        rest = await events.read(LogQuery(group=GROUP, after=page.position))
        assert (times(list(rest.events)), rest.position) == ([3], None)

    run(story())


def test_a_page_holds_no_more_than_its_bytes_but_always_one_event(events: LogEvents) -> None:
    async def story() -> None:
        batch = [LogEvent(1, "é" * 50), LogEvent(2, "é" * 50), LogEvent(3, "x" * 500)]
        await events.append([(key(), batch)], ingestion_ms=3)
        assert times(await found(events, max_bytes=200)) == [1, 2]
        assert times(await found(events, max_bytes=199)) == [1]
        assert times(await found(events, max_bytes=10, start_ms=3)) == [3]

    run(story())


def test_a_search_stops_after_so_many_events_even_when_none_matched(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(*range(10)))], ingestion_ms=3)
        seek: Callable[[str], bool] = lambda message: message == "line 7"  # noqa: E731
        page = await events.read(LogQuery(group=GROUP, matches=seek, scan_limit=5))
        assert page.events == [] and page.position is not None
        page = await events.read(LogQuery(group=GROUP, matches=seek, scan_limit=5, after=page.position))
        assert (times(list(page.events)), page.position) == ([7], None)

    run(story())


def test_a_stream_is_created_once(events: LogEvents) -> None:
    async def story() -> None:
        assert await events.create_stream(key(), created_ms=5)
        assert not await events.create_stream(key(), created_ms=6)
        (summary,) = await events.streams(GROUP)
        assert (summary.created_ms, summary.first_event_ms, summary.last_event_ms) == (5, None, None)

    run(story())


def test_a_stream_knows_its_first_and_last_event_and_when_they_came(events: LogEvents) -> None:
    async def story() -> None:
        await events.create_stream(key(), created_ms=5)
        await events.append([(key(), made(20, 30))], ingestion_ms=31)
        await events.append([(key(), made(10))], ingestion_ms=32)
        (summary,) = await events.streams(GROUP)
        assert summary.created_ms == 5
        assert (summary.first_event_ms, summary.last_event_ms, summary.last_ingestion_ms) == (10, 30, 32)

    run(story())


def test_streams_come_by_name_or_by_last_event_in_pages(events: LogEvents) -> None:
    async def story() -> None:
        for name, moment in (("b", 10), ("a", 30), ("c", 20), ("B", 10)):
            await events.append([(key(name), made(moment))], ingestion_ms=moment)
        await events.create_stream(key("empty"), created_ms=1)

        async def names(**asked: Any) -> list[str]:
            return [summary.key.stream for summary in await events.streams(GROUP, **asked)]

        assert await names() == ["B", "a", "b", "c", "empty"]
        assert await names(descending=True, limit=2) == ["empty", "c"]
        assert await names(descending=True, after=(0, "c")) == ["b", "a", "B"]
        assert await names(prefix="b") == ["b"]
        assert await names(by_last_event=True) == ["empty", "B", "b", "c", "a"]
        assert await names(by_last_event=True, after=(10, "B")) == ["b", "c", "a"]
        assert await names(by_last_event=True, descending=True, after=(20, "c")) == ["b", "B", "empty"]

    run(story())


def test_sizes_count_the_bytes_of_messages(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), [LogEvent(1, "abc"), LogEvent(2, "é")])], ingestion_ms=3)
        await events.append([(key("t"), [LogEvent(1, "12345")])], ingestion_ms=3)
        await events.append([(key(group="other"), [LogEvent(1, "x")])], ingestion_ms=3)
        assert await events.sizes() == {GROUP: 10, "other": 1}
        assert await events.sizes(["other", "unknown"]) == {"other": 1}

    run(story())


def test_a_deleted_stream_is_gone_and_may_come_back_empty(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(*range(3)))], ingestion_ms=3)
        await events.append([(key("kept"), made(7))], ingestion_ms=3)
        await events.delete(GROUP, stream="s")
        assert times(await found(events)) == [7]
        await events.append([(key(), made(9))], ingestion_ms=3)
        assert times(await found(events, streams=["s"])) == [9]
        await events.delete(GROUP, stream="never was")

    run(story())


def test_a_batch_for_a_stream_that_has_just_been_deleted_counts_once_for_the_others(
    events: LogEvents,
) -> None:
    async def story() -> None:
        both = [(key(), made(1)), (key("kept"), made(2))]
        await events.append(both, ingestion_ms=3)
        await events.delete(GROUP, stream="s")
        await events.append(both, ingestion_ms=4)
        assert [(event.stream, event.timestamp_ms) for event in await found(events)] == [
            ("s", 1),
            ("kept", 2),
            ("kept", 2),
        ]
        assert await events.sizes() == {GROUP: 3 * len("line 1")}

    run(story())


def test_one_batch_may_write_to_a_stream_twice_and_to_very_many(events: LogEvents) -> None:
    async def story() -> None:
        many = [(key(f"{number:03}"), made(number, 3 * MINUTE_MS + number)) for number in range(150)]
        for _ in range(2):
            kept = await events.append([*many, (key("000"), made(500))], ingestion_ms=3)
            told = [event_id for runs in kept for event_id, _, _ in identified(runs)]
            assert len(set(told)) == 301
        in_it = await found(events, streams=["000"])
        assert times(in_it) == [0, 0, 500, 500, 3 * MINUTE_MS, 3 * MINUTE_MS]
        first, *_ = await events.streams(GROUP)
        assert (first.first_event_ms, first.last_event_ms) == (0, 3 * MINUTE_MS)
        everything = await found(events)
        assert len(everything) == 602
        assert await events.sizes() == {GROUP: sum(len(event.message) for event in everything)}

    run(story())


def test_a_deleted_group_is_gone_with_all_its_streams(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(1)), (key("t"), made(2))], ingestion_ms=3)
        await events.delete(GROUP)
        assert await found(events) == []
        assert await events.streams(GROUP) == []
        assert await events.sizes() == {}
        await events.delete(GROUP)

    run(story())


def test_expired_events_go_and_younger_ones_keep_their_ids(events: LogEvents) -> None:
    async def story() -> None:
        hour = 60 * MINUTE_MS
        await events.append([(key(), made(0, hour, 2 * hour, 3 * hour))], ingestion_ms=3 * hour)
        kept = await found(events, start_ms=2 * hour)
        await events.expire(GROUP, before_ms=2 * hour)
        assert await found(events) == kept
        assert await events.sizes() == {GROUP: sum(len(event.message) for event in kept)}
        (summary,) = await events.streams(GROUP)
        assert summary.first_event_ms == 2 * hour
        await events.expire(GROUP, before_ms=10 * hour)
        (summary,) = await events.streams(GROUP)
        assert summary.first_event_ms is None
        assert await events.sizes() == {GROUP: 0}

    run(story())


def test_expiring_a_minute_keeps_everything_that_is_not_older(events: LogEvents) -> None:
    async def story() -> None:
        await events.append([(key(), made(*range(0, MINUTE_MS, 1000)))], ingestion_ms=MINUTE_MS)
        await events.expire(GROUP, before_ms=30_000)
        assert set(range(30_000, MINUTE_MS, 1000)) <= set(times(await found(events)))

    run(story())


def test_many_slices_are_removed_completely(events: LogEvents) -> None:
    async def story() -> None:
        moments = range(0, 1200 * 2 * MINUTE_MS, 2 * MINUTE_MS)
        await events.append([(key(), made(*moments))], ingestion_ms=1)
        await events.expire(GROUP, before_ms=moments[1100])
        assert times(await found(events)) == list(moments[1100:])
        await events.delete(GROUP)
        assert await events.sizes() == {}

    run(story())


def test_events_survive_a_restart(tmp_path: Path) -> None:
    async def write() -> None:
        await SqliteLogEvents(database).append([(key(), made(1, 2))], ingestion_ms=3)

    async def read() -> None:
        assert times(await found(SqliteLogEvents(database))) == [1, 2]

    database = LightDatabase(tmp_path / "logs.db", migrations="logs", full_sync=False)
    run(write())
    database.close()
    database = LightDatabase(tmp_path / "logs.db", migrations="logs", full_sync=False)
    run(read())
    database.close()


_BATCHES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.lists(st.integers(min_value=0, max_value=5 * MINUTE_MS), min_size=1, max_size=8),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    batches=_BATCHES, limit=st.integers(1, 5), newest_first=st.booleans(), split=st.integers(0, 6 * MINUTE_MS)
)
def test_pages_put_together_are_all_events_in_order_in_both_implementations(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[str, list[int]]],
    limit: int,
    newest_first: bool,
    split: int,
) -> None:
    """Paging loses and repeats nothing, whatever the batches, and memory and disk agree."""

    async def story(events: LogEvents) -> list[tuple[str, int, str]]:
        for number, (stream, moments) in enumerate(batches):
            await events.append([(key(stream), made(*moments, text=str(number)))], ingestion_ms=1)
        seen: list[StoredEvent] = []
        parts: list[dict[str, Any]] = [{"end_ms": split}, {"start_ms": split}]
        for bounds in parts:
            position = None
            while True:
                beyond: dict[str, Any] = {"before" if newest_first else "after": position} if position else {}
                query = LogQuery(group=GROUP, limit=limit, newest_first=newest_first, **bounds, **beyond)
                page = await events.read(query)
                seen += page.events
                position = page.position
                if position is None:
                    break
        return [(event.stream, event.timestamp_ms, event.message) for event in seen]

    database = LightDatabase(tmp_path_factory.mktemp("logs") / "logs.db", migrations="logs", full_sync=False)
    try:
        from_disk = asyncio.run(story(SqliteLogEvents(database)))
    finally:
        database.close()
    assert from_disk == asyncio.run(story(MemoryLogEvents()))
    written = [(s, m, f"{n} {m}") for n, (s, moments) in enumerate(batches) for m in moments]
    assert sorted(from_disk) == sorted(written)
    halves = [[t for _, t, _ in from_disk if t < split], [t for _, t, _ in from_disk if t >= split]]
    assert halves == [sorted(half, reverse=newest_first) for half in halves]


def test_whoever_writes_is_told_the_ids_of_the_events(events: LogEvents) -> None:
    async def story() -> None:
        batches = [(key(), made(20, 10, 2 * MINUTE_MS)), (key("empty"), []), (key("t"), made(15))]
        kept = await events.append(batches, ingestion_ms=30)
        assert kept[1] == []
        told = sorted(event for runs in kept for event in identified(runs))
        assert told == [(event.event_id, event.timestamp_ms, event.message) for event in await found(events)]
        assert [moment for _, moment, _ in identified(kept[0])] == [10, 20, 2 * MINUTE_MS]

    run(story())
