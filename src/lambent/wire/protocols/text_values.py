"""Scalars as text: labels of a path, query strings, headers and the query protocol's forms."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from lambent.errors import SerializationException
from lambent.wire import timestamps
from lambent.wire.protocols.json_values import blob_from_text, blob_to_text, decode_body, encode_body
from lambent.wire.shapes import Shape

ReadText = Callable[[str], Any]
WriteText = Callable[[Any], str]

_BOOLEANS = {"true": True, "false": False}
_LONGEST_INTEGER = 20
_MOST_FIELDS = 10_000


def reader(shape: Shape) -> ReadText:
    """Return the function that reads a scalar of this shape from text.

    The function raises `SerializationException` in AWS's words.
    """
    if shape.traits.get("jsonvalue"):
        return _json_header
    return _READ[shape.type]


def writer(shape: Shape, timestamp_format: str) -> WriteText:
    """Return the function that writes a scalar of this shape as text."""
    if shape.traits.get("jsonvalue"):
        return _write_json_header
    if shape.type == "timestamp":
        return timestamps.text_formatter(shape.timestamp_format or timestamp_format)
    return _WRITE[shape.type]


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Return the decoded pairs of a query string or form.

    Raises:
        SerializationException: there are too many, or they are not text.
    """
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except (ValueError, UnicodeError) as error:
        raise SerializationException(f"The query string could not be read: {error}") from error


def split_header(text: str) -> list[str]:
    """Return the elements of a header list: separated by commas, quoted where they contain one (RFC 9110,
    5.6.1).
    """
    elements: list[str] = []
    current: list[str] = []
    is_quoted = False
    characters = iter(text)
    for character in characters:
        if is_quoted and character == "\\":
            current.append(next(characters, ""))
        elif character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            elements.append("".join(current).strip())
            current.clear()
        else:
            current.append(character)
    elements.append("".join(current).strip())
    return elements


def _integer_reader(wanted: str, limit: int) -> ReadText:
    def read(text: str) -> int:
        # int() would take underscores, blanks, other scripts' digits and megabytes.
        digits = text[1:] if text[:1] in ("-", "+") else text
        if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_INTEGER:
            number = int(text)
            if -limit <= number < limit:
                return number
        raise SerializationException(f"STRING_VALUE can not be converted to {wanted}")

    return read


def _read_float(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SerializationException("STRING_VALUE can not be converted to a Double") from error


def _write_float(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(float(value))


def _read_boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise SerializationException("STRING_VALUE can not be converted to a Boolean")
    return value


def _read_timestamp(text: str) -> datetime:
    try:
        return timestamps.from_text(text)
    except ValueError as error:
        raise SerializationException(
            "STRING_VALUE can not be converted to milliseconds since epoch"
        ) from error


def _json_header(text: str) -> Any:
    try:
        return decode_body(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise SerializationException("A header that carries JSON is not valid base64") from error


def _write_json_header(value: Any) -> str:
    return blob_to_text(encode_body(value))


def _write_boolean(value: bool) -> str:
    return "true" if value else "false"


_READ: Mapping[str, ReadText] = {
    "blob": blob_from_text,
    "boolean": _read_boolean,
    "character": str,
    "double": _read_float,
    "float": _read_float,
    "integer": _integer_reader("an Integer", 2**31),
    "long": _integer_reader("a Long", 2**63),
    "string": str,
    "timestamp": _read_timestamp,
}

_WRITE: Mapping[str, WriteText] = {
    "blob": blob_to_text,
    "boolean": _write_boolean,
    "character": str,
    "double": _write_float,
    "float": _write_float,
    "integer": str,
    "long": str,
    "string": str,
}
