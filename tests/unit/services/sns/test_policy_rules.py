"""Which filter and delivery policies can be, and AWS's sentences about those that cannot."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.errors import InvalidParameterException
from lambent.services.sns.errors import invalid
from lambent.services.sns.policy_rules import (
    FilterRules,
    check_subscription_delivery,
    check_topic_delivery,
)

MANY = [str(number) for number in range(13)]


def refusal(policy: Any, scope: str = "MessageBody") -> str:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    with pytest.raises(InvalidParameterException) as caught:
        FilterRules(invalid, scope).check(text)
    return caught.value.message.removeprefix("Invalid parameter: ")


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("{", "FilterPolicy: failed to parse JSON."),
        ("[1]", "FilterPolicy: failed to parse JSON."),
        ({"a": 1}, 'FilterPolicy: "a" must be an object or an array'),
        ({"a": []}, "FilterPolicy: Empty arrays are not allowed"),
        ({"a": [[1]]}, "FilterPolicy: Match value must be String, number, true, false, or null"),
        ({c: [1] for c in "abcdef"}, "FilterPolicy: Filter policy can not have more than 5 keys"),
        ({"a": MANY, "b": MANY}, "FilterPolicy: Filter policy is too complex"),
        ({"a": {"b": {"c": MANY}, "d": MANY[:3]}}, "FilterPolicy: Filter policy is too complex"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "FilterPolicy: Only one key allowed in match expression"),
        ({"a": [{"prefix": 1}]}, "FilterPolicy: prefix match pattern must be a string"),
        ({"a": [{"wildcard": "x*"}]}, "FilterPolicy: Unrecognized match type wildcard"),
        ({"a": [{"exists": 1}]}, "FilterPolicy: exists match pattern must be either true or false."),
        (
            {"a": [{"anything-but": {"suffix": "x"}}]},
            "FilterPolicy: Unsupported anything-but pattern: suffix",
        ),
        ({"a": [{"numeric": []}]}, "FilterPolicy: Invalid member in numeric match: ]"),
        ({"a": [{"numeric": ["~", 1]}]}, "FilterPolicy: Unrecognized numeric range operator: ~"),
        ({"a": [{"numeric": ["=", "1"]}]}, "FilterPolicy: Value of equals must be numeric"),
        ({"a": [{"numeric": ["<", 1, ">", 0]}]}, "FilterPolicy: Too many elements in numeric expression"),
        ({"a": [{"numeric": [">", 1, ">", 2]}]}, "FilterPolicy: Bad numeric range operator: >"),
        ({"a": [{"numeric": [">", 2, "<", 1]}]}, "FilterPolicy: Bottom must be less than top"),
        (
            {"a": [{"numeric": [">", 1, "<", 2, "<"]}]},
            "FilterPolicy: Too many terms in numeric range expression",
        ),
        ({"a": [{"cidr": "10.0.0.0"}]}, "FilterPolicy: Malformed CIDR, one '/' required"),
        ({"a": [{"cidr": "10.0.0.0/x"}]}, "FilterPolicy: Malformed CIDR, mask bits must be an integer"),
        ({"a": [{"cidr": "10.0.0/8"}]}, "FilterPolicy: Nonstandard IP address: 10.0.0"),
    ],
)
def test_a_filter_policy_that_cannot_be_is_refused_in_aws_s_words(policy: Any, text: str) -> None:
    assert refusal(policy) == text


def test_attributes_are_not_nested() -> None:
    text = "Filter policy scope MessageAttributes does not support nested filter policy"
    assert refusal({"a": {"b": ["x"]}}, "MessageAttributes") == text


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"a": [None, True, 1.5, "x"], "$or": [{"b": [1]}, {"c": [2]}]},
        {"$or": ["a key like any other"]},
        {"a": [{"numeric": [">=", 0, "<", 10]}, {"anything-but": {"prefix": "x"}}, {"cidr": "::1/128"}]},
        {"a": {"b": {"c": MANY[:12]}}, "d": ["x", "y", "z", "w"]},
    ],
)
def test_one_that_can_be_is_taken(policy: Any) -> None:
    FilterRules(invalid, "MessageBody").check(json.dumps(policy))


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ("{", "failed to parse JSON."),
        ({"x": 1}, "unexpected JSON member: x"),
        ({"healthyRetryPolicy": 3}, "healthyRetryPolicy must be an object"),
        ({"healthyRetryPolicy": {"numRetries": 101}}, "healthyRetryPolicy.numRetries must be from 0 to 100"),
        ({"healthyRetryPolicy": {"numRetries": True}}, "healthyRetryPolicy.numRetries must be from 0 to 100"),
        (
            {"healthyRetryPolicy": {"minDelayTarget": 5, "maxDelayTarget": 4}},
            "maxDelayTarget must be greater",
        ),
        ({"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}}, "numRetries must be greater"),
        ({"healthyRetryPolicy": {"backoffFunction": ["x"]}}, "backoffFunction must be one of"),
        (
            {"healthyRetryPolicy": {"numRetries": 10, "minDelayTarget": 900, "maxDelayTarget": 900}},
            "must not take longer than 3600 seconds",
        ),
        ({"throttlePolicy": {"maxReceivesPerSecond": 0}}, "maxReceivesPerSecond must be greater than"),
        ({"requestPolicy": {"headerContentType": "image/png"}}, "headerContentType is not supported"),
        (
            {"requestPolicy": {"headerContentType": "text/plain; x\r\nA: b"}},
            "headerContentType is not supported",
        ),
    ],
)
def test_a_delivery_policy_that_cannot_be_is_refused(policy: Any, what: str) -> None:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    with pytest.raises(InvalidParameterException, match=what):
        check_subscription_delivery(text, invalid)


def test_a_topic_s_delivery_policy_is_about_http() -> None:
    check_topic_delivery("{}", invalid)
    parts = {"defaultHealthyRetryPolicy": {"numRetries": 5}, "disableSubscriptionOverrides": True}
    check_topic_delivery(json.dumps({"http": parts}), invalid)
    for wrong in ({"smtp": {}}, {"http": 1}, {"http": {"healthyRetryPolicy": {}}}):
        with pytest.raises(InvalidParameterException):
            check_topic_delivery(json.dumps(wrong), invalid)
