"""Patterns of policies: ``*`` and ``?``, variables like ``${aws:username}``, and how ARNs are compared.

What a variable stands for is literal text: a user whose name is ``*`` is not everybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_ARN_PARTS = 6
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_DEFAULT = re.compile(r"\s*([^,\s]+)\s*,\s*'(.*)'\s*", re.DOTALL)
_LITERALS = ("*", "?", "$")


class UnknownVariable(Exception):
    """A variable has no value and no default: nothing matches the pattern.

    Args:
        key: the condition key that it names.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def like(value: str, pattern: str, *, is_case_sensitive: bool = True) -> bool:
    """Return whether a value matches a pattern with ``*`` (any characters) and ``?`` (one character)."""
    if pattern == "*":
        return True
    return _compiled(pattern, is_case_sensitive).fullmatch(value) is not None


def like_with_variables(value: str, pattern: str, values: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether a value matches a pattern in which ``${key}`` stands for a value of the request.

    Raises:
        UnknownVariable: the request has no single value for it.
    """
    if "${" not in pattern:
        return like(value, pattern)
    return re.fullmatch(_with_values(pattern, values), value, re.DOTALL) is not None


def substituted(text: str, values: Mapping[str, tuple[str, ...]]) -> str:
    """Return a text with its variables replaced, for comparisons that know no wildcards.

    Raises:
        UnknownVariable: the request has no single value for it.
    """
    if "${" not in text:
        return text
    return _VARIABLE.sub(lambda variable: _value(variable[1], values), text)


def like_arn(value: str, pattern: str, values: Mapping[str, tuple[str, ...]] | None = None) -> bool:
    """Return whether an ARN matches a pattern: part by part, so that a ``*`` does not reach over colons.

    Only the last part, the resource, may hold colons itself. A pattern that ends early goes on with ``*``.

    Raises:
        UnknownVariable: the request has no single value for a variable of the pattern.
    """
    wanted = _arn_parts(pattern)
    found = value.split(":", _ARN_PARTS - 1)
    if len(found) < _ARN_PARTS:
        return pattern in ("*", value)
    wanted += ["*"] * (_ARN_PARTS - len(wanted))
    compared = zip(found, wanted, strict=True)
    return all(like_with_variables(part, piece, values or {}) for part, piece in compared)


def _arn_parts(pattern: str) -> list[str]:
    """Split at colons, but not inside variables."""
    parts, depth = [""], 0
    for at, character in enumerate(pattern):
        if character == ":" and depth == 0 and len(parts) < _ARN_PARTS:
            parts.append("")
            continue
        depth += pattern.startswith("${", at) - (character == "}" and depth > 0)
        parts[-1] += character
    return parts


@lru_cache(maxsize=4096)
def _compiled(pattern: str, is_case_sensitive: bool) -> re.Pattern[str]:
    flags = re.DOTALL if is_case_sensitive else re.DOTALL | re.IGNORECASE
    return re.compile(_joined(_segments(pattern)), flags)


def _segments(pattern: str) -> list[str]:
    """Return expressions for what stands between stars."""
    return [re.escape(segment).replace(r"\?", ".") for segment in pattern.split("*")]


def _joined(segments: list[str]) -> str:
    """Return the expression for segments with stars between them.

    Where a segment is found first is as good as anywhere later, so nothing is tried twice (atomic groups):
    whoever writes policies must not be able to keep the server busy with them.
    """
    if len(segments) == 1:
        return segments[0]
    first, *middle, last = segments
    return first + "".join(f"(?>.*?{segment})" for segment in middle if segment) + ".*" + last


def _with_values(pattern: str, values: Mapping[str, tuple[str, ...]]) -> str:
    segments, at = [""], 0
    for variable in _VARIABLE.finditer(pattern):
        begin, *more = _segments(pattern[at : variable.start()])
        segments[-1] += begin
        segments += more
        segments[-1] += re.escape(_value(variable[1], values))
        at = variable.end()
    begin, *more = _segments(pattern[at:])
    segments[-1] += begin
    return _joined(segments + more)


def _value(variable: str, values: Mapping[str, tuple[str, ...]]) -> str:
    if variable in _LITERALS:
        return variable
    default = _DEFAULT.fullmatch(variable)
    key = (default[1] if default else variable).strip().lower()
    found = values.get(key, ())
    if len(found) == 1:
        return found[0]
    if default is None:
        raise UnknownVariable(key)
    return default[2]
