"""Topics: made, shown, listed, changed, deleted; their tags, permissions and data protection policies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lambent.delivery.notifications import Notifications
from lambent.domain.call import Call
from lambent.domain.delivery_policy import shown_topic_policy
from lambent.domain.page_token import token_after
from lambent.domain.policy_document import has_statement, with_statement, without_statement, written
from lambent.domain.subscription import Subscription
from lambent.domain.topic import MESSAGE_MAX_BYTES, Topic
from lambent.services import Members
from lambent.services.sns.errors import invalid
from lambent.services.sns.lookup import PAGE_MAX, Lookup, check_topic_arn, key_after
from lambent.services.sns.topic_rules import (
    SETTABLE,
    check_data_protection,
    check_name,
    check_tag_count,
    checked,
    checked_value,
    tags_of,
)
from lambent.store import RevisionConflict

_ACCOUNT = re.compile(r"\d{12}")
_LARGE_SUBSCRIPTIONS_MAX = 100
_ACTIONS = frozenset(
    {
        "*",
        "AddPermission",
        "DeleteTopic",
        "GetDataProtectionPolicy",
        "GetTopicAttributes",
        "ListSubscriptionsByTopic",
        "ListTagsForResource",
        "Publish",
        "PutDataProtectionPolicy",
        "Receive",
        "RemovePermission",
        "SetTopicAttributes",
        "Subscribe",
    }
)


class TopicOperations:
    """The operations on topics."""

    def __init__(self, *, lookup: Lookup, notifications: Notifications) -> None:
        self._lookup = lookup
        self._notifications = notifications

    async def create_topic(self, call: Call, parameters: Members) -> Members:
        """Make a topic; making it again with the same attributes and tags is no error (API page CreateTopic).

        Raises:
            InvalidParameterException: name, an attribute or a tag cannot be, or there is another such topic.
            NotImplemented_: messages would have to be archived.
        """
        name: str = parameters["Name"]
        given: Mapping[str, str] = parameters.get("Attributes") or {}
        is_fifo = given.get("FifoTopic", "").lower() == "true"
        check_name(name, is_fifo=is_fifo)
        policy: str = parameters.get("DataProtectionPolicy") or ""
        check_data_protection(policy)
        defaults = {"ContentBasedDeduplication": "false"} if is_fifo else {}
        attributes = checked(given, is_fifo=is_fifo)
        topic = Topic(
            account=call.account,
            region=call.region,
            name=name,
            attributes={**defaults, **attributes},
            tags=tags_of(parameters.get("Tags") or ()),
            data_protection_policy=policy,
        )
        try:
            await self._lookup.topics.put(topic, expect_revision=0)
        except RevisionConflict:
            await self._check_same(topic, attributes)
        return {"TopicArn": topic.arn}

    async def _check_same(self, topic: Topic, given: Mapping[str, str]) -> None:
        existing = await self._lookup.topics.find(topic.arn)
        if existing is None:
            return
        if any(existing.attributes.get(name) != value for name, value in given.items()):
            raise invalid("Attributes", "Topic already exists with different attributes")
        if topic.tags and dict(existing.tags) != dict(topic.tags):
            raise invalid("Tags", "Topic already exists with different tags")

    async def delete_topic(self, call: Call, parameters: Members) -> Members:
        """Delete a topic and its subscriptions; what is on its way is dropped (API page DeleteTopic).

        Raises:
            InvalidParameterException: it is no topic's ARN.
        """
        check_topic_arn(call, parameters["TopicArn"])
        topic = await self._lookup.topics.find(parameters["TopicArn"])
        if topic is not None:
            await self._notifications.forget(topic, await self._lookup.topics.delete(topic))
        return {}

    async def get_topic_attributes(self, call: Call, parameters: Members) -> Members:
        """Return the attributes of a topic (API page GetTopicAttributes).

        Raises:
            NotFoundException: there is none.
        """
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        subscriptions = await self._lookup.topics.subscriptions(topic.key)
        return {"Attributes": _shown(topic, subscriptions)}

    async def set_topic_attributes(self, call: Call, parameters: Members) -> Members:
        """Change an attribute of a topic (API page SetTopicAttributes).

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException: there is no such attribute, or it cannot have that value.
            NotImplemented_: messages would have to be archived.
        """
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        name: str = parameters["AttributeName"]
        if name not in SETTABLE:
            raise invalid("AttributeName")
        value = checked_value(
            name, parameters.get("AttributeValue") or "", is_fifo=topic.is_fifo, fail=invalid
        )
        if name == "MaximumMessageSize" and int(value or 0) > MESSAGE_MAX_BYTES:
            subscriptions = await self._lookup.topics.subscriptions(topic.key)
            if len(subscriptions) > _LARGE_SUBSCRIPTIONS_MAX or any(one.is_http for one in subscriptions):
                raise invalid("MaximumMessageSize", "The topic has subscriptions that take no large messages")
        await self._lookup.change(topic, lambda now: _with_attribute(now, name, value))
        return {}

    async def list_topics(self, call: Call, parameters: Members) -> Members:
        """Return the topics of account and region by name, 100 at a time (API page ListTopics).

        Raises:
            InvalidParameterException: the token is none of ours.
        """
        after = key_after(parameters.get("NextToken"))
        found = await self._lookup.topics.list(call.account, call.region, after=after, limit=PAGE_MAX + 1)
        result: dict[str, Any] = {"Topics": [{"TopicArn": topic.arn} for topic in found[:PAGE_MAX]]}
        if len(found) > PAGE_MAX:
            result["NextToken"] = token_after(found[PAGE_MAX - 1].name)
        return result

    async def get_data_protection_policy(self, call: Call, parameters: Members) -> Members:
        """Return a topic's data protection policy (API page GetDataProtectionPolicy).

        Raises:
            NotFoundException: there is no such topic.
        """
        topic = await self._lookup.topic(call, parameters["ResourceArn"], member="ResourceArn")
        return {"DataProtectionPolicy": topic.data_protection_policy}

    async def put_data_protection_policy(self, call: Call, parameters: Members) -> Members:
        """Keep a topic's data protection policy, which has no effect (API page PutDataProtectionPolicy).

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException: it is too long.
        """
        topic = await self._lookup.topic(call, parameters["ResourceArn"], member="ResourceArn")
        text: str = parameters["DataProtectionPolicy"]
        check_data_protection(text)
        await self._lookup.change(topic, lambda now: replace(now, data_protection_policy=text))
        return {}


class TagOperations:
    """The operations on tags of topics."""

    def __init__(self, *, lookup: Lookup) -> None:
        self._lookup = lookup

    async def tag_resource(self, call: Call, parameters: Members) -> Members:
        """Add tags (API page TagResource).

        Raises:
            ResourceNotFoundException: there is no such topic.
            InvalidParameterException: a key is there twice, or is AWS's own.
            TagLimitExceededException: there would be more than 50.
        """
        topic = await self._lookup.tagged(call, parameters["ResourceArn"])
        added = tags_of(parameters["Tags"])

        def tagged(now: Topic) -> Topic:
            tags = {**now.tags, **added}
            check_tag_count(tags)
            return replace(now, tags=tags)

        await self._lookup.change(topic, tagged)
        return {}

    async def untag_resource(self, call: Call, parameters: Members) -> Members:
        """Remove tags (API page UntagResource).

        Raises:
            ResourceNotFoundException: there is no such topic.
        """
        topic = await self._lookup.tagged(call, parameters["ResourceArn"])
        removed: list[str] = parameters["TagKeys"]
        await self._lookup.change(
            topic, lambda now: replace(now, tags={k: v for k, v in now.tags.items() if k not in removed})
        )
        return {}

    async def list_tags_for_resource(self, call: Call, parameters: Members) -> Members:
        """Return the tags (API page ListTagsForResource).

        Raises:
            ResourceNotFoundException: there is no such topic.
        """
        topic = await self._lookup.tagged(call, parameters["ResourceArn"])
        return {"Tags": [{"Key": key, "Value": value} for key, value in topic.tags.items()]}


class PermissionOperations:
    """The operations on statements of a topic's policy."""

    def __init__(self, *, lookup: Lookup) -> None:
        self._lookup = lookup

    async def add_permission(self, call: Call, parameters: Members) -> Members:
        """Add a statement that lets accounts do something (API page AddPermission).

        Raises:
            NotFoundException: there is no such topic.
            InvalidParameterException: accounts or actions cannot be, or there is a statement of this label.
        """
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        accounts: list[str] = parameters["AWSAccountId"]
        actions: list[str] = parameters["ActionName"]
        if not accounts or not all(_ACCOUNT.fullmatch(account) for account in accounts):
            raise invalid("Policy Error: PrincipalNotFound")
        if not actions or not set(actions) <= _ACTIONS:
            raise invalid("Policy statement action out of service scope!")
        statement = {
            "Sid": parameters["Label"],
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_all([f"arn:aws:iam::{account}:root" for account in accounts])},
            "Action": _one_or_all([f"SNS:{action}" for action in actions]),
            "Resource": topic.arn,
        }
        await self._lookup.change(topic, lambda now: _with_statement(now, statement))
        return {}

    async def remove_permission(self, call: Call, parameters: Members) -> Members:
        """Remove a statement; one that is not there is no error (API page RemovePermission).

        Raises:
            NotFoundException: there is no such topic.
        """
        topic = await self._lookup.topic(call, parameters["TopicArn"])
        await self._lookup.change(
            topic,
            lambda now: _without_statement(now, parameters["Label"]),
        )
        return {}


