"""Whether a machine runs more invocations at once than it has processors.

While it does, environments wait for their turn when they wake, instead of taking a processor from whoever has it: that
is mostly the server, for which all of them wait, and each interruption costs it more than its time, for its caches are
cold afterwards. A tenth to a sixth more invocations are answered so. While there are processors for all, an answer
comes sooner the other way, above all where other programs keep them busy.
"""

from __future__ import annotations

from collections.abc import Callable

_LINGER_S = 1.0
"""How long it counts as crowded after it was: changing over costs an environment as much as a quick invocation."""


class Crowd:
    """Counts what runs on one machine."""

    def __init__(self, *, processors: int, monotonic_s: Callable[[], float]) -> None:
        """Count from nothing.

        Args:
            processors: how many invocations are no crowd.
            monotonic_s: the time.
        """
        self._processors = processors
        self._monotonic_s = monotonic_s
        self._running = 0
        self._until_s = 0.0

    def enter(self) -> bool:
        """Count one more, until `leave`; return whether it is crowded, or was a moment ago."""
        self._running += 1
        if self._running > self._processors:
            self._until_s = self._monotonic_s() + _LINGER_S
            return True
        if not self._until_s:
            return False
        if self._monotonic_s() < self._until_s:
            return True
        self._until_s = 0.0
        return False

    def leave(self) -> None:
        """Count one less."""
        self._running -= 1
