"""Messages: sent, received, deleted, and made visible at another time."""

from __future__ import annotations

from typing import Any

from lambent.domain.call import Call
from lambent.domain.message_queue import MessageQueue
from lambent.domain.queue_message import Envelope, MessageAttribute, md5_of_attributes, md5_of_body
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.sqs.errors import missing
from lambent.services.sqs.lookup import Lookup
from lambent.services.sqs.message_rules import (
    attributes_of,
    bad_value,
    body_of,
    check_total_visibility,
    check_visibility,
    delay_ms_of,
    fifo_ids_of,
    handle_of,
    receipt_of,
    shown,
    size_of,
    system_attributes_of,
)
from lambent.store.message_queues import new_message, sequence_number, take_of
from lambent.store.messages import NewMessage, Postponement, Sent
from lambent.store.queues import Queues

_RECEIVE_MAX = 10
_WAIT_MAX_S = 20
_TRACE_HEADER = "x-amzn-trace-id"


class Outgoing:
    """A message that may be sent: checked, with the digests that its sender is told."""

    def __init__(self, call: Call, queue: MessageQueue, entry: Members) -> None:
        """Check an entry of SendMessage or SendMessageBatch.

        Raises:
            ServiceError: it cannot be sent; the sentence is AWS's.
        """
        body = body_of(entry)
        attributes = attributes_of(entry)
        system = system_attributes_of(entry)
        self.size_bytes = size_of(body, attributes)
        limit = int(queue.attributes["MaximumMessageSize"])
        if self.size_bytes > limit:
            raise InvalidParameterValueException(
                f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )
        group_id, deduplication_id = fifo_ids_of(entry, queue, body)
        envelope = Envelope(
            sender_id=call.principal.user_id,
            trace_header=_trace_header(call, system),
            group_id=group_id,
            deduplication_id=deduplication_id,
            attributes=attributes,
        )
        self.message: NewMessage = new_message(queue, body, envelope, delay_ms=delay_ms_of(entry, queue))
        self._told: dict[str, Any] = {
            # Of what was sent: clients compare it with that.
            "MD5OfMessageBody": md5_of_body(entry["MessageBody"].encode(errors="replace")),
            "MD5OfMessageAttributes": md5_of_attributes(attributes),
            "MD5OfMessageSystemAttributes": md5_of_attributes(system),
        }

    def told(self, sent: Sent, queue: MessageQueue) -> dict[str, Any]:
        """Return what the sender is told."""
        result = {name: value for name, value in self._told.items() if value is not None}
        result["MessageId"] = sent.message_id
        if queue.is_fifo:
            result["SequenceNumber"] = sequence_number(sent.sequence)
        return result


def _trace_header(call: Call, system: dict[str, MessageAttribute]) -> str:
    """What the sender gives, else the trace of its request, so that chains of invocations can be followed."""
    given = system.get("AWSTraceHeader")
    return (given.text or "") if given is not None else call.headers.get(_TRACE_HEADER, "")


