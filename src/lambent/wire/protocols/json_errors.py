"""The body of an error in the two JSON protocols."""

from __future__ import annotations

from typing import Any

from lambent.errors import ServiceError
from lambent.wire.protocols.door import ErrorShape
from lambent.wire.protocols.json_values import Convert, JsonEncoders


class JsonErrors:
    """Writes the members of errors; an error shape is compiled when it is first met."""

    def __init__(self, encoders: JsonEncoders) -> None:
        self._encoders = encoders
        self._plans: dict[str, dict[str, tuple[str, Convert]]] = {}

    def body(self, error: ServiceError, shape: ErrorShape | None) -> dict[str, Any]:
        """Return ``Type`` if the shape has it, the message in the shape's spelling, and what else the error
        carries.

        Members that the error carries and the shape does not have are left out: one error class serves
        several services.
        """
        if shape is None:
            return {"message": error.message}
        plan = self._plan(shape)
        members: dict[str, Any] = {"Type": "Server" if shape.is_fault else "User"} if shape.has_type else {}
        members.update(error.members)
        body = {plan[n][0]: plan[n][1](item) for n, item in members.items() if n in plan and item is not None}
        body[shape.message_name] = error.message
        return body

    def _plan(self, shape: ErrorShape) -> dict[str, tuple[str, Convert]]:
        if shape.name not in self._plans:
            self._plans[shape.name] = {
                name: (member.location_name or name, self._encoders.encoder(member))
                for name, member in shape.shape.members.items()
                if member.location is None
            }
        return self._plans[shape.name]
