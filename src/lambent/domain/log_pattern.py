"""The filter pattern language of CloudWatch Logs.

`compile_pattern` turns the text that callers write into something that says of a message whether it matches.
Four kinds: terms (``ERROR -timeout``, ``?a ?b``), a regular expression (``%AUTH.*ED%``), conditions on JSON
(``{ $.level = "ERROR" }``) and on space-delimited fields (``[ip, ..., status = 4*]``). Pure; the Logs service
searches with it and tests metric filters.

Follows the AWS page "Filter pattern syntax for metric filters, subscription filters, filter log events, and
Live Tail".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import msgspec

from lambent.domain.log_condition import (
    Condition,
    ConditionReader,
    MalformedPattern,
    Nodes,
    Select,
    Token,
    tokens_of,
    unquoted,
)
from lambent.domain.log_regex import LogRegex
from lambent.errors import InvalidParameterException

PATTERN_MAX_CHARACTERS = 1_024
_INVALID = "Invalid filter pattern"
_TERM = re.compile(r'(?P<sign>[-?]?)\s*(?P<term>"(?:[^"\\]|\\.)*"|[^\s"]+)\s*', re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[\w-]+|\*)|\[(?P<index>\d+|\*)\]")
_WORD = re.compile(r"\s*(\S+)")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Pattern(Protocol):
    """A compiled filter pattern."""

    def matches(self, message: str) -> bool:
        """Tell whether a log event with this message matches."""
        ...

    def extract(self, message: str) -> Mapping[str, str]:
        """Return the fields of a matching message by ``$name`` or ``$number``; empty but for space-delimited."""
        ...


def compile_pattern(text: str) -> Pattern:
    """Compile a filter pattern; an empty one matches everything.

    Raises:
        InvalidParameterException: it is not a filter pattern.
    """
    text = text.strip()
    if len(text) > PATTERN_MAX_CHARACTERS:
        raise InvalidParameterException(_INVALID)
    try:
        if text.startswith("{") and text.endswith("}"):
            return _json_pattern(text[1:-1])
        if text.startswith("[") and text.endswith("]"):
            return _fields_pattern(text[1:-1])
        if text.startswith("%") and text.endswith("%"):
            return RegexPattern(LogRegex(text[1:-1]))
    except ValueError as error:
        raise InvalidParameterException(_INVALID) from error
    return _terms_pattern(text)


# Terms.


@dataclass(frozen=True, slots=True)
class TermsPattern:
    """Terms that must, may or must not be in a message."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    """One of them must be there, unless others are required: then AWS ignores these."""
    excluded: tuple[str, ...]

    def matches(self, message: str) -> bool:
        for term in self.excluded:
            if term in message:
                return False
        if self.required or not self.optional:
            return all(term in message for term in self.required)
        return any(term in message for term in self.optional)

    def extract(self, message: str) -> Mapping[str, str]:
        return {}


def _terms_pattern(text: str) -> TermsPattern:
    terms: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidParameterException(_INVALID)
        terms[match["sign"]].append(_term(match["term"]))
        at = match.end()
    return TermsPattern(tuple(terms[""]), tuple(terms["?"]), tuple(terms["-"]))


def _term(text: str) -> str:
    if text.startswith('"'):
        return unquoted(text)
    if not all(character.isalnum() or character == "_" for character in text):
        raise InvalidParameterException(f"Invalid character(s) in term '{text}'")
    return text


@dataclass(frozen=True, slots=True)
class RegexPattern:
    """A regular expression that must match somewhere."""

    regex: LogRegex

    def matches(self, message: str) -> bool:
        return self.regex.search(message)

    def extract(self, message: str) -> Mapping[str, str]:
        return {}


# JSON.


@dataclass(frozen=True, slots=True)
class JsonPattern:
    """A condition on a message that is a JSON object."""

    condition: Condition

    def matches(self, message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            event = msgspec.json.decode(message)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return False
        return self.condition(event)

    def extract(self, message: str) -> Mapping[str, str]:
        return {}


def _json_pattern(text: str) -> JsonPattern:
    return JsonPattern(ConditionReader(tokens_of(text), _json_select).condition())


def _json_select(token: Token) -> Select:
    if token.kind != "selector" or token.text.startswith("$["):
        raise MalformedPattern(token.text)
    steps = [
        match["name"]
        if match["name"] is not None
        else ("*" if match["index"] == "*" else int(match["index"]))
        for match in _STEP.finditer(token.text)
    ]

    def select(event: Any) -> Nodes:
        nodes: list[Any] = [event]
        for step in steps:
            nodes = [found for node in nodes for found in _descend(node, step)]
        return nodes

    return select


def _descend(node: Any, step: str | int) -> Nodes:
    """Return what one step of a selector leads to."""
    if isinstance(node, dict):
        members = cast("dict[str, Any]", node)
        if step == "*":
            return tuple(members.values())
        return (members[step],) if isinstance(step, str) and step in members else ()
    if isinstance(node, list):
        items = cast("list[Any]", node)
        if step == "*":
            return items
        return (items[step],) if isinstance(step, int) and step < len(items) else ()
    return ()


# Space-delimited.


@dataclass(frozen=True, slots=True)
class FieldsPattern:
    """Names and conditions for the fields of a space-delimited message."""

    leading: tuple[str, ...]
    """Names of the fields from the left, up to an ellipsis; empty for a field without a name."""
    trailing: tuple[str, ...] | None
    """Names of the fields after the ellipsis; None when there is no ellipsis."""
    conditions: tuple[Condition, ...]

    def matches(self, message: str) -> bool:
        return self._match(message) is not None

    def extract(self, message: str) -> Mapping[str, str]:
        return self._match(message) or {}

    def _match(self, message: str) -> dict[str, str] | None:
        fields = split_fields(message)
        between = len(fields) - len(self.leading) - len(self.trailing or ())
        if between < 0 or (between > 0 and self.trailing is None):
            return None
        names = (*self.leading, *[""] * between, *(self.trailing or ()))
        named = {
            f"${name or number}": value
            for number, (name, value) in enumerate(zip(names, fields, strict=True), 1)
        }
        return named if all(condition(named) for condition in self.conditions) else None


def split_fields(message: str) -> list[str]:
    """Cut a message at white space; what stands in ``[ ]`` or double quotes is one field."""
    fields: list[str] = []
    closings = {"[": _Closings(message, "]"), '"': _Closings(message, '"')}
    at = 0
    while (match := _WORD.match(message, at)) is not None:
        begin, at = match.span(1)
        closing = closings.get(message[begin])
        end = closing.beyond(begin) if closing is not None else None
        if end is None or not (end + 1 == len(message) or message[end + 1].isspace()):
            fields.append(match[1])
        else:
            fields.append(message[begin + 1 : end])
            at = end + 1
    return fields


class _Closings:
    """Where the next closing sign stands, for questions from left to right; looks at each character once."""

    def __init__(self, message: str, sign: str) -> None:
        self._message = message
        self._sign = sign
        self._found = -1

    def beyond(self, begin: int) -> int | None:
        if self._found <= begin:
            found = self._message.find(self._sign, begin + 1)
            self._found = len(self._message) if found < 0 else found
        return self._found if self._found < len(self._message) else None


def _fields_pattern(text: str) -> FieldsPattern:
    slots = _slots(tokens_of(text))
    if slots == [[]]:
        raise MalformedPattern("no fields")
    names = [_slot_name(slot) for slot in slots]
    declared = {name for name in names if name and name != "..."}
    conditions = tuple(
        ConditionReader(slot, lambda token: _field_select(token, declared)).condition()
        for slot in slots
        if len(slot) > 1
    )
    if "..." not in names:
        return FieldsPattern(tuple(names), None, conditions)
    at = names.index("...")
    if "..." in names[at + 1 :]:
        raise MalformedPattern("two ellipses")
    return FieldsPattern(tuple(names[:at]), tuple(names[at + 1 :]), conditions)


def _slots(tokens: Sequence[Token]) -> list[list[Token]]:
    slots: list[list[Token]] = [[]]
    for token in tokens:
        if token == Token("sign", ","):
            slots.append([])
        else:
            slots[-1].append(token)
    return slots


def _slot_name(slot: Sequence[Token]) -> str:
    if not slot:
        return ""
    if len(slot) == 1 and slot[0].text == "...":
        return "..."
    first = next((token for token in slot if token.text != "("), slot[0])
    if first.kind != "word" or not _NAME.fullmatch(first.text):
        raise MalformedPattern(first.text)
    return first.text


def _field_select(token: Token, declared: set[str]) -> Select:
    if token.kind != "word" or token.text not in declared:
        raise MalformedPattern(token.text)
    key = f"${token.text}"
    return lambda named: (named[key],)
