"""Promises of a pool: one invocation at a time, last used first reused, and nothing left behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lambent.domain.concurrency import INIT_FAILURE, Provisioned, ProvisioningError
from lambent.errors import TooManyRequestsException
from lambent.invoke.pool import Pool
from lambent.invoke.rates import SCALING_MAX, ScalingRates
from lambent.invoke.starts import PROVISIONED
from lambent.testing import ManualClock
from samples import KEY, VERSION
from unit.invoke.pools import Starter, in_pool, later, pool_of, settle


def test_the_first_invocation_starts_an_environment_and_the_second_reuses_it() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        first = await pool.acquire()
        pool.release(first)
        assert await pool.acquire() is first
        assert starter.reasons == ["first"]

    in_pool(story)


def test_parallel_invocations_get_environments_of_their_own() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        acquired = await asyncio.gather(*(pool.acquire() for _ in range(5)))
        assert len(set(acquired)) == 5
        assert starter.reasons == ["first", *["scale-out"] * 4]

    in_pool(story)


def test_a_waiting_invocation_takes_whatever_is_ready_first() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        busy = await pool.acquire()
        starter.gate.clear()
        waiting = asyncio.create_task(pool.acquire())
        await settle()
        pool.release(busy)
        assert await waiting is busy
        starter.gate.set()
        await settle()
        # The start that is no longer needed warms the next invocation.
        assert repr(pool) == "<Pool f:$LATEST 1 busy, 1 idle, 0 starting, 0 waiting>"

    in_pool(story)


def test_invocations_that_wait_are_served_in_the_order_in_which_they_came() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        freed = await pool.acquire()
        starter.gate.clear()
        served: list[int] = []

        async def take(number: int) -> None:
            await pool.acquire()
            served.append(number)

        waiting = [asyncio.create_task(take(number)) for number in range(4)]
        await settle()
        # One that has just become free, then fresh ones: whichever is ready, the first who came has it.
        pool.release(freed)
        await settle()
        assert served == [0]
        starter.gate.set()
        await asyncio.gather(*waiting)
        assert served == [0, 1, 2, 3]

    in_pool(story)


def test_an_invocation_beyond_the_scaling_rate_is_throttled_at_once_and_idle_environments_are_still_there() -> (
    None
):
    scaling = ScalingRates()

    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        busy = await pool.acquire()
        for _ in range(SCALING_MAX - 1):
            scaling.take(KEY, clock.monotonic_s())
        with pytest.raises(TooManyRequestsException) as refused:
            await pool.acquire()
        assert refused.value.members["Reason"] == "ConcurrentInvocationLimitExceeded"
        pool.release(busy)
        assert await pool.acquire() is busy
        await later(clock, 0.011)
        await pool.acquire()

    in_pool(story, scaling=scaling)


def test_whose_environment_broke_while_it_started_gets_another_or_is_throttled_beyond_the_scaling_rate() -> (
    None
):
    scaling = ScalingRates()

    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.starts_usable = False
        waiting = asyncio.create_task(pool.acquire())
        await settle()
        for _ in range(SCALING_MAX - 3):
            scaling.take(KEY, clock.monotonic_s())
        starter.gate.set()
        with pytest.raises(TooManyRequestsException):
            await waiting
        assert len(starter.reasons) == 3
        assert pool.is_empty

    in_pool(story, scaling=scaling)


def test_an_invocation_that_spills_over_leaves_what_is_provisioned_alone() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(1)
        spilled = await pool.acquire(spills_over=True)
        assert pool.is_spillover(spilled)
        provisioned = await pool.acquire()
        assert not pool.is_spillover(provisioned)
        assert provisioned is starter.environments[0]

    in_pool(story)


def test_the_environment_used_last_is_reused_first() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        one, two = await asyncio.gather(pool.acquire(), pool.acquire())
        pool.release(one)
        pool.release(two)
        assert await pool.acquire() is two

    in_pool(story)


def test_a_start_that_fails_fails_one_invocation_and_no_other() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        starter.error = RuntimeError("no walls today")
        with pytest.raises(RuntimeError, match="no walls today"):
            await pool.acquire()
        starter.error = None
        assert await pool.acquire() is starter.environments[0]

    in_pool(story)


def test_an_idle_environment_is_retired_after_its_time_and_the_next_start_says_so() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        pool.release(await pool.acquire())
        await clock.advance(59)
        pool.retire_idle(older_than_s=60, reason="idle")
        assert starter.environments[0].stopped is None
        await clock.advance(1)
        pool.retire_idle(older_than_s=60, reason="idle")
        await asyncio.sleep(0)
        assert starter.environments[0].stopped == "idle"
        await pool.acquire()
        assert starter.reasons == ["first", "retired"]

    in_pool(story)


def test_a_retired_pool_stops_busy_environments_when_they_are_done() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        busy, idle = await asyncio.gather(pool.acquire(), pool.acquire())
        pool.release(idle)
        pool.retire("replaced")
        await asyncio.sleep(0)
        assert [environment.stopped for environment in starter.environments].count("replaced") == 1
        pool.release(busy)
        await asyncio.sleep(0)
        assert [environment.stopped for environment in starter.environments] == ["replaced", "replaced"]
        assert pool.is_empty

    in_pool(story)


def test_an_environment_that_broke_while_idle_is_not_handed_out() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        pool.release(await pool.acquire())
        starter.environments[0].is_usable = False
        assert await pool.acquire() is starter.environments[1]

    in_pool(story)


def test_an_invocation_that_is_given_up_leaves_its_environment_to_others() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        starter.gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert repr(pool) == "<Pool f:$LATEST 0 busy, 1 idle, 0 starting, 0 waiting>"

    in_pool(story)


def test_a_later_configuration_of_a_function_starts_cold_as_a_new_version() -> None:
    async def run() -> None:
        starter = Starter()
        starter.gate.set()
        version = replace(VERSION, configuration_id="other")
        await pool_of(starter, ManualClock(), version=version, is_new_version=True).acquire()
        assert starter.reasons == ["new-version"]

    asyncio.run(run())


def test_an_environment_that_broke_is_not_handed_to_whoever_waits() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        broken = await pool.acquire()
        starter.gate.clear()
        waiting = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        starter.environments[0].is_usable = False
        pool.release(broken)
        starter.gate.set()
        assert await waiting is starter.environments[1]
        assert starter.environments[0].stopped == "failed"

    in_pool(story)


def test_somebody_who_counted_on_an_environment_that_broke_gets_a_start_of_their_own() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        """Two wait, one start is under way, and the busy environment breaks."""
        starter.gate.set()
        busy = await pool.acquire()
        starter.gate.clear()
        first = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        pool.release(busy)
        assert await first is busy
        second, third = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        starter.environments[0].is_usable = False
        pool.release(busy)
        starter.gate.set()
        assert len({await second, await third}) == 2

    in_pool(story)


def test_provisioned_environments_are_ready_before_the_first_invocation_and_used_first() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(2)
        assert starter.reasons == [PROVISIONED] * 2
        assert pool.provisioned == Provisioned(allocated=2, available=2)
        acquired = [await pool.acquire() for _ in range(3)]
        assert starter.reasons == [PROVISIONED] * 2 + ["scale-out"]
        assert pool.provisioned == Provisioned(allocated=2, available=0)
        on_demand = acquired.pop()
        pool.release(acquired.pop())
        pool.release(on_demand)
        assert pool.provisioned == Provisioned(allocated=2, available=1)
        assert await pool.acquire() is not on_demand

    in_pool(story)


def test_provisioned_environments_are_not_retired_for_idling() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(1)
        pool.release(await pool.acquire())
        await clock.advance(10_000)
        pool.retire_idle(older_than_s=60, reason="idle")
        await settle()
        assert starter.environments[0].stopped is None

    in_pool(story)


def test_what_is_provisioned_too_many_is_let_go() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(3)
        busy = await pool.acquire()
        await pool.provision(0)
        await settle()
        assert [environment.stopped for environment in starter.environments].count("deprovisioned") == 2
        assert pool.provisioned == Provisioned()
        pool.release(busy)  # From now on it is an ordinary one.
        await clock.advance(60)
        pool.retire_idle(older_than_s=60, reason="idle")
        await settle()
        assert pool.is_empty

    in_pool(story)


def test_a_provisioned_start_that_fails_leaves_none_behind() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(2)
        starter.error = ProvisioningError(INIT_FAILURE)
        with pytest.raises(ProvisioningError, match=INIT_FAILURE):
            await pool.provision(4)
        await settle()
        assert pool.provisioned == Provisioned()
        assert not pool.is_provisioned
        assert {environment.stopped for environment in starter.environments} == {"deprovisioned"}

    in_pool(story)


def test_an_invocation_that_waits_takes_an_environment_that_is_being_provisioned() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        waiting = asyncio.create_task(pool.acquire())
        provisioning = asyncio.create_task(pool.provision(1))
        await settle()
        starter.gate.set()
        await asyncio.gather(waiting, provisioning)
        assert pool.provisioned.allocated == 1
        assert pool.environments == 2

    in_pool(story)


def test_a_retired_pool_keeps_nothing_provisioned() -> None:
    async def story(pool: Pool, starter: Starter, clock: ManualClock) -> None:
        starter.gate.set()
        await pool.provision(1)
        pool.retire("replaced")
        await settle()
        assert pool.is_empty
        assert pool.provisioned == Provisioned()

    in_pool(story)
