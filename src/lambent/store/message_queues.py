"""SQS's queues as documents, and how their messages are sent, taken and shown by all who do."""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from typing import NamedTuple

import msgspec

from lambent.arn import parse_arn
from lambent.domain.message_queue import MessageQueue
from lambent.domain.queue_message import Envelope
from lambent.store import Delete, Documents, Put
from lambent.store.messages import DeadLetters, Message, NewMessage, Receipt, Take

KIND = "message-queue"
_REMEMBERED_MAX = 10_000
_SEQUENCE_BASE = 18_800_000_000_000_000_000
"""Sequence numbers have twenty digits."""
_HANDLE = b"LQ2"
_NUMBER_BYTES = 8


class MessageQueues:
    """Typed access to stored queues. Remembers them: every message asks for its queue."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._remembered: dict[str, tuple[int, MessageQueue]] = {}

    async def get(self, account: str, region: str, name: str) -> MessageQueue | None:
        """Return a queue, or None."""
        found = await self.get_with_revision(f"{account}/{region}/{name}")
        return found[1] if found else None

    async def find(self, arn: str) -> MessageQueue | None:
        """Return the queue of an ARN, or None."""
        parts = parse_arn(arn)
        if parts is None or parts.service != "sqs":
            return None
        return await self.get(parts.account, parts.region, parts.resource)

    async def visibility_s(self, arn: str) -> int | None:
        """Return for how many seconds the queue of an ARN hides what was received; None when there is none."""
        queue = await self.find(arn)
        return None if queue is None else int(queue.attributes["VisibilityTimeout"])

    async def get_with_revision(self, key: str) -> tuple[int, MessageQueue] | None:
        """Return a queue with the revision that `put` may expect, or None."""
        if (remembered := self._remembered.get(key)) is not None:
            return remembered
        document = await self._documents.get(KIND, key)
        if document is None:
            return None
        queue = msgspec.json.decode(document.body, type=MessageQueue)
        return self._remember(document.revision, queue)

    async def put(self, queue: MessageQueue, *, expect_revision: int) -> None:
        """Keep a queue durably.

        Raises:
            RevisionConflict: it is not at this revision (0: there is one already).
        """
        change = Put(
            kind=KIND, key=queue.key, body=msgspec.json.encode(queue), expect_revision=expect_revision
        )
        self._remembered.pop(queue.key, None)
        (revision,) = await self._documents.apply(change)
        self._remember(revision, queue)

    async def delete(self, queue: MessageQueue) -> None:
        """Forget a queue; its messages are the engine's."""
        self._remembered.pop(queue.key, None)
        await self._documents.apply(Delete(kind=KIND, key=queue.key))
        self._remembered.pop(queue.key, None)

    async def list(
        self, account: str, region: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[MessageQueue]:
        """Return queues of an account and region in the order of their names."""
        place = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=place + prefix, after=place + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=MessageQueue) for document in documents]

    def _remember(self, revision: int, queue: MessageQueue) -> tuple[int, MessageQueue]:
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[queue.key] = revision, queue
        return revision, queue


def new_message(queue: MessageQueue, body: bytes, envelope: Envelope, *, delay_ms: int | None) -> NewMessage:
    """Return a message on its way into a queue.

    Args:
        queue: where it goes.
        body: its body.
        envelope: what is kept beside that.
        delay_ms: how long it is not seen; None: as the queue has it.
    """
    scope = ""
    if queue.attributes.get("DeduplicationScope") == "messageGroup":
        scope = f"{envelope.group_id}\0"
    deduplication_id = envelope.deduplication_id
    return NewMessage(
        message_id=str(uuid.uuid4()),
        body=body,
        attributes=envelope.encode(),
        delay_ms=queue.milliseconds("DelaySeconds") if delay_ms is None else delay_ms,
        group=envelope.group_id if queue.is_fifo else None,
        deduplication_id=scope + deduplication_id if queue.is_fifo and deduplication_id else None,
    )


def take_of(queue: MessageQueue, *, limit: int, visibility_ms: int | None = None) -> Take:
    """Return how messages of a queue are taken; visibility None: as the queue has it."""
    redrive = queue.redrive
    dead_letters = None
    if redrive is not None and (arn := parse_arn(redrive.dead_letter_arn)) is not None:
        dead_letters = DeadLetters(
            queue=f"sqs/{arn.account}/{arn.region}/{arn.resource}",
            max_receive_count=redrive.max_receive_count,
        )
    return Take(
        limit=limit,
        visibility_ms=queue.milliseconds("VisibilityTimeout") if visibility_ms is None else visibility_ms,
        retention_ms=queue.milliseconds("MessageRetentionPeriod"),
        dead_letters=dead_letters,
        is_fifo=queue.is_fifo,
    )


def sequence_number(sequence: int) -> str:
    """Return the SequenceNumber of a message of a FIFO queue."""
    return str(_SEQUENCE_BASE + sequence)


class Handle(NamedTuple):
    """What a receipt handle says."""

    receipt: Receipt
    received_ms: int
    """When the message was received by it, in milliseconds since the epoch."""


def receipt_handle(message: Message) -> str:
    """Return what a receiver calls a message that it has received."""
    parts = (message.receipt.sequence, message.receipt.token, message.received_ms)
    numbers = b"".join(part.to_bytes(_NUMBER_BYTES, "big") for part in parts)
    return base64.b64encode(_HANDLE + numbers + _check(numbers)).decode()


def parse_receipt_handle(handle: str) -> Handle | None:
    """Return what a receipt handle says; None when it is none of ours."""
    try:
        content = base64.b64decode(handle, validate=True)
    except (binascii.Error, ValueError):
        return None
    kind, rest = content[: len(_HANDLE)], content[len(_HANDLE) :]
    numbers, check = rest[: 3 * _NUMBER_BYTES], rest[3 * _NUMBER_BYTES :]
    if kind != _HANDLE or len(numbers) != 3 * _NUMBER_BYTES or check != _check(numbers):
        return None
    sequence, token, received_ms = (
        int.from_bytes(numbers[at : at + _NUMBER_BYTES], "big")
        for at in range(0, len(numbers), _NUMBER_BYTES)
    )
    return Handle(Receipt(sequence, token), received_ms)


def _check(numbers: bytes) -> bytes:
    return hashlib.sha256(numbers).digest()[:8]


def system_attributes(message: Message, envelope: Envelope, *, is_fifo: bool) -> dict[str, str]:
    """Return the system attributes of a received message."""
    values: dict[str, str | None] = {
        "ApproximateReceiveCount": str(message.receive_count),
        "AWSTraceHeader": envelope.trace_header or None,
        "SentTimestamp": str(message.sent_ms),
        "SequenceNumber": sequence_number(message.receipt.sequence) if is_fifo else None,
        "MessageGroupId": envelope.group_id,
        "SenderId": envelope.sender_id,
        "MessageDeduplicationId": envelope.deduplication_id if is_fifo else None,
        "ApproximateFirstReceiveTimestamp": str(message.first_received_ms),
    }
    if message.source is not None:
        _, account, region, name = message.source.split("/", 3)
        values["DeadLetterQueueSourceArn"] = f"arn:aws:sqs:{region}:{account}:{name}"
    return {name: value for name, value in values.items() if value is not None}
