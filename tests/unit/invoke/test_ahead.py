"""One ahead: a version in use has an environment waiting that nobody has asked for yet."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lambent.invoke.budget import MemoryBudget
from lambent.invoke.pool import Pool
from lambent.invoke.rates import SCALING_MAX, ScalingRates
from lambent.testing import ManualClock
from samples import KEY, VERSION
from unit.invoke.pools import Starter, in_pool, later, pool_of, settle

SOON_S = 0.05


def with_one_ahead(story: Callable[[Pool, Starter, ManualClock], Awaitable[None]], **options: Any) -> None:
    """Run a story with a pool that has run one invocation, which is still busy, and keeps one ahead."""

    async def first(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.acquire()
        await story(pool, starter, clock)
        await pool.close("shutdown")

    in_pool(first, ahead=1, **options)


def test_a_version_that_runs_nothing_has_none_ahead() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        await later(clock, 60)
        assert starter.reasons == []

    in_pool(story, ahead=1)


def test_after_the_first_invocation_has_the_processor_another_environment_is_made_ready() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        await settle()
        assert starter.reasons == ["first"]
        await later(clock, SOON_S)
        assert starter.reasons == ["first", "scale-out"]
        assert repr(pool) == "<Pool f:$LATEST 1 busy, 1 idle, 0 starting, 0 waiting>"

    with_one_ahead(story)


def test_a_scale_out_takes_the_one_that_waits_and_the_next_is_started() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        await later(clock, SOON_S)
        starter.gate.clear()
        assert await pool.acquire() is starter.environments[1]
        starter.gate.set()
        await later(clock, SOON_S)
        assert starter.reasons == ["first", "scale-out", "scale-out"]
        assert await pool.acquire() is starter.environments[2]

    with_one_ahead(story)


def test_an_environment_that_was_used_is_used_before_the_one_ahead() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        pool.release(starter.environments[0])
        await later(clock, SOON_S)
        for _ in range(5):
            assert await pool.acquire() is starter.environments[0]
            pool.release(starter.environments[0])
            await later(clock, SOON_S)
        # And because one is still ahead, no more are started.
        assert starter.reasons == ["first", "scale-out"]

    with_one_ahead(story)


def test_an_invocation_that_comes_while_the_one_ahead_is_starting_takes_that() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.clear()
        await later(clock, SOON_S)
        waiting = asyncio.create_task(pool.acquire())
        await settle()
        assert starter.reasons == ["first", "scale-out"]
        starter.gate.set()
        assert await waiting is starter.environments[1]
        await later(clock, SOON_S)
        assert repr(pool) == "<Pool f:$LATEST 2 busy, 1 idle, 0 starting, 0 waiting>"

    with_one_ahead(story)


def test_no_more_are_ahead_than_the_concurrency_of_the_function_allows() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.acquire(concurrency_max=1)
        await later(clock, SOON_S)
        assert starter.reasons == ["first"]

    in_pool(story, ahead=1)


def test_a_version_that_is_not_used_any_more_lets_the_one_ahead_go() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        await later(clock, 1000)
        pool.retire_idle(older_than_s=60, reason="idle")
        assert pool.environments == 2  # It is still busy: in use.
        pool.release(starter.environments[0])
        await later(clock, 59)
        pool.retire_idle(older_than_s=60, reason="idle")
        assert pool.environments == 2
        await later(clock, 1)
        pool.retire_idle(older_than_s=60, reason="idle")
        await settle()
        assert [environment.stopped for environment in starter.environments] == ["idle", "idle"]

    with_one_ahead(story)


def test_nothing_is_started_ahead_to_the_cost_of_others() -> None:
    async def run() -> None:
        starter, clock = Starter(), ManualClock()
        starter.gate.set()
        memory = MemoryBudget(limit_mb=48, clock=clock, wait_s=0.0)
        other = pool_of(starter, clock, memory=memory)
        other.release(await other.acquire(), used_mb=16)
        pool = pool_of(starter, clock, memory=memory, ahead=1)
        pool.release(await pool.acquire(), used_mb=20)
        await later(clock, SOON_S)
        assert len(starter.reasons) == 2
        assert memory.claimed_mb == 36

    asyncio.run(run())


def test_the_one_ahead_is_the_first_to_make_room() -> None:
    async def run() -> None:
        starter, clock = Starter(), ManualClock()
        starter.gate.set()
        memory = MemoryBudget(limit_mb=80, clock=clock, wait_s=1.0)
        pool = pool_of(starter, clock, memory=memory, ahead=1)
        pool.release(await pool.acquire(), used_mb=16)
        await later(clock, SOON_S)
        memory.evict_from(pool.evictable)
        other = pool_of(starter, clock, memory=memory)
        await asyncio.gather(other.acquire())
        assert [environment.stopped for environment in starter.environments] == [None, None, None]
        await other.acquire()
        assert [environment.stopped for environment in starter.environments] == [None, "evicted", None, None]

    asyncio.run(run())


def test_nothing_is_started_ahead_beyond_the_scaling_rate() -> None:
    scaling = ScalingRates()
    for _ in range(SCALING_MAX - 1):
        scaling.take(KEY, ManualClock().monotonic_s())

    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        # The clock stands still for the bucket: no token comes in the moment before the start.
        clock.monotonic_s = lambda: ManualClock().monotonic_s()  # type: ignore[method-assign]
        await later(clock, SOON_S)
        assert starter.reasons == ["first"]

    with_one_ahead(story, scaling=scaling)


def test_a_start_ahead_that_fails_fails_nobody() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.error = RuntimeError("no walls today")
        await later(clock, SOON_S)
        assert repr(pool) == "<Pool f:$LATEST 1 busy, 0 idle, 0 starting, 0 waiting>"
        starter.error = None
        await pool.acquire()

    with_one_ahead(story)


def test_a_retired_pool_starts_nothing_ahead() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        pool.retire("replaced")
        await later(clock, SOON_S)
        pool.release(starter.environments[0])
        await settle()
        assert pool.is_empty
        assert starter.reasons == ["first"]

    with_one_ahead(story)


def test_what_was_started_ahead_is_charged_to_the_budget_and_given_back() -> None:
    memory = MemoryBudget(limit_mb=None, clock=ManualClock(), wait_s=0.0)

    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        assert memory.claimed_mb == VERSION.memory_mb // 4
        await later(clock, SOON_S)
        assert memory.claimed_mb == 2 * (VERSION.memory_mb // 4)
        await pool.close("shutdown")
        assert memory.claimed_mb == 0

    with_one_ahead(story, memory=memory)
