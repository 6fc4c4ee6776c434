"""How often and when deliveries are tried again."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.delivery_policy import (
    TO_RESOURCES,
    RetryPolicy,
    effective_policy,
    shown_subscription_policy,
    shown_topic_policy,
)
from lambent.domain.subscription import Subscription
from lambent.domain.topic import Topic

TOPIC = Topic(account="000000000000", region="us-east-1", name="t")
SUBSCRIPTION = Subscription(
    topic_arn=TOPIC.arn,
    id="i",
    protocol="https",
    endpoint="https://a",
    owner="000000000000",
    principal="arn:aws:iam::000000000000:root",
)


def delays(policy: RetryPolicy) -> list[float | None]:
    return [policy.delay_s(retry) for retry in range(1, policy.retries + 2)]


def test_an_address_is_tried_three_times_again_after_twenty_seconds_each() -> None:
    assert delays(RetryPolicy()) == [20, 20, 20, None]


def test_retries_go_through_four_phases() -> None:
    policy = RetryPolicy(min_delay_s=1, max_delay_s=5, retries=9, at_once=2, at_min_delay=2, at_max_delay=2)
    assert delays(policy) == [0, 0, 1, 1, 1, 3, 5, 5, 5, None]
    assert policy.total_s == 21


@pytest.mark.parametrize("backoff", ["linear", "arithmetic", "geometric", "exponential"])
def test_delays_grow_from_the_least_to_the_greatest(backoff: Any) -> None:
    found = delays(RetryPolicy(min_delay_s=1, max_delay_s=60, retries=6, backoff=backoff))[:-1]
    assert [found[0], found[-1]] == [1, pytest.approx(60)]
    assert all(before < after for before, after in itertools.pairwise(found))  # type: ignore[operator]
    single = RetryPolicy(min_delay_s=7, max_delay_s=60, retries=1, backoff=backoff)
    assert delays(single) == [7, None]


def test_queues_and_functions_are_tried_for_weeks() -> None:
    first = [TO_RESOURCES.delay_s(retry) for retry in range(1, 7)]
    assert first == [0, 0, 0, 1, 1, 1]
    assert [TO_RESOURCES.delay_s(retry) for retry in (15, 16, 100_015, 100_016)] == [20, 20, 20, None]


def with_policy(**members: Any) -> Topic:
    return replace(TOPIC, attributes={"DeliveryPolicy": json.dumps({"http": members})})


def test_a_subscription_s_policy_comes_before_its_topic_s_unless_the_topic_says_no() -> None:
    topics = {
        "defaultHealthyRetryPolicy": {"numRetries": 7},
        "defaultThrottlePolicy": {"maxReceivesPerSecond": 2},
    }
    own = replace(
        SUBSCRIPTION,
        attributes={
            "DeliveryPolicy": json.dumps(
                {
                    "healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": None},
                    "requestPolicy": {"headerContentType": "application/json"},
                }
            )
        },
    )
    policy = effective_policy(with_policy(**topics), own)
    assert (policy.retry.retries, policy.per_second_max, policy.content_type) == (1, 2, "application/json")
    assert effective_policy(with_policy(**topics), SUBSCRIPTION).retry.retries == 7
    firm = with_policy(**topics, disableSubscriptionOverrides=True)
    assert effective_policy(firm, own).retry.retries == 7


def test_effective_policies_are_shown_with_everything_that_was_not_said() -> None:
    shown = json.loads(shown_topic_policy(with_policy(defaultHealthyRetryPolicy={"numRetries": 7})))["http"]
    assert shown["defaultHealthyRetryPolicy"]["numRetries"] == 7
    assert shown["defaultHealthyRetryPolicy"]["minDelayTarget"] == 20
    assert shown["defaultRequestPolicy"] == {"headerContentType": "text/plain; charset=UTF-8"}
    own = json.loads(shown_subscription_policy(TOPIC, SUBSCRIPTION))
    assert own["healthyRetryPolicy"]["numRetries"] == 3
