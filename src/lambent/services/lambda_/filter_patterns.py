"""Is a text a filter pattern of an event source mapping? Pure.

The grammar is that of EventBridge's event patterns, less ``wildcard`` (AWS page "Filter rule syntax"): an object
whose leaves are lists of values and of matchers, nested like the events that it is for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from lambent.domain.pattern import explain
from lambent.errors import InvalidParameterValueException

PATTERN_DEPTH_MAX = 32
_COMPARISONS = frozenset({"=", "<", "<=", ">", ">="})
_TEXT_MATCHERS = frozenset({"prefix", "suffix", "equals-ignore-case"})


def is_filter_pattern(text: str) -> bool:
    """Tell whether a text is a pattern that a mapping may have."""
    try:
        pattern = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(pattern, dict) and _is_object(cast("Mapping[str, Any]", pattern), depth=1)


def explain_filter(pattern: Any, event: Any) -> str | None:
    """Return why a record is not wanted by a filter, in one sentence; None when it is.

    Args:
        pattern: decoded JSON.
        event: the record as filters see it, decoded: of a queue, with a body that is an object where it can be.

    Raises:
        InvalidParameterValueException: it is no filter pattern.
    """
    if not isinstance(pattern, dict) or not _is_object(cast("Mapping[str, Any]", pattern), depth=1):
        raise InvalidParameterValueException("Invalid filter pattern definition.")
    return explain(cast("Mapping[str, Any]", pattern), event)


def _is_object(pattern: Mapping[str, Any], *, depth: int) -> bool:
    if depth > PATTERN_DEPTH_MAX:
        return False
    return all(_is_field(name, value, depth=depth) for name, value in pattern.items())


def _is_field(name: str, value: Any, *, depth: int) -> bool:
    if name == "$or" and isinstance(value, list):
        choices = cast("list[Any]", value)
        return len(choices) > 1 and all(
            isinstance(choice, dict) and _is_object(cast("Mapping[str, Any]", choice), depth=depth + 1)
            for choice in choices
        )
    if isinstance(value, dict):
        nested = cast("Mapping[str, Any]", value)
        return bool(nested) and _is_object(nested, depth=depth + 1)
    if isinstance(value, list):
        alternatives = cast("list[Any]", value)
        return bool(alternatives) and all(_is_alternative(alternative) for alternative in alternatives)
    return False


def _is_alternative(value: Any) -> bool:
    if not isinstance(value, dict):
        return not isinstance(value, list)
    matcher = cast("Mapping[str, Any]", value)
    if len(matcher) != 1:
        return False
    ((kind, operand),) = matcher.items()
    if kind in _TEXT_MATCHERS:
        return isinstance(operand, str)
    if kind == "exists":
        return isinstance(operand, bool)
    if kind == "numeric":
        return isinstance(operand, list) and _is_numeric(cast("list[Any]", operand))
    return kind == "anything-but" and _is_exception(operand)


def _is_exception(operand: Any) -> bool:
    if isinstance(operand, dict):
        matcher = cast("Mapping[str, Any]", operand)
        return len(matcher) == 1 and all(
            kind in _TEXT_MATCHERS and isinstance(text, str) for kind, text in matcher.items()
        )
    values: list[Any] = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
    return bool(values) and all(isinstance(value, str | int | float) for value in values)


def _is_numeric(operand: Sequence[Any]) -> bool:
    if len(operand) not in (2, 4):
        return False
    return all(
        isinstance(operand[index], str)
        and operand[index] in _COMPARISONS
        and isinstance(operand[index + 1], int | float)
        and not isinstance(operand[index + 1], bool)
        for index in range(0, len(operand), 2)
    )
