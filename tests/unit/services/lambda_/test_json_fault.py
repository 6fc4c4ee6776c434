"""What is wrong with a payload, in the words of AWS's parser."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambent.services.lambda_.json_fault import find_json_fault

TOKENS = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def at(line: int, column: int) -> str:
    return (
        "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
        f"line: {line}, column: {column}]"
    )


@pytest.mark.parametrize(
    ("text", "fault", "place"),
    [
        (b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt", "Invalid UTF-8 start byte 0x87", at(1, 3)),
        (
            b"\x99\xeb,j\x07\xa1zYh",
            f"Unexpected character ((CTRL-CHAR, code 153)): expected a valid value {TOKENS}",
            at(1, 1),
        ),
        (b"Hello World", f"Unrecognized token 'Hello': was expecting {TOKENS}", at(1, 7)),
        (b"truex", f"Unrecognized token 'truex': was expecting {TOKENS}", at(1, 6)),
        (
            b"{client_id:1}",
            "Unexpected character ('c' (code 99)): was expecting double-quote to start field name",
            at(1, 2),
        ),
        (
            b'{"a" 1}',
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
            at(1, 6),
        ),
        (
            b'{"a":1 "b":2}',
            "Unexpected character ('\"' (code 34)): was expecting comma to separate Object entries",
            at(1, 8),
        ),
        (
            b"[1,\n ]",
            f"Unexpected character (']' (code 93)): expected a valid value {TOKENS}",
            at(2, 2),
        ),
        (
            b"{",
            f"Unexpected end-of-input: expected close marker for Object (start marker at {at(1, 1)})",
            at(1, 2),
        ),
        (b'{"a":', "Unexpected end-of-input within/between Object entries", at(1, 6)),
        (b'"abc', "Unexpected end-of-input: was expecting closing quote for a string value", at(1, 5)),
        (b"[}", f"Unexpected close marker '}}': expected ']' (for Array starting at {at(1, 1)})", at(1, 3)),
        (b'"\\x"', "Unrecognized character escape 'x' (code 120)", at(1, 4)),
        (b"01", "Invalid numeric value: Leading zeroes not allowed", at(1, 3)),
        (
            b"-----WebKitFormBoundary",
            "Unexpected character ('-' (code 45)) in numeric value: expected digit (0-9) to follow minus sign, "
            "for valid numeric value",
            at(1, 2),
        ),
        (
            b"0D",
            "Unexpected character ('D' (code 68)): Expected space separating root-level values",
            at(1, 2),
        ),
        (
            b"NaN",
            "Non-standard token 'NaN': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow",
            at(1, 4),
        ),
    ],
)
def test_the_first_fault_is_named_with_its_place(text: bytes, fault: str, place: str) -> None:
    assert find_json_fault(text) == f"{fault}\n at {place}"


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b' {"a": [1, -0.5e+10, {"b": ""}]} \n',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"[" * 1000 + b"]" * 1000,
    ],
    ids=["null", "object", "lone-surrogate", "byte-order-mark", "deep"],
)
def test_what_aws_accepts_has_no_fault(text: bytes) -> None:
    assert find_json_fault(text) is None


def test_nesting_has_a_limit() -> None:
    fault = find_json_fault(b"[" * 1001 + b"]" * 1001)
    assert fault == (
        "Document nesting depth (1001) exceeds the maximum allowed (1000, from "
        "`StreamReadConstraints.getMaxNestingDepth()`)"
    )


def is_json(text: bytes) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text.decode("utf-8"), parse_constant=refuse)
    except ValueError:
        return False
    return True


NEARLY_JSON = st.text(alphabet='{}[]:,"\\ 01.-+eEtrufalsn\nuéD', max_size=14).map(str.encode)


@settings(derandomize=True, max_examples=600, deadline=None)
@given(st.one_of(NEARLY_JSON, st.binary(max_size=12)))
@example(b'{"a":[true,{"b":null}]}')
def test_it_agrees_with_pythons_parser_about_what_is_json(text: bytes) -> None:
    if not text.startswith(b"\xef\xbb\xbf"):
        assert (find_json_fault(text) is None) == is_json(text)
