"""Event patterns that cannot be, in AWS's sentences, and those that can."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.pattern_form import PatternError, check_pattern


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["a", None, True, 1.5]},
        {"detail": {"a": {"b": [{"exists": False}]}}},
        {"$or": [{"source": ["a"]}, {"detail": {"b": [1]}}]},
        {"$or": ["a key like any other"]},
        {
            "a": [
                {"prefix": "x"},
                {"prefix": {"equals-ignore-case": "x"}},
                {"suffix": {"equals-ignore-case": "x"}},
            ]
        },
        {"a": [{"wildcard": "a*b\\*c\\\\"}, {"equals-ignore-case": "x"}, {"cidr": "10.0.0.0/24"}]},
        {"a": [{"anything-but": "x"}, {"anything-but": [1, 2]}, {"anything-but": {"prefix": ["x", "y"]}}]},
        {"a": [{"anything-but": {"wildcard": "*/bin/*"}}, {"anything-but": {"equals-ignore-case": "x"}}]},
        {"a": [{"numeric": [">", 0, "<=", 5]}, {"numeric": ["=", 3]}]},
    ],
)
def test_what_aws_knows_is_a_pattern(pattern: Any) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "reason", "path"),
    [
        ([], "Filter is not an object", ()),
        ({}, "Empty objects are not allowed", ()),
        ({"a": {}}, "Empty objects are not allowed", ("a",)),
        ({"a": "x"}, '"a" must be an object or an array', ("a",)),
        ({"a": []}, "Empty arrays are not allowed", ("a",)),
        ({"$or": [{"a": [1]}, {"b": 2}]}, '"b" must be an object or an array', ("$or", 1, "b")),
        ({"a": [[1]]}, "Match value must be String, number, true, false, or null", ("a", 0)),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "Only one key allowed in match expression", ("a", 0)),
        ({"a": [{"regex": "x"}]}, "Unrecognized match type regex", ("a", 0)),
        ({"a": [{"suffix": ["x"]}]}, "suffix match pattern must be a string", ("a", 0, "suffix")),
        ({"a": [{"prefix": {"x": "y"}}]}, "Unsupported prefix pattern: x", ("a", 0, "prefix")),
        ({"a": [{"exists": 1}]}, "exists match pattern must be either true or false.", ("a", 0, "exists")),
        ({"a": [{"wildcard": "a**"}]}, "Consecutive wildcard characters at pos 1", ("a", 0, "wildcard")),
        ({"a": [{"wildcard": "\\a"}]}, "Invalid escape character at pos 0", ("a", 0, "wildcard")),
        ({"a": [{"anything-but": {"numeric": 1}}]}, "Unsupported anything-but pattern: numeric", None),
        ({"a": [{"anything-but": {"prefix": []}}]}, "Empty arrays are not allowed", None),
        (
            {"a": [{"anything-but": ["x", 1]}]},
            "Inside anything but list, either all values are number or string, mixed type is not supported",
            None,
        ),
        (
            {"a": [{"anything-but": True}]},
            "Value of anything-but must be an array or single string/number value.",
            None,
        ),
        ({"a": [{"numeric": ["~", 1]}]}, "Unrecognized numeric range operator: ~", None),
        ({"a": [{"numeric": [">", 2, "<", 1]}]}, "Bottom must be less than top", None),
        ({"a": [{"cidr": "10.0.0.0"}]}, "Malformed CIDR, one '/' required", None),
    ],
)
def test_what_is_no_pattern_is_told_with_its_place(pattern: Any, reason: str, path: Any) -> None:
    with pytest.raises(PatternError) as caught:
        check_pattern(pattern)
    assert caught.value.reason == reason
    if path is not None:
        assert caught.value.path == path


def test_a_pattern_is_not_nested_without_end() -> None:
    pattern: Any = ["x"]
    for _ in range(100):
        pattern = {"a": pattern}
    with pytest.raises(PatternError, match="nested too deep"):
        check_pattern(pattern)
