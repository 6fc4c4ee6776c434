"""What may not be done again for a while: AWS has a minute for purging, and for the names of deleted queues."""

from __future__ import annotations

from lambent.clock import Clock


class Cooldown:
    """Remembers what was done lately.

    Args:
        clock: the time.
        duration_s: for how long, in seconds; 0: nothing is remembered.
    """

    def __init__(self, clock: Clock, duration_s: float) -> None:
        self._clock = clock
        self._duration_s = duration_s
        self._ends_s: dict[str, float] = {}

    def begin(self, key: str) -> None:
        """Note that something was done now."""
        if self._duration_s <= 0:
            return
        now_s = self._clock.now_s()
        self._ends_s = {other: end_s for other, end_s in self._ends_s.items() if end_s > now_s}
        self._ends_s[key] = now_s + self._duration_s

    def lasts(self, key: str) -> bool:
        """Whether it may not be done again yet."""
        return self._ends_s.get(key, 0.0) > self._clock.now_s()
