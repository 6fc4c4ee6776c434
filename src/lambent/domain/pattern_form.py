"""What is wrong with a pattern, in AWS's sentences. Pure.

Services differ in which operators they know and agree in what they say about them: the sentences are those of
AWS's event ruler. An error names the path at which it is, for whoever tells its place in the text.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

_LOWER = frozenset({">", ">="})
_UPPER = frozenset({"<", "<="})
_TEXTS = frozenset({"prefix", "suffix", "equals-ignore-case", "wildcard"})
_DEPTH_MAX = 64

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a pattern."""


class PatternError(Exception):
    """A pattern is none.

    Args:
        reason: why, in AWS's words.
        path: where.
    """

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Which operators a service knows."""

    texts: frozenset[str]
    """Of those that compare texts."""
    exceptions: frozenset[str]
    """Of those, the ones that ``anything-but`` takes."""
    takes_lists: bool = False
    """Whether ``anything-but`` takes lists of their operands, and no list of numbers and texts."""
    ignores_case: bool = False
    """Whether prefixes and suffixes can ignore case."""


EVENT_BRIDGE = Dialect(texts=_TEXTS, exceptions=_TEXTS, takes_lists=True, ignores_case=True)


def check_pattern(pattern: Any, dialect: Dialect = EVENT_BRIDGE) -> None:
    """Refuse what is no event pattern.

    Raises:
        PatternError: it is none.
    """
    if not isinstance(pattern, dict):
        raise PatternError("Filter is not an object", ())
    _check_object(cast("Mapping[str, Any]", pattern), dialect, ())


def _check_object(pattern: Mapping[str, Any], dialect: Dialect, path: Path) -> None:
    if not pattern:
        raise PatternError("Empty objects are not allowed", path)
    if len(path) > _DEPTH_MAX:
        raise PatternError("Rule is nested too deep", path)
    for name, wanted in pattern.items():
        place = (*path, name)
        if name == "$or" and is_choice(wanted):
            for index, choice in enumerate(cast("list[Mapping[str, Any]]", wanted)):
                _check_object(choice, dialect, (*place, index))
        elif isinstance(wanted, dict):
            _check_object(cast("Mapping[str, Any]", wanted), dialect, place)
        else:
            check_alternatives(name, wanted, dialect, place)


def is_choice(wanted: Any) -> bool:
    """Whether the value of ``$or`` is one of alternatives; else it is a key like any other."""
    if not isinstance(wanted, list):
        return False
    choices = cast("list[Any]", wanted)
    return len(choices) > 1 and all(isinstance(choice, dict) for choice in choices)


def check_alternatives(name: str, wanted: Any, dialect: Dialect, path: Path = ()) -> None:
    """Refuse what is no list of alternatives of which a field has to meet one.

    Raises:
        PatternError: it is none, or one of them is none.
    """
    if not isinstance(wanted, list):
        raise PatternError(f'"{name}" must be an object or an array', path)
    if not wanted:
        raise PatternError("Empty arrays are not allowed", path)
    for index, alternative in enumerate(cast("list[Any]", wanted)):
        _check_alternative(alternative, dialect, (*path, index))


def _check_alternative(value: Any, dialect: Dialect, path: Path) -> None:
    if isinstance(value, list):
        raise PatternError("Match value must be String, number, true, false, or null", path)
    if not isinstance(value, dict):
        return
    matcher = cast("dict[str, Any]", value)
    if len(matcher) != 1:
        raise PatternError("Only one key allowed in match expression", path)
    ((operator, operand),) = matcher.items()
    place = (*path, operator)
    if operator in dialect.texts:
        _check_text(operator, operand, place, ignores_case=dialect.ignores_case)
    elif operator == "anything-but":
        _check_exception(operand, dialect, place)
    elif operator == "exists":
        if not isinstance(operand, bool):
            raise PatternError("exists match pattern must be either true or false.", place)
    elif operator == "numeric":
        _check_numeric(operand, place)
    elif operator == "cidr":
        _check_cidr(operand, place)
    else:
        raise PatternError(f"Unrecognized match type {operator}", path)


def _check_text(operator: str, operand: Any, path: Path, *, ignores_case: bool = False) -> None:
    if isinstance(operand, dict) and ignores_case and operator in ("prefix", "suffix"):
        inner = cast("dict[str, Any]", operand)
        if list(inner) != ["equals-ignore-case"]:
            raise PatternError(f"Unsupported {operator} pattern: {next(iter(inner), '')}", path)
        _check_text("equals-ignore-case", inner["equals-ignore-case"], path)
        return
    if not isinstance(operand, str):
        raise PatternError(f"{operator} match pattern must be a string", path)
    if operator == "wildcard":
        _check_wildcard(operand, path)


def _check_wildcard(text: str, path: Path) -> None:
    position = 0
    while position < len(text):
        following = text[position + 1 : position + 2]
        if text[position] == "\\":
            if following not in ("*", "\\"):
                raise PatternError(f"Invalid escape character at pos {position}", path)
            position += 1
        elif text[position] == "*" and following == "*":
            raise PatternError(f"Consecutive wildcard characters at pos {position}", path)
        position += 1


def _check_exception(operand: Any, dialect: Dialect, path: Path) -> None:
    if isinstance(operand, dict):
        matcher = cast("dict[str, Any]", operand)
        for operator, inner in matcher.items():
            if operator not in dialect.exceptions:
                raise PatternError(f"Unsupported anything-but pattern: {operator}", path)
            is_list = dialect.takes_lists and isinstance(inner, list)
            texts: list[Any] = cast("list[Any]", inner) if is_list else [inner]
            if not texts:
                raise PatternError("Empty arrays are not allowed", path)
            for text in texts:
                _check_text(operator, text, path)
        if len(matcher) != 1:
            raise PatternError("Only one key allowed in match expression", path)
        return
    values = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
    if not values:
        raise PatternError("Empty arrays are not allowed", path)
    if any(isinstance(value, dict | list) for value in values):
        raise PatternError("Match value must be String, number, true, false, or null", path)
    if not dialect.takes_lists:
        return
    if any(isinstance(value, bool) or value is None for value in values):
        raise PatternError("Value of anything-but must be an array or single string/number value.", path)
    if len({isinstance(value, str) for value in values}) > 1:
        raise PatternError(
            "Inside anything but list, either all values are number or string, mixed type is not supported",
            path,
        )


def _check_numeric(operand: Any, path: Path) -> None:
    terms: Sequence[Any] = cast("list[Any]", operand) if isinstance(operand, list) else []
    if not terms:
        raise PatternError("Invalid member in numeric match: ]", path)
    first = terms[0]
    if not isinstance(first, str):
        raise PatternError(f"Invalid member in numeric match: {first}", path)
    if first not in _LOWER | _UPPER | {"="}:
        raise PatternError(f"Unrecognized numeric range operator: {first}", path)
    low = _number(terms, 1, first, path)
    if len(terms) == 2:
        return
    if first not in _LOWER:
        raise PatternError("Too many elements in numeric expression", path)
    second = terms[2]
    if not isinstance(second, str):
        raise PatternError(f"Bad value in numeric range: {second}", path)
    if second not in _UPPER:
        raise PatternError(f"Bad numeric range operator: {second}", path)
    if _number(terms, 3, second, path) <= low:
        raise PatternError("Bottom must be less than top", path)
    if len(terms) > 4:
        raise PatternError("Too many terms in numeric range expression", path)


def _number(terms: Sequence[Any], at: int, operator: str, path: Path) -> float:
    value = terms[at] if at < len(terms) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PatternError(f"Value of {'equals' if operator == '=' else operator} must be numeric", path)
    return value


def _check_cidr(operand: Any, path: Path) -> None:
    if not isinstance(operand, str):
        raise PatternError("prefix match pattern must be a string", path)
    address, slash, bits = operand.partition("/")
    if not slash or "/" in bits:
        raise PatternError("Malformed CIDR, one '/' required", path)
    if not bits.isascii() or not bits.isdigit():
        raise PatternError("Malformed CIDR, mask bits must be an integer", path)
    try:
        ipaddress.ip_network(operand, strict=False)
    except ValueError as error:
        raise PatternError(f"Nonstandard IP address: {address}", path) from error
