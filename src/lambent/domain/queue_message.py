"""A message of an SQS queue: what is kept beside its body, and the digests by which clients check it. Pure.

The digest of attributes is that of AWS's page "Calculating the MD5 message digest for message attributes".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

MESSAGE_MAX_BYTES = 1_048_576
ATTRIBUTES_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAttribute:
    """One message attribute."""

    data_type: str
    """``String``, ``Number`` or ``Binary``, with a label behind a dot if the sender gave one."""
    text: str | None = None
    binary: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """What the value takes of a message's size."""
        content = self.binary if self.binary is not None else (self.text or "").encode()
        return len(content) + len(self.data_type.encode())

    @property
    def as_text(self) -> str:
        """The value, in base64 if it is binary."""
        return (self.text or "") if self.binary is None else base64.b64encode(self.binary).decode()


def message_attribute(data_type: str, text: str) -> MessageAttribute:
    """Return a message attribute from its value as a text, which is base64 if it is binary."""
    if data_type.startswith("Binary"):
        return MessageAttribute(data_type=data_type, binary=base64.b64decode(text))
    return MessageAttribute(data_type=data_type, text=text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a queue keeps of a message beside its body."""

    sender_id: str = ""
    trace_header: str = ""
    group_id: str | None = None
    deduplication_id: str | None = None
    attributes: Mapping[str, MessageAttribute] = field(default_factory=dict[str, MessageAttribute])

    def encode(self) -> bytes:
        """Return the envelope as it is kept."""
        return msgspec.msgpack.encode(self)

    @staticmethod
    def decode(kept: bytes) -> Envelope:
        """Return an envelope that was kept."""
        return msgspec.msgpack.decode(kept, type=Envelope)


def md5_of_body(body: bytes) -> str:
    """Return ``MD5OfMessageBody``: it guards against damage, nobody's secret depends on it."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: Mapping[str, MessageAttribute]) -> str | None:
    """Return ``MD5OfMessageAttributes``; None when there are none."""
    if not attributes:
        return None
    parts: list[bytes] = []
    for name, attribute in sorted(attributes.items()):
        parts += [_measured(name.encode()), _measured(attribute.data_type.encode())]
        if attribute.binary is not None:
            parts += [b"\2", _measured(attribute.binary)]
        else:
            parts += [b"\1", _measured((attribute.text or "").encode())]
    return hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()


def _measured(part: bytes) -> bytes:
    return len(part).to_bytes(4, "big") + part
