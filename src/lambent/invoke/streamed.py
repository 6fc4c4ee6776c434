"""A streamed invocation, from the beginning of its response on: bytes as they come, then the outcome."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from lambent.clock import Clock
from lambent.domain.invocation import Outcome
from lambent.domain.limits import STREAMED_BURST_BYTES
from lambent.response_stream import ResponseStream


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """How quickly streamed responses go."""

    clock: Clock
    bytes_per_s: float
    """Beyond what goes at once."""
    burst_bytes: int = STREAMED_BURST_BYTES
    """What goes at once."""


class Streamed:
    """The one reader of a streamed response. Who reads no more abandons it; the function runs on."""

    def __init__(
        self, stream: ResponseStream, running: asyncio.Task[Outcome], bandwidth: Bandwidth | None
    ) -> None:
        self._stream = stream
        self._running = running
        self._bandwidth = bandwidth
        self._read_bytes = 0
        self._slowed_since_s: float | None = None

    @property
    def content_type(self) -> str | None:
        """Of the response; None: it does not come bit by bit, and what there is of it is in the outcome."""
        return self._stream.content_type

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody reads any more."""
        return self._stream.is_abandoned

    async def read(self) -> bytes:
        """Wait for bytes of the response and return them; none at the end."""
        if self._bandwidth is not None:
            await self._keep_pace(self._bandwidth)
        chunk = await self._stream.read()
        self._read_bytes += len(chunk)
        return chunk

    async def outcome(self) -> Outcome:
        """Wait for the end of the invocation."""
        return await asyncio.shield(self._running)

    def abandon(self) -> None:
        """Read no more. May be repeated."""
        self._stream.abandon()

    async def _keep_pace(self, bandwidth: Bandwidth) -> None:
        """Wait until what has been read may have gone."""
        beyond_bytes = self._read_bytes - bandwidth.burst_bytes
        if beyond_bytes <= 0:
            return
        now_s = bandwidth.clock.monotonic_s()
        if self._slowed_since_s is None:
            self._slowed_since_s = now_s
        wait_s = self._slowed_since_s + beyond_bytes / bandwidth.bytes_per_s - now_s
        if wait_s > 0:
            await bandwidth.clock.sleep(wait_s)


async def begun(
    stream: ResponseStream, running: asyncio.Task[Outcome], *, bandwidth: Bandwidth | None = None
) -> Streamed:
    """Wait until a response begins to come, or the invocation has ended without one.

    Args:
        stream: where it comes.
        running: the invocation, which finishes the stream.
        bandwidth: how quickly it may go on; None: as quickly as it can.

    Raises:
        ServiceError: the invocation was refused.
    """
    streamed = Streamed(stream, running, bandwidth)
    try:
        if not await stream.begun():
            await streamed.outcome()
    except asyncio.CancelledError:
        stream.abandon()
        raise
    return streamed
