"""Messages: published to topics, one or several at a time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from lambent.clock import Clock
from lambent.delivery.notifications import Notifications
from lambent.domain.call import Call
from lambent.domain.platform_application import endpoint_key
from lambent.domain.publication import Publication, sequence_number
from lambent.domain.text_message import TEXT_MAX, is_telephone_number
from lambent.domain.topic import Topic
from lambent.services import Members
from lambent.services.sns.errors import (
    BatchEntryIdsNotDistinctException,
    BatchRequestTooLongException,
    EmptyBatchRequestException,
    EndpointDisabledException,
    InvalidBatchEntryIdException,
    TooManyEntriesInBatchRequestException,
    invalid,
)
from lambent.services.sns.lookup import Lookup, check_owner
from lambent.services.sns.message_rules import (
    attributes_of,
    by_protocol_of,
    ids_of,
    size_of,
    subject_of,
    text_of,
)
from lambent.store.messages import Sent
from lambent.store.platform_applications import PlatformApplications

_ENTRIES_MAX = 10
_ENTRY_ID_MAX = 80
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]+")
_TRACE_HEADER = "x-amzn-trace-id"


class PublishOperations:
    """The operations that publish."""

    def __init__(
        self,
        *,
        lookup: Lookup,
        applications: PlatformApplications,
        notifications: Notifications,
        clock: Clock,
    ) -> None:
        self._lookup = lookup
        self._applications = applications
        self._notifications = notifications
        self._clock = clock

    async def publish(self, call: Call, parameters: Members) -> Members:
        """Keep a message durably; it is on its way to every subscriber then (API page Publish).

        What is for one telephone or one mobile device goes to the log.

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException, InvalidParameterValueException: the message cannot be published.
            EndpointDisabledException: the mobile device is sent nothing.
        """
        if parameters.get("PhoneNumber"):
            return self._text_message(parameters)
        member = "TopicArn" if parameters.get("TopicArn") else "TargetArn"
        arn: str = parameters.get(member) or ""
        if not arn:
            raise invalid("TopicArn or TargetArn", "no value for required parameter")
        if ":endpoint/" in arn:
            return await self._push(call, arn, parameters)
        topic = await self._lookup.topic(call, arn, member=member)
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

    def _text_message(self, parameters: Members) -> Members:
        number: str = parameters["PhoneNumber"]
        if not is_telephone_number(number):
            raise invalid("PhoneNumber", f"{number} is not valid to publish to")
        text = text_of(parameters)
        attributes_of(parameters)
        if len(text) > TEXT_MAX:
            raise invalid("Message too long")
        return self._unsent("sms", number, text)

    async def _push(self, call: Call, arn: str, parameters: Members) -> Members:
        key = endpoint_key(arn)
        check_owner(call, arn)
        endpoint = await self._applications.endpoint(key) if key else None
        if endpoint is None:
            raise invalid("TargetArn", "No endpoint found for the target arn specified")
        text = text_of(parameters)
        attributes_of(parameters)
        texts = by_protocol_of(parameters, text)
        if not endpoint.is_enabled:
            raise EndpointDisabledException("Endpoint is disabled")
        platform = endpoint.key.split("/")[2]
        return self._unsent("application", arn, texts.get(platform, texts.get("default", text)))

    def _unsent(self, protocol: str, endpoint: str, text: str) -> Members:
        message_id = str(uuid.uuid4())
        self._notifications.report_unsent(protocol, endpoint, f"message {message_id}", text)
        return {"MessageId": message_id}

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
