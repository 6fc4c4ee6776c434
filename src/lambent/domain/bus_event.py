"""An event on an event bus, and the envelope in which targets get it. Pure.

The envelope is that of AWS's page "Events in Amazon EventBridge": compact JSON, its members in AWS's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from lambent.clock import iso_s

EVENT_MAX_BYTES = 1_048_576
"""How large an event may be (since January 2026; it had been a quarter of that)."""
_DEPTH_MAX = 256
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_TIME_BYTES = 14
"""How large a time is, if one was given (AWS page "Calculating Amazon EventBridge PutEvents event entry size")."""


def entry_bytes(
    source: str, detail_type: str, detail: str, resources: Iterable[str], *, has_time: bool
) -> int:
    """Return the size of an event as AWS counts it."""
    texts = (source, detail_type, detail, *resources)
    return sum(len(text.encode(errors="replace")) for text in texts) + (_TIME_BYTES if has_time else 0)


class BusEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event, as it is kept until every target has it."""

    id: str
    source: str
    detail_type: str
    account: str
    region: str
    time_s: float
    """When it happened, as its sender says, in seconds since the epoch; whole seconds are told."""
    resources: tuple[str, ...] = ()
    detail: str
    """A JSON object, compact."""
    received_ms: int
    """When it came."""
    trace_header: str = ""
    is_forwarded: bool = False
    """Whether a rule of another bus sent it; it is sent on to no third one."""

    def encode(self) -> bytes:
        """Return it as it is kept."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(kept: bytes) -> BusEvent:
        """Return one that was kept."""
        return msgspec.msgpack.decode(kept, type=BusEvent)

    @property
    def size_bytes(self) -> int:
        """Its size as AWS counts it."""
        return entry_bytes(self.source, self.detail_type, self.detail, self.resources, has_time=True)

    @property
    def body(self) -> bytes:
        """The envelope."""
        return msgspec.json.encode({**self._heading, "detail": msgspec.Raw(self.detail.encode())})

    @property
    def heading(self) -> bytes:
        """The envelope without its detail, as ``<aws.events.event>`` has it, which spells detailType so."""
        members = {"detailType" if name == "detail-type" else name: v for name, v in self._heading.items()}
        return msgspec.json.encode(members)

    @property
    def decoded(self) -> dict[str, Any]:
        """The envelope as patterns see it."""
        return {**self._heading, "detail": msgspec.json.decode(self.detail)}

    @property
    def _heading(self) -> dict[str, Any]:
        return {
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": self.account,
            "time": iso_s(self.time_s),
            "region": self.region,
            "resources": list(self.resources),
        }

    @property
    def ingestion_time(self) -> str:
        """When it came, as templates have it."""
        return iso_s(self.received_ms / 1000)


def compact_object(text: str) -> str | None:
    """Return a JSON object without white space; None when the text is none, or nested too deep to be one for long."""
    try:
        if not isinstance(msgspec.json.decode(text), dict) or _is_too_deep(text):
            return None
        return msgspec.json.format(text, indent=-1)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _is_too_deep(text: str) -> bool:
    """Whether valid JSON is nested so deep that reading it again may fail, where the stack is higher."""
    if text.count("{") + text.count("[") <= _DEPTH_MAX:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth > _DEPTH_MAX:
            return True
    return False


class TargetedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way to one target of a rule."""

    event: BusEvent
    rule_key: str
    target_id: str

    def encode(self) -> bytes:
        """Return it as it is kept."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(kept: bytes) -> TargetedEvent:
        """Return one that was kept."""
        return msgspec.msgpack.decode(kept, type=TargetedEvent)
