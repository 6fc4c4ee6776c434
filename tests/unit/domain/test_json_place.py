"""Places in JSON texts are where AWS's messages put them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from lambent.domain.json_place import place_at, place_of


def test_a_place_is_behind_a_value_and_behind_the_first_quote_of_a_text() -> None:
    text = '{"source": ["aws.health"], "detail": {}}'
    assert place_of(text, ("detail",)) == f'[Source: (String)"{text}"; line: 1, column: 40]'
    lines = '{\n "a": [1, true],\n "b": "x"\n}'
    assert place_of(lines, ("b",)).endswith("; line: 3, column: 8]")
    assert place_of(lines, ("a", 0)).endswith("; line: 2, column: 9]")
    assert place_of(lines, ()).endswith("; line: 4, column: 2]")


def test_what_is_not_there_is_placed_where_its_parent_is() -> None:
    assert place_of('{"a": [1]}', ("a", 7, "x")).endswith("column: 10]")


def test_a_long_text_is_shortened() -> None:
    text = '{"a": "' + "x" * 600 + '"}'
    assert '"[truncated 109 chars]; line: 1, column: 1]' in place_at(text, 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    )
)
def test_every_value_of_any_text_has_a_place(value: object) -> None:
    assert place_of(json.dumps(value, indent=1), ()).startswith("[Source: (String)")


def test_what_is_nested_too_deep_has_a_place_all_the_same() -> None:
    deep = '{"a":' * 800 + "1" + "}" * 800
    assert place_of(deep, ("a",) * 65).startswith("[Source: (String)")
