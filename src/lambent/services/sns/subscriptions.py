"""Subscriptions: made, confirmed, shown, listed, changed, ended."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lambent.clock import Clock
from lambent.delivery.notifications import Notifications
from lambent.domain.call import Call
from lambent.domain.delivery_policy import shown_subscription_policy
from lambent.domain.page_token import token_after
from lambent.domain.platform_application import endpoint_key
from lambent.domain.publication import Kind, Notification, Publication
from lambent.domain.subscription import TOKEN_VALID_S, Subscription, subscription_key
from lambent.domain.topic import Topic
from lambent.errors import AuthorizationErrorException
from lambent.services import Members
from lambent.services.sns.errors import invalid, no_subscription, no_topic
from lambent.services.sns.lookup import (
    PAGE_MAX,
    Lookup,
    check_subscription_arn,
    key_after,
)
from lambent.services.sns.subscription_rules import CONFIRMED_AT_ONCE, AttributeRules, check_endpoint
from lambent.store.platform_applications import PlatformApplications

_TOKEN_BYTES = 144
_PENDING = "pending confirmation"
_SCAN = 1_000
_INVITATION = (
    "You have chosen to subscribe to the topic {topic}.\n"
    "To confirm the subscription, visit the SubscribeURL included in this message."
)
_FAREWELL = (
    "You have chosen to deactivate subscription {subscription}.\n"
    "To cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
)


class SubscriptionOperations:
    """The operations on subscriptions."""

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

    async def subscribe(self, call: Call, parameters: Members) -> Members:
        """Subscribe an endpoint; one that is subscribed already stays so (API page Subscribe).

        Addresses, mailboxes, and what is another account's than the caller's, have to confirm it first.

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException: endpoint or attributes cannot be, or the subscription has others.
        """
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        protocol: str = parameters["Protocol"]
        endpoint: str = parameters.get("Endpoint") or ""
        owner = check_endpoint(topic, protocol, endpoint)
        given: Mapping[str, str] = parameters.get("Attributes") or {}
        if protocol == "application":
            await self._check_device(endpoint)
        is_pending = protocol not in CONFIRMED_AT_ONCE and owner != call.account
        wanted = self._new(call, topic, protocol, endpoint, given, is_pending=is_pending)
        kept = await self._lookup.topics.subscribe(wanted)
        if kept is not wanted:
            _check_same(kept, wanted.attributes, given)
        if kept.state == "pending":
            if kept.token_s + TOKEN_VALID_S < call.at_s:
                kept = replace(kept, token=_new_token(), token_s=call.at_s)
                await self._lookup.topics.put_subscription(kept)
            await self._send(call, kept, "SubscriptionConfirmation", _INVITATION.format(topic=topic.arn))
        is_shown = kept.state == "confirmed" or parameters.get("ReturnSubscriptionArn")
        return {"SubscriptionArn": kept.arn if is_shown else _PENDING}

    async def _check_device(self, arn: str) -> None:
        key = endpoint_key(arn)
        if key is None or await self._applications.endpoint(key) is None:
            raise invalid("Endpoint", f"Endpoint does not exist for endpoint {arn}")

    def _new(
        self,
        call: Call,
        topic: Topic,
        protocol: str,
        endpoint: str,
        given: Mapping[str, str],
        *,
        is_pending: bool,
    ) -> Subscription:
        rules = AttributeRules(
            topic=topic,
            protocol=protocol,
            endpoint=endpoint,
            fail=lambda text: invalid("Attributes", text),
        )
        attributes = rules.after({}, given)
        return Subscription(
            topic_arn=topic.arn,
            id=str(uuid.uuid4()),
            protocol=protocol,
            endpoint=endpoint,
            owner=call.account,
            principal=call.principal.arn,
            attributes=attributes,
            state="pending" if is_pending else "confirmed",
            token=_new_token() if is_pending else "",
            token_s=call.at_s if is_pending else 0.0,
            confirmed_ms=0 if is_pending else self._now_ms(),
            was_authenticated=not is_pending,
        )

    async def confirm_subscription(self, call: Call, parameters: Members) -> Members:
        """Confirm a subscription by the token that its endpoint was sent (API page ConfirmSubscription).

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException: the token is none of this topic's, or too old.
        """
        topic = await self._lookup.topics.find(parameters["TopicArn"])
        if topic is None:
            raise no_topic()
        token: str = parameters["Token"]
        known = await self._lookup.topics.subscriptions(topic.key)
        found = next((one for one in known if one.token and secrets.compare_digest(*_both(one, token))), None)
        if found is None:
            raise invalid("Token")
        if found.state != "confirmed":
            if found.token_s + TOKEN_VALID_S < call.at_s:
                raise invalid("Token")
            is_signed = bool(call.access_key_id)
            wants_guard = str(parameters.get("AuthenticateOnUnsubscribe", "")).lower() == "true"
            found = replace(
                found,
                state="confirmed",
                confirmed_ms=self._now_ms(),
                was_authenticated=is_signed,
                is_guarded=is_signed and wants_guard,
            )
            if not await self._lookup.topics.put_subscription(found):
                raise invalid("Token")
        return {"SubscriptionArn": found.arn}

    async def unsubscribe(self, call: Call, parameters: Members) -> Members:
        """End a subscription; one that does not exist is no error (API page Unsubscribe).

        Whoever has the link of a message may, unless the subscription was confirmed otherwise; an address is
        then sent how to come back.

        Raises:
            InvalidParameterException: it is no subscription's ARN.
            AuthorizationErrorException: it is another account's, or asks for a signature.
        """
        arn: str = parameters.get("SubscriptionArn") or ""
        if not arn:
            raise invalid("SubscriptionArn", "no value for required parameter")
        check_subscription_arn(arn)
        key = subscription_key(arn)
        subscription = await self._lookup.topics.subscription(key) if key else None
        if subscription is None or subscription.state == "deleted":
            return {}
        if call.access_key_id:
            # The same question as for every other operation.
            await self._lookup.subscription(call, arn)
            await self._end(subscription)
            return {}
        if subscription.is_guarded:
            raise AuthorizationErrorException(
                "Unsubscribing requires a signature of the subscription's owner."
            )
        if not subscription.is_http:
            await self._end(subscription)
            return {}
        ended = replace(subscription, state="deleted", token=_new_token(), token_s=call.at_s)
        await self._lookup.topics.end_subscription(subscription, as_deleted=ended)
        await self._send(call, ended, "UnsubscribeConfirmation", _FAREWELL.format(subscription=arn))
        return {}

    async def _end(self, subscription: Subscription) -> None:
        await self._lookup.topics.end_subscription(subscription, as_deleted=None)
        await self._notifications.forget(None, [subscription])

    async def get_subscription_attributes(self, call: Call, parameters: Members) -> Members:
        """Return the attributes of a subscription (API page GetSubscriptionAttributes).

        Raises:
            NotFoundException: there is none.
            AuthorizationErrorException: it is another account's.
        """
        subscription = await self._lookup.subscription(call, parameters["SubscriptionArn"])
        topic = await self._lookup.topics.find(subscription.topic_arn)
        if topic is None:
            raise no_subscription()
        return {"Attributes": _shown(topic, subscription)}

    async def set_subscription_attributes(self, call: Call, parameters: Members) -> Members:
        """Change an attribute of a subscription; without a value, take it away (API page
        SetSubscriptionAttributes).

        Raises:
            NotFoundException: there is no such subscription.
            InvalidParameterException: there is no such attribute, or it cannot have that value.
            NotImplemented_: messages would have to be replayed.
        """
        subscription = await self._lookup.subscription(call, parameters["SubscriptionArn"])
        topic = await self._lookup.topics.find(subscription.topic_arn)
        if topic is None:
            raise no_subscription()
        rules = AttributeRules(topic=topic, protocol=subscription.protocol, endpoint=subscription.endpoint)
        given = {parameters["AttributeName"]: parameters.get("AttributeValue")}
        attributes = rules.after(subscription.attributes, given)
        if not await self._lookup.topics.put_subscription(replace(subscription, attributes=attributes)):
            raise no_subscription()
        return {}

    async def list_subscriptions(self, call: Call, parameters: Members) -> Members:
        """Return the caller's subscriptions, 100 at a time (API page ListSubscriptions).

        Raises:
            InvalidParameterException: the token is none of ours.
        """
        after = key_after(parameters.get("NextToken"))
        found: list[Subscription] = []
        while len(found) <= PAGE_MAX and (page := await self._lookup.topics.page(after=after, limit=_SCAN)):
            found += [one for one in page if _is_of(one, call)]
            after = page[-1].key
        return _page(found)

    async def list_subscriptions_by_topic(self, call: Call, parameters: Members) -> Members:
        """Return the subscriptions to a topic, 100 at a time (API page ListSubscriptionsByTopic).

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException: the token is none of ours.
        """
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        after = key_after(parameters.get("NextToken"))
        known = await self._lookup.topics.subscriptions(topic.key)
        return _page(
            sorted(
                (one for one in known if one.state != "deleted" and one.key > after),
                key=lambda one: one.key,
            )
        )

    async def _send(self, call: Call, subscription: Subscription, kind: Kind, text: str) -> None:
        """Send an endpoint something with a token by which it can confirm its subscription."""
        publication = Publication(
            message_id=str(uuid.uuid4()),
            topic_arn=subscription.topic_arn,
            text=text,
            published_ms=self._now_ms(),
            endpoint_url=call.endpoint_url,
        )
        notification = Notification(kind=kind, publication=publication, token=subscription.token)
        await self._notifications.notify(subscription, notification)

    def _now_ms(self) -> int:
        return int(self._clock.now_s() * 1000)


def _both(subscription: Subscription, token: str) -> tuple[bytes, bytes]:
    return subscription.token.encode(), token.encode()


def _new_token() -> str:
    return secrets.token_hex(_TOKEN_BYTES)


def _check_same(kept: Subscription, attributes: Mapping[str, str], given: Mapping[str, str]) -> None:
    if any(kept.attributes.get(name, "") != attributes.get(name, "") for name in given):
        raise invalid("Attributes", "Subscription already exists with different attributes")


def _is_of(subscription: Subscription, call: Call) -> bool:
    region = subscription.topic_arn.split(":")[3]
    return subscription.owner == call.account and region == call.region and subscription.state != "deleted"


def _page(found: list[Subscription]) -> Members:
    result: dict[str, Any] = {
        "Subscriptions": [
            {
                "SubscriptionArn": "PendingConfirmation" if one.state == "pending" else one.arn,
                "Owner": one.owner,
                "Protocol": one.protocol,
                "Endpoint": one.endpoint,
                "TopicArn": one.topic_arn,
            }
            for one in found[:PAGE_MAX]
        ]
    }
    if len(found) > PAGE_MAX:
        result["NextToken"] = token_after(found[PAGE_MAX - 1].key)
    return result


def _shown(topic: Topic, subscription: Subscription) -> dict[str, str]:
    is_pending = subscription.state == "pending"
    shown = {
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic_arn,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "Owner": subscription.owner,
        "PendingConfirmation": str(is_pending).lower(),
        "ConfirmationWasAuthenticated": str(subscription.was_authenticated and not is_pending).lower(),
        "RawMessageDelivery": "false",
        "SubscriptionPrincipal": subscription.principal,
        **subscription.attributes,
    }
    if "FilterPolicy" in subscription.attributes:
        shown.setdefault("FilterPolicyScope", "MessageAttributes")
    else:
        shown.pop("FilterPolicyScope", None)
    if subscription.is_http:
        shown["EffectiveDeliveryPolicy"] = shown_subscription_policy(topic, subscription)
    return shown
