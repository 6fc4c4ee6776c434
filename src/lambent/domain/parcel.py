"""A parcel: something on its way to an ARN, an outcome to a destination, an event to a dead-letter queue, a message
to a subscriber, an event to a rule's target.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.domain.bus_event import BusEvent
from lambent.domain.function import FunctionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """The AWS service that sends a parcel, and on behalf of what; the policy of the target has to let it in."""

    service: str
    """Its principal, for instance ``sns.amazonaws.com``."""
    source_arn: str
    source_account: str
    role_arn: str | None = None
    """A role of that account, as which it is sent; None: as the service itself."""
    regional_service: str | None = None
    """Another name of the service that policies may give it, for instance ``logs.us-east-1.amazonaws.com``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is delivered where."""

    arn: str
    body: bytes
    """Text: JSON, unless a publisher's own."""
    attributes: tuple[tuple[str, str, str], ...] = ()
    """Name, data type and value of message attributes; binary values in base64."""
    trace_header: str = ""
    about: str
    """What it tells of, for whoever reads that it could not be delivered."""
    function: FunctionKey | None = None
    """Whose event it tells of, if it is one's."""
    is_dead_letter: bool = False
    sender: Sender | None = None
    """None: it is sent by a function's own role, which the function's owner has made."""
    key: str = ""
    """In a bucket: of the object that it becomes."""
    group_id: str | None = None
    """In a queue: the message group."""
    deduplication_id: str | None = None
    """In a FIFO queue."""
    event: BusEvent | None = None
    """On an event bus: what it becomes, with the body as its detail."""
