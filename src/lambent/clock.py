"""Time as an argument.

Whoever needs the time is given a `Clock`, so that tests (and later a virtual clock for users) can pass time
instead of waiting for it. `ManualClock` in `lambent.testing` is the other implementation.
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

    def now_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


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
