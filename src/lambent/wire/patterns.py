"""AWS's patterns, which are written for Java, as Python's.

A pattern is compiled when a value first meets it: a service has hundreds, a server uses few. Python cannot say
``\\p{L}`` and its like; such a class is spelled out for ASCII, and for the other characters of the value at hand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

Match = Callable[[str], bool]

_REMEMBERED_MAX_LENGTH = 256

_PROPERTY = re.compile(r"\\([pP])\{(\w+)\}|\\([pP])(\w)")
_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_SHORTHANDS = "wWdDsS"
_PROPERTIES = {
    "ASCII": (0, 127),
    "Print": (32, 126),
    "Alnum": "Nd Lu Ll",
    "Alpha": "Lu Ll",
    "Digit": "Nd",
    "Punct": "P S",
}
_ASCII = "".join(map(chr, range(128)))


def matcher(pattern: str) -> Match:
    """Return a function that says whether a whole text matches; a pattern that Python cannot express matches all."""

    def match(text: str) -> bool:
        # Names come again and again, and AWS's patterns for them are long.
        known = _matches if len(text) <= _REMEMBERED_MAX_LENGTH else _matches.__wrapped__
        return known(pattern, text)

    return match


@lru_cache(maxsize=4096)
def _matches(pattern: str, text: str) -> bool:
    has_properties = not text.isascii() and _PROPERTY.search(pattern) is not None
    compiled = _compile(pattern, "".join(sorted(set(text) - set(_ASCII))) if has_properties else "")
    return compiled is None or compiled.fullmatch(text) is not None


def translate(pattern: str, others: str = "") -> str:
    """Return the pattern in Python's syntax, with Unicode properties spelled out for ASCII and `others`.

    Java reads a hyphen after a shorthand (``[\\w-_]``) and a bracket inside a class literally; Python does
    not.
    """
    pattern = _SURROGATES.sub(_join_surrogates, pattern)
    parts: list[str] = []
    at, is_class = 0, False
    while at < len(pattern):
        piece = _piece(pattern, at)
        following = at + len(piece)
        if (property_ := _PROPERTY.fullmatch(piece)) is not None:
            parts.append(_class_of(property_, others, is_class=is_class))
        elif is_class and piece in ("[", "&", "~", "|"):
            parts.append("\\" + piece)
        else:
            is_class = piece != "]" if is_class else piece == "["
            parts.append(piece)
        is_shorthand = piece[0] == "\\" and piece[1:2] in (*_SHORTHANDS, "p", "P")
        if is_class and is_shorthand and pattern[following : following + 1] == "-":
            parts.append("\\-")
            following += 1
        at = following
    return "".join(parts)


def _piece(pattern: str, at: int) -> str:
    """Return what stands at a position: a property, an escape, or one character."""
    if pattern[at] != "\\":
        return pattern[at]
    property_ = _PROPERTY.match(pattern, at)
    return property_[0] if property_ else pattern[at : at + 2]


def _join_surrogates(pair: re.Match[str]) -> str:
    high, low = int(pair[1], 16), int(pair[2], 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08X}"


@lru_cache(maxsize=1024)
def _compile(pattern: str, others: str) -> re.Pattern[str] | None:
    try:
        return re.compile(translate(pattern, others))
    except re.error:
        return None


def _class_of(property_: re.Match[str], others: str, *, is_class: bool) -> str:
    kind, name = (property_[1], property_[2]) if property_[1] else (property_[3], property_[4])
    wanted = _PROPERTIES.get(name, name.removeprefix("Is"))
    characters = [c for c in _ASCII + others if _has(c, wanted) is (kind == "p")]
    escaped = "".join(f"\\U{ord(character):08X}" for character in characters)
    # An empty class is not Python; the null character is in no text that AWS takes.
    return escaped or "\\x00" if is_class else f"[{escaped or chr(92) + 'x00'}]"


def _has(character: str, wanted: str | tuple[int, int]) -> bool:
    if not isinstance(wanted, str):
        return wanted[0] <= ord(character) <= wanted[1]
    category = unicodedata.category(character)
    return any(category.startswith(prefix) for prefix in wanted.split())
