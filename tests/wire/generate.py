# pyright: basic
"""Values for any shape of botocore's: one with what is required, or one with everything set.

Nothing inside is ever empty, because the wire cannot always tell empty from absent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, StructureShape

DEPTH = 7
NASTY = "a/b c+d%e&f=g,h;i<j>\"k\"'l'ü–\U0001f40d"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def value(shape: Any, *, is_full: bool, depth: int = 0, text: str = NASTY) -> Any:
    """Return a value of a shape.

    Args:
        shape: any shape.
        is_full: everything that the shape can hold, instead of what it must.
        depth: how deep in the whole value this one sits.
        text: what strings hold.
    """
    if isinstance(shape, StructureShape):
        return _structure(shape, is_full=is_full, depth=depth, text=text)
    if isinstance(shape, ListShape):
        return _list(shape, is_full=is_full, depth=depth, text=text)
    if isinstance(shape, MapShape):
        element = value(shape.value, is_full=is_full, depth=depth + 1, text=text)
        return {_string(shape.key, "key"): element}
    if shape.type_name == "string":
        return _string(shape, text)
    return _SCALARS[shape.type_name](shape)


def _structure(shape: Any, *, is_full: bool, depth: int, text: str) -> dict[str, Any]:
    if getattr(shape, "is_document_type", False):
        return {"anything": [1, "two", None, {"three": 3.5}]}
    wanted = list(shape.members)
    if not is_full or depth >= DEPTH:
        wanted = list(shape.required_members)
    if not wanted and depth > 0:
        wanted = list(shape.members)[:1]
    if getattr(shape, "is_tagged_union", False):
        wanted = list(shape.members)[:1]
    return {
        name: value(
            shape.members[name], is_full=is_full, depth=depth + 1, text=_text_for(shape.members[name], text)
        )
        for name in wanted
    }


def _text_for(member: Any, text: str) -> str:
    # HTTP trims headers and knows no more than Latin-1 in them.
    return 'plain, "quoted" text' if member.serialization.get("location") in ("header", "headers") else text


def _list(shape: Any, *, is_full: bool, depth: int, text: str) -> list[Any]:
    count = 2 if is_full and depth < DEPTH else 1
    return [
        value(shape.member, is_full=is_full, depth=depth + 1, text=f"{index}{text}") for index in range(count)
    ]


def _string(shape: Any, text: str) -> Any:
    if shape.serialization.get("jsonvalue"):
        return {"json": ["in", "a", "header"]}
    if shape.enum:
        return shape.enum[0]
    return text


def _number(shape: Any) -> int:
    return int(shape.metadata.get("min", 7))


_SCALARS = {
    "blob": lambda shape: (
        b"\x00\x01bin\xc3\xbcry" if not shape.serialization.get("streaming") else b'{"pay": "load"}'
    ),
    "boolean": lambda shape: True,
    "character": lambda shape: "c",
    "double": lambda shape: float(shape.metadata.get("min", 0)) + 0.25,
    "float": lambda shape: float(shape.metadata.get("min", 0)) + 0.25,
    "integer": _number,
    "long": _number,
    "timestamp": lambda shape: MOMENT,
}
