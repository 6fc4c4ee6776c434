"""How often and when a delivery is tried again. Pure.

The phases are those of AWS's page "Amazon SNS message delivery retries": at once, after the least delay, after
growing delays, after the greatest delay. For addresses topics and subscriptions may have a policy; for queues
and functions AWS has a fixed one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lambent.domain.subscription import Subscription
from lambent.domain.topic import Topic

Backoff = Literal["linear", "arithmetic", "geometric", "exponential"]

CONTENT_TYPE = "text/plain; charset=UTF-8"
RETRIES_MAX = 100
DELAY_MAX_S = 3_600
"""Of one retry of a delivery to an address, and of all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again."""

    min_delay_s: int = 20
    max_delay_s: int = 20
    retries: int = 3
    """All of them together."""
    at_once: int = 0
    at_min_delay: int = 0
    at_max_delay: int = 0
    backoff: Backoff = "linear"

    def delay_s(self, retry: int) -> float | None:
        """Return the delay before a retry; None when there is no such one.

        Args:
            retry: which, from 1.
        """
        if retry > self.retries:
            return None
        if retry <= self.at_once:
            return 0.0
        if retry <= self.at_once + self.at_min_delay:
            return float(self.min_delay_s)
        step = retry - self.at_once - self.at_min_delay
        steps = self.retries - self.at_once - self.at_min_delay - self.at_max_delay
        return float(self.max_delay_s) if step > steps else self._grown_s(step, steps)

    @property
    def total_s(self) -> float:
        """How long all delays are together."""
        return sum(self.delay_s(retry) or 0.0 for retry in range(1, self.retries + 1))

    def _grown_s(self, step: int, steps: int) -> float:
        low, high = self.min_delay_s, self.max_delay_s
        if steps <= 1:
            return float(low)
        part = (step - 1) / (steps - 1)
        match self.backoff:
            case "linear":
                share = part
            case "arithmetic":
                share = step * (step - 1) / (steps * (steps - 1))
            case "geometric":
                share = (low * (high / low) ** part - low) / (high - low) if high > low else 0.0
            case "exponential":
                share = (2.0 ** (step - 1) - 1) / (2.0 ** (steps - 1) - 1)
        return low + (high - low) * share


TO_RESOURCES = RetryPolicy(
    min_delay_s=1,
    max_delay_s=20,
    retries=100_015,
    at_once=3,
    at_min_delay=2,
    at_max_delay=100_000,
    backoff="exponential",
)
"""For queues and functions: over 23 days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """How an address is sent to."""

    retry: RetryPolicy = RetryPolicy()
    per_second_max: int | None = None
    """None: as quickly as it takes them."""
    content_type: str = CONTENT_TYPE


def effective_policy(topic: Topic, subscription: Subscription) -> DeliveryPolicy:
    """Return how a subscription's address is sent to: its own policy before its topic's, part by part."""
    retry, throttle, request = (
        _part(topic, subscription, name) for name in ("HealthyRetryPolicy", "ThrottlePolicy", "RequestPolicy")
    )
    return DeliveryPolicy(
        retry=retry_policy(retry),
        per_second_max=throttle.get("maxReceivesPerSecond"),
        content_type=request.get("headerContentType") or CONTENT_TYPE,
    )


def retry_policy(members: Mapping[str, Any]) -> RetryPolicy:
    """Return a retry policy by AWS's member names; what is missing has AWS's default."""
    usual = RetryPolicy()
    members = {name: value for name, value in members.items() if value is not None}
    low = members.get("minDelayTarget", usual.min_delay_s)
    return RetryPolicy(
        min_delay_s=low,
        max_delay_s=members.get("maxDelayTarget", max(low, usual.max_delay_s)),
        retries=members.get("numRetries", usual.retries),
        at_once=members.get("numNoDelayRetries", 0),
        at_min_delay=members.get("numMinDelayRetries", 0),
        at_max_delay=members.get("numMaxDelayRetries", 0),
        backoff=members.get("backoffFunction", usual.backoff),
    )


def shown_retry_policy(policy: RetryPolicy) -> dict[str, Any]:
    """Return a retry policy by AWS's member names."""
    return {
        "minDelayTarget": policy.min_delay_s,
        "maxDelayTarget": policy.max_delay_s,
        "numRetries": policy.retries,
        "numMaxDelayRetries": policy.at_max_delay,
        "numNoDelayRetries": policy.at_once,
        "numMinDelayRetries": policy.at_min_delay,
        "backoffFunction": policy.backoff,
    }


def shown_topic_policy(topic: Topic) -> str:
    """Return a topic's EffectiveDeliveryPolicy."""
    given = _of_topic(topic)
    shown: dict[str, Any] = {
        "defaultHealthyRetryPolicy": shown_retry_policy(
            retry_policy(given.get("defaultHealthyRetryPolicy") or {})
        ),
        "disableSubscriptionOverrides": bool(given.get("disableSubscriptionOverrides", False)),
    }
    if throttle := given.get("defaultThrottlePolicy"):
        shown["defaultThrottlePolicy"] = throttle
    shown["defaultRequestPolicy"] = given.get("defaultRequestPolicy") or {"headerContentType": CONTENT_TYPE}
    return json.dumps({"http": shown}, separators=(",", ":"))


def shown_subscription_policy(topic: Topic, subscription: Subscription) -> str:
    """Return a subscription's EffectiveDeliveryPolicy."""
    policy = effective_policy(topic, subscription)
    throttle = {"maxReceivesPerSecond": policy.per_second_max} if policy.per_second_max else None
    shown: dict[str, Any] = {
        "healthyRetryPolicy": shown_retry_policy(policy.retry),
        "sicklyRetryPolicy": None,
        "throttlePolicy": throttle,
        "requestPolicy": {"headerContentType": policy.content_type},
        "guaranteed": False,
    }
    return json.dumps(shown, separators=(",", ":"))


def _part(topic: Topic, subscription: Subscription, name: str) -> Mapping[str, Any]:
    own = _parsed(subscription.attributes.get("DeliveryPolicy"))
    topics = _of_topic(topic)
    given = own.get(name[0].lower() + name[1:])
    if given and not topics.get("disableSubscriptionOverrides"):
        return given
    return topics.get(f"default{name}") or {}


def _of_topic(topic: Topic) -> Mapping[str, Any]:
    return _parsed(topic.attributes.get("DeliveryPolicy")).get("http") or {}


def _parsed(text: str | None) -> Mapping[str, Any]:
    return json.loads(text) if text else {}
