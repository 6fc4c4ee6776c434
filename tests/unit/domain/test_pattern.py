"""Event patterns: what each operator means, and what is said about events that do not match."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.pattern import explain, matches

EVENT = {
    "source": "shop",
    "detail": {"state": "running", "cpu": 42, "tags": ["a", "b"], "gone": None, "ok": True, "ip": "10.0.0.7"},
    "items": [{"n": 1, "kind": "x"}, {"n": 2, "kind": "y"}],
    "empty": "",
    "none": [],
}


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [
        ({}, True),
        ({"source": ["shop"]}, True),
        ({"source": ["bank", "shop"]}, True),
        ({"source": ["bank"]}, False),
        ({"source": ["Shop"]}, False),
        ({"source": ["shop"], "detail": {"state": ["stopped"]}}, False),
        ({"detail": {"state": ["running"], "cpu": [42.0]}}, True),
        ({"detail": {"cpu": ["42"]}}, False),
        ({"detail": {"ok": [True]}}, True),
        ({"detail": {"ok": [1]}}, False),
        ({"detail": {"gone": [None]}}, True),
        ({"detail": {"missing": [None]}}, False),
        ({"detail": [{"exists": False}]}, True),
        ({"detail": [{"exists": True}]}, False),
        ({"detail": [{"anything-but": "x"}]}, False),
        ({"items": [{"exists": True}]}, False),
        ({"empty": [""]}, True),
        ({"detail": {"tags": ["b", "z"]}}, True),
        ({"detail": {"tags": ["z"]}}, False),
        ({"items": {"n": [2]}}, True),
        ({"items": {"n": [1], "kind": ["y"]}}, False),
        ({"items": {"n": [3]}}, False),
        ({"source": {"inner": ["x"]}}, False),
        ({"source": [{"prefix": "sh"}]}, True),
        ({"source": [{"prefix": "Sh"}]}, False),
        ({"source": [{"prefix": {"equals-ignore-case": "SH"}}]}, True),
        ({"source": [{"suffix": "op"}]}, True),
        ({"source": [{"suffix": {"equals-ignore-case": "OP"}}]}, True),
        ({"detail": {"cpu": [{"prefix": "4"}]}}, False),
        ({"source": [{"equals-ignore-case": "SHOP"}]}, True),
        ({"source": [{"anything-but": "shop"}]}, False),
        ({"source": [{"anything-but": ["bank", "mint"]}]}, True),
        ({"source": [{"anything-but": {"prefix": "sh"}}]}, False),
        ({"source": [{"anything-but": {"suffix": ["x", "op"]}}]}, False),
        ({"source": [{"anything-but": {"wildcard": "b*"}}]}, True),
        ({"detail": {"cpu": [{"anything-but": 42}]}}, False),
        ({"detail": {"missing": [{"anything-but": "x"}]}}, False),
        ({"detail": {"cpu": [{"numeric": [">", 40, "<=", 42]}]}}, True),
        ({"detail": {"cpu": [{"numeric": ["=", 42]}]}}, True),
        ({"detail": {"cpu": [{"numeric": ["<", 42]}]}}, False),
        ({"detail": {"state": [{"numeric": [">", 0]}]}}, False),
        ({"detail": {"ok": [{"numeric": [">=", 0]}]}}, False),
        ({"detail": {"state": [{"exists": True}]}}, True),
        ({"detail": {"state": [{"exists": False}]}}, False),
        ({"detail": {"missing": [{"exists": False}]}}, True),
        ({"nowhere": {"at": {"all": [{"exists": False}]}}}, True),
        ({"none": [{"exists": False}]}, True),
        ({"detail": {"gone": [{"exists": True}]}}, True),
        ({"source": [{"wildcard": "s*p"}]}, True),
        ({"source": [{"wildcard": "s*x"}]}, False),
        ({"source": [{"wildcard": "s\\*p"}]}, False),
        ({"detail": {"ip": [{"cidr": "10.0.0.0/24"}]}}, True),
        ({"detail": {"ip": [{"cidr": "10.0.1.0/24"}]}}, False),
        ({"source": [{"cidr": "10.0.1.0/24"}]}, False),
        ({"$or": [{"source": ["bank"]}, {"detail": {"cpu": [42]}}]}, True),
        ({"$or": [{"source": ["bank"]}, {"source": ["mint"]}]}, False),
        ({"source": ["shop"], "$or": [{"empty": ["x"]}, {"empty": ["y"]}]}, False),
        ({"source": ["bank", {"prefix": "sh"}]}, True),
    ],
)
def test_a_pattern_means_what_aws_says(pattern: dict[str, Any], is_meant: bool) -> None:
    assert matches(pattern, EVENT) is is_meant


@pytest.mark.parametrize("event", [None, "text", 5, [], ["shop"]])
def test_what_is_no_object_has_no_members(event: Any) -> None:
    assert not matches({"source": ["shop"]}, event)
    assert matches({"source": [{"exists": False}]}, event)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ({"source": ["bank"]}, 'source is "shop" and not ["bank"].'),
        ({"detail": {"size": [{"exists": True}]}}, 'detail.size is absent and not [{"exists": true}].'),
        ({"source": {"inner": ["x"]}}, 'source is "shop" and not an object.'),
        ({"items": {"n": [3]}}, "No element of items matches."),
        (
            {"$or": [{"source": ["bank"]}, {"detail": {"cpu": [1]}}]},
            'No alternative of $or holds: source is "shop" and not ["bank"]; detail.cpu is 42 and not [1].',
        ),
    ],
)
def test_an_event_that_is_not_meant_can_be_explained(pattern: dict[str, Any], reason: str) -> None:
    assert explain(pattern, EVENT) == reason


def test_an_event_that_is_meant_needs_no_explanation() -> None:
    assert explain({"source": ["shop"]}, EVENT) is None
