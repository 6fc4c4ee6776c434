"""The stream of facts: emitted by the invocation path, consumed by listeners.

`FactStream.emit` never waits and never raises. Every listener has a lane of its own, so that a slow one
delays nobody; a lane that is full gives up the functions' oldest output, counts it, and says so in the log
with a `LogsDropped` fact. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Protocol, Self

from lambent.domain.facts import Fact, LogsDropped, Origin, Output

_log = logging.getLogger(__name__)

LANE_MAX_BYTES = 64 * 1024 * 1024
"""Output that may wait for one listener."""
LANE_MAX_FACTS = 200_000
BATCH_MAX_FACTS = 20_000
_LINGER_S = 0.1
"""Nobody sees a log line sooner than this. It is worth it: with many environments at work, most of the cost of a
line is that of the batch that it comes in."""
_STOP_MAX_S = 5.0
_FACT_BYTES = 400
"""What a waiting fact weighs besides the text of its lines, roughly."""


class Listener(Protocol):
    """Someone who wants to hear facts.

    One that has ``kinds``, a set of classes of facts, hears those alone. One that has ``pace_s`` is given the next
    batch no sooner than that after the last one: it may set it with each, by what the batch has cost.
    """

    async def consume(self, facts: Sequence[Fact]) -> None:
        """Take a batch of facts, in the order in which they were emitted.

        The next batch comes when this returns. An exception loses the batch for this listener alone and is
        logged.
        """
        ...


class FactStream:
    """Fans facts out to listeners.

    Use as ``async with FactStream(...) as stream``; facts emitted before wait for the start, and leaving
    hands out what is left. Only output is ever dropped, the oldest first: the other facts are few, small and
    counted in bills, so a listener that hangs may make the process grow by them.
    """

    def __init__(
        self,
        *listeners: Listener,
        linger_s: float = _LINGER_S,
        lane_max_facts: int = LANE_MAX_FACTS,
        lane_max_bytes: int = LANE_MAX_BYTES,
        batch_max_facts: int = BATCH_MAX_FACTS,
        stop_max_s: float = _STOP_MAX_S,
    ) -> None:
        """Make a stream.

        Args:
            listeners: who hears every fact.
            linger_s: how long the first fact of a batch waits for others.
            lane_max_facts: facts that may wait for one listener before output is dropped.
            lane_max_bytes: the same, by size.
            batch_max_facts: how many facts `consume` is given at once.
            stop_max_s: how long leaving waits for slow listeners.
        """
        self._lanes = [
            _Lane(listener, lane_max_facts, lane_max_bytes, batch_max_facts) for listener in listeners
        ]
        self._linger_s = linger_s
        self._stop_max_s = stop_max_s
        self._emitted: list[Fact] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_due = False
        self._tasks: list[asyncio.Task[None]] = []

    def emit(self, fact: Fact) -> None:
        """Say that something happened. Never waits, never raises; call it on the stream's event loop."""
        self._emitted.append(fact)
        if not self._is_due and self._loop is not None:
            self._is_due = True
            self._loop.call_later(self._linger_s, self._distribute)

    async def flush(self) -> None:
        """Return when every fact emitted so far has been consumed."""
        self._distribute()
        await asyncio.gather(*(lane.drain() for lane in self._lanes))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(lane.run(), name=f"facts-{lane.name}") for lane in self._lanes]
        self._distribute()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            async with asyncio.timeout(self._stop_max_s):
                await self.flush()
        except TimeoutError:
            _log.warning("Some listeners did not take the last facts within %g s.", self._stop_max_s)
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def _distribute(self) -> None:
        self._is_due = False
        if not self._emitted:
            return
        facts, self._emitted = self._emitted, []
        for lane in self._lanes:
            lane.add(facts)


