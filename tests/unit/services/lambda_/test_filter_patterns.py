"""Filter patterns: what AWS's page "Filter rule syntax" allows, and what it does not."""

from __future__ import annotations

import json

import pytest

from lambent.services.lambda_.filter_patterns import is_filter_pattern

GOOD: list[object] = [
    {},
    {"body": {"name": ["a", "b", None, "", 1, 2.5, True]}},
    {"body": ["plain text"]},
    {"a": [{"prefix": "x"}, {"suffix": ".png"}, {"equals-ignore-case": "A"}]},
    {
        "a": [{"anything-but": "x"}],
        "b": [{"anything-but": ["x", 1]}],
        "c": [{"anything-but": {"prefix": "x"}}],
    },
    {"a": [{"numeric": ["=", 1]}, {"numeric": [">", 0, "<=", 5.5]}]},
    {"a": {"b": [{"exists": False}]}},
    {"$or": [{"a": [1]}, {"b": [{"exists": True}]}]},
]
BAD: list[object] = [
    [],
    "text",
    {"a": "bare"},
    {"a": []},
    {"a": {}},
    {"a": [["nested"]]},
    {"a": [{}]},
    {"a": [{"prefix": "x", "suffix": "y"}]},
    {"a": [{"prefix": 1}]},
    {"a": [{"wildcard": "x*"}]},
    {"a": [{"exists": "yes"}]},
    {"a": [{"numeric": [">"]}]},
    {"a": [{"numeric": ["~", 1]}]},
    {"a": [{"numeric": [[], 1]}]},
    {"a": [{"numeric": [">", True]}]},
    {"a": [{"anything-but": []}]},
    {"a": [{"anything-but": {"exists": True}}]},
    {"$or": [{"a": [1]}]},
    {"$or": [1, 2]},
]


@pytest.mark.parametrize("pattern", GOOD, ids=json.dumps)
def test_patterns_of_the_grammar_are_taken(pattern: object) -> None:
    assert is_filter_pattern(json.dumps(pattern))


@pytest.mark.parametrize("pattern", BAD, ids=json.dumps)
def test_anything_else_is_not(pattern: object) -> None:
    assert not is_filter_pattern(json.dumps(pattern))


@pytest.mark.parametrize("text", ["", "{", "null", "{'a': [1]}", '{"a":' * 1000])
def test_what_is_no_json_object_is_not(text: str) -> None:
    assert not is_filter_pattern(text)


def test_a_pattern_is_not_nested_without_end() -> None:
    assert is_filter_pattern('{"a":' * 32 + "[1]" + "}" * 32)
    assert not is_filter_pattern('{"a":' * 33 + "[1]" + "}" * 33)
