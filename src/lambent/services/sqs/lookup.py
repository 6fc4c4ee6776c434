"""Queues as callers name them: by URL, by name, by ARN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.message_queue import MessageQueue
from lambent.errors import AccessDeniedException
from lambent.services import Members
from lambent.services.sqs.errors import InvalidAddress, missing, no_queue
from lambent.store import RevisionConflict
from lambent.store.message_queues import MessageQueues

_ATTEMPTS_MAX = 8


class Lookup:
    """Finds queues and changes them."""

    def __init__(self, message_queues: MessageQueues, clock: Clock) -> None:
        self.message_queues = message_queues
        self._clock = clock

    async def queue(self, call: Call, parameters: Members) -> MessageQueue:
        """Return the queue of the QueueUrl parameter.

        Raises:
            MissingRequiredParameterException: it is missing.
            InvalidAddress: it is no queue URL.
            AccessDeniedException: it is another account's.
            QueueDoesNotExist: there is none.
        """
        account, name = place_of(parameters)
        return await self.named(call, account, name)

    async def owned(self, call: Call, parameters: Members) -> MessageQueue:
        """Return the queue of the QueueUrl parameter for what no policy opens to another account.

        Raises:
            AccessDeniedException: it is another account's.
            ServiceError: as `queue` does.
        """
        queue = await self.queue(call, parameters)
        if queue.account != call.account:
            raise _not_yours(call, queue.account, queue.name)
        return queue

    async def named(self, call: Call, account: str, name: str) -> MessageQueue:
        """Return a queue of the caller's region.

        Raises:
            AccessDeniedException: it is another account's.
            QueueDoesNotExist: there is none.
        """
        if account not in (call.account, call.admitted_account):
            raise _not_yours(call, account, name)
        queue = await self.message_queues.get(account, call.region, name)
        if queue is None:
            raise no_queue()
        return queue

    async def change(
        self, queue: MessageQueue, decide: Callable[[MessageQueue], MessageQueue]
    ) -> MessageQueue:
        """Replace a queue by what `decide` makes of it, dated.

        Raises:
            QueueDoesNotExist: it was deleted meanwhile.
        """
        for _ in range(_ATTEMPTS_MAX):
            found = await self.message_queues.get_with_revision(queue.key)
            if found is None:
                break
            after = replace(decide(found[1]), modified_s=int(self._clock.now_s()))
            try:
                await self.message_queues.put(after, expect_revision=found[0])
            except RevisionConflict:
                continue
            return after
        raise no_queue()


def _not_yours(call: Call, account: str, name: str) -> AccessDeniedException:
    return AccessDeniedException(
        f"User: {call.principal.arn} is not authorized to perform this operation on resource: "
        f"arn:aws:sqs:{call.region}:{account}:{name}"
    )


def place_of(parameters: Members) -> tuple[str, str]:
    """Return account and name from a QueueUrl parameter: the last two parts of its path.

    Raises:
        MissingRequiredParameterException: it is missing.
        InvalidAddress: it is no queue URL.
    """
    url: str = parameters.get("QueueUrl") or ""
    if not url:
        raise missing("QueueUrl")
    try:
        parts = urlsplit(url).path.strip("/").split("/")
    except ValueError:
        parts = []
    if len(parts) < 2 or not parts[-2].isdigit():
        raise InvalidAddress(f"The address {url} is not valid for this endpoint.")
    return parts[-2], parts[-1]


def url_of(call: Call, queue: MessageQueue) -> str:
    """Return the URL of a queue, at the address under which the caller reached us."""
    return f"{call.endpoint_url}/{queue.account}/{queue.name}"
