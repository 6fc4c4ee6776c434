"""SQS queues as sources: messages become records, in AWS's event shape."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any, cast

from lambent.domain.message_queue import MessageQueue
from lambent.domain.queue_message import Envelope, MessageAttribute, md5_of_attributes, md5_of_body
from lambent.sources import Record, SourceMissing
from lambent.store.message_queues import MessageQueues, receipt_handle, system_attributes, take_of
from lambent.store.messages import Message, Postponement
from lambent.store.queues import Queues

_AT_ONCE_MAX = 10
NO_QUEUE = (
    "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error "
    "Message: The specified queue does not exist."
)


class SqsSource:
    """See `lambent.sources.Source`."""

    def __init__(self, arn: str, *, message_queues: MessageQueues, queues: Queues) -> None:
        self._arn = arn
        self._message_queues = message_queues
        self._queues = queues

    async def take(self, *, limit: int, wait_s: float) -> Sequence[Record]:
        queue = await self._queue()
        take = take_of(queue, limit=min(limit, _AT_ONCE_MAX))
        messages = await self._queues.receive(queue.messages, take, wait_s=wait_s)
        return [record_of(message, queue) for message in messages]

    async def done(self, records: Sequence[Record]) -> None:
        queue = await self._queue()
        await self._queues.delete(queue.messages, [record.token for record in records])

    async def give_back(self, records: Sequence[Record]) -> None:
        queue = await self._queue()
        now_ms = self._queues.now_ms
        await self._queues.postpone(
            queue.messages, [Postponement(receipt=record.token, visible_ms=now_ms) for record in records]
        )

    async def _queue(self) -> MessageQueue:
        queue = await self._message_queues.find(self._arn)
        if queue is None:
            raise SourceMissing(NO_QUEUE)
        return queue


def record_of(message: Message, queue: MessageQueue) -> Record:
    """Return a message as a record."""
    envelope = Envelope.decode(message.attributes)
    body = message.body.decode()
    event: dict[str, Any] = {
        "messageId": message.message_id,
        "receiptHandle": receipt_handle(message),
        "body": body,
        "attributes": system_attributes(message, envelope, is_fifo=queue.is_fifo),
        "messageAttributes": {name: _attribute(value) for name, value in envelope.attributes.items()},
        "md5OfBody": md5_of_body(message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue.arn,
        "awsRegion": queue.region,
    }
    if envelope.attributes:
        event["md5OfMessageAttributes"] = md5_of_attributes(envelope.attributes)
    return Record(
        id=message.message_id,
        event=event,
        content={**event, "body": _content(body)},
        size_bytes=len(json.dumps(event)),
        token=message.receipt,
        trace_header=envelope.trace_header,
    )


def _attribute(value: MessageAttribute) -> dict[str, Any]:
    shown: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value.data_type}
    if value.binary is not None:
        return {"binaryValue": base64.b64encode(value.binary).decode(), **shown}
    return {"stringValue": value.text, **shown}


def _content(body: str) -> Any:
    """A body that is a JSON object is filtered by its members, any other as a text."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return body
    return cast("dict[str, Any]", content) if isinstance(content, dict) else body
