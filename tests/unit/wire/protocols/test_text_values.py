"""Scalars as text."""

from __future__ import annotations

import pytest

from lambent.wire.protocols.text_values import split_header


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ('"a, b", c', ["a, b", "c"]),
        (r'"say \"hi\"",x', ['say "hi"', "x"]),
        ("", [""]),
    ],
)
def test_a_header_list_is_split_at_commas_outside_quotes(text: str, elements: list[str]) -> None:
    assert split_header(text) == elements
