"""Paths to values in JSON, as far as EventBridge knows them. Pure.

Of JSONPath there is the dot notation, indexes in brackets and the asterisk (AWS page "Amazon EventBridge input
transformation"); a name in brackets and quotes is read, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

_STEP = re.compile(
    r"""\.(?P<name>[\w/-]+|\*)|\[(?P<index>\d{1,9}|\*)\]|\[(?P<quote>['"])(?P<quoted>[^'"\]]+)(?P=quote)\]"""
)
_ALL = object()
ABSENT: Any = object()
"""Stands for a value that is not there; null is one that is."""


@lru_cache(maxsize=1024)
def parse_path(text: str) -> tuple[Any, ...] | None:
    """Return the steps of a path: names, indexes, or a mark for all; None when it is no path."""
    if not text.startswith("$"):
        return None
    steps: list[Any] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            return None
        name, index = match["name"] or match["quoted"], match["index"]
        if "*" in (match["name"], index):
            steps.append(_ALL)
        else:
            steps.append(name if index is None else int(index))
        at = match.end()
    return tuple(steps)


def value_at(value: Any, path: str) -> Any:
    """Return the value at a path, or `ABSENT`; with an asterisk, the list of all that are there.

    Args:
        value: decoded JSON.
        path: one that `parse_path` accepts.
    """
    return _at(value, parse_path(path) or ())


def _at(value: Any, steps: Sequence[Any]) -> Any:
    for number, step in enumerate(steps):
        if step is _ALL:
            rest = steps[number + 1 :]
            found = [_at(item, rest) for item in _items(value)]
            return [item for item in found if item is not ABSENT]
        value = _step(value, step)
        if value is ABSENT:
            return ABSENT
    return value


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def _step(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        items = cast("list[Any]", value) if isinstance(value, list) else []
        return items[step] if step < len(items) else ABSENT
    return cast("dict[str, Any]", value).get(step, ABSENT) if isinstance(value, dict) else ABSENT
