"""Shapes: the typed view of a service model while it is being compiled.

A `Shape` is a shape as seen from the member that refers to it, with the member's traits laid over its own,
which is how the models are meant to be read. Used only at load; no request ever walks shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Traits = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One shape where it is used.

    Attributes:
        name: the shape's name in the model.
        traits: its traits (type, location, locationName, min, max, …), the referring member's first.
        table: all shapes of the model, by name.
    """

    name: str
    traits: Traits
    table: Mapping[str, Traits] = field(repr=False)

    @property
    def type(self) -> str:
        """``structure``, ``list``, ``map``, ``string``, ``integer``, ``long``, ``float``, ``double``,
        ``boolean``, ``blob`` or ``timestamp``."""
        return self.traits["type"]

    @property
    def location(self) -> str | None:
        """Where the member sits outside the body: ``uri``, ``querystring``, ``header``, ``headers``,
        ``statusCode``.
        """
        return self.traits.get("location")

    @property
    def location_name(self) -> str | None:
        """The name on the wire, if the model gives one."""
        return self.traits.get("locationName")

    @property
    def timestamp_format(self) -> str | None:
        """The format that the model asks for instead of the protocol's own."""
        return self.traits.get("timestampFormat")

    @property
    def is_flattened(self) -> bool:
        """Whether a list or map has no element of its own on the wire."""
        return bool(self.traits.get("flattened"))

    @property
    def is_document(self) -> bool:
        """Whether the value is any JSON."""
        return bool(self.traits.get("document"))

    @property
    def is_event_stream(self) -> bool:
        """Whether the value is a stream of events."""
        return bool(self.traits.get("eventstream"))

    @property
    def members(self) -> dict[str, Shape]:
        """The members of a structure, in the model's order."""
        return {
            name: resolve(self.table, reference) for name, reference in self.traits.get("members", {}).items()
        }

    @property
    def element(self) -> Shape:
        """The element of a list."""
        return resolve(self.table, self.traits["member"])

    @property
    def key(self) -> Shape:
        """The key of a map."""
        return resolve(self.table, self.traits["key"])

    @property
    def value(self) -> Shape:
        """The value of a map."""
        return resolve(self.table, self.traits["value"])

    @property
    def payload(self) -> str | None:
        """The member of a structure that is the whole body."""
        return self.traits.get("payload")


def resolve(table: Mapping[str, Traits], reference: Traits) -> Shape:
    """Return the shape that a reference such as ``{"shape": "FunctionName", "location": "uri"}`` means."""
    name: str = reference["shape"]
    return Shape(name=name, traits={**table[name], **reference}, table=table)