class MessageOperations:
    """The operations on single messages."""

    def __init__(self, *, lookup: Lookup, queues: Queues) -> None:
        self._lookup = lookup
        self._queues = queues

    async def send_message(self, call: Call, parameters: Members) -> Members:
        """Keep a message durably (API page SendMessage).

        Raises:
            QueueDoesNotExist: there is no such queue.
            InvalidMessageContents, InvalidParameterValueException, MissingRequiredParameterException: the
                message cannot be sent.
        """
        queue = await self._lookup.queue(call, parameters)
        outgoing = Outgoing(call, queue, parameters)
        (sent,) = await self._queues.send(queue.messages, [outgoing.message])
        return outgoing.told(sent, queue)

    async def receive_message(self, call: Call, parameters: Members) -> Members:
        """Return messages and put them in flight; wait for the first one if asked (API page ReceiveMessage).

        Raises:
            QueueDoesNotExist: there is no such queue.
            InvalidParameterValueException: a number is out of range.
        """
        queue = await self._lookup.queue(call, parameters)
        limit = _number(parameters, "MaxNumberOfMessages", 1)
        if not 1 <= limit <= _RECEIVE_MAX:
            raise bad_value(
                limit, "MaxNumberOfMessages", f"Must be between 1 and {_RECEIVE_MAX}, if provided."
            )
        wait_s = _number(
            parameters, "WaitTimeSeconds", int(queue.attributes["ReceiveMessageWaitTimeSeconds"])
        )
        if not 0 <= wait_s <= _WAIT_MAX_S:
            raise bad_value(wait_s, "WaitTimeSeconds", f"Must be >= 0 and <= {_WAIT_MAX_S}, if provided.")
        visibility_s: int | None = parameters.get("VisibilityTimeout")
        if visibility_s is not None:
            check_visibility(visibility_s)
        take = take_of(
            queue, limit=limit, visibility_ms=None if visibility_s is None else visibility_s * 1000
        )
        messages = await self._queues.receive(queue.messages, take, wait_s=wait_s, gone=call.gone)
        return {"Messages": [shown(message, queue, parameters) for message in messages]} if messages else {}

    async def delete_message(self, call: Call, parameters: Members) -> Members:
        """Delete a message by the handle of its last receive (API page DeleteMessage).

        Raises:
            QueueDoesNotExist: there is no such queue.
            ReceiptHandleIsInvalid: the handle is none of ours.
            InvalidParameterValueException: the message of a FIFO queue is no longer in flight by it.
        """
        queue = await self._lookup.queue(call, parameters)
        receipt = receipt_of(parameters)
        if queue.is_fifo and await self._queues.validities(queue.messages, [receipt]) == ["expired"]:
            raise bad_value(parameters["ReceiptHandle"], "ReceiptHandle", "The receipt handle has expired.")
        await self._queues.delete(queue.messages, [receipt])
        return {}

    async def change_message_visibility(self, call: Call, parameters: Members) -> Members:
        """Change when a message in flight can be received again (API page ChangeMessageVisibility).

        A standard queue takes a handle that has expired, and does nothing.

        Raises:
            QueueDoesNotExist: there is no such queue.
            ReceiptHandleIsInvalid: the handle is none of ours.
            InvalidParameterValueException: the message is gone, of a FIFO queue also: no longer in flight by it; or
                the time is out of range.
        """
        queue = await self._lookup.queue(call, parameters)
        postponement = postponement_of(parameters, self._queues.now_ms)
        (is_done,) = await self._queues.postpone(queue.messages, [postponement])
        if not is_done and not await is_passed_over(self._queues, queue, postponement):
            raise not_in_flight(parameters)
        return {}


def postponement_of(entry: Members, now_ms: int) -> Postponement:
    """Return what an entry of ChangeMessageVisibility or its batch asks for.

    Raises:
        ServiceError: it cannot be; the sentence is AWS's.
    """
    handle = handle_of(entry)
    visibility_s: int | None = entry.get("VisibilityTimeout")
    if visibility_s is None:
        raise missing("VisibilityTimeout")
    check_visibility(visibility_s)
    if visibility_s:
        check_total_visibility(visibility_s, received_ms=handle.received_ms, now_ms=now_ms)
    return Postponement(receipt=handle.receipt, visible_ms=now_ms + visibility_s * 1000)


async def is_passed_over(queues: Queues, queue: MessageQueue, postponement: Postponement) -> bool:
    """Whether a change that could not be made is no error: AWS lets standard queues' expired handles pass."""
    if queue.is_fifo:
        return False
    return await queues.validities(queue.messages, [postponement.receipt]) != ["gone"]


def not_in_flight(entry: Members) -> InvalidParameterValueException:
    """Return the error for a handle whose message is not in flight by it."""
    return bad_value(
        entry["ReceiptHandle"],
        "ReceiptHandle",
        "Message does not exist or is not available for visibility timeout change.",
    )


def _number(parameters: Members, name: str, default: int) -> int:
    value: int | None = parameters.get(name)
    return default if value is None else value
