"""Time as an argument, and the two forms in which AWS writes it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.clock import SystemClock, VirtualClock, iso_ms, last_modified
from lambent.testing import ManualClock


@pytest.mark.parametrize(
    ("epoch_s", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_767_323_045.678, "2026-01-02T03:04:05.678Z"),
        (1_767_323_045.001, "2026-01-02T03:04:05.001Z"),
        (1_767_323_045.999, "2026-01-02T03:04:05.999Z"),
        (1_767_323_045.999_9, "2026-01-02T03:04:05.999Z"),
        (1_767_323_045.999_999_9, "2026-01-02T03:04:06.000Z"),
        (1.999_999_9, "1970-01-01T00:00:02.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_have_milliseconds(epoch_s: float, text: str) -> None:
    assert iso_ms(epoch_s) == text


@given(st.integers(0, 4_102_444_800_000))
def test_every_millisecond_survives(epoch_ms: int) -> None:
    written = datetime.fromisoformat(iso_ms(epoch_ms / 1000))
    assert round(written.timestamp() * 1000) == epoch_ms
    assert written.tzinfo == UTC


def test_last_modified_has_a_zone_of_its_own_form() -> None:
    assert last_modified(1_767_323_045.678) == "2026-01-02T03:04:05.678+0000"


def test_the_systems_clock_is_the_systems() -> None:
    clock = SystemClock()
    assert time.time() - 60 < clock.now_s() < time.time() + 60
    assert clock.monotonic_s() <= clock.monotonic_s()
    asyncio.run(clock.sleep(0))


def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    async def story() -> list[str]:
        clock, woken = ManualClock(now_s=100.0), list[str]()

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(f"{name} at {clock.now_s():g}")

        async with asyncio.TaskGroup() as group:
            for name, seconds in (("late", 3.0), ("early", 1.0), ("now", 0.0)):
                group.create_task(sleeper(name, seconds))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert woken == ["now at 100"]
            await clock.advance(1.5)
            assert clock.now_s() == 101.5
            await clock.advance(10)
        return woken

    assert asyncio.run(story()) == ["now at 100", "early at 101", "late at 103"]


def test_a_virtual_clock_goes_on_by_itself_and_is_advanced() -> None:
    clock = VirtualClock()
    before_s, before = clock.now_s(), clock.monotonic_s()
    assert abs(before_s - time.time()) < 1
    clock.advance(3600)
    assert 3600 <= clock.now_s() - before_s < 3601
    assert 3600 <= clock.monotonic_s() - before < 3601


def test_whoever_sleeps_on_a_virtual_clock_wakes_when_it_is_advanced_far_enough() -> None:
    async def story() -> None:
        clock = VirtualClock()
        soon, late = asyncio.create_task(clock.sleep(60)), asyncio.create_task(clock.sleep(120))
        await asyncio.sleep(0)
        clock.advance(61)
        await soon
        assert not late.done()
        clock.advance(60)
        await late
        await clock.sleep(0.001)

    asyncio.run(story())
