"""Event patterns: which events are meant, by their content. Pure.

The language is that of EventBridge's page "Comparison operators for use in event patterns", which filters of
event source mappings share: an object nested like the events it is for, whose leaves are lists of which one
must hold. `explain` says in one sentence why an event does not match, for whoever wonders where it went.
"""

from __future__ import annotations

import ipaddress
import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SHOWN_MAX = 80
_ABSENT = object()


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether an event is meant by a pattern, whose form has been checked."""
    # Loops, not generators: a bus compares each event with hundreds of these.
    for name, wanted in pattern.items():  # noqa: SIM110
        if not _meets(name, wanted, event):
            return False
    return True


def explain(pattern: Mapping[str, Any], event: Any, *, path: str = "") -> str | None:
    """Return why an event is not meant by a pattern, in one sentence; None when it is.

    Args:
        pattern: a pattern; its form has been checked.
        event: decoded JSON.
        path: where in the whole event this is.
    """
    for name, wanted in pattern.items():
        if _meets(name, wanted, event):
            continue
        if _is_choice(name, wanted):
            return _why_none(cast("list[Mapping[str, Any]]", wanted), event, path)
        return _why_not(wanted, _member(event, name), f"{path}.{name}" if path else name)
    return None


def _meets(name: str, wanted: Any, event: Any) -> bool:
    """Whether an event meets one member of a pattern."""
    if _is_choice(name, wanted):
        return any(matches(choice, event) for choice in cast("list[Mapping[str, Any]]", wanted))
    value = _member(event, name)
    if isinstance(wanted, dict):
        nested = cast("Mapping[str, Any]", wanted)
        if isinstance(value, list):
            # Of a list of objects one has to match.
            return any(matches(nested, item) for item in cast("list[Any]", value))
        # A pattern may ask for absent members only, which nothing has as well.
        return matches(nested, {} if value is _ABSENT else value) if _has_members(value) else False
    for item in _items(value):
        for alternative in wanted:
            if _holds(alternative, item):
                return True
    return False


def _is_choice(name: str, wanted: Any) -> bool:
    return name == "$or" and isinstance(wanted, list)


def _member(event: Any, name: str) -> Any:
    return cast("Mapping[str, Any]", event).get(name, _ABSENT) if isinstance(event, dict) else _ABSENT


def _has_members(value: Any) -> bool:
    return value is _ABSENT or isinstance(value, dict)


def _items(value: Any) -> list[Any]:
    """Return the values of which one has to be as an alternative has it; an empty list is absent."""
    if isinstance(value, list):
        return cast("list[Any]", value) or [_ABSENT]
    return [value]


def _why_none(choices: Sequence[Mapping[str, Any]], event: Any, path: str) -> str:
    reasons = [explain(choice, event, path=path) or "" for choice in choices]
    return f"No alternative of $or holds: {'; '.join(reason.rstrip('.') for reason in reasons)}."


def _why_not(wanted: Any, value: Any, place: str) -> str | None:
    if not isinstance(wanted, dict):
        return f"{place} is {_shown(value)} and not {_shown(wanted)}."
    if isinstance(value, list):
        return f"No element of {place} matches."
    if not isinstance(value, dict):
        return f"{place} is {_shown(value)} and not an object."
    return explain(cast("Mapping[str, Any]", wanted), value, path=place)


def _holds(alternative: Any, value: Any) -> bool:
    if isinstance(value, dict):
        # Only leaves are compared: what has members of its own is as absent (AWS page "Exists matching").
        value = _ABSENT
    if isinstance(alternative, dict):
        ((kind, operand),) = cast("dict[str, Any]", alternative).items()
        if kind == "exists":
            return operand is (value is not _ABSENT)
        return value is not _ABSENT and _MATCHERS[kind](operand, value)
    return value is not _ABSENT and _equal(alternative, value)


def _equal(wanted: Any, value: Any) -> bool:
    # In JSON true is not 1, and 1.0 is 1.
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return wanted == value


def _text(test: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    def holds(operand: Any, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        if isinstance(operand, dict):
            # {"prefix": {"equals-ignore-case": "x"}}
            (text,) = cast("dict[str, str]", operand).values()
            return test(text.lower(), value.lower())
        return test(operand, value)

    return holds


def _is_none_of(operand: Any, value: Any) -> bool:
    if isinstance(operand, dict):
        ((kind, inner),) = cast("dict[str, Any]", operand).items()
        texts: list[Any] = cast("list[Any]", inner) if isinstance(inner, list) else [inner]
        return not any(_MATCHERS[kind](text, value) for text in texts)
    exceptions: list[Any] = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
    return not any(_equal(exception, value) for exception in exceptions)


def _is_in_range(operand: Sequence[Any], value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    pairs = zip(operand[::2], operand[1::2], strict=True)
    return all(_COMPARE[comparison](value, bound) for comparison, bound in pairs)


def _is_wildcard(operand: str, value: Any) -> bool:
    if not isinstance(value, str):
        return False
    # Only the asterisk is special, and a backslash before it takes that away.
    pieces = re.split(r"(\\.|\*)", operand)
    expression = "".join(
        ".*" if piece == "*" else re.escape(piece[1:] if piece.startswith("\\") else piece)
        for piece in pieces
    )
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _is_in_network(operand: str, value: Any) -> bool:
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(operand, strict=False)
    except ValueError:
        return False


_MATCHERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "prefix": _text(lambda operand, value: value.startswith(operand)),
    "suffix": _text(lambda operand, value: value.endswith(operand)),
    "equals-ignore-case": _text(lambda operand, value: value.lower() == operand.lower()),
    "anything-but": _is_none_of,
    "numeric": _is_in_range,
    "wildcard": _is_wildcard,
    "cidr": _is_in_network,
}


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"
