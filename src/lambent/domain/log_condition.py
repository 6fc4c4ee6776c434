"""Conditions in CloudWatch Logs filter patterns: what stands between ``{ }`` and behind the names in ``[ ]``.

A condition compares what a selector finds with an operand; conditions are joined by ``&&``, ``||`` and
parentheses. JSON and space-delimited patterns share this grammar and differ only in their selectors.

Follows the AWS pages "Using filter patterns to match terms in JSON log events" and "… in space-delimited log
events".
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lambent.domain.log_regex import LogRegex

DEPTH_MAX = 40
"""Parentheses within parentheses."""
REGEX_MAX = 2
"""Regular expressions in one pattern (AWS's quota)."""

Nodes = Sequence[Any]
"""What a selector found: scalars, None, lists or mappings; empty when there is nothing."""
Select = Callable[[Any], Nodes]
Condition = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<regex>%(?:[^%\\]|\\.)*%)
    | (?P<selector>\$(?:\.(?:[\w-]+|\*)|\[(?:\d{1,9}|\*)\])+)
    | (?P<sign>&&|\|\||!=|=!|<=|>=|[=<>(),])
    | (?P<word>[A-Za-z0-9_*.:/\#+-]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_ORDERINGS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class MalformedPattern(ValueError):
    """The text is not a filter pattern."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a pattern: its kind (string, regex, selector, sign or word) and its text."""

    kind: str
    text: str


def tokens_of(text: str) -> list[Token]:
    """Cut a pattern into pieces.

    Raises:
        MalformedPattern: something in it is no piece of any pattern.
    """
    tokens: list[Token] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise MalformedPattern(text[at:])
        tokens.append(Token(match.lastgroup, match[match.lastgroup]))
        at = match.end()
    if sum(token.kind == "regex" for token in tokens) > REGEX_MAX:
        raise MalformedPattern(text)
    return tokens


def unquoted(text: str) -> str:
    """Return the value of a quoted string."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


class ConditionReader:
    """Reads a condition from tokens."""

    def __init__(self, tokens: Sequence[Token], select: Callable[[Token], Select]) -> None:
        """Prepare to read.

        Args:
            tokens: the pieces of the condition.
            select: makes the selector of a token, or raises `MalformedPattern`.
        """
        self._tokens = tokens
        self._select = select
        self._at = 0

    def condition(self) -> Condition:
        """Read all tokens as one condition.

        Raises:
            MalformedPattern: they are none.
        """
        condition = self._either(0)
        if self._at < len(self._tokens):
            raise MalformedPattern(self._tokens[self._at].text)
        return condition

    def _take(self, *texts: str) -> str | None:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind in ("sign", "word") and token.text.upper() in texts:
                self._at += 1
                return token.text.upper()
        return None

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise MalformedPattern("unexpected end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._take("||"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda event: any(part(event) for part in parts)

    def _both(self, depth: int) -> Condition:
        parts = [self._single(depth)]
        while self._take("&&"):
            parts.append(self._single(depth))
        return parts[0] if len(parts) == 1 else lambda event: all(part(event) for part in parts)

    def _single(self, depth: int) -> Condition:
        if not self._take("("):
            return self._comparison()
        if depth >= DEPTH_MAX:
            raise MalformedPattern("too deep")
        condition = self._either(depth + 1)
        if not self._take(")"):
            raise MalformedPattern("missing )")
        return condition

    def _comparison(self) -> Condition:
        select = self._select(self._next())
        if self._take("IS"):
            wanted = {"NULL": None, "TRUE": True, "FALSE": False}
            word = self._take(*wanted)
            if word is None:
                raise MalformedPattern("IS what?")
            return lambda event: any(node is wanted[word] for node in select(event))
        if self._take("NOT"):
            if not self._take("EXISTS"):
                raise MalformedPattern("NOT what?")
            return lambda event: not select(event)
        sign = self._take("=", "!=", "=!", *_ORDERINGS)
        if sign is None:
            raise MalformedPattern("no comparison")
        test = _test(sign, self._next())
        return lambda event: any(test(node) for node in select(event))


def _test(sign: str, operand: Token) -> Callable[[Any], bool]:
    if sign in _ORDERINGS:
        return _ordering(_ORDERINGS[sign], operand)
    equals = _equality(operand)
    if sign == "=":
        return lambda node: (text := scalar_text(node)) is not None and equals(node, text)
    # A list, an object and null are neither equal nor unequal to anything.
    return lambda node: (text := scalar_text(node)) is not None and not equals(node, text)


def _ordering(compare: Callable[[float, float], bool], operand: Token) -> Callable[[Any], bool]:
    limit = number_of(operand.text) if operand.kind == "word" else None
    if limit is None:
        raise MalformedPattern(f"{operand.text} is not a number")
    return lambda node: (value := number_of(node)) is not None and compare(value, limit)


def _equality(operand: Token) -> Callable[[Any, str], bool]:
    """Return a test of a node and its text for equality with the operand."""
    if operand.kind == "regex":
        try:
            regex = LogRegex(operand.text[1:-1])
        except ValueError as error:
            raise MalformedPattern(operand.text) from error
        return lambda _, text: regex.search(text)
    if operand.kind == "string":
        matches = wildcard(unquoted(operand.text))
        return lambda _, text: matches(text)
    if operand.kind != "word":
        raise MalformedPattern(operand.text)
    wanted, matches = number_of(operand.text), wildcard(operand.text)
    if wanted is None:
        return lambda _, text: matches(text)
    return lambda node, text: matches(text) or number_of(node) == wanted


def wildcard(text: str) -> Callable[[str], bool]:
    """Return a test for a text in which ``*`` at the beginning or at the end stands for anything."""
    core = text.removeprefix("*").removesuffix("*")
    begins, ends = text.startswith("*"), text.endswith("*")
    if begins and ends:
        return lambda value: core in value
    if begins:
        return lambda value: value.endswith(core)
    if ends:
        return lambda value: value.startswith(core)
    return lambda value: value == text


def scalar_text(node: Any) -> str | None:
    """Return a value as text, or None when it is null, a list or an object."""
    if isinstance(node, str):
        return node
    if isinstance(node, bool):
        return "true" if node else "false"
    return str(node) if isinstance(node, int | float) else None


def number_of(node: Any) -> float | None:
    """Return the number that a value is or spells, or None."""
    if isinstance(node, bool):
        return None
    if isinstance(node, int | float):
        return node
    if isinstance(node, str) and len(node) <= 400 and _NUMBER.fullmatch(node):
        return float(node)
    return None
