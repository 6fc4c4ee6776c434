"""The automaton behind ``%regex%`` agrees with Python's own engine wherever both speak the same language."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.domain.log_regex import LogRegex

_ATOMS = st.sampled_from(
    ["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\.", "-", r"[^\d]", "[^b]"]
)
_COUNTS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}"])
_SEQUENCES = st.lists(st.tuples(_ATOMS, _COUNTS).map("".join), min_size=1, max_size=5).map("".join)
_ALTERNATIVES = st.tuples(st.sampled_from(["", "^"]), _SEQUENCES, st.sampled_from(["", "$"])).map("".join)
_EXPRESSIONS = st.lists(_ALTERNATIVES, min_size=1, max_size=3).map("|".join)


@settings(max_examples=400, deadline=None)
@given(expression=_EXPRESSIONS, text=st.text(alphabet="abc.-7\n é", max_size=12))
def test_it_finds_what_a_backtracking_engine_finds(expression: str, text: str) -> None:
    assert LogRegex(expression).search(text) == (re.search(expression, text, re.ASCII) is not None)
