"""Messages: published to topics, one or several at a time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from lambent.clock import Clock
from lambent.delivery.notifications import Notifications
from lambent.domain.call import Call
from lambent.domain.publication import Publication, sequence_number
from lambent.domain.topic import Topic
from lambent.errors import NotImplemented_
from lambent.services import Members
from lambent.services.sns.errors import (
    BatchEntryIdsNotDistinctException,
    BatchRequestTooLongException,
    EmptyBatchRequestException,
    InvalidBatchEntryIdException,
    TooManyEntriesInBatchRequestException,
    invalid,
)
from lambent.services.sns.lookup import Lookup
from lambent.services.sns.message_rules import (
    attributes_of,
    by_protocol_of,
    ids_of,
    size_of,
    subject_of,
    text_of,
)
from lambent.store.messages import Sent

_ENTRIES_MAX = 10
_ENTRY_ID_MAX = 80
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]+")
_TRACE_HEADER = "x-amzn-trace-id"


class PublishOperations:
    """The operations that publish."""

    def __init__(self, *, lookup: Lookup, notifications: Notifications, clock: Clock) -> None:
        self._lookup = lookup
        self._notifications = notifications
        self._clock = clock

    async def publish(self, call: Call, parameters: Members) -> Members:
        """Keep a message durably; it is on its way to every subscriber then (API page Publish).

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException, InvalidParameterValueException: the message cannot be published.
            NotImplemented_: it would go to a telephone or a mobile application.
        """
        topic = await self._lookup.topic(call, _target(parameters))
        publication, size_bytes = self._publication(call, topic, parameters)
        if size_bytes > topic.message_max_bytes:
            raise invalid("Message too long")
        (sent,) = await self._notifications.publish(topic, [publication])
        return _told(topic, sent)

    async def publish_batch(self, call: Call, parameters: Members) -> Members:
        """Keep up to ten messages durably, all in one write (API page PublishBatch).

        Raises:
            NotFoundException: there is no such topic.
            BatchRequestTooLongException: they are too large together.
            ServiceError: the batch or one of its messages cannot be published.
        """
        entries: Sequence[Mapping[str, Any]] = parameters["PublishBatchRequestEntries"]
        _check_batch(entries)
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        _check_ids(entries)
        made = [self._publication(call, topic, entry) for entry in entries]
        if sum(size_bytes for _, size_bytes in made) > topic.message_max_bytes:
            raise BatchRequestTooLongException(
                "The length of all the messages put together is more than the limit."
            )
        sent = await self._notifications.publish(topic, [publication for publication, _ in made])
        successful = [
            {"Id": entry["Id"], **_told(topic, one)} for entry, one in zip(entries, sent, strict=True)
        ]
        return {"Successful": successful, "Failed": []}

    def _publication(self, call: Call, topic: Topic, entry: Members) -> tuple[Publication, int]:
        """Return a message that can be published, and its size in bytes.

        Raises:
            ServiceError: it cannot be.
        """
        subject, text, attributes = subject_of(entry), text_of(entry), attributes_of(entry)
        group_id, deduplication_id = ids_of(entry, topic, text)
        by_protocol = by_protocol_of(entry, text)
        publication = Publication(
            message_id=str(uuid.uuid4()),
            topic_arn=topic.arn,
            text=by_protocol.get("default", text),
            by_protocol=by_protocol,
            subject=subject,
            attributes=attributes,
            group_id=group_id,
            deduplication_id=deduplication_id,
            published_ms=int(self._clock.now_s() * 1000),
            trace_header=call.headers.get(_TRACE_HEADER, ""),
            endpoint_url=call.endpoint_url,
        )
        return publication, size_of(text, attributes)


def _target(parameters: Members) -> str:
    if parameters.get("PhoneNumber"):
        raise NotImplemented_("Lambent does not send text messages.")
    arn: str | None = parameters.get("TopicArn") or parameters.get("TargetArn")
    if not arn:
        raise invalid("TopicArn or TargetArn", "no value for required parameter")
    if ":endpoint/" in arn:
        raise NotImplemented_("Lambent does not send messages to mobile applications.")
    return arn


def _told(topic: Topic, sent: Sent) -> dict[str, Any]:
    told = {"MessageId": sent.message_id}
    return {**told, "SequenceNumber": sequence_number(sent.sequence)} if topic.is_fifo else told


def _check_batch(entries: Sequence[Mapping[str, Any]]) -> None:
    if not entries:
        raise EmptyBatchRequestException("The batch request doesn't contain any entries.")
    if len(entries) > _ENTRIES_MAX:
        raise TooManyEntriesInBatchRequestException(
            "The batch request contains more entries than permissible."
        )


def _check_ids(entries: Sequence[Mapping[str, Any]]) -> None:
    ids = [str(entry["Id"]) for entry in entries]
    if len(set(ids)) < len(ids):
        raise BatchEntryIdsNotDistinctException("Two or more batch entries in the request have the same Id.")
    for entry_id in ids:
        if len(entry_id) > _ENTRY_ID_MAX:
            raise InvalidBatchEntryIdException(
                f"The Id of a batch entry in the batch request is too long: {entry_id}"
            )
        if not _ENTRY_ID.fullmatch(entry_id):
            raise InvalidBatchEntryIdException(
                "The Id of a batch entry in the batch request contains an impermissible character: "
                f"{entry_id}"
            )
