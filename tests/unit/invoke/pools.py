"""Pools for tests, with environments that run nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from lambent.domain.function import FunctionVersion
from lambent.domain.invocation import Invocation, Outcome
from lambent.invoke.budget import MemoryBudget
from lambent.invoke.counting import Admission, Counting
from lambent.invoke.pool import Pool
from lambent.invoke.rates import ScalingRates
from lambent.invoke.starts import Starts
from lambent.response_stream import ResponseStream
from lambent.testing import ManualClock
from samples import VERSION, report


@contextlib.contextmanager
def counted(counting: Counting, *place: Any, **limits: Any) -> Generator[Admission]:
    """An invocation that runs while the context lasts."""
    admission = counting.admit(*place, **limits)
    try:
        yield admission
    finally:
        counting.end(admission)


class FakeEnvironment:
    """An environment that runs nothing."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_usable = True
        self.stopped: str | None = None

    async def invoke(self, invocation: Invocation, into: ResponseStream | None = None) -> Outcome:
        return Outcome(payload=b"null", report=report(invocation))

    async def stop(self, reason: str) -> None:
        self.stopped = reason


class Starter:
    """Starts fake environments when told to."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.environments: list[FakeEnvironment] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.starts_usable = True

    async def __call__(self, version: FunctionVersion, reason: str) -> FakeEnvironment:
        self.reasons.append(reason)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.environments.append(FakeEnvironment(len(self.environments) + 1))
        self.environments[-1].is_usable = self.starts_usable
        return self.environments[-1]


def pool_of(
    starter: Starter,
    clock: ManualClock,
    *,
    version: FunctionVersion = VERSION,
    memory: MemoryBudget | None = None,
    scaling: ScalingRates | None = None,
    is_new_version: bool = False,
    **options: Any,
) -> Pool:
    """An empty pool."""
    starts = Starts(
        version,
        start=starter,
        clock=clock,
        memory=memory or MemoryBudget(limit_mb=None, clock=clock, wait_s=0.0),
        scaling=scaling or ScalingRates(),
    )
    return Pool(version, starts=starts, clock=clock, is_new_version=is_new_version, **options)


def in_pool(story: Callable[[Pool, Starter, ManualClock], Awaitable[None]], **options: Any) -> None:
    """Run a story with an empty pool."""

    async def run() -> None:
        starter, clock = Starter(), ManualClock()
        await story(pool_of(starter, clock, **options), starter, clock)

    asyncio.run(run())


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def later(clock: ManualClock, seconds: float) -> None:
    """Let everything run that can, and again when so much time has passed."""
    await settle()
    await clock.advance(seconds)
    await settle()
