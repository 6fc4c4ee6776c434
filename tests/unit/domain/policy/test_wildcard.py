"""Patterns, variables and ARNs."""

from __future__ import annotations

import time

import pytest

from lambent.domain.policy.wildcard import UnknownVariable, like, like_arn, like_with_variables

VALUES = {"aws:username": ("al*ce",), "aws:tagkeys": ("a", "b")}


def test_only_stars_and_question_marks_are_wildcards() -> None:
    assert like("s3:GetObject", "s3:Get*")
    assert like("s3:Get", "s3:???")
    assert like("a\nb", "a*b")
    assert not like("s3:getobject", "s3:Get*")
    assert like("s3:getobject", "S3:Get*", is_case_sensitive=False)
    assert not like("c", "[abc]")
    assert like("[abc].", "[abc].")


def test_the_value_of_a_variable_is_no_pattern() -> None:
    assert like_with_variables("home/al*ce/x", "home/${aws:username}/*", VALUES)
    assert not like_with_variables("home/alice/x", "home/${aws:username}/*", VALUES)
    assert like_with_variables("*?$", "${*}${?}${$}", VALUES)
    assert not like_with_variables("abc", "${*}", VALUES)


def test_a_variable_without_a_single_value_matches_nothing() -> None:
    for pattern in ("${aws:absent}", "${aws:TagKeys}"):
        with pytest.raises(UnknownVariable):
            like_with_variables("x", pattern, VALUES)


@pytest.mark.parametrize(
    ("arn", "pattern", "expected"),
    [
        ("arn:aws:lambda:us-east-1:1:function:f", "arn:aws:lambda:*:*:function:f", True),
        ("arn:aws:lambda:us-east-1:1:function:f:1", "arn:aws:lambda:*:*:function:f", False),
        ("arn:aws:lambda:us-east-1:1:function:f:1", "arn:aws:lambda:*:*:function:*", True),
        ("arn:aws:lambda:us-east-1:1:function:f", "arn:aws:lambda:us-east-1", True),
        ("arn:aws:lambda:us-east-1:1:function:f", "arn:aws:lambda:*:function:f", False),
        ("arn:aws:s3:::b/k", "arn:aws:s3:::b/*", True),
        ("arn:aws:s3:::b", "arn:aws:s3:::b/*", False),
        ("arn:aws:iam::1:user/al*ce", "arn:aws:iam::1:user/${aws:username}", True),
        ("*", "*", True),
        ("*", "arn:aws:s3:::b", False),
    ],
)
def test_arns_are_compared_part_by_part(arn: str, pattern: str, expected: bool) -> None:
    assert like_arn(arn, pattern, VALUES) is expected


@pytest.mark.parametrize("pattern", ["*" * 500 + "b", "*a" * 30 + "b", "*a?" * 20 + "*b", "a*" * 40 + "b"])
def test_no_pattern_keeps_the_server_busy(pattern: str) -> None:
    started_s = time.process_time()
    assert not like("a" * 2000, pattern)
    assert not like_with_variables("a" * 2000, pattern + "${aws:username}", VALUES)
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        ("", "*", True),
        ("", "**", True),
        ("ab", "a*b", True),
        ("aXbXb", "a*b", True),
        ("aXbXc", "a*b*c", True),
        ("ab", "*a*b*", True),
        ("ba", "*a*b*", False),
        ("aab", "*ab", True),
        ("abab", "*ab*ab", True),
        ("ab", "*ab*ab", False),
        ("aaa", "?*?*?", True),
        ("aa", "?*?*?", False),
    ],
)
def test_stars_find_what_can_be_found(value: str, pattern: str, expected: bool) -> None:
    assert like(value, pattern) is expected
