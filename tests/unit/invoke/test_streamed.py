"""A streamed invocation as its reader sees it: refusals first, then bytes at a pace, then the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lambent.domain.invocation import Outcome
from lambent.errors import TooManyRequestsException
from lambent.invoke.streamed import Bandwidth, Streamed, begun
from lambent.response_stream import ResponseStream
from lambent.testing import ManualClock
from samples import invocation, report

PATIENCE_S = 10.0


class Writer:
    """Somebody who is never held here."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Invocation:
    """An invocation that does what the test says."""

    def __init__(self) -> None:
        self.into = ResponseStream(max_bytes=1_000_000, takes_everything=True)
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def run(self) -> Outcome:
        await self.gate.wait()
        try:
            if self.error is not None:
                raise self.error
            return Outcome(payload=b"", report=report(invocation()))
        finally:
            self.into.finish()

    async def begin(self, bandwidth: Bandwidth | None = None) -> Streamed:
        self.into.begin("text/plain", Writer())
        return await begun(self.into, asyncio.create_task(self.run()), bandwidth=bandwidth)


def tell(story: Callable[[Invocation], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story(Invocation())

    asyncio.run(run())


def test_a_refusal_is_raised_before_anything_is_streamed() -> None:
    async def story(met: Invocation) -> None:
        met.error = TooManyRequestsException("Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded")
        met.gate.set()
        with pytest.raises(TooManyRequestsException):
            await begun(met.into, asyncio.create_task(met.run()))

    tell(story)


def test_an_invocation_that_ends_without_a_stream_has_only_an_outcome() -> None:
    async def story(met: Invocation) -> None:
        met.gate.set()
        streamed = await begun(met.into, asyncio.create_task(met.run()))
        assert streamed.content_type is None
        assert await streamed.read() == b""
        assert (await streamed.outcome()).function_error is None

    tell(story)


def test_bytes_are_there_before_the_invocation_has_ended() -> None:
    async def story(met: Invocation) -> None:
        streamed = await met.begin()
        met.into.write(b"first")
        assert await streamed.read() == b"first"
        met.gate.set()
        assert await streamed.read() == b""

    tell(story)


def test_who_is_cancelled_while_waiting_takes_nobody_along() -> None:
    async def story(met: Invocation) -> None:
        running = asyncio.create_task(met.run())
        waiting = asyncio.create_task(begun(met.into, running))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert met.into.is_abandoned
        met.gate.set()
        assert (await running).function_error is None

    tell(story)


def test_beyond_its_burst_a_stream_goes_no_quicker_than_its_bandwidth() -> None:
    async def story(met: Invocation) -> None:
        clock = ManualClock()
        streamed = await met.begin(Bandwidth(clock=clock, bytes_per_s=10, burst_bytes=100))
        met.into.write(bytes(100))
        assert len(await streamed.read()) == 100
        met.into.write(bytes(20))
        assert len(await streamed.read()) == 20
        met.into.write(bytes(5))
        reading = asyncio.ensure_future(streamed.read())
        await asyncio.sleep(0)
        await clock.advance(1.9)
        assert not reading.done()
        await clock.advance(0.2)
        assert len(await reading) == 5
        # 25 bytes beyond the burst: 2.5 s since that was over, of which 2.1 have passed.
        met.into.write(b"x")
        reading = asyncio.ensure_future(streamed.read())
        await asyncio.sleep(0)
        await clock.advance(0.3)
        assert not reading.done()
        await clock.advance(0.2)
        assert len(await reading) == 1

    tell(story)
