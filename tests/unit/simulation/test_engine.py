"""Promises of the engine: it keeps to closed forms, to what can be counted by hand, and to the platform itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.domain.function import FunctionVersion
from lambent.domain.invocation import Invocation, Outcome
from lambent.errors import TooManyRequestsException
from lambent.invoke.invoker import Invoker
from lambent.invoke.rates import SCALING_MAX
from lambent.simulation.distribution import Distribution, constant, exponential, lognormal
from lambent.simulation.engine import BINS, Run, simulate
from lambent.simulation.load import Load, poisson_load
from lambent.simulation.platform import Platform
from lambent.simulation.pool import CONCURRENCY, RATE, SCALING
from lambent.simulation.summary import summarize
from lambent.testing import ManualClock
from samples import VERSION, invocation, report


def load_of(
    at_s: Sequence[float], service_s: Sequence[float] | float = 1.0, *, start_s: float = 0.5, **others: Any
) -> Load:
    """A load whose cold starts all take the same."""
    services = [service_s] * len(at_s) if isinstance(service_s, float) else service_s
    options: dict[str, Any] = {"starts": (constant(start_s * 1000),), "duration_s": max(at_s, default=0.0)}
    return Load(at_s=at_s, service_s=services, **options | others)


# By hand ---------------------------------------------------------------------------------------------------


def test_the_first_invocation_waits_for_a_cold_start_and_the_next_does_not() -> None:
    run = simulate(load_of([0.0, 2.0]), Platform())
    assert run.waits_s == {0: 0.5}
    assert run.cold_s == {0: 0.5}
    assert run.started == run.peak_environments == run.peak_concurrency == 1


def test_an_environment_that_becomes_free_at_the_moment_of_an_arrival_takes_it() -> None:
    run = simulate(load_of([0.0, 0.0, 1.5, 1.5]), Platform())
    assert sorted(run.cold_s) == [0, 1]
    assert run.peak_environments == 2


def test_who_waits_takes_whichever_environment_is_free_first() -> None:
    """The second asks for a start of a second, and gets the first one's environment before it is ready."""
    run = simulate(load_of([0.0, 1.2, 5.0, 5.0], 0.5, start_s=1.0), Platform())
    # Ready at 1.0, free at 1.5; the second started one at 1.2, which is ready at 2.2 and idles, unused.
    assert run.waits_s == {0: 1.0, 1: pytest.approx(0.3)}
    # Its init is billed to whoever uses it first.
    assert run.cold_s == {0: 1.0, 2: 1.0}
    assert run.started == 2


def test_an_environment_that_has_idled_for_the_keep_alive_is_gone() -> None:
    at_s = [0.0, 11.4, 21.4, 32.5]  # idle from 1.5, 12.4 and 22.4 on
    run = simulate(load_of(at_s), Platform(keep_alive_s=10.0))
    assert sorted(run.cold_s) == [0, 3]
    assert run.peak_environments == 1
    # From 0 to 32.4, and from 32.5 on.
    assert run.environment_s == pytest.approx(32.4)


def test_the_environment_that_was_used_last_is_used_again_so_that_the_others_expire() -> None:
    at_s = [0.0, 0.0, *(float(second) for second in range(3, 30, 3)), 30.0, 30.0]
    run = simulate(load_of(at_s), Platform(keep_alive_s=10.0))
    assert sorted(run.cold_s) == [0, 1, len(at_s) - 1]


def test_an_environment_of_full_age_is_gone() -> None:
    run = simulate(load_of([0.0, 3.0, 6.0, 9.0]), Platform(max_life_s=5.0))
    assert sorted(run.cold_s) == [0, 2]


def test_an_environment_of_full_age_leaves_and_another_is_started_for_who_waits() -> None:
    # Born at 0.5, old at 1.4; the second has asked for a start, which takes both.
    run = simulate(load_of([0.0, 1.3], [1.0, 1.0]), Platform(max_life_s=0.9))
    assert run.cold_s == {0: 0.5, 1: 0.5}


