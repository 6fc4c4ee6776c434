"""The queue engine: `Messages` with a clock, and with receivers that wait without polling.

One engine carries asynchronous invocations, SQS's queues and the pollers of event sources. A receiver that
found nothing waits for its queue's bell. It is rung when something is sent or becomes visible, and by an alarm
at the time at which a delayed message, or one in flight, may be seen again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from lambent.clock import Clock, SystemClock
from lambent.store.messages import (
    Counts,
    Message,
    Messages,
    NewMessage,
    Postponement,
    Receipt,
    Sent,
    Take,
    Taken,
    Validity,
)


class Queues:
    """Queues by name. Owns who waits for what."""

    def __init__(self, messages: Messages, clock: Clock, *, waiting: Clock | None = None) -> None:
        """Make the engine.

        Args:
            messages: where messages are kept.
            clock: the time by which messages are delayed, invisible and old.
            waiting: the time by which receivers wait; a virtual clock that stands still or leaps must not
                hold a caller's connection. None: the machine's.
        """
        self._messages = messages
        self._clock = clock
        self._waiting = waiting or SystemClock()
        self._bells: dict[str, _Bell] = {}
        self._is_closed = False

    def close(self) -> None:
        """Send everybody who waits home: from here on nobody waits."""
        self._is_closed = True
        for bell in list(self._bells.values()):
            bell.ring_all()

    @property
    def now_ms(self) -> int:
        """The time in milliseconds since the epoch."""
        return int(self._clock.now_s() * 1000)

    async def send(self, queue: str, messages: Sequence[NewMessage]) -> list[Sent]:
        """Keep messages durably and wake receivers; returns what became of each, in order."""
        now_ms = self.now_ms
        sent = await self._messages.send(queue, messages, now_ms=now_ms)
        soonest_ms = min((message.delay_ms for message in messages), default=0)
        self._expect(queue, now_ms + soonest_ms, count=len(messages))
        return sent

    async def receive(
        self,
        queue: str,
        take: Take,
        *,
        wait_s: float = 0.0,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> Sequence[Message]:
        """Return messages and put them in flight, at least one as soon as there is one, or none in the end.

        Args:
            queue: from where.
            take: how many, and how.
            wait_s: how long to wait for the first.
            gone: returns what is done once nobody waits for them any more: then none are received.
        """
        taken = await self._receive(queue, take)
        if taken.messages or wait_s <= 0:
            return taken.messages
        deadline_s = self._waiting.monotonic_s() + wait_s
        leaving = None if gone is None else asyncio.ensure_future(gone())
        was_rung = False
        while (
            not taken.messages
            and not self._is_closed
            and not (leaving is not None and leaving.done())
            and (left_s := deadline_s - self._waiting.monotonic_s()) > 0
        ):
            bell = self._bell(queue)
            with bell.place() as place:
                # Between the last look and this place something may have come.
                taken = await self._receive(queue, take)
                if not taken.messages:
                    if taken.next_ms is not None:
                        self._expect(queue, taken.next_ms)
                    await self._wait(place, left_s, leaving)
                    was_rung = place.done()
            if bell.is_over:
                break
        if was_rung and not taken.messages:
            # The bell rang for somebody who goes home: the next one is to look.
            self._ring(queue, 1)
        return taken.messages

    async def wait(self, queue: str, take: Take) -> None:
        """Return when something may have become receivable after the look that just found nothing.

        For receivers that must not have messages in flight before they have room for them: they receive,
        and wait here when that came to nothing. May return for nothing.
        """
        with self._bell(queue).place() as place:
            probe = Take(limit=0, visibility_ms=0, is_fifo=take.is_fifo)
            taken = await self._messages.receive(queue, probe, now_ms=self.now_ms)
            if taken.next_ms is not None:
                self._expect(queue, taken.next_ms)
            await place

    async def delete(self, queue: str, receipts: Sequence[Receipt]) -> list[bool]:
        """Forget messages; False where the receipt is not the message's last one."""
        deleted = await self._messages.delete(queue, receipts)
        # Of an ordered group the next message may be received now.
        self._ring(queue, len(receipts))
        return deleted

    async def validities(self, queue: str, receipts: Sequence[Receipt]) -> list[Validity]:
        """Return what receipts are worth now, in order."""
        return await self._messages.validities(queue, receipts, now_ms=self.now_ms)

    async def postpone(self, queue: str, postponements: Sequence[Postponement]) -> list[bool]:
        """Change when messages in flight are visible; False where one is not in flight any more."""
        done = await self._messages.postpone(queue, postponements, now_ms=self.now_ms)
        for one in postponements:
            self._expect(queue, one.visible_ms)
        return done

    async def counts(self, queue: str) -> Counts:
        """Return how many messages there are."""
        return await self._messages.counts(queue, now_ms=self.now_ms)

    async def clear(self, queue: str) -> None:
        """Forget every message of a queue."""
        await self._messages.clear(queue)

    def dismiss(self, queue: str) -> None:
        """Send home who waits at a queue: there is none of that name any more."""
        if (bell := self._bells.pop(queue, None)) is not None:
            bell.is_over = True
            bell.ring_all()

    async def sources(self, queue: str) -> set[str]:
        """Return the queues of which messages of a queue are dead letters."""
        return await self._messages.sources(queue)

    async def move(self, queue: str, destination: str | None, *, limit: int) -> int:
        """Move visible messages, to where they came from when no destination is given; returns how many."""
        moved = await self._messages.move(queue, destination, limit=limit, now_ms=self.now_ms)
        for target, count in moved.items():
            self._ring(target, count)
        return sum(moved.values())

    async def resume(self, prefix: str) -> list[str]:
        """Take over what an earlier server received from queues that nobody else receives from."""
        return await self._messages.resume(prefix, now_ms=self.now_ms)

    async def _receive(self, queue: str, take: Take) -> Taken:
        now_ms = self.now_ms
        taken = await self._messages.receive(queue, take, now_ms=now_ms)
        if taken.messages:
            self._expect(queue, now_ms + take.visibility_ms, count=len(taken.messages))
        if taken.dead and take.dead_letters is not None:
            self._ring(take.dead_letters.queue, taken.dead)
        return taken

    async def _wait(
        self, place: asyncio.Future[None], seconds: float, leaving: asyncio.Future[None] | None
    ) -> None:
        end = asyncio.ensure_future(self._waiting.sleep(seconds))
        awaited: set[asyncio.Future[None]] = {place, end}
        if leaving is not None:
            awaited.add(leaving)
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            end.cancel()

    def _bell(self, queue: str) -> _Bell:
        bell = self._bells.get(queue)
        if bell is None:
            bell = self._bells[queue] = _Bell(self._clock, lambda bell: self._forget(queue, bell))
        return bell

    def _forget(self, queue: str, bell: _Bell) -> None:
        """A bell that nobody waits for is not kept."""
        if self._bells.get(queue) is bell:
            del self._bells[queue]

    def _ring(self, queue: str, count: int) -> None:
        if (bell := self._bells.get(queue)) is not None:
            bell.ring(count)

    def _expect(self, queue: str, visible_ms: int, *, count: int = 1) -> None:
        """Ring when this time has come, if anybody waits."""
        if (bell := self._bells.get(queue)) is not None:
            if visible_ms <= self.now_ms:
                bell.ring(count)
            else:
                bell.ring_at(visible_ms)


