"""An event bus of EventBridge: its name, its settings and who may put events on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.arn import parse_arn

DEFAULT = "default"
"""The bus that every account has in every region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBus:
    """One bus."""

    account: str
    region: str
    name: str
    policy: str = ""
    """Its resource-based policy as JSON; empty: it has none, and only its owner uses it."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """By AWS name what is shown as it was given: Description, KmsKeyIdentifier, DeadLetterConfig, LogConfig."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    created_s: float = 0.0
    """In seconds since the epoch; 0: it has been there always."""
    modified_s: float = 0.0

    @property
    def key(self) -> str:
        """``account/region/name``."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def events(self) -> str:
        """What the queue engine calls the queue of what is put on it."""
        return f"buses/{self.key}"

    @property
    def arn(self) -> str:
        """The bus's ARN."""
        return f"arn:aws:events:{self.region}:{self.account}:event-bus/{self.name}"


def bus_key(arn: str) -> str | None:
    """Return the key of a bus's ARN; None when it is none."""
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "events":
        return None
    kind, _, name = parsed.resource.partition("/")
    return f"{parsed.account}/{parsed.region}/{name}" if kind == "event-bus" and name else None
