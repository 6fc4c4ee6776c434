"""SQS queues as targets: a parcel becomes a message."""

from __future__ import annotations

from lambent.delivery import Undeliverable
from lambent.domain.parcel import Parcel
from lambent.domain.queue_message import Envelope, MessageAttribute
from lambent.store.message_queues import MessageQueues, new_message
from lambent.store.queues import Queues


class QueueTarget:
    """See `lambent.delivery.Target`."""

    def __init__(self, *, message_queues: MessageQueues, queues: Queues) -> None:
        self._message_queues = message_queues
        self._queues = queues

    async def deliver(self, parcel: Parcel) -> None:
        queue = await self._message_queues.find(parcel.arn)
        if queue is None:
            raise Undeliverable("there is no such queue")
        if queue.is_fifo:
            raise Undeliverable("a FIFO queue takes no records of asynchronous invocations", is_final=True)
        attributes = {name: MessageAttribute(data_type=t, text=text) for name, t, text in parcel.attributes}
        size = len(parcel.body) + sum(len(n) + a.size_bytes for n, a in attributes.items())
        if size > int(queue.attributes["MaximumMessageSize"]):
            raise Undeliverable(f"{size} bytes are too large for the queue", is_final=True)
        envelope = Envelope(sender_id=queue.account, trace_header=parcel.trace_header, attributes=attributes)
        await self._queues.send(queue.messages, [new_message(queue, parcel.body, envelope, delay_ms=None)])
