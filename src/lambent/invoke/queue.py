"""Asynchronous invocations: events are kept durably, run later, retried, and their outcomes told.

Each function has a queue of its own, so that the backlog of one does not hold up the others, and a taker while
there is something in it. A taker takes a message only when one of a bounded number of slots is free: what
cannot run now waits on disk. An event leaves its queue when it has ended for good and what is to be told of it
is kept durably elsewhere; a server that is killed before that runs it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from lambent.clock import Clock
from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.function_facts import (
    EmitFunctionFact,
    EventBegun,
    EventDropped,
    EventReceived,
    LoopEnded,
    unheard,
)
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.parcel import Parcel
from lambent.domain.queued_event import QueuedEvent
from lambent.errors import ServiceError, TooManyRequestsException
from lambent.invoke.destinations import parcels
from lambent.invoke.retry import (
    EVENT_AGE_EXCEEDED,
    RECURSIVE_INVOCATION,
    ZERO_RESERVED_CONCURRENCY,
    Again,
    Ended,
    after_refusal,
    after_run,
    is_too_old,
)
from lambent.store.messages import Message, NewMessage, Postponement, Take
from lambent.store.queues import Queues

_log = logging.getLogger(__name__)

_PREFIX = "events/"
_AT_ONCE_MAX = 10
_IN_FLIGHT_MS = 7 * 24 * 3600 * 1000
"""Nobody else takes from these queues: what is in flight comes back when a new server starts, not before."""
_IDLE_S = 30.0
"""How long a taker waits for another event before it goes home."""
_TROUBLE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An event made ready to run, as its function is configured now."""

    invocation: Invocation
    config: EventInvokeConfig | None
    dead_letter_arn: str | None
    reserved_concurrency: int | None
    provisioned_concurrency: int
    unreserved_concurrency: int | None
    is_recursive: bool
    """Whether the chain of invocations is to be ended here."""


PrepareAttempt = Callable[[QueuedEvent, bytes], Awaitable[Attempt | None]]
"""Finds out what an event means now; None when its function is gone. ServiceError: it cannot run just now."""
Tell = Callable[[Sequence[Parcel]], Awaitable[None]]
"""Keeps durably what is to be delivered."""


class Invoke(Protocol):
    """`lambent.invoke.invoker.Invoker.invoke`."""

    async def __call__(
        self,
        invocation: Invocation,
        *,
        reserved_concurrency: int | None,
        provisioned_concurrency: int,
        unreserved_concurrency: int | None,
        is_rate_limited: bool = True,
    ) -> Outcome: ...


