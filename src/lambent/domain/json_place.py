"""Where in a JSON text its values are. Pure.

AWS tells the line and column at which it stopped reading: behind a value, and of a text, behind its first quote.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import Any

Path = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t\r\n]*")
_SOURCE_MAX = 500


def place_of(text: str, path: Path) -> str:
    """Return AWS's words for the place of the value at a path, or of what is nearest to it.

    Args:
        text: valid JSON.
        path: keys and indexes from its root.
    """
    ends: dict[Path, int] = {}
    with contextlib.suppress(RecursionError):
        # What is nested too deep is placed where it is not yet, or not at all.
        _walk(text, _skip(text, 0), (), ends)
    while path not in ends and path:
        path = path[:-1]
    return place_at(text, ends.get(path, 0))


def place_at(text: str, offset: int) -> str:
    """Return AWS's words for an offset in a text."""
    line = text.count("\n", 0, offset) + 1
    column = offset - (text.rfind("\n", 0, offset) + 1) + 1
    left = len(text) - _SOURCE_MAX
    source = f'"{text[:_SOURCE_MAX]}"' + (f"[truncated {left} chars]" if left > 0 else "")
    return f"[Source: (String){source}; line: {line}, column: {column}]"


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _walk(text: str, at: int, path: Path, ends: dict[Path, int]) -> int:
    """Note where the values of a value end, itself included, and return where it ends."""
    if text[at] == "{":
        end = _walk_object(text, at, path, ends)
    elif text[at] == "[":
        end = _walk_array(text, at, path, ends)
    elif text[at] == '"':
        ends[path] = at + 1
        return _string(text, at)[1]
    else:
        end = json.JSONDecoder().raw_decode(text, at)[1]
    ends[path] = end
    return end


def _walk_object(text: str, at: int, path: Path, ends: dict[Path, int]) -> int:
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _string(text, at)
        at = _walk(text, _skip(text, _skip(text, at) + 1), (*path, key), ends)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _walk_array(text: str, at: int, path: Path, ends: dict[Path, int]) -> int:
    at, index = _skip(text, at + 1), 0
    while text[at] != "]":
        at = _skip(text, _walk(text, at, (*path, index), ends))
        index += 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _string(text: str, at: int) -> tuple[Any, int]:
    return json.JSONDecoder().raw_decode(text, at)
