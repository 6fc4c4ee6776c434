"""Paths lead to the values that they name."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.json_path import ABSENT, parse_path, value_at

EVENT = {"id": "1", "detail": {"a-b_c": {"d": None}, "items": [{"n": 1}, {"n": 2}, {}], "x/y": 3}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", EVENT),
        ("$.id", "1"),
        ("$.detail.a-b_c.d", None),
        ("$.detail.items[1].n", 2),
        ("$.detail.items[*].n", [1, 2]),
        ("$.detail.items[0].*", [1]),
        ("$.detail['x/y']", 3),
        ("$.detail.x/y", 3),
        ("$.detail.items[9]", ABSENT),
        ("$.detail.items.n", ABSENT),
        ("$.id.x", ABSENT),
        ("$.gone[*]", ABSENT),
    ],
)
def test_a_path_leads_to_its_value_or_nowhere(path: str, value: Any) -> None:
    assert value_at(EVENT, path) == value


@pytest.mark.parametrize("path", ["", "detail", "$detail", "$.", "$..a", "$.a[", "$.a[x]", "$.a b", "$[-1]"])
def test_other_texts_are_no_paths(path: str) -> None:
    assert parse_path(path) is None
