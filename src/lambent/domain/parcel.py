"""A parcel: something on its way to an ARN, an outcome to a destination or an event to a dead-letter queue."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.domain.function import FunctionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is delivered where."""

    arn: str
    body: bytes
    """JSON text."""
    attributes: tuple[tuple[str, str, str], ...] = ()
    """Name, data type and value of message attributes."""
    trace_header: str = ""
    about: str
    """What it tells of, for whoever reads that it could not be delivered."""
    function: FunctionKey | None = None
    """Whose event it tells of, if it is one's."""
    is_dead_letter: bool = False
