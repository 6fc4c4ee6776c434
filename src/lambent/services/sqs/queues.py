"""Queues: made, found, listed, emptied, deleted; and their attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.message_queue import MessageQueue, parse_redrive_policy
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.sqs.attribute_rules import (
    DEFAULTS,
    FIFO_DEFAULTS,
    allows_redrive,
    bad_redrive,
    check_name,
    checked,
    with_settled,
)
from lambent.services.sqs.cooldown import Cooldown
from lambent.services.sqs.errors import (
    InvalidAttributeName,
    PurgeQueueInProgress,
    QueueDeletedRecently,
    QueueNameExists,
    missing,
)
from lambent.services.sqs.lookup import Lookup, url_of
from lambent.store import RevisionConflict
from lambent.store.queues import Queues

_LIST_MAX = 1_000
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_DATES = ("CreatedTimestamp", "LastModifiedTimestamp")
_OPTIONAL = frozenset(
    {"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"}
)


class QueueOperations:
    """The operations on queues."""

    def __init__(self, *, lookup: Lookup, queues: Queues, clock: Clock, cooldown_s: float) -> None:
        self._lookup = lookup
        self._queues = queues
        self._clock = clock
        self._purged = Cooldown(clock, cooldown_s)
        self._deleted = Cooldown(clock, cooldown_s)

    async def create_queue(self, call: Call, parameters: Members) -> Members:
        """Make a queue; making it again with the same attributes is no error (API page CreateQueue).

        Raises:
            InvalidParameterValueException: the name cannot be.
            InvalidAttributeName, InvalidAttributeValue: an attribute cannot be.
            QueueNameExists: there is one with other attributes.
            QueueDeletedRecently: there was one a moment ago.
        """
        name: str = parameters.get("QueueName") or ""
        given: Mapping[str, str] = parameters.get("Attributes") or {}
        is_fifo = given.get("FifoQueue", "").lower() == "true"
        check_name(name, is_fifo=is_fifo)
        attributes = checked(given, is_fifo=is_fifo)
        defaults = {**DEFAULTS, **FIFO_DEFAULTS} if is_fifo else DEFAULTS
        now_s = int(self._clock.now_s())
        queue = MessageQueue(
            account=call.account,
            region=call.region,
            name=name,
            attributes=_without_empty(with_settled(defaults, attributes)),
            tags=parameters.get("tags") or {},
            created_s=now_s,
            modified_s=now_s,
        )
        await self._check_redrive(queue, attributes)
        if self._deleted.lasts(queue.key):
            raise QueueDeletedRecently(
                "You must wait 60 seconds after deleting a queue before you can create another with the same name."
            )
        try:
            await self._lookup.message_queues.put(queue, expect_revision=0)
        except RevisionConflict:
            await self._check_same(queue, attributes)
        return {"QueueUrl": url_of(call, queue)}

    async def _check_same(self, queue: MessageQueue, given: Mapping[str, str]) -> None:
        existing = await self._lookup.message_queues.get(queue.account, queue.region, queue.name)
        for attribute, value in given.items():
            if existing is not None and existing.attributes.get(attribute, "") != value:
                raise QueueNameExists(
                    f"A queue already exists with the same name and a different value for attribute {attribute}"
                )

    async def delete_queue(self, call: Call, parameters: Members) -> Members:
        """Delete a queue and its messages (API page DeleteQueue).

        Raises:
            QueueDoesNotExist: there is none.
        """
        queue = await self._lookup.owned(call, parameters)
        await self._lookup.message_queues.delete(queue)
        await self._queues.clear(queue.messages)
        self._queues.dismiss(queue.messages)
        self._deleted.begin(queue.key)
        return {}

    async def get_queue_url(self, call: Call, parameters: Members) -> Members:
        """Return the URL of a queue (API page GetQueueUrl).

        Raises:
            QueueDoesNotExist: there is none.
        """
        name: str = parameters.get("QueueName") or ""
        if not name:
            raise missing("QueueName")
        account = parameters.get("QueueOwnerAWSAccountId") or call.account
        return {"QueueUrl": url_of(call, await self._lookup.named(call, account, name))}

    async def list_queues(self, call: Call, parameters: Members) -> Members:
        """Return the URLs of queues in the order of their names (API page ListQueues)."""
        limit = _limit(parameters)
        found = await self._lookup.message_queues.list(
            call.account,
            call.region,
            prefix=parameters.get("QueueNamePrefix") or "",
            after=parameters.get("NextToken") or "",
            limit=limit + 1,
        )
        result: dict[str, object] = {}
        if found:
            result["QueueUrls"] = [url_of(call, queue) for queue in found[:limit]]
        if len(found) > limit and "MaxResults" in parameters:
            result["NextToken"] = found[limit - 1].name
        return result

    async def list_dead_letter_source_queues(self, call: Call, parameters: Members) -> Members:
        """Return the queues whose dead letters go to this one (API page ListDeadLetterSourceQueues).

        Raises:
            QueueDoesNotExist: there is none.
        """
        queue = await self._lookup.queue(call, parameters)
        limit = _limit(parameters)
        sources = await sources_of(self._lookup, queue, after=parameters.get("NextToken") or "")
        result: dict[str, object] = {"queueUrls": [url_of(call, source) for source in sources[:limit]]}
        if len(sources) > limit:
            result["NextToken"] = sources[limit - 1].name
        return result

    async def purge_queue(self, call: Call, parameters: Members) -> Members:
        """Delete all messages of a queue, at once (API page PurgeQueue).

        Raises:
            QueueDoesNotExist: there is none.
            PurgeQueueInProgress: it was purged a moment ago.
        """
        queue = await self._lookup.queue(call, parameters)
        if self._purged.lasts(queue.key):
            raise PurgeQueueInProgress(
                f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
            )
        self._purged.begin(queue.key)
        await self._queues.clear(queue.messages)
        return {}

    async def get_queue_attributes(self, call: Call, parameters: Members) -> Members:
        """Return attributes of a queue, those that are named or ``All`` (API page GetQueueAttributes).

        Raises:
            QueueDoesNotExist: there is none.
            InvalidAttributeName: one that is named does not exist.
        """
        queue = await self._lookup.queue(call, parameters)
        named: list[str] = parameters.get("AttributeNames") or []
        known = {*DEFAULTS, *FIFO_DEFAULTS, *_OPTIONAL, *_COUNTS, *_DATES, "QueueArn", "All"}
        for name in named:
            if name not in known:
                raise InvalidAttributeName(f"Unknown Attribute {name}.")
        wanted = known if "All" in named else set(named)
        values = {**queue.attributes, "QueueArn": queue.arn}
        values |= {"CreatedTimestamp": str(queue.created_s), "LastModifiedTimestamp": str(queue.modified_s)}
        if wanted & set(_COUNTS):
            counts = await self._queues.counts(queue.messages)
            figures = (counts.visible, counts.in_flight, counts.delayed)
            values |= {name: str(figure) for name, figure in zip(_COUNTS, figures, strict=True)}
        shown = {name: value for name, value in values.items() if name in wanted}
        return {"Attributes": shown} if shown else {}

    async def set_queue_attributes(self, call: Call, parameters: Members) -> Members:
        """Change attributes of a queue; an empty policy removes it (API page SetQueueAttributes).

        Raises:
            QueueDoesNotExist: there is none.
            InvalidAttributeName, InvalidAttributeValue: an attribute cannot be.
        """
        queue = await self._lookup.owned(call, parameters)
        attributes = checked(parameters.get("Attributes") or {}, is_fifo=queue.is_fifo)
        await self._check_redrive(queue, attributes)
        await self._lookup.change(
            queue,
            lambda now: replace(now, attributes=_without_empty(with_settled(now.attributes, attributes))),
        )
        return {}

    async def _check_redrive(self, queue: MessageQueue, attributes: Mapping[str, str]) -> None:
        text = attributes.get("RedrivePolicy")
        if not text:
            return
        policy = parse_redrive_policy(text)
        target = await self._lookup.message_queues.find(policy.dead_letter_arn) if policy else None
        if target is None or target.account != queue.account or target.region != queue.region:
            raise bad_redrive(text, "Dead letter target does not exist.")
        if target.is_fifo != queue.is_fifo:
            raise bad_redrive(text, "Dead-letter queue must be same type of queue as the source.")
        if not allows_redrive(target, queue.arn):
            raise bad_redrive(text, "Dead-letter queue does not allow this source queue.")


async def sources_of(lookup: Lookup, queue: MessageQueue, *, after: str = "") -> list[MessageQueue]:
    """Return the queues whose dead letters go to a queue, in the order of their names."""
    sources: list[MessageQueue] = []
    while page := await lookup.message_queues.list(queue.account, queue.region, after=after):
        sources += [
            other
            for other in page
            if other.redrive is not None and other.redrive.dead_letter_arn == queue.arn
        ]
        after = page[-1].name
    return sources


def _without_empty(attributes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value or name not in _OPTIONAL}


def _limit(parameters: Members) -> int:
    given: int | None = parameters.get("MaxResults")
    limit = _LIST_MAX if given is None else given
    if not 1 <= limit <= _LIST_MAX:
        raise InvalidParameterValueException(
            f"Value {limit} for parameter MaxResults is invalid. Reason: Must be between 1 and {_LIST_MAX}, "
            "if provided."
        )
    return limit
