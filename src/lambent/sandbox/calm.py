"""The moment to prepare what later starts will take: when nothing is being started."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Generator
from contextlib import contextmanager

_CALM_S = 0.05
"""So long after the last start: what was started has the processor first, for its own first steps."""
_PATIENCE_S = 1.0
"""Where starts never cease, something is to be prepared all the same."""


class Calm:
    """Knows of the starts of one sandbox room."""

    def __init__(self) -> None:
        self._starting = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._ended_s = -_CALM_S

    @contextmanager
    def starting(self) -> Generator[None]:
        """Something is being started for as long as this lasts."""
        self._starting += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self._starting -= 1
            self._ended_s = time.monotonic()
            if not self._starting:
                self._is_idle.set()

    async def come(self) -> None:
        """Return when nothing has been started for a moment, or when that has not happened for a second."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                while self._starting or self._rest_s() > 0:
                    await self._is_idle.wait()
                    await asyncio.sleep(self._rest_s())

    def _rest_s(self) -> float:
        return self._ended_s + _CALM_S - time.monotonic()
