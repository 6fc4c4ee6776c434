"""SQS: standard and FIFO queues, on the queue engine that events and pollers use as well.

Queues are documents, messages are the engine's. A family of operations per file; `attribute_rules` and
`message_rules` are pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambent.clock import Clock
from lambent.domain.resource_policy import GuardedResource
from lambent.services import OperationMethod, operations_of
from lambent.services.sqs.batches import BatchOperations
from lambent.services.sqs.lookup import Lookup
from lambent.services.sqs.messages import MessageOperations
from lambent.services.sqs.moves import MoveOperations, MoveTasks
from lambent.services.sqs.queues import QueueOperations
from lambent.services.sqs.tags import PermissionOperations, TagOperations
from lambent.store import Documents
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues

__all__ = ["SqsService", "sqs_service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsService:
    """The service and the background work behind it."""

    operations: dict[str, OperationMethod]
    find_resource: Callable[[str], Awaitable[GuardedResource | None]]
    """Returns what decisions about access have to know of the queue with an ARN."""
    resume: Callable[[], Awaitable[None]]
    """Takes up what a server before this one left."""
    close: Callable[[], Awaitable[None]]
    """Stops the background work."""


def sqs_service(
    *,
    documents: Documents,
    message_queues: MessageQueues,
    queues: Queues,
    clock: Clock,
    cooldown_s: float = 0.0,
) -> SqsService:
    """Build the service.

    Args:
        documents: where move tasks are kept.
        message_queues: where queues are kept.
        queues: the queue engine, where messages are.
        clock: the time.
        cooldown_s: for how long a queue cannot be purged again, and the name of a deleted one not be had.
    """
    lookup = Lookup(message_queues, clock)
    tasks = MoveTasks(message_queues=message_queues, queues=queues, documents=documents, clock=clock)

    async def find_resource(arn: str) -> GuardedResource | None:
        queue = await message_queues.find(arn)
        if queue is None:
            return None
        return GuardedResource(policy=queue.attributes.get("Policy"), tags=queue.tags)

    return SqsService(
        operations=operations_of(
            QueueOperations(lookup=lookup, queues=queues, clock=clock, cooldown_s=cooldown_s),
            MessageOperations(lookup=lookup, queues=queues),
            BatchOperations(lookup=lookup, queues=queues),
            TagOperations(lookup=lookup),
            PermissionOperations(lookup=lookup),
            MoveOperations(lookup=lookup, queues=queues, tasks=tasks),
        ),
        find_resource=find_resource,
        resume=tasks.resume,
        close=tasks.close,
    )
