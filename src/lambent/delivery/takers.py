"""Takers: whoever takes messages from many queues, one for each queue in which there is something.

A taker handles so many messages of its queue at a time, whatever happens to those of other queues, and goes home
when nothing has come for a while.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from lambent.store.messages import Message, Postponement, Take
from lambent.store.queues import Queues

_log = logging.getLogger(__name__)

_IN_FLIGHT_MS = 7 * 24 * 3600 * 1000
"""Nobody else takes from these queues: what is in flight comes back when a new server starts, not before."""
_IDLE_S = 30.0
_TROUBLE_S = 1.0

Handle = Callable[[str, Message], Awaitable[None]]
"""Handles a message of a queue, and deletes or postpones it in the end."""


class Takers:
    """Owns the takers of all queues with a prefix. Use `start` and `close`."""

    def __init__(
        self,
        *,
        queues: Queues,
        prefix: str,
        handle: Handle,
        at_once_max: int,
        is_fifo: Callable[[str], bool] = lambda queue: False,
        drain_timeout_s: float = 0.0,
    ) -> None:
        """Make it; nothing is taken before `start`.

        Args:
            queues: the queue engine.
            prefix: of the names of the queues.
            handle: see there.
            at_once_max: how many messages of one queue are handled at a time.
            is_fifo: whether a queue of this name is an ordered one.
            drain_timeout_s: how long closing waits for what is being handled.
        """
        self._queues = queues
        self._prefix = prefix
        self._handle = handle
        self._at_once_max = at_once_max
        self._is_fifo = is_fifo
        self._drain_timeout_s = drain_timeout_s
        self._is_open = False
        self._takers: dict[str, _Taker] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to take, first what an earlier server left."""
        self._is_open = True
        for queue in await self._queues.resume(self._prefix):
            self.wake(queue)

    async def close(self) -> None:
        """Take no more and let what is being handled end, but not for ever."""
        self._is_open = False
        takers = [taker.task for taker in self._takers.values()]
        for task in takers:
            task.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=self._drain_timeout_s)
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def wake(self, queue: str) -> None:
        """See to it that somebody takes from a queue into which something was put."""
        if not self._is_open:
            return
        taker = self._takers.get(queue)
        if taker is None:
            taker = self._takers[queue] = _Taker(asyncio.create_task(self._take(queue)), self._at_once_max)
        taker.is_wanted = True

    async def _take(self, queue: str) -> None:
        taker = self._takers[queue]
        try:
            while True:
                taker.is_wanted = False
                try:
                    took = await self._take_some(queue, taker)
                except Exception:
                    # A full disk, for instance: what is queued stays queued.
                    _log.exception("Messages of %s could not be taken.", queue)
                    await asyncio.sleep(_TROUBLE_S)
                    continue
                if not took and not await self._is_awaited(queue) and not taker.is_wanted:
                    return
        finally:
            del self._takers[queue]

    async def _take_some(self, queue: str, taker: _Taker) -> bool:
        is_fifo = self._is_fifo(queue)
        # Of an ordered group no two are handled side by side, and a receive may return several of one.
        room = await taker.claim(1 if is_fifo else self._at_once_max)
        messages: Sequence[Message] = ()
        try:
            messages = await self._queues.receive(
                queue, Take(limit=room, visibility_ms=_IN_FLIGHT_MS, is_fifo=is_fifo)
            )
        finally:
            for _ in range(room - len(messages)):
                taker.room.release()
        for message in messages:
            task = asyncio.create_task(self._handle_in_room(queue, taker, message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(messages)

    async def _is_awaited(self, queue: str) -> bool:
        """Wait until something may be taken; False when nothing is there and nothing came."""
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._queues.wait(queue, Take(limit=1, visibility_ms=0, is_fifo=self._is_fifo(queue)))
        except TimeoutError:
            return (await self._queues.counts(queue)).total > 0
        return True

    async def _handle_in_room(self, queue: str, taker: _Taker, message: Message) -> None:
        try:
            await self._handle(queue, message)
        except Exception:
            _log.exception("The message %s of %s is tried again later.", message.message_id, queue)
            await self.put_back(queue, message, delay_s=_TROUBLE_S)
        finally:
            taker.room.release()

    async def put_back(self, queue: str, message: Message, *, delay_s: float) -> None:
        """Let a message be taken again after a while; an ordered group waits for it."""
        visible_ms = self._queues.now_ms + int(delay_s * 1000)
        postponement = Postponement(receipt=message.receipt, visible_ms=visible_ms, is_released=True)
        while True:
            try:
                await self._queues.postpone(queue, [postponement])
            except Exception:
                _log.exception("A message of %s cannot be put back.", queue)
                await asyncio.sleep(_TROUBLE_S)
            else:
                break
        self.wake(queue)


class _Taker:
    def __init__(self, task: asyncio.Task[None], at_once_max: int) -> None:
        self.task = task
        self.is_wanted = False
        self.room = asyncio.Semaphore(at_once_max)

    async def claim(self, most: int) -> int:
        """Wait for room for one message, and claim it and what else is free now; returns for how many."""
        await self.room.acquire()
        claimed = 1
        while claimed < most and not self.room.locked():
            await self.room.acquire()
            claimed += 1
        return claimed
