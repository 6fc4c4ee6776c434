"""Condition operators, as the IAM User Guide describes them."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.policy.condition import Context, judge

CONTEXT: Context = {
    "aws:username": ("alice",),
    "aws:sourceip": ("10.1.2.3",),
    "aws:currenttime": ("2026-01-02T03:04:05Z",),
    "aws:epochtime": ("1767323045",),
    "aws:securetransport": ("true",),
    "aws:principalarn": ("arn:aws:iam::123456789012:user/team/alice",),
    "aws:sourcearn": ("arn:aws:s3:::alice-photos",),
    "aws:tagkeys": ("team", "cost"),
    "s3:max-keys": ("10",),
    "key:material": ("QmluYXJ5",),
}


def holds(condition: dict[str, Any], *, has_variables: bool = True) -> bool | None:
    return judge(condition, CONTEXT, has_variables=has_variables).holds


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        ({"StringEquals": {"aws:username": "alice"}}, True),
        ({"stringequals": {"AWS:USERNAME": ["bob", "alice"]}}, True),
        ({"StringEquals": {"aws:username": "Alice"}}, False),
        ({"StringEquals": {"aws:username": "al*"}}, False),
        ({"StringNotEquals": {"aws:username": ["bob", "alice"]}}, False),
        ({"StringNotEquals": {"aws:username": ["bob", "carol"]}}, True),
        ({"StringEqualsIgnoreCase": {"aws:username": "ALICE"}}, True),
        ({"StringNotEqualsIgnoreCase": {"aws:username": "ALICE"}}, False),
        ({"StringLike": {"aws:username": "a?i*"}}, True),
        ({"StringNotLike": {"aws:username": "a*"}}, False),
        ({"NumericEquals": {"s3:max-keys": "10.0"}}, True),
        ({"NumericNotEquals": {"s3:max-keys": 10}}, False),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
        ({"NumericGreaterThan": {"s3:max-keys": "9"}}, True),
        ({"NumericGreaterThanEquals": {"s3:max-keys": "11"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}, False),
        ({"DateLessThanEquals": {"aws:EpochTime": "1767323045"}}, True),
        ({"DateEquals": {"aws:EpochTime": "2026-01-02T03:04:05Z"}}, True),
        ({"DateNotEquals": {"aws:EpochTime": "2026-01-02T03:04:05Z"}}, False),
        ({"DateGreaterThanEquals": {"aws:CurrentTime": "2026-01-02T04:04:05+01:00"}}, True),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"BinaryEquals": {"key:material": "QmluYXJ5"}}, True),
        ({"BinaryEquals": {"key:material": "QmluYXJ6"}}, False),
        ({"IpAddress": {"aws:SourceIp": ["192.168.0.0/16", "10.0.0.0/8"]}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.1.2.4"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "2001:db8::/32"}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:user/*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*-photos"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:user/team/alice"}}, False),
        ({"ArnNotLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, False),
        ({"ArnNotEquals": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, True),
        ({"Null": {"aws:username": "true"}}, False),
        ({"Null": {"aws:username": False}}, True),
        ({"StringEquals": {"aws:username": "alice", "aws:TagKeys": "nothing"}}, False),
        ({"StringEquals": {"aws:username": "alice"}, "Bool": {"aws:SecureTransport": "false"}}, False),
    ],
)
def test_operators_compare_as_the_user_guide_says(condition: dict[str, Any], expected: bool) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringEqualsIfExists", True),
        ("StringNotEquals", True),
        ("NumericLessThan", False),
        ("NumericLessThanIfExists", True),
        ("NotIpAddress", True),
        ("IpAddress", False),
        ("Bool", False),
        ("ForAllValues:StringEquals", True),
        ("ForAnyValue:StringEquals", False),
        ("ForAnyValue:StringNotEquals", False),
    ],
)
def test_a_key_that_the_request_has_not_got_fails_all_but_negations_and_ifexists(
    operator: str, expected: bool
) -> None:
    verdict = judge({operator: {"aws:Absent": "1"}}, CONTEXT, has_variables=True)
    assert verdict.holds is expected
    assert verdict.missing == {"aws:Absent"}


@pytest.mark.parametrize(
    ("operator", "wanted", "expected"),
    [
        ("ForAllValues:StringEquals", ["team", "cost", "more"], True),
        ("ForAllValues:StringEquals", ["team"], False),
        ("ForAnyValue:StringEquals", ["team"], True),
        ("ForAnyValue:StringEquals", ["other"], False),
        ("ForAllValues:StringLike", ["t*", "c*"], True),
        ("ForAnyValue:StringNotEquals", ["team"], True),
        ("ForAllValues:StringNotEquals", ["team"], False),
        ("ForAnyValue:StringEqualsIfExists", ["team"], True),
    ],
)
def test_quantifiers_speak_of_all_or_of_any_values_of_a_key(
    operator: str, wanted: list[str], expected: bool
) -> None:
    assert holds({operator: {"aws:TagKeys": wanted}}) is expected


@pytest.mark.parametrize(
    "condition",
    [
        {"MoonPhase": {"aws:username": "full"}},
        {"ForSomeValues:StringEquals": {"aws:username": "alice"}},
        {"NumericEquals": {"s3:max-keys": "many"}},
        {"IpAddress": {"aws:SourceIp": "everywhere"}},
        {"DateLessThan": {"aws:CurrentTime": "tomorrow"}},
        {"BinaryEquals": {"key:material": "?"}},
    ],
)
def test_what_is_not_understood_is_neither_true_nor_false(condition: dict[str, Any]) -> None:
    assert holds(condition) is None
    # A second condition that fails still decides.
    assert holds({**condition, "StringEquals": {"aws:username": "bob"}}) is False


def test_variables_stand_for_values_of_the_request() -> None:
    assert holds({"StringLike": {"aws:SourceArn": "arn:aws:s3:::${aws:username}-*"}}) is True
    assert holds({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::${aws:username}-*"}}) is True
    assert holds({"StringEquals": {"aws:username": "${aws:USERNAME}"}}) is True
    assert holds({"StringEquals": {"aws:username": "${aws:Absent, 'alice'}"}}) is True
    assert holds({"StringEquals": {"aws:username": "${aws:Absent}"}}) is False
    assert holds({"StringEquals": {"aws:username": "${aws:TagKeys}"}}) is False


def test_old_policies_have_no_variables() -> None:
    assert holds({"StringEquals": {"aws:username": "${aws:username}"}}, has_variables=False) is False
    literal = judge(
        {"StringEquals": {"k:x": "${aws:username}"}}, {"k:x": ("${aws:username}",)}, has_variables=False
    )
    assert literal.holds is True
