"""Results of the query protocol as XML, written by functions compiled from shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from lambent.wire import timestamps
from lambent.wire.protocols import text_values
from lambent.wire.shapes import Shape

WriteElement = Callable[[Any, str, list[str]], None]
"""(value, element name, parts): append the element's text to the parts."""

WriteMembers = Callable[[Mapping[str, Any], list[str]], None]
"""(structure, parts): append the elements of its members."""

# XML 1.0 has no way at all to write these; AWS's services replace or refuse them, ours replace.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Return text with everything escaped that XML would read as markup."""
    return escape(_UNWRITABLE.sub("\ufffd", text), {"\r": "&#13;"})


class XmlEncoders:
    """Compiles writers of elements; structures are compiled once, so that shapes may refer to themselves."""

    def __init__(self, timestamp_format: str = timestamps.ISO) -> None:
        self._timestamp_format = timestamp_format
        self._structures: dict[str, WriteMembers] = {}

    def members(self, shape: Shape) -> WriteMembers:
        """Return the function that writes the members of a structure, without an element around them."""
        if shape.name in self._structures:
            return self._later(shape.name)
        self._structures[shape.name] = lambda value, parts: None  # known from here on, replaced below
        plan = {
            name: (_element_name(name, member), self.writer(member)) for name, member in shape.members.items()
        }

        def write(value: Mapping[str, Any], parts: list[str]) -> None:
            for name, item in value.items():
                if (member := plan.get(name)) is None:
                    raise TypeError(f"{shape.name} has no member {name!r}")
                if item is not None:
                    member[1](item, member[0], parts)

        self._structures[shape.name] = write
        return write

    def writer(self, shape: Shape) -> WriteElement:
        """Return the function that writes a value of this shape as an element."""
        match shape.type:
            case "structure":
                return _structure(self.members(shape))
            case "list":
                return self._list(shape)
            case "map":
                return self._map(shape)
            case _:
                return _scalar(text_values.writer(shape, self._timestamp_format))

    def _later(self, name: str) -> WriteMembers:
        def write(value: Mapping[str, Any], parts: list[str]) -> None:
            self._structures[name](value, parts)

        return write

    def _list(self, shape: Shape) -> WriteElement:
        write_element = self.writer(shape.element)
        element_name = shape.element.location_name or "member"
        if shape.is_flattened:
            return _repeated(write_element)

        def write(value: list[Any], name: str, parts: list[str]) -> None:
            parts.append(f"<{name}>")
            for item in value:
                write_element(item, element_name, parts)
            parts.append(f"</{name}>")

        return write

    def _map(self, shape: Shape) -> WriteElement:
        write_key, write_value = self.writer(shape.key), self.writer(shape.value)
        key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"

        def write_entry(entry: tuple[Any, Any], name: str, parts: list[str]) -> None:
            parts.append(f"<{name}>")
            write_key(entry[0], key_name, parts)
            write_value(entry[1], value_name, parts)
            parts.append(f"</{name}>")

        def write(value: dict[str, Any], name: str, parts: list[str]) -> None:
            if not shape.is_flattened:
                parts.append(f"<{name}>")
            for entry in value.items():
                write_entry(entry, name if shape.is_flattened else "entry", parts)
            if not shape.is_flattened:
                parts.append(f"</{name}>")

        return write


def _element_name(name: str, member: Shape) -> str:
    if member.type == "list" and member.is_flattened and member.element.location_name:
        return member.element.location_name
    return member.location_name or name


def _structure(members: WriteMembers) -> WriteElement:
    def write(value: Mapping[str, Any], name: str, parts: list[str]) -> None:
        parts.append(f"<{name}>")
        members(value, parts)
        parts.append(f"</{name}>")

    return write


def _repeated(write_element: WriteElement) -> WriteElement:
    def write(value: list[Any], name: str, parts: list[str]) -> None:
        for item in value:
            write_element(item, name, parts)

    return write


def _scalar(to_text: text_values.WriteText) -> WriteElement:
    def write(value: Any, name: str, parts: list[str]) -> None:
        parts.append(f"<{name}>{xml_text(to_text(value))}</{name}>")

    return write
