"""Which endpoints and attributes a subscription can have. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from lambent.arn import Arn, parse_arn
from lambent.domain.platform_application import endpoint_key
from lambent.domain.text_message import is_telephone_number
from lambent.domain.topic import MESSAGE_MAX_BYTES, Topic
from lambent.errors import InvalidParameterException, NotImplemented_
from lambent.services.sns.errors import invalid
from lambent.services.sns.policy_rules import Fail, FilterRules, check_subscription_delivery

CONFIRMED_AT_ONCE = frozenset({"application", "firehose", "sms"})
"""Protocols whose endpoints nobody has to confirm."""
_RAW_PROTOCOLS = frozenset({"firehose", "http", "https", "sqs"})
_MAILBOX = re.compile(r"[^@\s]+@[^@\s]+")
_STREAM = re.compile(r"deliverystream/[a-zA-Z0-9_.-]{1,64}")
_FUNCTION = re.compile(r"function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?")
_QUEUE = re.compile(r"[A-Za-z0-9_-]{1,80}(\.fifo)?")
_ARNS = {
    "firehose": (_STREAM, "Firehose endpoint ARN"),
    "lambda": (_FUNCTION, "Lambda endpoint ARN"),
    "sqs": (_QUEUE, "SQS endpoint ARN"),
}
"""Protocols whose endpoints have ARNs of the service of the same name: their form, and what they are called."""
_OTHERS = frozenset({"application", "email", "email-json", "sms"})
_URL_MAX = 2_048
NAMES = frozenset(
    {
        "DeliveryPolicy",
        "FilterPolicy",
        "FilterPolicyScope",
        "RawMessageDelivery",
        "RedrivePolicy",
        "ReplayPolicy",
        "SubscriptionRoleArn",
    }
)


def check_endpoint(topic: Topic, protocol: str, endpoint: str) -> str | None:
    """Refuse an endpoint that cannot subscribe, and return whose it is; None: nobody can tell by its name.

    Raises:
        InvalidParameterException: it is none of this protocol, or not for such a topic.
    """
    owner = None
    if protocol in ("http", "https"):
        _check_url(protocol, endpoint)
        _check_large(topic)
    elif protocol in _ARNS:
        owner = _arn(endpoint, protocol, *_ARNS[protocol]).account
    elif protocol in _OTHERS:
        _check_other(protocol, endpoint)
    else:
        raise invalid(f"Amazon SNS does not support this protocol string: {protocol}")
    if topic.is_fifo and protocol != "sqs":
        raise invalid("Invalid parameter: Endpoint", "Please use FIFO SQS queue")
    if endpoint.endswith(".fifo") and not topic.is_fifo:
        raise invalid(
            "Invalid parameter: Endpoint", "FIFO SQS Queues can not be subscribed to standard SNS topics"
        )
    return owner


def _check_other(protocol: str, endpoint: str) -> None:
    if protocol == "application" and endpoint_key(endpoint) is None:
        raise invalid("Application endpoint ARN")
    if protocol == "sms" and not is_telephone_number(endpoint):
        raise InvalidParameterException(f"Invalid SMS endpoint: {endpoint}")
    if protocol.startswith("email") and not _MAILBOX.fullmatch(endpoint):
        raise invalid("Email address")


def _check_url(protocol: str, endpoint: str) -> None:
    try:
        place = urlsplit(endpoint)
        is_url = place.scheme == protocol and bool(place.hostname) and (place.port or 1) > 0
    except ValueError:
        is_url = False
    if not endpoint.startswith(f"{protocol}://"):
        raise invalid("Endpoint must match the specified protocol")
    if not is_url or not endpoint.isascii() or not endpoint.isprintable() or " " in endpoint:
        raise invalid("Endpoint", "it is no address")
    if len(endpoint) > _URL_MAX:
        raise invalid("Endpoint", f"it is longer than {_URL_MAX} characters")


def _check_large(topic: Topic) -> None:
    if topic.message_max_bytes > MESSAGE_MAX_BYTES:
        raise invalid("Endpoint", "HTTP/S endpoints take no messages of more than 262144 bytes")


def _arn(text: str, service: str, resource: re.Pattern[str], what: str) -> Arn:
    arn = parse_arn(text)
    if arn is None or arn.service != service or not resource.fullmatch(arn.resource):
        raise invalid(what)
    return arn


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRules:
    """Checks attributes of a subscription.

    Attributes:
        topic: to which.
        protocol: the subscription's.
        endpoint: the subscription's.
        fail: makes the error from what is wrong.
    """

    topic: Topic
    protocol: str
    endpoint: str
    fail: Fail = invalid

    def after(self, before: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
        """Return the attributes of a subscription after some were given; None takes one away.

        Raises:
            InvalidParameterException: one does not exist, or cannot have that value.
            NotImplemented_: messages would have to be replayed.
        """
        after = dict(before)
        for name, value in given.items():
            if name not in NAMES:
                raise self.fail("AttributeName")
            after[name] = "" if value is None else self._checked(name, value)
        after = {name: value for name, value in after.items() if value != ""}
        if self.protocol == "firehose" and "SubscriptionRoleArn" not in after:
            raise self.fail(
                "SubscriptionRoleArn: it is required for subscriptions of Firehose delivery streams"
            )
        if ("FilterPolicy" in given or "FilterPolicyScope" in given) and "FilterPolicy" in after:
            scope = after.get("FilterPolicyScope", "MessageAttributes")
            FilterRules(self.fail, scope).check(after["FilterPolicy"])
        return after

    def _checked(self, name: str, value: str) -> str:
        match name:
            case "FilterPolicyScope":
                if value not in ("MessageAttributes", "MessageBody"):
                    raise self.fail(
                        f"FilterPolicyScope: Invalid value [{value}]. "
                        "Please use either MessageBody or MessageAttributes"
                    )
            case "RawMessageDelivery":
                return _raw(self.protocol, value, self.fail)
            case "RedrivePolicy":
                _check_redrive(self.topic, self.endpoint, value, self.fail)
            case "DeliveryPolicy":
                if value:
                    check_subscription_delivery(value, self.fail)
            case "ReplayPolicy":
                if value not in ("", "{}"):
                    raise NotImplemented_("Lambent does not archive messages of topics yet, nor replay them.")
                return ""
            case "SubscriptionRoleArn":
                _check_role(self.protocol, value, self.fail)
            case _:
                pass
        return value


def _check_role(protocol: str, value: str, fail: Fail) -> None:
    if protocol != "firehose":
        raise fail("SubscriptionRoleArn: only subscriptions of Firehose delivery streams have it")
    arn = parse_arn(value)
    if value and (arn is None or arn.service != "iam" or not arn.resource.startswith("role/")):
        raise fail("SubscriptionRoleArn: it is no ARN of a role")


def _raw(protocol: str, value: str, fail: Fail) -> str:
    if value.lower() not in ("true", "false"):
        raise fail(f"RawMessageDelivery: Invalid value [{value}]. Must be true or false.")
    if value.lower() == "true" and protocol not in _RAW_PROTOCOLS:
        raise fail(
            f"RawMessageDelivery: Delivery protocol [{protocol}] does not support raw message delivery."
        )
    return value.lower()


def _check_redrive(topic: Topic, endpoint: str, text: str, fail: Fail) -> None:
    try:
        policy: Any = json.loads(text)
    except (ValueError, RecursionError):
        policy = None
    if not isinstance(policy, dict):
        raise fail("RedrivePolicy: failed to parse JSON.")
    for name in cast("dict[str, Any]", policy):
        if name != "deadLetterTargetArn":
            raise fail(f"RedrivePolicy: invalid JSON. Attribute {name} is unknown.")
    target: Any = cast("dict[str, Any]", policy).get("deadLetterTargetArn")
    arn = parse_arn(target) if isinstance(target, str) else None
    if arn is None or arn.service != "sqs":
        raise _bad_target(fail)
    is_ordered = topic.is_fifo and endpoint.endswith(".fifo")
    is_fifo_queue = arn.resource.endswith(".fifo")
    if is_ordered and not is_fifo_queue:
        raise fail("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic.")
    if is_fifo_queue and not is_ordered:
        raise fail("RedrivePolicy: must use a standard queue as DLQ for a standard Subscription.")


def _bad_target(fail: Fail) -> InvalidParameterException:
    return fail("RedrivePolicy: deadLetterTargetArn is an invalid arn")