def test_provisioned_environments_serve_without_a_cold_start_and_what_is_more_spills_over() -> None:
    run = simulate(load_of([0.0, 0.0, 0.0]), Platform(provisioned=2))
    assert run.waits_s == run.cold_s == {2: 0.5}
    assert run.on_provisioned == [0, 1]
    assert run.spilled_over == 1


def test_beyond_the_reserved_concurrency_invocations_are_throttled() -> None:
    run = simulate(load_of([0.0, 0.0, 0.0, 2.0]), Platform(reserved=2))
    assert run.throttled == {2: CONCURRENCY}


def test_functions_share_the_accounts_concurrency_and_not_their_environments() -> None:
    load = load_of([0.0, 0.1, 0.2, 3.0], names=("a", "b"), function=[0, 1, 0, 1])
    run = simulate(load, Platform(account_concurrency=2))
    assert run.throttled == {2: CONCURRENCY}
    assert sorted(run.cold_s) == [0, 1]


def test_a_reservation_takes_from_what_the_account_shares() -> None:
    assert Platform(account_concurrency=10, reserved=3).unreserved(2) == 4
    assert Platform(account_concurrency=10, provisioned=3).unreserved(2) == 4
    assert Platform(account_concurrency=10, provisioned=2, reserved=3).unreserved(2) == 4


def test_each_unit_of_concurrency_serves_ten_requests_a_second() -> None:
    at_s = [number * 0.01 for number in range(300)]
    run = simulate(load_of(at_s, 0.001, start_s=0.0), Platform(reserved=1))
    # One second's worth at first, and ten in each of the three seconds.
    assert len(at_s) - len(run.throttled) == pytest.approx(10 + 30, abs=1)
    assert set(run.throttled.values()) == {RATE}
    free = simulate(load_of(at_s, 0.001, start_s=0.0), Platform(reserved=1, is_rate_limited=False))
    assert not free.throttled


def test_a_thousand_environments_can_be_started_at_once_and_a_hundred_more_each_second() -> None:
    at_s = [0.0] * 1_200 + [1.0] * 200
    run = simulate(load_of(at_s, 10.0), Platform(account_concurrency=5_000))
    assert run.started == SCALING_MAX + 100
    assert set(run.throttled.values()) == {SCALING}


def test_what_was_throttled_for_want_of_a_start_does_not_count_as_running() -> None:
    at_s = [0.0] * 1_001 + [20.0] * 2
    run = simulate(load_of(at_s, 1.0), Platform(account_concurrency=1_001, reserved=1_001))
    assert run.throttled == {1_000: SCALING}


def test_the_highest_concurrency_is_told_for_each_part_of_the_time() -> None:
    run = simulate(load_of([0.0, 0.0, 0.0, 119.0], duration_s=120.0), Platform())
    assert len(run.peaks) == BINS
    # Bins of a second: three run from 0 to 1.5; nobody from there to 119.
    assert run.peaks[:3] == [3, 3, 0]
    assert run.peaks[-2:] == [1, 1]


def test_nothing_that_was_admitted_is_lost() -> None:
    load = load_of([0.0] * 50, 3.0, start_s=2.0, duration_s=1.0)
    summary = summarize(simulate(load, Platform(reserved=40)))
    assert summary.served + sum(summary.throttled.values()) == 50


def test_the_same_seed_gives_the_same_run() -> None:
    random = Random(1)
    load = poisson_load(random, per_s=20, duration_s=60, service=exponential(500), start=lognormal(100, 400))
    runs = [simulate(load, Platform(keep_alive_s=2.0), seed=seed) for seed in (7, 7, 8)]
    assert runs[0].waits_s == runs[1].waits_s != runs[2].waits_s


# Closed forms ----------------------------------------------------------------------------------------------

SERVICES = [constant(400), exponential(400), lognormal(200, 1_500)]


def words(distribution: Distribution) -> str:
    """Name a distribution in a test's id."""
    return distribution.words


