"""Event streams: messages of binary frames in the body of a response, as AWS's SDKs read them.

See https://smithy.io/2.0/aws/amazon-eventstream.html. A message is its length, the length of its headers and their
CRC-32, then headers, payload, and the CRC-32 of all that. Compiled from the model, as everything here is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lambent.wire.protocols.json_values import Convert, JsonEncoders, encode_body
from lambent.wire.shapes import Shape

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7
_FRAME_BYTES = 16
"""Two lengths and two checksums."""

Encode = Callable[[str, Mapping[str, Any]], bytes]
"""(name of the event, its members) → message."""


class Events(Protocol):
    """What an operation gives as the stream of its result."""

    async def next(self) -> tuple[str, Mapping[str, Any]] | None:
        """Wait for the next event: its name and its members; None at the end."""
        ...

    def abandon(self) -> None:
        """Give no more; nobody reads. May be repeated."""
        ...


class EventStreamBody:
    """The events of one response as the bytes of its body."""

    def __init__(self, events: Events, encode: Encode) -> None:
        self._events = events
        self._encode = encode

    async def read(self) -> bytes:
        """Wait for the next message; none at the end."""
        event = await self._events.next()
        return b"" if event is None else self._encode(*event)

    def abandon(self) -> None:
        """Give no more. May be repeated."""
        self._events.abandon()


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message; headers are texts of up to 65,535 bytes."""
    head = b"".join([_header(name, value) for name, value in headers.items()])
    prelude = struct.pack(">II", _FRAME_BYTES + len(head) + len(payload), len(head))
    checked = b"".join([prelude, struct.pack(">I", zlib.crc32(prelude)), head, payload])
    return checked + struct.pack(">I", zlib.crc32(checked))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return b"%c%b%c%b%b" % (len(key), key, _STRING, struct.pack(">H", len(text)), text)


def encoder(union: Shape, encoders: JsonEncoders) -> Encode:
    """Compile the function that writes the events of a stream, for protocols whose bodies are JSON."""
    plans = {name: _plan(name, event, encoders) for name, event in union.members.items()}

    def encode(name: str, members: Mapping[str, Any]) -> bytes:
        headers, payload_of = plans[name]
        return message(headers, payload_of(members))

    return encode


def _plan(
    name: str, event: Shape, encoders: JsonEncoders
) -> tuple[Mapping[str, str], Callable[[Mapping[str, Any]], bytes]]:
    blob = next((key for key, member in event.members.items() if member.traits.get("eventpayload")), None)
    kind = "application/json" if blob is None else "application/octet-stream"
    headers = {":event-type": name, ":content-type": kind, ":message-type": "event"}
    if blob is not None:
        return headers, lambda members: bytes(members[blob])
    encode: Convert = encoders.encoder(event)
    return headers, lambda members: encode_body(encode(members))
