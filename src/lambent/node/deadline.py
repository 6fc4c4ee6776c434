"""One timer for many deadlines, of which hardly any is ever reached.

To set a deadline and to lift it again costs an assignment each, where a timer of its own would have to be made and
unmade by the event loop. Every invocation has one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """At most one moment by which something must be over; belongs to one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_reached: Callable[[], None]) -> None:
        """Make it without a deadline.

        Args:
            loop: whose time counts.
            on_reached: called when the deadline has come, unless it was lifted.
        """
        self._loop = loop
        self._on_reached = on_reached
        self._at_s = math.inf
        self._looks_at_s = math.inf
        """When the timer goes off, which may be long before the deadline that counts now."""
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Set the deadline to so many seconds from now, instead of one that was set before."""
        self._at_s = self._loop.time() + seconds
        if self._looks_at_s > self._at_s:
            self._look_at(self._at_s)

    def lift(self) -> None:
        """Forget the deadline; another one is expected."""
        self._at_s = math.inf

    def close(self) -> None:
        """Forget the deadline and leave nothing with the event loop. Another one may be set nonetheless."""
        self._at_s = self._looks_at_s = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _left_s(self) -> float:
        """Seconds until the deadline; infinite when there is none."""
        return self._at_s - self._loop.time()

    def _look_at(self, moment_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._looks_at_s = moment_s
        self._timer = self._loop.call_at(moment_s, self._look)

    def _look(self) -> None:
        self._timer, self._looks_at_s = None, math.inf
        if self._at_s == math.inf:
            return
        if self._loop.time() < self._at_s:
            self._look_at(self._at_s)
            return
        self._at_s = math.inf
        self._on_reached()


class SuspendableDeadline(Deadline):
    """A deadline whose time can stand still."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_reached: Callable[[], None]) -> None:
        """Make it without a deadline; see `Deadline`."""
        super().__init__(loop, on_reached)
        self._kept_s: float | None = None
        """What was left when time came to a halt; None while it runs."""

    def set(self, seconds: float) -> None:
        """Set the deadline to so many seconds of running time from now."""
        if self._kept_s is None:
            super().set(seconds)
        else:
            self._kept_s = seconds

    def lift(self) -> None:
        """Forget the deadline; another one is expected."""
        super().lift()
        if self._kept_s is not None:
            self._kept_s = math.inf

    def suspend(self) -> None:
        """Let time stand still. May be repeated."""
        if self._kept_s is None:
            self._kept_s = self._left_s
            super().lift()

    def resume(self) -> None:
        """Let time run on. May be repeated."""
        kept_s, self._kept_s = self._kept_s, None
        if kept_s is not None and kept_s != math.inf:
            super().set(kept_s)
