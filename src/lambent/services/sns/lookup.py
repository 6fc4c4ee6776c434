"""Topics and subscriptions as callers name them, by ARN; and pages of them."""

from __future__ import annotations

from collections.abc import Callable

from lambent.arn import Arn, parse_arn
from lambent.domain.call import Call
from lambent.domain.page_token import key_of_token
from lambent.domain.subscription import Subscription, split_subscription_arn, subscription_key
from lambent.domain.topic import Topic
from lambent.errors import AuthorizationErrorException, ResourceNotFoundException
from lambent.services.sns.errors import invalid, no_subscription, no_topic
from lambent.store import RevisionConflict
from lambent.store.topics import Topics

PAGE_MAX = 100
_ATTEMPTS_MAX = 8


class Lookup:
    """Finds topics and subscriptions, and changes topics."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics

    async def topic(self, call: Call, arn: str, *, member: str = "TopicArn") -> Topic:
        """Return a topic.

        Raises:
            InvalidParameterException: it is no topic's ARN, or one of another region.
            AuthorizationErrorException: it is another account's.
            NotFoundException: there is none.
        """
        check_topic_arn(call, arn, member=member)
        topic = await self.topics.find(arn)
        if topic is None:
            raise no_topic()
        return topic

    async def tagged(self, call: Call, arn: str) -> Topic:
        """Return a topic whose tags are asked for.

        Raises:
            ResourceNotFoundException: there is none.
        """
        check_topic_arn(call, arn, member="ResourceArn")
        topic = await self.topics.find(arn)
        if topic is None:
            raise ResourceNotFoundException("Resource does not exist")
        return topic

    async def subscription(self, call: Call, arn: str) -> Subscription:
        """Return a subscription of the caller's, or to a topic of theirs.

        Raises:
            InvalidParameterException: it is no subscription's ARN.
            NotFoundException: there is none.
            AuthorizationErrorException: it is another account's.
        """
        check_subscription_arn(arn)
        key = subscription_key(arn)
        subscription = await self.topics.subscription(key) if key else None
        if subscription is None or subscription.state == "deleted":
            raise no_subscription()
        owners = (subscription.owner, subscription.topic_arn.split(":")[4])
        if call.account not in owners and call.admitted_account not in owners:
            raise _not_yours(call, arn)
        return subscription

    async def change(self, topic: Topic, decide: Callable[[Topic], Topic]) -> Topic:
        """Replace a topic by what `decide` makes of it.

        Raises:
            NotFoundException: it was deleted meanwhile.
        """
        for _ in range(_ATTEMPTS_MAX):
            found = await self.topics.get_with_revision(topic.key)
            if found is None:
                break
            after = decide(found[1])
            try:
                await self.topics.put(after, expect_revision=found[0])
            except RevisionConflict:
                continue
            return after
        raise no_topic()


def check_topic_arn(call: Call, arn: str, *, member: str = "TopicArn") -> Arn:
    """Return the parts of a topic's ARN.

    Raises:
        InvalidParameterException: it is none, or one of another region.
        AuthorizationErrorException: it is another account's, which has not opened it.
    """
    check_arn_length(arn, member)
    parsed = parse_arn(arn)
    if (
        parsed is None
        or parsed.service != "sns"
        or parsed.region != call.region
        or ":" in parsed.resource
        or "/" in parsed.resource
    ):
        raise invalid(member)
    if parsed.account not in (call.account, call.admitted_account):
        raise _not_yours(call, arn)
    return parsed


def check_subscription_arn(arn: str) -> None:
    """Refuse what is no subscription's ARN.

    Raises:
        InvalidParameterException: it is none.
    """
    check_arn_length(arn, "SubscriptionArn")
    if split_subscription_arn(arn) is None:
        raise invalid("SubscriptionId")


def check_owner(call: Call, arn: str) -> None:
    """Refuse what belongs to another account, or lies in another region.

    Raises:
        InvalidParameterException: it is no ARN, or one of another region.
        AuthorizationErrorException: it is another account's.
    """
    parsed = parse_arn(arn)
    if parsed is None or parsed.region != call.region:
        raise invalid("Arn")
    if parsed.account != call.account:
        raise _not_yours(call, arn)


def check_arn_length(arn: str, member: str) -> None:
    """Refuse what is too short to be an ARN.

    Raises:
        InvalidParameterException: it is.
    """
    count = len(arn.split(":"))
    if count < 6:
        raise invalid(member, f"An ARN must have at least 6 elements, not {count}")


def _not_yours(call: Call, arn: str) -> AuthorizationErrorException:
    return AuthorizationErrorException(
        f"User: {call.principal.arn} is not authorized to perform this operation on resource: {arn}"
    )


def key_after(token: str | None) -> str:
    """Return the key with which the page before ended; empty for the first page.

    Raises:
        InvalidParameterException: the token is none of ours.
    """
    key = key_of_token(token) if token else ""
    if key is None:
        raise invalid("NextToken")
    return key
