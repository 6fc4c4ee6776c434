"""Events of buses: what is a detail, and how large an event is."""

from __future__ import annotations

import json

import pytest

from lambent.domain.bus_event import compact_object, entry_bytes


def test_a_detail_is_kept_without_white_space_and_as_it_was_otherwise() -> None:
    assert compact_object('{ "b" : [1, 2.50, "x y"],\n "a": {} }') == '{"b":[1,2.50,"x y"],"a":{}}'


@pytest.mark.parametrize(
    "text", ["", "[]", "1", "null", '"x"', "{", '{"a": NaN}', "{'a': 1}", '{"a": "\ud800"}']
)
def test_what_is_no_json_object_is_no_detail(text: str) -> None:
    assert compact_object(text) is None


def test_a_detail_is_not_nested_without_end() -> None:
    assert compact_object('{"a":' * 300 + "1" + "}" * 300) is None
    assert compact_object('{"a":' * 100_000) is None
    wide = json.dumps({"a": [{"b": ["[{"]}] * 500}, separators=(",", ":"))
    assert compact_object(wide) == wide


def test_an_event_is_as_large_as_its_texts() -> None:
    assert entry_bytes("s", "dt", "{}", ["ü", "x"], has_time=False) == 8
    assert entry_bytes("s", "dt", "{}", [], has_time=True) == 19
