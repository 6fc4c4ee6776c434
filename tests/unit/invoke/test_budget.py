"""The memory budget: who claims how much, who makes room, who waits, and who is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lambent.errors import TooManyRequestsException
from lambent.invoke.budget import Claim, Evictable, MemoryBudget, footprint_mb, victims
from lambent.testing import ManualClock


def idle(name: str, mb: int, since_s: float, gone: list[str], *, is_ahead: bool = False) -> Evictable:
    """An idle environment that notes its end."""
    return Evictable(mb=mb, idle_since_s=since_s, is_ahead=is_ahead, evict=lambda: gone.append(name))


def chosen(*environments: Evictable, missing_mb: int) -> list[int]:
    return [environment.mb for environment in victims(environments, missing_mb=missing_mb)]


def test_what_was_used_is_claimed_and_never_less_than_a_bare_environment_costs() -> None:
    assert footprint_mb(memory_mb=3008, used_mb=200) == 200
    assert footprint_mb(memory_mb=3008, used_mb=7) == 16
    assert footprint_mb(memory_mb=3008, used_mb=None) == 752
    assert footprint_mb(memory_mb=32, used_mb=None) == 16


def test_the_least_recently_used_go_first_and_no_more_than_needed() -> None:
    environments = [idle("", 30, 3.0, []), idle("", 10, 1.0, []), idle("", 20, 2.0, [])]
    assert chosen(*environments, missing_mb=10) == [10]
    assert chosen(*environments, missing_mb=25) == [10, 20]
    assert chosen(*environments, missing_mb=0) == []


def test_what_nobody_has_used_yet_goes_before_everything_else() -> None:
    assert chosen(idle("", 10, 1.0, []), idle("", 20, 9.0, [], is_ahead=True), missing_mb=5) == [20]


def test_nothing_is_stopped_when_all_of_it_would_not_be_enough() -> None:
    assert chosen(idle("", 10, 1.0, []), idle("", 20, 2.0, []), missing_mb=31) == []


def with_budget(
    story: Callable[[MemoryBudget, ManualClock], Awaitable[None]], limit_mb: int | None = 100
) -> None:
    """Run a story with a budget in which somebody waits for five seconds."""

    async def run() -> None:
        clock = ManualClock()
        await story(MemoryBudget(limit_mb=limit_mb, clock=clock, wait_s=5.0), clock)

    asyncio.run(run())


async def claimed(budget: MemoryBudget, mb: int) -> Claim:
    claim = await budget.claim(lambda: mb)
    assert claim is not None
    return claim


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_claims_up_to_the_limit_are_given_at_once() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        await claimed(budget, 60)
        assert budget.try_claim(41) is None
        assert budget.try_claim(40) is not None
        assert budget.claimed_mb == 100

    with_budget(story)


def test_without_a_limit_everything_is_given() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        await claimed(budget, 10**9)
        assert budget.limit_mb is None
        assert budget.claimed_mb == 10**9

    with_budget(story, limit_mb=None)


def test_somebody_who_waits_is_served_when_a_claim_is_given_back_or_turns_out_smaller() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        one, two = await claimed(budget, 50), await claimed(budget, 50)
        third, fourth = (asyncio.create_task(claimed(budget, 50)) for _ in range(2))
        await settle()
        one.resize(10)
        await settle()
        assert not third.done()
        two.release()
        await settle()
        assert (third.done(), fourth.done()) == (True, False)
        (await third).resize(40)
        await fourth
        assert budget.claimed_mb == 100

    with_budget(story)


def test_whoever_waits_is_served_in_turn_even_if_a_later_one_would_fit() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        held = await claimed(budget, 90)
        large, small = asyncio.create_task(claimed(budget, 50)), asyncio.create_task(claimed(budget, 10))
        await settle()
        assert not small.done()
        assert budget.try_claim(10) is None
        held.release()
        await asyncio.gather(large, small)

    with_budget(story)


def test_whoever_waits_too_long_is_throttled_and_lets_the_next_one_through() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        await claimed(budget, 90)
        large = asyncio.create_task(claimed(budget, 50))
        await settle()
        await clock.advance(1)
        small = asyncio.create_task(claimed(budget, 10))
        await clock.advance(4)
        with pytest.raises(TooManyRequestsException) as refused:
            await large
        assert refused.value.members["Reason"] == "ConcurrentInvocationLimitExceeded"
        await small

    with_budget(story)


def test_idle_environments_make_room_and_what_is_leaving_is_not_stopped_twice() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        gone: list[str] = []
        old, young = await claimed(budget, 50), await claimed(budget, 50)
        claims = {"old": old, "young": young}

        def idling() -> list[Evictable]:
            return [
                Evictable(mb=50, idle_since_s=since_s, is_ahead=False, evict=lambda name=name: evict(name))
                for name, since_s in (("old", 1.0), ("young", 2.0))
                if name not in gone
            ]

        def evict(name: str) -> None:
            gone.append(name)
            claims[name].leave()

        budget.evict_from(idling)
        waiting = asyncio.create_task(claimed(budget, 50))
        await settle()
        budget.look_again()
        assert gone == ["old"]
        assert not waiting.done()
        old.release()
        await waiting
        assert budget.claimed_mb == 100

    with_budget(story)


def test_whoever_does_not_need_it_any_more_gets_nothing_and_is_in_nobodys_way() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        held, needed = await claimed(budget, 90), [50]
        given_up = asyncio.create_task(budget.claim(lambda: needed[0]))
        next_one = asyncio.create_task(claimed(budget, 10))
        await settle()
        needed[0] = 0
        budget.look_again()
        assert await given_up is None
        await next_one
        held.release()
        held.release()
        assert budget.claimed_mb == 10

    with_budget(story)


def test_an_invocation_that_is_given_up_leaves_the_queue() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        await claimed(budget, 90)
        given_up = asyncio.create_task(claimed(budget, 50))
        next_one = asyncio.create_task(claimed(budget, 10))
        await settle()
        given_up.cancel()
        await next_one
        assert not budget.is_wanted

    with_budget(story)


def test_what_is_larger_than_the_budget_may_run_alone() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        large = await claimed(budget, 2560)
        assert (large.mb, budget.claimed_mb) == (100, 100)

    with_budget(story)


def test_idle_environments_go_when_others_grow_beyond_the_budget() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        gone: list[str] = []
        growing = await claimed(budget, 60)
        sleeping = await claimed(budget, 40)
        budget.evict_from(lambda: [] if gone else [idle("sleeping", 40, 1.0, gone)])
        growing.resize(200)
        assert gone == ["sleeping"]
        sleeping.leave()
        sleeping.release()
        assert budget.claimed_mb == 200

    with_budget(story)


def test_what_is_in_use_already_is_counted_even_beyond_the_budget_and_others_make_room() -> None:
    async def story(budget: MemoryBudget, clock: ManualClock) -> None:
        gone: list[str] = []
        await claimed(budget, 80)
        budget.evict_from(lambda: [] if gone else [idle("sleeping", 40, 1.0, gone)])
        held = budget.hold(50)
        assert (budget.claimed_mb, gone) == (130, ["sleeping"])
        assert budget.try_claim(1) is None
        held.release()
        assert budget.claimed_mb == 80

    with_budget(story)