class _Bell:
    """Those who wait at one queue, first come first served, and the alarm that is set for them."""

    def __init__(self, clock: Clock, on_empty: Callable[[_Bell], None]) -> None:
        self._clock = clock
        self._on_empty = on_empty
        self._places: deque[asyncio.Future[None]] = deque()
        self._waiting = 0
        self.is_over = False
        """Whether there is nothing to wait for any more."""
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_ms = 0

    def place(self) -> _Place:
        return _Place(self)

    def enter(self) -> asyncio.Future[None]:
        place = asyncio.get_running_loop().create_future()
        self._places.append(place)
        self._waiting += 1
        return place

    def leave(self, place: asyncio.Future[None]) -> None:
        self._waiting -= 1
        if place in self._places:
            self._places.remove(place)
        if not self._waiting:
            self._on_empty(self)
            if self._alarm is not None:
                self._alarm.cancel()

    def ring(self, count: int) -> None:
        while self._places and count > 0:
            place = self._places.popleft()
            if not place.done():
                place.set_result(None)
                count -= 1

    def ring_all(self) -> None:
        self.ring(len(self._places))

    def ring_at(self, visible_ms: int) -> None:
        if self._alarm is not None and not self._alarm.done():
            if self._alarm_ms <= visible_ms:
                return
            self._alarm.cancel()
        self._alarm_ms = visible_ms
        self._alarm = asyncio.create_task(self._sound(visible_ms))

    async def _sound(self, visible_ms: int) -> None:
        # A millisecond later than that, because times are kept in whole ones.
        await self._clock.sleep(max(0.0, visible_ms / 1000 - self._clock.now_s()) + 0.001)
        self._alarm = None
        self.ring_all()


class _Place:
    """A place at a bell while the context lasts."""

    def __init__(self, bell: _Bell) -> None:
        self._bell = bell

    def __enter__(self) -> asyncio.Future[None]:
        self._place = self._bell.enter()
        return self._place

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        was_rung = self._place.done() and not self._place.cancelled()
        self._bell.leave(self._place)
        if kind is not None and was_rung:
            # It goes away instead of receiving: the next one is to look.
            self._bell.ring(1)