class EventQueue:
    """Owns the events that wait and the takers that run them."""

    def __init__(
        self,
        *,
        queues: Queues,
        invoke: Invoke,
        tell: Tell,
        clock: Clock,
        concurrency: int,
        retry_base_s: float,
        drain_timeout_s: float = 0.0,
        emit: EmitFunctionFact = unheard,
    ) -> None:
        """Make it; nothing runs before `start`.

        Args:
            queues: the queue engine.
            invoke: the path of every invocation.
            tell: takes what is to be delivered.
            clock: the time.
            concurrency: how many events run at one moment.
            retry_base_s: the delay before the first retry after a function error.
            drain_timeout_s: how long closing waits for events that run; the others run again after a restart.
            emit: is told what becomes of events.
        """
        self._queues = queues
        self._invoke = invoke
        self._tell = tell
        self._emit = emit
        self._clock = clock
        self._slots = asyncio.Semaphore(concurrency)
        self._retry_base_s = retry_base_s
        self._drain_timeout_s = drain_timeout_s
        self._prepare: PrepareAttempt | None = None
        self._is_closed = False
        self._takers: dict[str, _Taker] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def accept(self, event: QueuedEvent, payload: bytes) -> None:
        """Keep an event; when this returns it will run, whatever happens to the server."""
        queue = _queue_of(event)
        message = NewMessage(message_id=event.request_id, body=payload, attributes=msgspec.json.encode(event))
        await self._queues.send(queue, [message])
        self._emit(EventReceived(function=event.key))
        self._take_from(queue)

    async def start(self, prepare: PrepareAttempt) -> None:
        """Begin to run events, those first that an earlier server left.

        Args:
            prepare: finds out what an event means at the time of an attempt.
        """
        self._prepare = prepare
        for queue in await self._queues.resume(_PREFIX):
            self._take_from(queue)

    async def close(self) -> None:
        """Take no more and let what runs end, but not for ever."""
        self._is_closed = True
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

    def _take_from(self, queue: str) -> None:
        if self._prepare is None or self._is_closed:
            return
        taker = self._takers.get(queue)
        if taker is None:
            task = asyncio.create_task(self._take(queue))
            taker = self._takers[queue] = _Taker(task)
        taker.is_wanted = True

    async def _take(self, queue: str) -> None:
        """Run what is in a queue until nothing has come for a while."""
        taker = self._takers[queue]
        try:
            while True:
                taker.is_wanted = False
                try:
                    took = await self._take_some(queue, taker)
                except Exception:
                    # A full disk, for instance: what is queued stays queued.
                    _log.exception("Events of %s could not be taken.", queue)
                    await asyncio.sleep(_TROUBLE_S)
                    continue
                if not took and not await self._is_awaited(queue) and not taker.is_wanted:
                    return
        finally:
            del self._takers[queue]

    async def _is_awaited(self, queue: str) -> bool:
        """Wait until something may be taken; False when nothing is there and nothing came."""
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._queues.wait(queue, Take(limit=1, visibility_ms=0))
        except TimeoutError:
            return (await self._queues.counts(queue)).total > 0
        return True

    async def _take_some(self, queue: str, taker: _Taker) -> bool:
        slots = await self._claim(taker)
        messages: Sequence[Message] = ()
        try:
            messages = await self._queues.receive(queue, Take(limit=slots, visibility_ms=_IN_FLIGHT_MS))
        finally:
            for _ in range(slots - len(messages)):
                self._give_back(taker)
        for message in messages:
            task = asyncio.create_task(self._run_in_slot(queue, taker, message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return bool(messages)

    async def _claim(self, taker: _Taker) -> int:
        """Claim slots: one at least, and further ones that are free now, as far as the function may use them."""
        while taker.running >= taker.running_max:
            taker.has_room.clear()
            await taker.has_room.wait()
        await self._slots.acquire()
        taker.running += 1
        slots = 1
        while slots < _AT_ONCE_MAX and taker.running < taker.running_max and not self._slots.locked():
            await self._slots.acquire()
            taker.running += 1
            slots += 1
        return slots

    def _give_back(self, taker: _Taker) -> None:
        self._slots.release()
        taker.running -= 1
        taker.has_room.set()

    async def _run_in_slot(self, queue: str, taker: _Taker, message: Message) -> None:
        try:
            await self._run(queue, taker, message)
        except Exception:
            _log.exception("The event %s of %s is tried again later.", message.message_id, queue)
            await self._put_back(queue, message, delay_s=_TROUBLE_S)
        finally:
            self._give_back(taker)

    async def _run(self, queue: str, taker: _Taker, message: Message) -> None:
        event = msgspec.json.decode(message.attributes, type=QueuedEvent)
        attempt: Attempt | None = None
        outcome: Outcome | None = None
        assert self._prepare is not None
        try:
            attempt = await self._prepare(event, message.body)
            if attempt is None:
                _log.warning("The event %s is dropped: %s is gone.", event.request_id, event.invoked_arn)
                self._emit(EventDropped(function=event.key))
                await self._queues.delete(queue, [message.receipt])
                return
            taker.limit(attempt.reserved_concurrency)
            what_next, outcome = await self._attempt(event, attempt)
        except ServiceError as error:
            if not isinstance(error, TooManyRequestsException):
                _log.warning("The event %s could not be run: %s", event.request_id, error.message)
            config = attempt.config if attempt else None
            what_next = after_refusal(event, config=config, now_s=self._clock.now_s())
        if isinstance(what_next, Again):
            await self._put_back(queue, message, delay_s=what_next.delay_s, event=what_next.event)
            return
        await self._end(what_next, message.body, attempt, outcome)
        await self._queues.delete(queue, [message.receipt])

    async def _end(
        self, ended: Ended, payload: bytes, attempt: Attempt | None, outcome: Outcome | None
    ) -> None:
        """Tell of an event that has ended to whom it may concern."""
        if not ended.is_success:
            self._emit(EventDropped(function=ended.event.key))
        if attempt is None:
            _log.warning("The event %s is dropped: %s.", ended.event.request_id, ended.condition)
            return
        told = parcels(
            ended,
            payload,
            outcome=outcome,
            executed_version=attempt.invocation.version.version,
            config=attempt.config,
            dead_letter_arn=attempt.dead_letter_arn,
            now_s=self._clock.now_s(),
        )
        if told:
            await self._tell(told)

    async def _attempt(self, event: QueuedEvent, attempt: Attempt) -> tuple[Again | Ended, Outcome | None]:
        if attempt.is_recursive:
            self._emit(LoopEnded(function=event.key))
            return Ended(event=event, condition=RECURSIVE_INVOCATION), None
        if attempt.reserved_concurrency == 0:
            return Ended(event=event, condition=ZERO_RESERVED_CONCURRENCY), None
        if is_too_old(event, attempt.config, self._clock.now_s()):
            return Ended(event=event, condition=EVENT_AGE_EXCEEDED), None
        age_ms = max(0.0, self._clock.now_s() - event.accepted_s) * 1000
        self._emit(EventBegun(function=event.key, age_ms=age_ms))
        outcome = await self._invoke(
            attempt.invocation,
            reserved_concurrency=attempt.reserved_concurrency,
            provisioned_concurrency=attempt.provisioned_concurrency,
            unreserved_concurrency=attempt.unreserved_concurrency,
            is_rate_limited=False,
        )
        what_next = after_run(
            event,
            is_error=outcome.function_error is not None,
            config=attempt.config,
            base_s=self._retry_base_s,
            now_s=self._clock.now_s(),
        )
        return what_next, outcome

    async def _put_back(
        self, queue: str, message: Message, *, delay_s: float, event: QueuedEvent | None = None
    ) -> None:
        postponement = Postponement(
            receipt=message.receipt,
            visible_ms=self._queues.now_ms + int(delay_s * 1000),
            attributes=None if event is None else msgspec.json.encode(event),
            is_released=True,
        )
        while True:
            try:
                await self._queues.postpone(queue, [postponement])
            except Exception:
                _log.exception("An event of %s cannot be put back.", queue)
                await asyncio.sleep(_TROUBLE_S)
            else:
                break
        self._take_from(queue)


class _Taker:
    """Who takes from one queue: how many of its events run, and how many may."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.is_wanted = False
        self.running = 0
        self.running_max = 1_000_000
        self.has_room = asyncio.Event()

    def limit(self, reserved_concurrency: int | None) -> None:
        """More than the function's own concurrency would only be throttled; one finds out when that changes."""
        self.running_max = 1_000_000 if reserved_concurrency is None else max(1, reserved_concurrency)
        self.has_room.set()


def _queue_of(event: QueuedEvent) -> str:
    return _PREFIX + event.key.path
