"""Old rows go when their days have passed, and not because a clock has jumped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lambent.domain.ledger import day_of
from lambent.telemetry import ledger_keeping
from lambent.telemetry.ledger_keeping import keep_ledger
from lambent.testing import ManualClock

HOUR_S = 3600.0


class Watched:
    """A ledger that remembers what it was told to let go, and has some pieces to pack."""

    def __init__(self) -> None:
        self.expired: list[int] = []
        self.pieces = 3
        self.fails = 0

    async def expire(self, *, before_day: int) -> None:
        if self.fails:
            self.fails -= 1
            raise OSError(28, "No space left on device")
        self.expired.append(before_day)

    async def compact(self, *, today: int) -> int:
        self.pieces = max(0, self.pieces - 1)
        return self.pieces


def kept(
    story: Callable[[Watched, ManualClock], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    retention_days: int = 10,
    every_s: float = HOUR_S,
) -> Watched:
    monkeypatch.setattr(ledger_keeping, "_PACKING_PAUSE_S", 0.0)
    ledger, clock = Watched(), ManualClock()

    async def scenario() -> None:
        keeping = asyncio.create_task(
            keep_ledger(ledger, retention_days=retention_days, every_s=every_s, clock=clock)  # type: ignore[arg-type]
        )
        await asyncio.sleep(0)
        await story(ledger, clock)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(scenario())
    return ledger


def today(clock: ManualClock) -> int:
    return day_of(int(clock.now_s() * 1000))


def test_rows_are_packed_until_nothing_is_left_and_old_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(ledger: Watched, clock: ManualClock) -> None:
        await clock.advance(HOUR_S + 1)
        assert ledger.expired == [today(clock) - 10]
        assert ledger.pieces == 0

    kept(story, monkeypatch)


def test_a_clock_that_jumps_ahead_takes_nothing_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(ledger: Watched, clock: ManualClock) -> None:
        wall, began = clock.now_s, today(clock)
        clock.now_s = lambda: wall() + 70 * 365 * 86_400.0  # type: ignore[method-assign]
        await clock.advance(HOUR_S + 1)
        assert ledger.expired == [began + 1 - 10], "one day at most has passed"

    kept(story, monkeypatch)


def test_a_clock_that_goes_back_lets_nothing_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(ledger: Watched, clock: ManualClock) -> None:
        wall = clock.now_s
        clock.now_s = lambda: wall() - 70 * 365 * 86_400.0  # type: ignore[method-assign]
        await clock.advance(HOUR_S + 1)
        assert max(ledger.expired) < 0

    kept(story, monkeypatch)


def test_rows_may_be_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(ledger: Watched, clock: ManualClock) -> None:
        await clock.advance(HOUR_S + 1)

    assert kept(story, monkeypatch, retention_days=0).expired == []


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(ledger: Watched, clock: ManualClock) -> None:
        await clock.advance(HOUR_S + 1)

    assert kept(story, monkeypatch, every_s=0).pieces == 3


def test_trouble_is_over_with_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(ledger: Watched, clock: ManualClock) -> None:
        ledger.fails = 1
        await clock.advance(HOUR_S + 1)
        assert ledger.expired == []
        await clock.advance(HOUR_S + 1)
        assert len(ledger.expired) == 1

    kept(story, monkeypatch)
