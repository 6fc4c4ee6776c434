"""SQS queues as targets: a parcel becomes a message."""

from __future__ import annotations

from lambent.delivery import Undeliverable
from lambent.delivery.senders import check_sender
from lambent.domain.parcel import Parcel
from lambent.domain.queue_message import ATTRIBUTES_MAX, Envelope, message_attribute
from lambent.store.message_queues import MessageQueues, new_message
from lambent.store.queues import Queues


class QueueTarget:
    """See `lambent.delivery.Target`.

    Args:
        message_queues: where queues are kept.
        queues: the queue engine.
        is_strict: whether a queue's policy has to let services in; else it may only keep them out.
    """

    def __init__(self, *, message_queues: MessageQueues, queues: Queues, is_strict: bool = False) -> None:
        self._message_queues = message_queues
        self._queues = queues
        self._is_strict = is_strict

    async def deliver(self, parcel: Parcel) -> None:
        queue = await self._message_queues.find(parcel.arn)
        if queue is None:
            raise Undeliverable("there is no such queue", is_missing=True)
        check_sender(
            parcel,
            queue.attributes.get("Policy"),
            action="sqs:SendMessage",
            whose="the queue's",
            is_strict=self._is_strict,
        )
        if queue.is_fifo and parcel.group_id is None:
            raise Undeliverable("a FIFO queue takes no message without a group", is_final=True)
        attributes = {name: message_attribute(kind, value) for name, kind, value in parcel.attributes}
        if len(attributes) > ATTRIBUTES_MAX:
            raise Undeliverable(f"a message has at most {ATTRIBUTES_MAX} attributes", is_final=True)
        size = len(parcel.body) + sum(len(n) + a.size_bytes for n, a in attributes.items())
        if size > int(queue.attributes["MaximumMessageSize"]):
            raise Undeliverable(f"{size} bytes are too large for the queue", is_final=True)
        envelope = Envelope(
            sender_id=queue.account,
            trace_header=parcel.trace_header,
            group_id=parcel.group_id,
            deduplication_id=parcel.deduplication_id if queue.is_fifo else None,
            attributes=attributes,
        )
        await self._queues.send(queue.messages, [new_message(queue, parcel.body, envelope, delay_ms=None)])
