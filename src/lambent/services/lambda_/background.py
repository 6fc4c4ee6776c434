"""What goes on after the caller has had its answer: its tasks, and attempts that are made until they succeed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

AGAIN_S = 1.0
"""From an attempt that a full disk, say, made fail to the next; of the machine's time, whatever the platform's is."""

_Result = TypeVar("_Result")


class Background:
    """Owns the tasks of what was acknowledged and is still under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Return when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def insisted(attempt: Callable[[], Awaitable[_Result]], log: logging.Logger, what: str) -> _Result:
    """Return what comes of an attempt, made again as long as it fails.

    What was acknowledged must not stay under way for ever because the disk was full for a while.

    Args:
        attempt: may be made as often as you like.
        log: is told of the first failure.
        what: is attempted, for the log: ``The activation of arn:…``.
    """
    is_told = False
    while True:
        try:
            return await attempt()
        except Exception:
            if not is_told:
                log.exception("%s has to wait", what)
                is_told = True
        await asyncio.sleep(AGAIN_S)
