"""Batches: up to ten messages in one request, each of which succeeds or fails by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from lambent.domain.call import Call
from lambent.errors import ServiceError
from lambent.services import Members
from lambent.services.sqs.errors import (
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidBatchEntryId,
    ReceiptHandleIsInvalid,
    TooManyEntriesInBatchRequest,
    missing,
)
from lambent.services.sqs.lookup import Lookup
from lambent.services.sqs.message_rules import receipt_of
from lambent.services.sqs.messages import Outgoing, is_passed_over, not_in_flight, postponement_of
from lambent.store.queues import Queues

T = TypeVar("T")

_ENTRIES_MAX = 10
_BATCH_MAX_BYTES = 1_048_576
_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_CODES = {
    "InvalidParameterValueException": "InvalidParameterValue",
    "MissingRequiredParameterException": "MissingParameter",
}
"""Entries tell errors by their older codes."""


class BatchOperations:
    """The operations on several messages."""

    def __init__(self, *, lookup: Lookup, queues: Queues) -> None:
        self._lookup = lookup
        self._queues = queues

    async def send_message_batch(self, call: Call, parameters: Members) -> Members:
        """Keep messages durably, all in one write (API page SendMessageBatch).

        Raises:
            QueueDoesNotExist: there is no such queue.
            BatchRequestTooLong: they are too large together.
            ServiceError: the batch itself is malformed.
        """
        queue = await self._lookup.queue(call, parameters)
        results = _Results(parameters, "SendMessageBatchRequestEntry")
        outgoing: dict[str, Outgoing] = {}
        for entry_id, entry in results.entries.items():
            try:
                outgoing[entry_id] = Outgoing(call, queue, entry)
            except ServiceError as error:
                results.fail(entry_id, error)
        total_bytes = sum(one.size_bytes for one in outgoing.values())
        if total_bytes > _BATCH_MAX_BYTES:
            raise BatchRequestTooLong(
                f"Batch requests cannot be longer than {_BATCH_MAX_BYTES} bytes. You have sent {total_bytes} bytes."
            )
        if outgoing:
            sent = await self._queues.send(queue.messages, [one.message for one in outgoing.values()])
            for (entry_id, one), its in zip(outgoing.items(), sent, strict=True):
                results.succeed(entry_id, one.told(its, queue))
        return results.shown()

    async def delete_message_batch(self, call: Call, parameters: Members) -> Members:
        """Delete messages (API page DeleteMessageBatch).

        Raises:
            QueueDoesNotExist: there is no such queue.
            ServiceError: the batch itself is malformed.
        """
        queue = await self._lookup.queue(call, parameters)
        results = _Results(parameters, "DeleteMessageBatchRequestEntry")
        receipts = results.each(receipt_of)
        if queue.is_fifo:
            validities = await self._queues.validities(queue.messages, list(receipts.values()))
            for entry_id, validity in zip(list(receipts), validities, strict=True):
                if validity == "expired":
                    del receipts[entry_id]
                    results.fail(entry_id, ReceiptHandleIsInvalid("The receipt handle has expired"))
        if receipts:
            await self._queues.delete(queue.messages, list(receipts.values()))
        for entry_id in receipts:
            results.succeed(entry_id, {})
        return results.shown()

    async def change_message_visibility_batch(self, call: Call, parameters: Members) -> Members:
        """Change when messages in flight can be received again (API page ChangeMessageVisibilityBatch).

        Raises:
            QueueDoesNotExist: there is no such queue.
            ServiceError: the batch itself is malformed.
        """
        queue = await self._lookup.queue(call, parameters)
        results = _Results(parameters, "ChangeMessageVisibilityBatchRequestEntry")
        now_ms = self._queues.now_ms
        wanted = results.each(lambda entry: postponement_of(entry, now_ms))
        done = await self._queues.postpone(queue.messages, list(wanted.values())) if wanted else []
        for entry_id, is_done in zip(wanted, done, strict=True):
            if is_done or await is_passed_over(self._queues, queue, wanted[entry_id]):
                results.succeed(entry_id, {})
            else:
                results.fail(entry_id, not_in_flight(results.entries[entry_id]))
        return results.shown()


class _Results:
    """The entries of a batch and what becomes of each."""

    def __init__(self, parameters: Members, entry_name: str) -> None:
        entries: Sequence[Mapping[str, Any]] = parameters.get("Entries") or ()
        if not entries:
            raise EmptyBatchRequest(f"There should be at least one {entry_name} in the request.")
        if len(entries) > _ENTRIES_MAX:
            raise TooManyEntriesInBatchRequest(
                f"Maximum number of entries per request are {_ENTRIES_MAX}. You have sent {len(entries)}."
            )
        self.entries: dict[str, Mapping[str, Any]] = {}
        for number, entry in enumerate(entries, 1):
            entry_id = str(entry.get("Id") or "")
            if not entry_id:
                raise missing(f"{entry_name}.{number}.Id")
            if not _ID.fullmatch(entry_id):
                raise InvalidBatchEntryId(
                    "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                    "It can be at most 80 letters long."
                )
            if entry_id in self.entries:
                raise BatchEntryIdsNotDistinct(f"Id {entry_id} repeated.")
            self.entries[entry_id] = entry
        self._successful: list[dict[str, Any]] = []
        self._failed: list[dict[str, Any]] = []

    def each(self, read: Callable[[Mapping[str, Any]], T]) -> dict[str, T]:
        """Return what `read` makes of each entry; those that it refuses have failed."""
        found: dict[str, T] = {}
        for entry_id, entry in self.entries.items():
            try:
                found[entry_id] = read(entry)
            except ServiceError as error:
                self.fail(entry_id, error)
        return found

    def succeed(self, entry_id: str, told: Mapping[str, Any]) -> None:
        self._successful.append({"Id": entry_id, **told})

    def fail(self, entry_id: str, error: ServiceError) -> None:
        code = _CODES.get(error.error_code, error.error_code)
        before, told, reason = error.message.partition(" is invalid. Reason: ")
        # Of a value that cannot be, entries tell the reason alone.
        message = reason.removesuffix(".") if told and before.startswith("Value ") else error.message
        self._failed.append({"Id": entry_id, "SenderFault": True, "Code": code, "Message": message})

    def shown(self) -> dict[str, Any]:
        result: dict[str, Any] = {"Successful": self._successful, "Failed": self._failed}
        return {name: entries for name, entries in result.items() if entries}