@pytest.mark.parametrize("service", SERVICES, ids=words)
def test_concurrency_without_limits_is_that_of_a_queue_with_endless_servers(service: Distribution) -> None:
    """M/G/∞: the mean concurrency is the rate times the mean duration, whatever its distribution."""
    per_s, duration_s = 50.0, 1_000.0
    load = poisson_load(Random(2), per_s=per_s, duration_s=duration_s, service=service, start=constant(0))
    summary = summarize(simulate(load, Platform()))
    expected = per_s * service.mean_s
    # The mean over a time T varies by about 2·λ·E[S²]/T; three standard deviations are allowed.
    second_moment = fmean(value * value for value in service.values_s)
    allowed = 3 * math.sqrt(per_s * second_moment / duration_s)
    assert summary.mean_concurrency == pytest.approx(expected, abs=allowed)
    assert not summary.throttled


@pytest.mark.parametrize("service", SERVICES, ids=words)
@pytest.mark.parametrize("concurrency", [5, 10, 15])
def test_concurrency_blocks_as_erlang_b_says(service: Distribution, concurrency: int) -> None:
    """M/G/n/n, of reserved concurrency and of the account's: blocking depends on the mean duration alone."""
    load = poisson_load(
        Random(4),
        per_s=10 / service.mean_s,
        duration_s=8_000 * service.mean_s,
        service=service,
        start=constant(0),
    )
    # Compared with what was offered in this load, which varies by itself.
    expected = erlang_b(math.fsum(load.service_s) / load.duration_s, concurrency)
    reserved = simulate(load, Platform(reserved=concurrency, is_rate_limited=False))
    assert len(reserved.throttled) / len(load) == pytest.approx(expected, abs=0.012)
    account = simulate(load, Platform(account_concurrency=concurrency, is_rate_limited=False))
    assert account.throttled == reserved.throttled


def test_the_rate_of_requests_adds_to_blocking_only_where_durations_are_short() -> None:
    """Ten a second for each unit: with a mean of a second it never binds, with 20 ms it is what binds."""
    slow = poisson_load(Random(6), per_s=10, duration_s=500, service=exponential(1_000), start=constant(0))
    limited, free = (simulate(slow, Platform(reserved=10, is_rate_limited=is_on)) for is_on in (True, False))
    assert limited.throttled == free.throttled
    quick = poisson_load(Random(6), per_s=200, duration_s=200, service=exponential(20), start=constant(0))
    run = simulate(quick, Platform(reserved=10))
    assert (len(quick) - len(run.throttled)) / 200 == pytest.approx(100, rel=0.01)
    assert RATE in run.throttled.values()


def erlang_b(offered: float, servers: int) -> float:
    """Return the probability that all servers are busy."""
    blocking = 1.0
    for number in range(1, servers + 1):
        blocking = offered * blocking / (number + offered * blocking)
    return blocking


def test_cold_starts_of_a_rare_function_come_as_often_as_gaps_are_long() -> None:
    """With one invocation at a time, a cold start follows a gap longer than the keep-alive: e^(-rate · keep-alive)."""
    load = poisson_load(Random(5), per_s=0.01, duration_s=2_000_000, service=constant(1), start=constant(0))
    run = simulate(load, Platform(keep_alive_s=60.0))
    assert len(run.cold_s) / len(load) == pytest.approx(math.exp(-0.6), abs=0.01)


# Beside the platform ---------------------------------------------------------------------------------------


class TimedEnvironment:
    """An environment whose invocations take what their payload says, on the clock."""

    is_usable = True

    def __init__(self, real: Real) -> None:
        self._real = real
        self._is_new = True

    async def invoke(self, invocation: Invocation, into: object = None) -> Outcome:
        place = int(invocation.payload)
        self._real.began_s[place] = self._real.now_s()
        if self._is_new and self not in self._real.provisioned:
            self._real.cold.add(place)
        self._is_new = False
        await self._real.clock.sleep(self._real.load.service_s[place])
        return Outcome(payload=b"null", report=report(invocation))

    async def stop(self, reason: str) -> None:
        pass


