"""Java's patterns in Python."""

from __future__ import annotations

import pytest

from lambent.wire.patterns import matcher

TAG = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*"


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc\n", False),
        ("[a-z]+", "abc1", False),
        ("$|arn:.*", "", True),
        ("$|arn:.*", "x", False),
        (r"[\w-_]*", "a-b_c", True),
        (r"[\w-_]*", "a.b", False),
        (r"[a[b]+", "a[b", True),
        (TAG, "stage=test/1 @home", True),
        (TAG, "naïve Ünïcode 日本", True),
        (TAG, "no 🐍 please", False),
        (TAG, "no;semicolon", False),
        (r"\p{ASCII}*", "ascii", True),
        (r"\p{ASCII}*", "ü", False),
        (r"\P{L}+", "123", True),
        (r"\P{L}+", "1a3", False),
        (r"[^_\p{Z}]+", "ab", True),
        (r"[^_\p{Z}]+", "a b", False),
        (r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF]*", "a🐍", True),
        (r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF]*", "\t", False),
    ],
)
def test_a_whole_text_matches_as_it_does_in_java(pattern: str, text: str, matches: bool) -> None:
    assert matcher(pattern)(text) is matches


def test_a_pattern_that_python_cannot_express_refuses_nobody() -> None:
    assert matcher("(?<name")("anything")
