"""Resource policies, asked about AWS services that act on behalf of other resources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.policy import decide_for_service

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
ASKED: dict[str, Any] = {
    "service": "s3.amazonaws.com",
    "action": "lambda:InvokeFunction",
    "resource": ARN,
    "source_arn": "arn:aws:s3:::photos-1",
    "source_account": "000000000000",
}
STATEMENT = {
    "Sid": "s3",
    "Effect": "Allow",
    "Principal": {"Service": "s3.amazonaws.com"},
    "Action": "lambda:InvokeFunction",
    "Resource": ARN,
    "Condition": {
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos*"},
        "StringEquals": {"AWS:SourceAccount": "000000000000"},
    },
}


def policy(**change: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT | change]})


def test_services_are_let_in_for_the_sources_that_the_policy_names() -> None:
    assert decide_for_service(policy(), **ASKED).is_allowed


@pytest.mark.parametrize(
    "change",
    [
        {"service": "sns.amazonaws.com"},
        {"action": "lambda:InvokeFunctionUrl"},
        {"resource": f"{ARN}:1"},
        {"source_arn": "arn:aws:s3:::other"},
        {"source_arn": None},
        {"source_account": "111111111111"},
    ],
)
def test_others_are_not(change: dict[str, Any]) -> None:
    decision = decide_for_service(policy(), **ASKED | change)
    assert decision.outcome == "implicitDeny"


def test_a_denial_is_told_from_a_policy_that_says_nothing() -> None:
    assert decide_for_service(policy(Effect="Deny"), **ASKED).outcome == "explicitDeny"
    assert decide_for_service(None, **ASKED).outcome == "implicitDeny"


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"Statement": 1}', '{"Statement": [{}]}'])
def test_what_is_no_policy_lets_nobody_in(text: str) -> None:
    assert not decide_for_service(text, **ASKED).is_allowed
