"""SNS: topics, subscriptions and what is published.

Topics and subscriptions are documents; messages on their way are the affair of `lambent.delivery.notifications`.
A family of operations per file; the files of rules are pure. What goes to telephones, mobile applications and
mailboxes is not served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambent.clock import Clock
from lambent.delivery.notifications import Notifications
from lambent.domain.resource_policy import GuardedResource
from lambent.domain.subscription import TOKEN_VALID_S
from lambent.services import OperationMethod, operations_of
from lambent.services.sns.lookup import Lookup
from lambent.services.sns.publishing import PublishOperations
from lambent.services.sns.subscriptions import SubscriptionOperations
from lambent.services.sns.topics import PermissionOperations, TagOperations, TopicOperations
from lambent.store.topics import Topics

__all__ = ["SnsService", "sns_service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SnsService:
    """The service, and what others ask of it."""

    operations: dict[str, OperationMethod]
    find_resource: Callable[[str], Awaitable[GuardedResource | None]]
    """Returns what decisions about access have to know of the topic with an ARN."""
    expire: Callable[[], Awaitable[None]]
    """Forgets subscriptions that can no longer be confirmed."""


def sns_service(*, topics: Topics, notifications: Notifications, clock: Clock) -> SnsService:
    """Build the service.

    Args:
        topics: where topics and subscriptions are kept.
        notifications: takes what is published.
        clock: the time.
    """
    lookup = Lookup(topics)

    async def find_resource(arn: str) -> GuardedResource | None:
        topic = await topics.find(arn)
        return None if topic is None else GuardedResource(policy=topic.policy, tags=topic.tags)

    async def expire() -> None:
        old = await topics.forget_old(before_s=clock.now_s() - TOKEN_VALID_S)
        await notifications.forget(None, old)

    return SnsService(
        operations=operations_of(
            TopicOperations(lookup=lookup, notifications=notifications),
            TagOperations(lookup=lookup),
            PermissionOperations(lookup=lookup),
            SubscriptionOperations(lookup=lookup, notifications=notifications, clock=clock),
            PublishOperations(lookup=lookup, notifications=notifications, clock=clock),
        ),
        find_resource=find_resource,
        expire=expire,
    )
