"""Promises of the invoker: limits are kept, old configurations leave, stopping drains."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lambent.domain.concurrency import Provisioned
from lambent.domain.function import FunctionVersion
from lambent.domain.function_facts import FunctionFact, Throttled
from lambent.domain.invocation import Invocation, Outcome
from lambent.errors import ServiceException, TooManyRequestsException
from lambent.invoke.budget import MemoryBudget
from lambent.invoke.invoker import Invoker
from lambent.invoke.rates import SCALING_MAX
from lambent.response_stream import ResponseStream
from lambent.runtimes import RuntimeUnavailable
from lambent.testing import ManualClock
from samples import KEY, VERSION, invocation, report


class GatedEnvironment:
    """An environment whose invocations end when the test says so."""

    is_usable = True

    def __init__(self, house: House) -> None:
        self._house = house

    async def invoke(self, invocation: Invocation, into: ResponseStream | None = None) -> Outcome:
        self._house.running += 1
        self._house.ran.append(invocation)
        await self._house.gate.wait()
        self._house.running -= 1
        return Outcome(payload=b"null", report=report(invocation))

    async def stop(self, reason: str) -> None:
        self._house.stopped.append(reason)


class House:
    """What the environments of a test share."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.running = 0
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.ran: list[Invocation] = []
        self.error: Exception | None = None
        self.clock = ManualClock()

    async def start(self, version: FunctionVersion, reason: str) -> GatedEnvironment:
        if self.error is not None:
            raise self.error
        self.started.append(reason)
        return GatedEnvironment(self)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def with_invoker(story: Callable[[Invoker, House], Awaitable[None]], **limits: Any) -> House:
    """Run a story with an invoker; leaving it drains."""
    house: list[House] = []

    async def run() -> None:
        house.append(House())
        options: dict[str, Any] = {"account_concurrency": 10, "idle_timeout_s": 60.0, "drain_timeout_s": 5.0}
        async with Invoker(start=house[0].start, clock=house[0].clock, **options | limits) as invoker:
            await story(invoker, house[0])

    asyncio.run(run())
    return house[0]


