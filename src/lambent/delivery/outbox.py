"""Parcels until they are delivered: kept durably, tried a few times, then reported in the log and given up.

A parcel that cannot be delivered waits in its queue between tries, so it holds up no other. What goes to another
server, which may be long in answering, has a queue of its own.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence

import msgspec

from lambent.arn import parse_arn
from lambent.delivery import Delivery, Undeliverable
from lambent.domain.function_facts import DeliveryFailed, EmitFunctionFact, unheard
from lambent.domain.parcel import Parcel
from lambent.store.messages import Message, NewMessage, Postponement, Take
from lambent.store.queues import Queues

_log = logging.getLogger(__name__)

_QUEUE = "parcels"
_SLOW = {"s3": "parcels/s3"}
"""By the service in the ARN: the queues of parcels for other servers."""
_TRIES_MAX = 5
_DELIVERIES_AT_ONCE_MAX = 8
_TRY_TIMEOUT_S = 30.0
_IN_FLIGHT = Take(limit=1, visibility_ms=24 * 3600 * 1000)
"""Nobody else takes from this queue: what is in flight comes back when a new server starts."""
_TROUBLE_S = 1.0


class Outbox:
    """Owns the parcels on their way. Use `start` and `close`."""

    def __init__(self, *, queues: Queues, delivery: Delivery, emit: EmitFunctionFact = unheard) -> None:
        """Make it; nothing is delivered before `start`.

        Args:
            queues: the queue engine.
            delivery: the table of targets.
            emit: is told of what is given up.
        """
        self._emit = emit
        self._queues = queues
        self._delivery = delivery
        self._tasks: list[asyncio.Task[None]] = []

    async def send(self, parcels: Sequence[Parcel]) -> None:
        """Keep parcels durably; they are delivered from then on."""
        by_queue: dict[str, list[NewMessage]] = {}
        for parcel in parcels:
            message = NewMessage(message_id=str(uuid.uuid4()), body=msgspec.json.encode(parcel))
            by_queue.setdefault(_queue_of(parcel), []).append(message)
        await asyncio.gather(*(self._queues.send(queue, kept) for queue, kept in by_queue.items()))

    async def start(self) -> None:
        """Begin to deliver, first what an earlier server left."""
        await self._queues.resume(_QUEUE)
        self._tasks = [
            asyncio.create_task(self._deliver_all(queue))
            for queue in (_QUEUE, *_SLOW.values())
            for _ in range(_DELIVERIES_AT_ONCE_MAX)
        ]

    async def close(self) -> None:
        """Stop delivering; what is kept is delivered by the next server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver_all(self, queue: str) -> None:
        while True:
            try:
                messages = await self._queues.receive(queue, _IN_FLIGHT)
                if not messages:
                    await self._queues.wait(queue, _IN_FLIGHT)
                for message in messages:
                    await self._try(queue, message)
            except Exception:
                _log.exception("Parcels cannot be delivered just now.")
                await asyncio.sleep(_TROUBLE_S)

    async def _try(self, queue: str, message: Message) -> None:
        parcel = msgspec.json.decode(message.body, type=Parcel)
        try:
            async with asyncio.timeout(_TRY_TIMEOUT_S):
                await self._delivery.deliver(parcel)
        except Exception as error:
            is_final = isinstance(error, Undeliverable) and error.is_final
            if not is_final and message.receive_count < _TRIES_MAX:
                await self._later(queue, message)
                return
            why = error if isinstance(error, Undeliverable | TimeoutError) else repr(error)
            _log.error(
                "Given up delivering %s to %s: %s.", parcel.about, parcel.arn, why or "it took too long"
            )
            if parcel.function is not None:
                self._emit(DeliveryFailed(function=parcel.function, is_dead_letter=parcel.is_dead_letter))
        await self._queues.delete(queue, [message.receipt])

    async def _later(self, queue: str, message: Message) -> None:
        delay_ms = 1000 * 2 ** (message.receive_count - 1)
        visible_ms = self._queues.now_ms + delay_ms
        await self._queues.postpone(
            queue, [Postponement(receipt=message.receipt, visible_ms=visible_ms, is_released=True)]
        )


def _queue_of(parcel: Parcel) -> str:
    arn = parse_arn(parcel.arn)
    return _SLOW.get(arn.service, _QUEUE) if arn is not None else _QUEUE