def _with_attribute(topic: Topic, name: str, value: str) -> Topic:
    attributes = {**topic.attributes, name: value}
    return replace(topic, attributes={key: text for key, text in attributes.items() if text != ""})


def _shown(topic: Topic, subscriptions: list[Subscription]) -> dict[str, str]:
    def count(state: str) -> str:
        return str(sum(one.state == state for one in subscriptions))

    return {
        "TopicArn": topic.arn,
        "Owner": topic.account,
        "DisplayName": "",
        "Policy": topic.policy,
        "SubscriptionsConfirmed": count("confirmed"),
        "SubscriptionsPending": count("pending"),
        "SubscriptionsDeleted": str(topic.deleted_subscriptions),
        "EffectiveDeliveryPolicy": shown_topic_policy(topic),
        **topic.attributes,
    }


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _with_statement(topic: Topic, statement: Mapping[str, Any]) -> Topic:
    policy = json.loads(topic.policy)
    if has_statement(policy, statement["Sid"]):
        raise invalid("Statement already exists")
    return _with_policy(topic, with_statement(policy, statement))


def _without_statement(topic: Topic, label: str) -> Topic:
    return _with_policy(topic, without_statement(json.loads(topic.policy), label))


def _with_policy(topic: Topic, policy: Mapping[str, Any]) -> Topic:
    return _with_attribute(topic, "Policy", written(policy))
