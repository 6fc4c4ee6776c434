"""Looking for what is awaited for a moment before going to sleep.

A processor that sleeps takes up to a tenth of a millisecond to wake, which is as long as the rest of a quick answer
takes. So while one thing alone is awaited, the event loop goes round for a moment without sleeping, as the kernel does
with its own busy polling. As soon as several are awaited, the loop has work anyhow and the processors are wanted by
others: then it is left alone for a while. It costs the span, in CPU time, for each thing that takes longer than that.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

_CROWDED_S = 0.005
"""How long it is left alone after several things were awaited at once."""


class BusyPoll:
    """Keeps one event loop awake for moments. Sole owner of which one thing that is for."""

    def __init__(self, *, span_s: float) -> None:
        """Prepare; `span_s` is how long to look for each thing, 0 never."""
        self._span_s = span_s
        self._loop = asyncio.get_running_loop()
        self._awaited: asyncio.Future[Any] | None = None
        self._until_s = 0.0
        self._crowded_until_s = 0.0
        self._is_looking = False

    def watch(self, awaited: asyncio.Future[Any]) -> None:
        """Look for this for a moment, unless it is one of several."""
        if not self._span_s:
            return
        now_s = time.perf_counter()
        before = self._awaited
        if before is not None and not before.done() and now_s < self._until_s:
            self._awaited = None
            self._crowded_until_s = now_s + _CROWDED_S
        if now_s < self._crowded_until_s:
            return
        self._awaited, self._until_s = awaited, now_s + self._span_s
        if not self._is_looking:
            self._is_looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Let the loop go round once more: it does not sleep while something is to be called."""
        awaited = self._awaited
        if awaited is None or awaited.done() or time.perf_counter() >= self._until_s:
            self._is_looking = False
            return
        self._loop.call_soon(self._look)