def test_invocations_beyond_the_account_limit_are_throttled_with_its_reason() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        running = [asyncio.create_task(invoker.invoke(invocation())) for _ in range(3)]
        await settle()
        with pytest.raises(TooManyRequestsException) as refused:
            await invoker.invoke(invocation())
        assert refused.value.members["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert refused.value.message == "Rate Exceeded."
        house.gate.set()
        await asyncio.gather(*running)
        await invoker.invoke(invocation())

    facts: list[FunctionFact] = []
    with_invoker(story, account_concurrency=3, emit=facts.append)
    assert facts == [Throttled(function=KEY)]


def test_invocations_beyond_the_reserved_concurrency_are_throttled_with_its_reason() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        with pytest.raises(TooManyRequestsException) as refused:
            await invoker.invoke(invocation(), reserved_concurrency=0)
        assert refused.value.members["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"

    with_invoker(story)


def test_leaving_waits_for_running_invocations_and_then_stops_every_environment() -> None:
    outcomes: list[asyncio.Task[Outcome]] = []

    async def story(invoker: Invoker, house: House) -> None:
        outcomes.append(asyncio.create_task(invoker.invoke(invocation())))
        await settle()
        asyncio.get_running_loop().call_soon(house.gate.set)

    house = with_invoker(story)
    assert outcomes[0].result().payload == b"null"
    assert house.stopped == ["shutdown"]


def test_a_changed_configuration_runs_in_new_environments_and_the_old_ones_leave() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        await invoker.invoke(invocation())
        invoker.retire(KEY)
        await settle()
        assert house.stopped == ["replaced"]
        await invoker.invoke(invocation(version=replace(VERSION, configuration_id="two")))
        assert house.started == ["first", "new-version"]

    with_invoker(story)


def test_an_idle_environment_is_retired_when_its_time_has_come() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        await invoker.invoke(invocation())
        await settle()
        await house.clock.advance(100)
        await settle()
        assert house.stopped == ["idle"]
        assert invoker.environments() == 0

    with_invoker(story)


def test_an_environment_that_cannot_be_started_is_an_answer_and_not_a_crash() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.error = RuntimeUnavailable("No Python interpreter was found on this machine.")
        with pytest.raises(ServiceException, match="No Python interpreter"):
            await invoker.invoke(invocation())
        assert invoker.running() == 0

    with_invoker(story)


def test_a_changed_function_keeps_what_is_provisioned_for_its_versions() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        version = replace(VERSION, version="1", configuration_id="one-published")
        await invoker.provision(version, 2)
        await invoker.invoke(invocation())
        invoker.retire(KEY)
        await settle()
        assert house.stopped == ["replaced"]
        assert invoker.provisioned(version) == Provisioned(allocated=2, available=2)
        await invoker.provision(version, 0)
        invoker.retire(KEY)
        await settle()
        assert invoker.environments() == 0

    with_invoker(story)


def test_a_version_that_never_ran_has_nothing_provisioned() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        await invoker.provision(VERSION, 0)
        assert invoker.provisioned(VERSION) == Provisioned()
        assert house.started == []

    with_invoker(story)


def test_an_invocation_beyond_what_is_provisioned_says_so_and_others_do_not() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        version = replace(VERSION, version="1", configuration_id="one-published")
        await invoker.provision(version, 1)
        running = [
            asyncio.create_task(invoker.invoke(invocation(version=version), provisioned_concurrency=1))
            for _ in range(2)
        ]
        await settle()
        house.gate.set()
        await asyncio.gather(*running)
        assert [ran.is_spillover for ran in house.ran] == [False, True]
        await invoker.invoke(invocation())
        assert not house.ran[-1].is_spillover

    with_invoker(story)


def test_requests_that_come_too_quickly_are_throttled_with_their_own_reason() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        for _ in range(10):
            await invoker.invoke(invocation(), reserved_concurrency=1)
        with pytest.raises(TooManyRequestsException) as refused:
            await invoker.invoke(invocation(), reserved_concurrency=1)
        assert refused.value.members["Reason"] == "ReservedFunctionInvocationRateLimitExceeded"
        await invoker.invoke(invocation(), reserved_concurrency=1, is_rate_limited=False)

    with_invoker(story)


def test_all_pools_of_a_function_share_its_scaling_rate() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        running = [
            asyncio.create_task(
                invoker.invoke(invocation(version=replace(VERSION, configuration_id=str(number % 2))))
            )
            for number in range(SCALING_MAX + 1)
        ]
        await settle()
        house.gate.set()
        ended = await asyncio.gather(*running, return_exceptions=True)
        assert len(house.started) == SCALING_MAX
        assert [type(end) for end in ended].count(TooManyRequestsException) == 1

    with_invoker(story, account_concurrency=2 * SCALING_MAX)


def test_a_version_with_snapstart_has_environments_ahead_and_no_other_has() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        on = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}}
        off = {"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}}
        for version, passive in (("$LATEST", off), ("1", {}), ("2", on)):
            changed = replace(VERSION, version=version, configuration_id=version, passive=passive)
            await invoker.invoke(invocation(version=changed))
        await settle()
        await house.clock.advance(0.1)
        await settle()
        assert invoker.environments() == 4  # one for each, and one more for version 2

    with_invoker(story, snapstart_ahead=1)


def test_an_environment_that_became_too_old_is_replaced() -> None:
    async def story(invoker: Invoker, house: House) -> None:
        house.gate.set()
        await invoker.invoke(invocation())
        await settle()
        await house.clock.advance(31)
        await settle()
        assert house.stopped == ["aged"]
        await invoker.invoke(invocation())
        assert house.started == ["first", "retired"]

    with_invoker(story, max_life_s=30.0)


def test_functions_make_room_for_each_other() -> None:
    async def run() -> None:
        house = House()
        house.gate.set()
        memory = MemoryBudget(limit_mb=40, clock=house.clock, wait_s=1.0)
        async with Invoker(
            start=house.start,
            clock=house.clock,
            account_concurrency=10,
            idle_timeout_s=60.0,
            drain_timeout_s=5.0,
            memory=memory,
        ) as invoker:
            await invoker.invoke(invocation())
            # The sample report says 10 MB, less than is claimed for anything.
            assert memory.claimed_mb == 16
            other = replace(VERSION, key=msgspec.structs.replace(KEY, name="other"), configuration_id="other")
            await invoker.invoke(invocation(version=other))
            assert house.stopped == ["evicted"]
        assert memory.claimed_mb == 0

    asyncio.run(run())
