"""Facts fan out: in order, in batches, without ever holding up who emits them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from lambent.domain.facts import EnvironmentStopped, Fact, LogLine, LogsDropped, Origin, Output
from lambent.domain.function import FunctionKey
from lambent.telemetry.stream import FactStream
from samples import replace

ORIGIN = Origin(
    environment_id="e-1",
    function=FunctionKey(account="000000000000", region="us-east-1", name="f"),
    version="$LATEST",
    memory_mb=128,
    architecture="x86_64",
    log_group="/aws/lambda/f",
    log_stream="s",
    log_format="Text",
    runtime_version="python:3.12.v36",
    runtime_version_arn="arn:aws:lambda:us-east-1::runtime:abc",
)


def happened(number: int) -> Fact:
    return EnvironmentStopped(at_s=float(number), origin=ORIGIN, reason="idle")


def said(number: int, text: str = "hello", origin: Origin = ORIGIN) -> Output:
    line = LogLine(at_s=float(number), text=text)
    return Output(at_s=float(number), origin=origin, request_id=None, lines=(line,))


class Ear:
    """A listener that remembers; it can be made to hang or to fail."""

    def __init__(self) -> None:
        self.batches: list[list[Fact]] = []
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.was_called = asyncio.Event()
        self.fails = 0

    @property
    def heard(self) -> list[Fact]:
        return [fact for batch in self.batches for fact in batch]

    async def consume(self, facts: Sequence[Fact]) -> None:
        self.was_called.set()
        await self.is_open.wait()
        if self.fails:
            self.fails -= 1
            raise OSError("disk full")
        self.batches.append(list(facts))


def test_every_listener_hears_every_fact_in_order() -> None:
    async def story() -> None:
        one, other = Ear(), Ear()
        facts = [happened(number) for number in range(100)]
        async with FactStream(one, other) as stream:
            for fact in facts:
                stream.emit(fact)
            await stream.flush()
            assert one.heard == other.heard == facts

    asyncio.run(story())


def test_facts_come_by_themselves_after_a_moment_and_together() -> None:
    async def story() -> None:
        ear = Ear()
        async with FactStream(ear, linger_s=0.001) as stream:
            stream.emit(happened(1))
            stream.emit(happened(2))
            async with asyncio.timeout(10):
                await ear.was_called.wait()
            assert ear.batches == [[happened(1), happened(2)]]

    asyncio.run(story())


def test_leaving_hands_out_what_is_left_and_entering_what_came_before() -> None:
    async def story() -> None:
        ear = Ear()
        stream = FactStream(ear, linger_s=3600)
        stream.emit(happened(1))
        async with stream:
            stream.emit(happened(2))
        assert ear.heard == [happened(1), happened(2)]
        stream.emit(happened(3))

    asyncio.run(story())


def test_a_batch_is_no_larger_than_agreed() -> None:
    async def story() -> None:
        ear = Ear()
        async with FactStream(ear, batch_max_facts=4) as stream:
            for number in range(10):
                stream.emit(happened(number))
        assert [len(batch) for batch in ear.batches] == [4, 4, 2]

    asyncio.run(story())


class PacedEar(Ear):
    """A listener that large batches cost much."""

    pace_s = 0.0

    async def consume(self, facts: Sequence[Fact]) -> None:
        await super().consume(facts)
        self.pace_s = 3600.0 if len(facts) >= 300 else 0.0


def test_a_listener_hears_the_next_batch_when_the_pace_that_it_set_with_the_last_says_so() -> None:
    async def story() -> None:
        ear, other = PacedEar(), Ear()
        async with FactStream(ear, other, linger_s=0) as stream:
            for count in (1, 300, 1):
                for number in range(count):
                    stream.emit(happened(number))
                other.was_called.clear()
                async with asyncio.timeout(10):
                    await other.was_called.wait()
            assert [len(batch) for batch in ear.batches] == [1, 300]
            assert [len(batch) for batch in other.batches] == [1, 300, 1]
            await stream.flush()
            assert [len(batch) for batch in ear.batches] == [1, 300, 1]

    asyncio.run(story())


def test_a_paced_listener_hears_at_once_when_a_whole_batch_waits() -> None:
    async def story() -> None:
        ear = PacedEar()
        async with FactStream(ear, linger_s=0, batch_max_facts=300) as stream:
            for _ in range(3):
                ear.was_called.clear()
                for number in range(300):
                    stream.emit(happened(number))
                async with asyncio.timeout(10):
                    await ear.was_called.wait()
            assert [len(batch) for batch in ear.batches] == [300, 300, 300]

    asyncio.run(story())


def test_a_listener_that_hangs_delays_nobody_else_and_not_the_end() -> None:
    async def story() -> None:
        slow, quick = Ear(), Ear()
        slow.is_open.clear()
        async with FactStream(slow, quick, linger_s=0, stop_max_s=0.01) as stream:
            for number in range(3):
                stream.emit(happened(number))
                quick.was_called.clear()
                async with asyncio.timeout(10):
                    await quick.was_called.wait()
            assert len(quick.heard) == 3
        assert slow.heard == []

    asyncio.run(story())


def test_a_listener_that_fails_loses_that_batch_and_hears_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        ear = Ear()
        ear.fails = 1
        async with FactStream(ear) as stream:
            stream.emit(happened(1))
            await stream.flush()
            stream.emit(happened(2))
            await stream.flush()
        assert ear.heard == [happened(2)]

    with caplog.at_level(logging.ERROR):
        asyncio.run(story())
    assert "Ear failed to take 1 facts" in caplog.text


def test_when_a_lane_is_full_the_oldest_output_goes_and_is_counted() -> None:
    async def story() -> None:
        ear = Ear()
        ear.is_open.clear()
        async with FactStream(ear, lane_max_facts=10) as stream:
            stream.emit(happened(0))
            asyncio.get_running_loop().call_soon(ear.is_open.set)
            flood = [said(n, "x" * n) if n % 2 else happened(n) for n in range(1, 13)]
            for fact in flood:
                stream.emit(fact)
            await stream.flush()
        kept = [fact for fact in flood if not isinstance(fact, Output)]
        (notice,) = [fact for fact in ear.heard if isinstance(fact, LogsDropped)]
        assert [fact for fact in ear.heard if isinstance(fact, EnvironmentStopped)] == [happened(0), *kept]
        survivors = [fact for fact in ear.heard if isinstance(fact, Output)]
        assert survivors == [fact for fact in flood if isinstance(fact, Output)][notice.dropped_records :]
        assert notice.dropped_records > 0
        assert notice.dropped_bytes == sum(
            len(f.lines[0].text) for f in flood if isinstance(f, Output)
        ) - sum(len(f.lines[0].text) for f in survivors)
        assert ear.heard.index(notice) == 0

    asyncio.run(story())


def test_a_lane_is_bounded_by_bytes_too_and_keeps_one_count_for_each_origin() -> None:
    async def story() -> None:
        ear = Ear()
        ear.is_open.clear()
        others = replace(ORIGIN, log_stream="t")
        async with FactStream(ear, linger_s=0, lane_max_bytes=1_000_000) as stream:
            stream.emit(happened(0))
            async with asyncio.timeout(10):
                await ear.was_called.wait()
            for number in range(100):
                stream.emit(said(number, "é" * 50_000, ORIGIN if number % 2 else others))
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            ear.is_open.set()
            await stream.flush()
        notices = [fact for fact in ear.heard if isinstance(fact, LogsDropped)]
        outputs = [fact for fact in ear.heard if isinstance(fact, Output)]
        assert sorted({notice.origin.log_stream for notice in notices}) == ["s", "t"]
        assert sum(notice.dropped_records for notice in notices) + len(outputs) == 100
        assert sum(notice.dropped_bytes for notice in notices) == (100 - len(outputs)) * 100_000
        assert len(outputs) < 25

    asyncio.run(story())


def test_facts_that_are_not_output_are_never_dropped() -> None:
    async def story() -> None:
        ear = Ear()
        async with FactStream(ear, lane_max_facts=5, batch_max_facts=100) as stream:
            for number in range(50):
                stream.emit(happened(number))
        assert ear.heard == [happened(number) for number in range(50)]

    asyncio.run(story())