class _Lane:
    """The facts that wait for one listener; sole owner of that list."""

    def __init__(self, listener: Listener, max_facts: int, max_bytes: int, batch_max_facts: int) -> None:
        self.name = type(listener).__name__
        self._listener = listener
        self._kinds: Collection[type[Fact]] | None = getattr(listener, "kinds", None)
        self._max_facts = max_facts
        self._max_bytes = max_bytes
        self._batch_max_facts = batch_max_facts
        self._waiting: deque[Fact] = deque()
        self._weight_bytes = 0
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._hurry = asyncio.Event()
        """Set while nothing is to be waited for that could be handed out."""

    def add(self, facts: Sequence[Fact]) -> None:
        kinds = self._kinds
        if kinds is not None:
            facts = [fact for fact in facts if type(fact) in kinds]
            if not facts:
                return
        self._waiting.extend(facts)
        self._weight_bytes += _weight_bytes(facts)
        if len(self._waiting) > self._max_facts or self._weight_bytes > self._max_bytes:
            self._drop_output()
        if len(self._waiting) >= self._batch_max_facts:
            self._hurry.set()
        self._filled.set()
        self._empty.clear()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        next_s = 0.0
        while True:
            await self._filled.wait()
            pause_s = next_s - loop.time()
            if pause_s > 0 and not self._hurry.is_set():
                await self._pause(pause_s)
            batch = self._take()
            try:
                await self._listener.consume(batch)
            except Exception:
                _log.exception("%s failed to take %d facts.", self.name, len(batch))
            next_s = loop.time() + getattr(self._listener, "pace_s", 0.0)
            if not self._waiting:
                self._filled.clear()
                self._empty.set()
                self._hurry.clear()

    async def drain(self) -> None:
        """Hand out what is there at once, and return when that is done."""
        if not self._empty.is_set():
            self._hurry.set()
            await self._empty.wait()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _take(self) -> Sequence[Fact]:
        count = min(len(self._waiting), self._batch_max_facts)
        batch = [self._waiting.popleft() for _ in range(count)]
        self._weight_bytes -= _weight_bytes(batch)
        return batch

    def _drop_output(self) -> None:
        """Give up the oldest output until the lane is half empty, and leave a count of it in its place."""
        aim_facts, aim_bytes = self._max_facts // 2, self._max_bytes // 2
        kept: list[Fact] = []
        dropped: dict[Origin, list[LogsDropped | Output]] = {}
        count, weight_bytes = len(self._waiting), self._weight_bytes
        for fact in self._waiting:
            is_over = count > aim_facts or weight_bytes > aim_bytes
            if is_over and isinstance(fact, Output | LogsDropped):
                dropped.setdefault(fact.origin, []).append(fact)
                count -= 1
                weight_bytes -= _weight_bytes([fact])
            else:
                kept.append(fact)
        notices: list[Fact] = [_notice(facts) for facts in dropped.values()]
        self._waiting = deque(notices + kept)
        self._weight_bytes = _weight_bytes(self._waiting)


def _weight_bytes(facts: Collection[Fact]) -> int:
    lines = [line for fact in facts if type(fact) is Output for line in fact.lines]
    return _FACT_BYTES * (len(facts) + len(lines)) + sum([len(line.text) for line in lines])


def _notice(given_up: Sequence[LogsDropped | Output]) -> LogsDropped:
    """Sum up dropped output, earlier sums included, so that sums of one origin do not pile up in a lane."""
    records = dropped_bytes = 0
    for fact in given_up:
        if isinstance(fact, LogsDropped):
            records += fact.dropped_records
            dropped_bytes += fact.dropped_bytes
        else:
            records += len(fact.lines)
            dropped_bytes += sum(len(line.text.encode(errors="replace")) for line in fact.lines)
    last = given_up[-1]
    return LogsDropped(
        at_s=last.at_s,
        origin=last.origin,
        reason="Log lines were written faster than they could be stored.",
        dropped_records=records,
        dropped_bytes=dropped_bytes,
    )
