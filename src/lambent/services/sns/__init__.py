"""SNS: topics, subscriptions and what is published.

Topics and subscriptions are documents; messages on their way are the affair of `lambent.delivery.notifications`.
A family of operations per file; the files of rules are pure. What goes to telephones, mobile applications,
mailboxes and Firehose is taken, and written to the server's log instead of being sent.
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
from lambent.services.sns.platform_applications import PlatformOperations
from lambent.services.sns.publishing import PublishOperations
from lambent.services.sns.subscriptions import SubscriptionOperations
from lambent.services.sns.text_messages import TextMessageOperations
from lambent.services.sns.topics import PermissionOperations, TagOperations, TopicOperations
from lambent.store import Documents
from lambent.store.platform_applications import PlatformApplications
from lambent.store.text_messages import TextMessages
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


def sns_service(
    *, topics: Topics, documents: Documents, notifications: Notifications, clock: Clock
) -> SnsService:
    """Build the service.

    Args:
        topics: where topics and subscriptions are kept.
        documents: where platform applications and the settings of text messages are kept.
        notifications: takes what is published.
        clock: the time.
    """
    lookup, applications = Lookup(topics), PlatformApplications(documents)

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
            SubscriptionOperations(
                lookup=lookup, applications=applications, notifications=notifications, clock=clock
            ),
            PublishOperations(
                lookup=lookup, applications=applications, notifications=notifications, clock=clock
            ),
            PlatformOperations(applications=applications),
            TextMessageOperations(messages=TextMessages(documents), notifications=notifications),
        ),
        find_resource=find_resource,
        expire=expire,
    )
