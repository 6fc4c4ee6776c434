"""An event source mapping: which function is invoked with the records of which source.

What is stored of it, and the legal moves of its state. Polling the source is not done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

DELETED = "Deleted"
"""Where a mapping that is ``Deleting`` goes; nobody ever sees a mapping in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSourceMapping:
    """One event source mapping."""

    account: str
    region: str
    uuid: str
    source: str
    """The kind of source: ``sqs``, ``kinesis``, ``dynamodb``, ``kafka``, ``mq`` or ``docdb``."""
    function_arn: str
    """With the qualifier that the caller gave, if any."""
    event_source_arn: str | None = None
    """None: a self-managed Kafka cluster, which has no ARN."""
    starting_timestamp_s: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The other members of EventSourceMappingConfiguration by AWS name, defaults included."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    state: str
    """Creating, Enabling, Enabled, Disabling, Disabled, Updating or Deleting."""
    settles_in: str
    """Where a state that is under way leads: Enabled, Disabled or `DELETED`; else the state itself."""
    last_modified_s: float

    @property
    def arn(self) -> str:
        """The mapping's own ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account}:event-source-mapping:{self.uuid}"

    @property
    def is_settled(self) -> bool:
        """Whether no change is under way."""
        return self.state == self.settles_in


def updated(mapping: EventSourceMapping, *, is_enabled: bool | None) -> EventSourceMapping:
    """Return a settled mapping with a change under way that ends as the caller wishes.

    Args:
        mapping: a mapping in which no change is under way.
        is_enabled: the caller's wish; None leaves it as it is.
    """
    target = mapping.state if is_enabled is None else ("Enabled" if is_enabled else "Disabled")
    passing = {"Enabled": "Enabling", "Disabled": "Disabling"}[target]
    return replace(mapping, state="Updating" if target == mapping.state else passing, settles_in=target)


def settled(mapping: EventSourceMapping) -> EventSourceMapping:
    """Return the mapping after the change that is under way has come to its end."""
    return replace(mapping, state=mapping.settles_in)
