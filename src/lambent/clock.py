"""Time as an argument.

Whoever needs the time is given a `Clock`, so that tests can pass time instead of waiting for it. `VirtualClock`
gives the same to users' tests; `ManualClock` in `lambent.testing`, which stands still, is for ours.
"""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and waiting."""

    def now_s(self) -> float:
        """Seconds since the Unix epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds of this clock."""
        ...


class SystemClock:
    """The machine's clock."""

    # Asked a dozen times in an invocation: without a function of Python's in between.
    now_s = staticmethod(time.time)
    monotonic_s = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class VirtualClock:
    """The machine's clock, which can be advanced: whoever sleeps until a time that is past then, wakes.

    Time goes on by itself as well, because what takes real time, such as a function that runs, goes on too.
    """

    def __init__(self) -> None:
        self._ahead_s = 0.0
        self._advanced = asyncio.Event()

    def now_s(self) -> float:
        return time.time() + self._ahead_s

    def monotonic_s(self) -> float:
        return time.monotonic() + self._ahead_s

    async def sleep(self, seconds: float) -> None:
        end_s = self.monotonic_s() + seconds
        while (left_s := end_s - self.monotonic_s()) > 0:
            advanced = self._advanced
            try:
                async with asyncio.timeout(left_s):
                    await advanced.wait()
            except TimeoutError:
                continue

    def advance(self, seconds: float) -> None:
        """Move time on by this many seconds."""
        self._ahead_s += seconds
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()


def iso_s(epoch_s: float) -> str:
    """Return ``2026-01-02T03:04:05Z``, the form of times of events on buses: whole seconds that have passed."""
    return datetime.fromtimestamp(math.floor(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_ms(epoch_s: float) -> str:
    """Return ``2026-01-02T03:04:05.678Z``, the form of Lambda's log lines and telemetry.

    Whole milliseconds that have passed. A float's step is 0.0002 ms here, so .678 may be a little less than that.
    """
    seconds, milliseconds = divmod(math.floor(epoch_s * 1000 + 0.001), 1000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{milliseconds:03d}Z"


def iso_us(epoch_s: float) -> str:
    """Return ``2026-01-02T03:04:05.678901Z``, the form of times of function URLs."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def last_modified(epoch_s: float) -> str:
    """Return ``2026-01-02T03:04:05.678+0000``, the form of Lambda's ``LastModified`` member."""
    return iso_ms(epoch_s)[:-1] + "+0000"