class Real:
    """The platform's own invoker, under the same load on a clock of the test's."""

    def __init__(self, load: Load, platform: Platform) -> None:
        self.load = load
        self.platform = platform
        self.clock = ManualClock(0.0)
        self.began_s: dict[int, float] = {}
        self.cold: set[int] = set()
        self.throttled: dict[int, str] = {}
        self.provisioned: set[TimedEnvironment] = set()

    def now_s(self) -> float:
        return self.clock.monotonic_s()

    async def start(self, version: FunctionVersion, reason: str) -> TimedEnvironment:
        environment = TimedEnvironment(self)
        if reason == "provisioned":
            self.provisioned.add(environment)
        else:
            await self.clock.sleep(self.load.starts[0].values_s[0])
        return environment

    async def invoke(self, invoker: Invoker, place: int) -> None:
        try:
            await invoker.invoke(
                invocation(payload=str(place).encode()),
                reserved_concurrency=self.platform.reserved,
                provisioned_concurrency=self.platform.provisioned,
                unreserved_concurrency=self.platform.unreserved(1),
                is_rate_limited=self.platform.is_rate_limited,
            )
        except TooManyRequestsException as refused:
            reason = str(refused.members["Reason"])
            self.throttled[place] = RATE if "Rate" in reason else CONCURRENCY

    async def run(self) -> None:
        """Let it all happen."""
        invoker = Invoker(
            start=self.start,
            clock=self.clock,
            account_concurrency=self.platform.account_concurrency,
            idle_timeout_s=math.inf,
            drain_timeout_s=1.0,
        )
        await invoker.provision(VERSION, self.platform.provisioned)
        tasks: list[asyncio.Task[None]] = []
        for place, at_s in enumerate(self.load.at_s):
            await self.clock.advance(at_s - self.now_s())
            tasks.append(asyncio.create_task(self.invoke(invoker, place)))
            for _ in range(10):
                await asyncio.sleep(0)
        while not all(task.done() for task in tasks):
            await self.clock.advance(1_000.0)
        await asyncio.gather(*tasks)


def beside(load: Load, platform: Platform) -> tuple[Run, Real]:
    """Replay a load on the model and on the platform's own invoker."""
    real = Real(load, platform)
    asyncio.run(real.run())
    return simulate(load, platform), real


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """A few invocations whose times never fall together, so that the order is never a matter of taste."""
    gaps = draw(st.lists(st.integers(1, 1_200), min_size=1, max_size=25))
    services = draw(st.lists(st.integers(1, 2_000), min_size=len(gaps), max_size=len(gaps)))
    at_s: list[float] = []
    now_s = 0.0
    for number, gap in enumerate(gaps):
        now_s += gap / 1000 + number * 1.7e-6
        at_s.append(now_s)
    services_s = [service / 1000 + number * 1.3e-7 for number, service in enumerate(services)]
    return load_of(at_s, services_s, start_s=draw(st.integers(1, 900)) / 1000 + 1.1e-8)


@settings(max_examples=150, deadline=None)
@given(
    load=loads(),
    reserved=st.sampled_from([None, 1, 2, 4]),
    provisioned=st.sampled_from([0, 0, 1, 2]),
    account=st.sampled_from([2, 4, 100]),
    is_rate_limited=st.booleans(),
)
def test_the_model_meets_every_invocation_as_the_platforms_own_invoker_does(
    load: Load,
    reserved: int | None,
    provisioned: int,
    account: int,
    is_rate_limited: bool,
) -> None:
    """Who is throttled and why, who is cold, and when each begins."""
    platform = Platform(
        reserved=reserved,
        provisioned=provisioned if reserved is None else min(provisioned, reserved),
        account_concurrency=account,
        keep_alive_s=math.inf,
        is_rate_limited=is_rate_limited,
    )
    run, real = beside(load, platform)
    assert run.throttled == real.throttled
    assert set(run.cold_s) == real.cold
    began_s = {
        place: at_s + run.waits_s.get(place, 0.0)
        for place, at_s in enumerate(load.at_s)
        if place not in run.throttled
    }
    assert began_s == pytest.approx(real.began_s)
