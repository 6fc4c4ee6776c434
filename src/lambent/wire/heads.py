"""What the heads of requests say, remembered, for operations whose bodies are taken as they are: Invoke.

Of such an operation all parameters but the body's come from path, query and headers, and from the same of those come
the same parameters, with the same verdict of the model's constraints. Callers of one function send the same ones again
and again. `wire.parse.read` asks here; what is not remembered is read as any other request is.
"""

from __future__ import annotations

from typing import Any

from lambent.wire.http import HttpRequest
from lambent.wire.shapes import Shape

_REMEMBERED_MAX = 4096
_SCALARS = ("string", "integer", "long", "boolean", "blob")
"""Types of values that nobody can change."""
_REMEMBERED_MAX_LENGTH = 1024
"""Characters of path, query and headers; longer ones hold what is said once: a client context."""

Head = tuple[str | None, ...]
"""Path, query, and the headers that are parameters."""


class KnownHeads:
    """Of one operation: what its requests said in their heads, and was found good."""

    def __init__(self, shape: Shape) -> None:
        """Remember nothing yet; `shape` is the operation's input, one that this is for."""
        assert shape.payload is not None
        self.payload = shape.payload
        """The member that is the body."""
        self._headers = tuple(
            (member.location_name or name).lower()
            for name, member in shape.members.items()
            if member.location == "header"
        )
        self._known: dict[Head, dict[str, Any]] = {}
        self.find = self._known.get
        """Return the parameters that a head comes to, but for the body; None: it is not remembered."""

    def head_of(self, request: HttpRequest) -> Head:
        """Return what the parameters depend on."""
        return (request.path, request.query, *map(request.headers.get, self._headers))

    def remember(self, head: Head, parameters: dict[str, Any]) -> None:
        """Remember what a head came to, unless it is long."""
        if sum(len(text) for text in head if text) <= _REMEMBERED_MAX_LENGTH:
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            self._known[head] = parameters


def are_for(shape: Shape) -> bool:
    """Return whether what an operation takes is its head, and a body of which nothing is asked."""
    if shape.payload is None:
        return False
    payload = shape.members[shape.payload]
    return (
        payload.type == "blob"
        and not payload.is_event_stream
        and shape.payload not in shape.traits.get("required", ())
        and not {"min", "max", "pattern", "enum"} & payload.traits.keys()
        and all(member.type in _SCALARS and member.location != "headers" for member in shape.members.values())
    )
