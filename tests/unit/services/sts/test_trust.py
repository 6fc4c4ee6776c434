"""Trust policies, statement by statement."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.policy import Context
from lambent.services.sts.trust import Caller, is_allowed

CALLER = Caller(account="123456789012", arns=frozenset({"arn:aws:iam::123456789012:user/alice"}))
CONTEXT: Context = {
    "sts:externalid": ("agreed",),
    "sts:rolesessionname": ("ci-42",),
    "aws:principalarn": ("arn:aws:iam::123456789012:user/alice",),
    "aws:tagkeys": ("team", "cost"),
    "aws:multifactorauthpresent": ("false",),
}


def decided(*statements: dict[str, Any], action: str = "sts:AssumeRole", **allow: Any) -> bool:
    found = [*statements, {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"} | allow]
    return is_allowed(json.dumps({"Statement": found}), CALLER, action, CONTEXT)


@pytest.mark.parametrize(
    ("principal", "is_named"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"AWS": "123456789012"}, True),
        ({"AWS": ["999999999999", "arn:aws:iam::123456789012:user/alice"]}, True),
        ({"AWS": "arn:aws:iam::999999999999:root"}, False),
        ({"AWS": "arn:aws:iam::123456789012:user/*"}, False),
        ({"Service": "lambda.amazonaws.com"}, False),
        ({"Federated": "cognito-identity.amazonaws.com"}, False),
    ],
)
def test_a_principal_is_named_exactly(principal: Any, is_named: bool) -> None:
    assert decided(Principal=principal) is is_named


@pytest.mark.parametrize(
    ("named", "action", "is_named"),
    [
        ("sts:AssumeRole", "sts:AssumeRole", True),
        ("STS:assumerole", "sts:AssumeRole", True),
        ("sts:*", "sts:TagSession", True),
        ("sts:Assume*", "sts:TagSession", False),
        (["sts:AssumeRole", "sts:TagSession"], "sts:TagSession", True),
        ("sts:AssumeRoleWithSAML", "sts:AssumeRole", False),
    ],
)
def test_an_action_is_named_with_wildcards_regardless_of_case(
    named: Any, action: str, is_named: bool
) -> None:
    assert decided(Action=named, action=action) is is_named


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({}, True),
        ({"StringEquals": {"sts:ExternalId": "agreed"}}, True),
        ({"StringEquals": {"STS:EXTERNALID": ["x", "agreed"]}}, True),
        ({"StringEquals": {"sts:ExternalId": "AGREED"}}, False),
        ({"StringEqualsIgnoreCase": {"sts:ExternalId": "AGREED"}}, True),
        ({"StringNotEquals": {"sts:ExternalId": ["x", "agreed"]}}, False),
        ({"StringNotEquals": {"aws:absent": "x"}}, True),
        ({"StringEquals": {"aws:absent": "x"}}, False),
        ({"StringEqualsIfExists": {"aws:absent": "x"}}, True),
        ({"StringLike": {"sts:RoleSessionName": "ci-*"}}, True),
        ({"StringLike": {"sts:RoleSessionName": "ci-?"}}, False),
        ({"StringLike": {"sts:RoleSessionName": "[c]i-42"}}, False),
        ({"StringNotLike": {"sts:RoleSessionName": "ci-*"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:user/*"}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": False}}, True),
        ({"Null": {"aws:absent": "true"}}, True),
        ({"Null": {"sts:ExternalId": True}}, False),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "more"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}}, True),
        ({"ForAnyValue:StringEquals": {"aws:absent": ["team"]}}, False),
        ({"ForAllValues:StringEquals": {"aws:absent": ["team"]}}, True),
        ({"StringEquals": {"sts:ExternalId": "agreed", "sts:RoleSessionName": "x"}}, False),
        ({"StringEquals": {"sts:ExternalId": "agreed"}, "Bool": {"aws:absent": "true"}}, False),
    ],
)
def test_conditions_hold_as_the_user_guide_says(condition: dict[str, Any], holds: bool) -> None:
    assert decided(Condition=condition) is holds


def test_what_cannot_be_judged_opens_no_door() -> None:
    unknown = {"MoonPhase": {"aws:CurrentTime": "full"}}
    assert decided(Condition=unknown) is False
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Condition": unknown}
    assert decided(deny) is False


def test_nothing_said_is_a_no_and_denial_wins() -> None:
    assert (
        is_allowed(
            '{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}}', CALLER, "sts:X", {}
        )
        is False
    )
    assert (
        decided({"Effect": "Deny", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}) is False
    )
    assert (
        decided({"Effect": "Deny", "Principal": {"AWS": "999999999999"}, "Action": "sts:AssumeRole"}) is True
    )


def test_everybody_but_some_can_be_denied() -> None:
    alice = {"AWS": "arn:aws:iam::123456789012:user/alice"}
    assert decided({"Effect": "Deny", "NotPrincipal": alice, "Action": "sts:AssumeRole"}) is True
    others = {"AWS": "arn:aws:iam::123456789012:user/bob"}
    assert decided({"Effect": "Deny", "NotPrincipal": others, "Action": "sts:AssumeRole"}) is False
