"""How environments go: by age, and to make room; and what the next cold start says about it."""

from __future__ import annotations

import asyncio

import pytest

from lambent.domain.concurrency import INSUFFICIENT_MEMORY, ProvisioningError
from lambent.errors import TooManyRequestsException
from lambent.invoke.budget import MemoryBudget
from lambent.invoke.pool import Pool
from lambent.testing import ManualClock
from unit.invoke.pools import Starter, in_pool, later, pool_of, settle


def test_an_environment_of_age_ends_its_invocation_and_is_retired() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        busy = await pool.acquire()
        await later(clock, 99)
        pool.release(busy)
        assert await pool.acquire() is busy
        await later(clock, 1)
        assert starter.environments[0].stopped is None
        pool.release(busy)
        await settle()
        assert starter.environments[0].stopped == "aged"
        await pool.acquire()
        assert starter.reasons == ["first", "retired"]

    in_pool(story, max_life_s=100)


def test_what_follows_an_environment_of_age_is_a_retired_cold_start_even_under_load() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        old = await pool.acquire()
        await later(clock, 50)
        await pool.acquire()
        await later(clock, 50)
        pool.release(old)
        await pool.acquire()
        await pool.acquire()
        assert starter.reasons == ["first", "scale-out", "retired", "scale-out"]

    in_pool(story, max_life_s=100)


def test_somebody_who_waited_for_an_environment_of_age_gets_another() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        old = await pool.acquire()
        starter.gate.clear()
        first, second = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
        await settle()
        await later(clock, 100)
        pool.release(old)
        starter.gate.set()
        assert old not in {await first, await second}

    in_pool(story, max_life_s=100)


def test_an_idle_environment_of_age_is_retired_too() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        pool.release(await pool.acquire())
        await later(clock, 100)
        pool.retire_idle(older_than_s=1000, reason="idle")
        await settle()
        assert starter.environments[0].stopped == "aged"

    in_pool(story, max_life_s=100)


def test_what_is_provisioned_does_not_age() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(1)
        busy = await pool.acquire()
        await later(clock, 1000)
        pool.release(busy)
        await settle()
        assert starter.environments[0].stopped is None

    in_pool(story, max_life_s=100)


def test_fewer_environments_for_less_work_are_no_reason_for_a_later_cold_start() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        old, other = await pool.acquire(), await pool.acquire()
        pool.release(other)
        await later(clock, 100)
        pool.release(old)  # of age
        await later(clock, 60)
        pool.retire_idle(older_than_s=60, reason="idle")
        await pool.acquire()
        await pool.acquire()
        assert starter.reasons == ["first", "scale-out", "retired", "scale-out"]

    in_pool(story, max_life_s=100)


def two_pools(limit_mb: int, wait_s: float = 5.0) -> tuple[Pool, Pool, Starter, ManualClock, MemoryBudget]:
    """Two pools on one budget; a version of 128 MB that nothing is known of claims 32."""
    starter, clock = Starter(), ManualClock()
    starter.gate.set()
    memory = MemoryBudget(limit_mb=limit_mb, clock=clock, wait_s=wait_s)
    pools = [pool_of(starter, clock, memory=memory) for _ in range(2)]
    memory.evict_from(lambda: [idle for pool in pools for idle in pool.evictable()])
    return (*pools, starter, clock, memory)


def test_an_idle_environment_of_another_function_makes_room_and_its_next_cold_start_says_so() -> None:
    async def run() -> None:
        one, two, starter, _, _ = two_pools(limit_mb=40)
        one.release(await one.acquire(), used_mb=30)
        await two.acquire()
        assert [environment.stopped for environment in starter.environments] == ["evicted", None]
        starter.gate.clear()
        waiting = asyncio.create_task(one.acquire())
        await settle()
        assert len(starter.reasons) == 2  # There is no room: everything is busy.
        two.release(starter.environments[1], used_mb=16)
        starter.gate.set()
        await waiting
        assert starter.reasons == ["first", "first", "retired"]

    asyncio.run(run())


def test_a_busy_and_a_provisioned_environment_are_never_stopped_for_others() -> None:
    async def run() -> None:
        one, two, starter, clock, _ = two_pools(limit_mb=70)
        await one.provision(1)
        await two.acquire()
        refused = asyncio.create_task(two.acquire())
        await later(clock, 5)
        with pytest.raises(TooManyRequestsException) as throttled:
            await refused
        assert throttled.value.members["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert [environment.stopped for environment in starter.environments] == [None, None]

    asyncio.run(run())


def test_an_invocation_that_waits_for_memory_takes_what_its_own_function_frees() -> None:
    async def run() -> None:
        one, _, starter, clock, memory = two_pools(limit_mb=40)
        busy = await one.acquire()
        waiting = asyncio.create_task(one.acquire())
        await settle()
        one.release(busy)
        assert await waiting is busy
        await later(clock, 5)
        assert starter.reasons == ["first"]
        assert not memory.is_wanted

    asyncio.run(run())


def test_what_was_used_is_expected_of_others_of_the_version() -> None:
    async def run() -> None:
        one, _, starter, _, memory = two_pools(limit_mb=100)
        first, second, third = await one.acquire(), await one.acquire(), await one.acquire()
        assert memory.claimed_mb == 96
        fourth = asyncio.create_task(one.acquire())
        await settle()
        assert len(starter.environments) == 3
        one.release(first, used_mb=10)
        # The first is free and taken; the others are thought to need no more than it did.
        assert await fourth is first
        assert memory.claimed_mb == 48
        one.release(second, used_mb=90)
        assert memory.claimed_mb == 16 + 90 + 90
        one.release(third, used_mb=12)
        assert memory.claimed_mb == 16 + 90 + 16

    asyncio.run(run())


def test_every_claim_is_given_back() -> None:
    async def run() -> None:
        one, two, starter, _, memory = two_pools(limit_mb=1000)
        await one.provision(1)
        acquired = [await one.acquire(), await one.acquire(), await two.acquire()]
        starter.error = RuntimeError("no walls today")
        with pytest.raises(RuntimeError):
            await two.acquire()
        starter.gate.clear()
        given_up = asyncio.create_task(two.acquire())
        await settle()
        for environment in acquired[:2]:
            one.release(environment, used_mb=20)
        await one.close("shutdown")
        await two.close("shutdown")
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert memory.claimed_mb == 0

    asyncio.run(run())


def test_what_there_is_no_memory_for_is_not_provisioned() -> None:
    async def run() -> None:
        one, two, _, clock, _ = two_pools(limit_mb=40)
        await two.acquire()
        provisioning = asyncio.create_task(one.provision(1))
        await later(clock, 5)
        with pytest.raises(ProvisioningError, match=INSUFFICIENT_MEMORY):
            await provisioning

    asyncio.run(run())
