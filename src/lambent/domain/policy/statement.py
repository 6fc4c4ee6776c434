"""Policies taken apart: statements, each with its place in the text, so that a decision can point at it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

VARIABLES_VERSION = "2012-10-17"
"""The version of the language from which on ``${…}`` is a variable."""
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a policy's text; both numbers begin with 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statement:
    """One statement of a policy."""

    number: int
    """Its place in the policy, from 1."""
    members: Mapping[str, Any]
    has_variables: bool
    start: Position
    """After the bracket, comma or colon before it, which is where IAM's simulator lets statements begin."""
    end: Position
    """After its closing brace."""

    @property
    def sid(self) -> str:
        """Its id, or nothing."""
        return str(self.members.get("Sid", ""))

    @property
    def is_denial(self) -> bool:
        """Whether its effect is Deny."""
        return self.members.get("Effect") == "Deny"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Policy:
    """A policy under the name by which a decision refers to it."""

    name: str
    type: str = "none"
    """IAM's ``PolicySourceType``: user, group, role, aws-managed, user-managed, resource or none."""
    statements: tuple[Statement, ...]


def parse_policy(text: str, *, name: str, type: str = "none") -> Policy:
    """Return the policy of a JSON text.

    Raises:
        ValueError: it is no policy document at all.
    """
    return Policy(name=name, type=type, statements=_statements(text))


@lru_cache(maxsize=2048)
def _statements(text: str) -> tuple[Statement, ...]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a policy is a JSON object")
    has_variables = cast("dict[str, Any]", document).get("Version") == VARIABLES_VERSION
    return tuple(
        Statement(
            number=number,
            members=cast("dict[str, Any]", members),
            has_variables=has_variables,
            start=_position(text, start),
            end=_position(text, end),
        )
        for number, (members, start, end) in enumerate(_places(text), 1)
        if isinstance(members, dict)
    )


def _places(text: str) -> list[tuple[Any, int, int]]:
    """Return the statements of a JSON object with the offsets at which they begin and end."""
    found: list[tuple[Any, int, int]] = []
    at = _skip(text, 0) + 1
    while text[at := _skip(text, at)] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at) + 1
        if key == "Statement":
            # Of two members with one name JSON's readers take the last, and so did whoever checked the policy.
            found = list(_elements(text, at))
        _, at = _DECODER.raw_decode(text, _skip(text, at))
        at = _skip(text, at)
        at += text[at] == ","
    return found


def _elements(text: str, at: int) -> Iterator[tuple[Any, int, int]]:
    """Yield what stands at an offset: the elements of a list, or the one value that stands without a list."""
    opening = _skip(text, at)
    if text[opening] != "[":
        members, end = _DECODER.raw_decode(text, opening)
        yield members, at, end
        return
    at = opening + 1
    while text[_skip(text, at)] != "]":
        members, end = _DECODER.raw_decode(text, _skip(text, at))
        yield members, at, end
        at = _skip(text, end)
        at += text[at] == ","


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _position(text: str, offset: int) -> Position:
    line_start = text.rfind("\n", 0, offset) + 1
    return Position(line=text.count("\n", 0, offset) + 1, column=offset - line_start + 1)
