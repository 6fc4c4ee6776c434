"""A connection of a runtime to its Runtime API: HTTP/1.1 in, answers out.

What is asked means something to `RuntimeApi` alone, which is told of whole requests.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import msgspec

from lambent.node.pipelined import response_in
from lambent.node.runtime_api import RuntimeApi
from lambent.response_stream import ResponseStream

_HEAD_MAX_BYTES = 1024 * 1024 + 65_536
"""Request line and headers; one header (the X-Ray cause) may have nearly 1 MB."""


class RuntimeRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A request of the runtime."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: bytes
    is_too_large: bool
    """The body was over the limit and was thrown away."""


_ACCEPTED_BODY = b'{"status":"OK"}\n'
_ACCEPTED = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(_ACCEPTED_BODY)
) + _ACCEPTED_BODY
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    431: "Request Header Fields Too Large",
}


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection of a runtime, parsed by httptools but for what `pipelined` knows at sight."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._is_between = True
        """Whether the parser is between two requests."""
        self._held = b""
        self._reset()

    def write(self, content: bytes) -> None:
        """Send a complete response, after what was held back."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._held + content)
            self._held = b""

    def accept(self) -> None:
        """Answer 202, with the next response if the client has asked for that already (see `data_received`)."""
        self._held += _ACCEPTED

    def give_json(self, body: bytes) -> None:
        """Answer 200."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.write(head.encode() + body)

    def refuse(self, status: int, error_type: str, message: str) -> None:
        """Answer an error in the Runtime API's form."""
        body = msgspec.json.encode({"errorMessage": message, "errorType": error_type})
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self.write(head.encode() + body)

    def pause_reading(self) -> None:
        """Hold the client, once what it has sent so far does not fit into buffers any more."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let it go on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio's classes
        self._api.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._api.disconnected(self)
        # The parser and we hold each other: with that, whatever was said would wait for a garbage collection.
        self._transport = self._parser = None

    def data_received(self, data: bytes) -> None:
        if self._is_between:
            turn = response_in(data)
            if turn is not None and self._api.take_turn(self, *turn):
                return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.abort()
        except httptools.HttpParserError:
            self.refuse(400, "InvalidRequest", "The request is not HTTP/1.1")
            self.abort()
        if self._held and not self._api.is_parked(self):
            # Nobody waits for `next` here, so the client waits for this.
            self.write(b"")
        if self._head_bytes > _HEAD_MAX_BYTES:
            self.refuse(431, "InvalidRequest", "The request's headers are too large")
            self.abort()

    # httptools ---------------------------------------------------------------------------------------------

    def _reset(self) -> None:
        self._path = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._is_too_large = False
        self._stream: ResponseStream | None = None
        """Where the body goes."""
        self._head_bytes = 0
        """Received since the last byte of a body: of a head, or of trailers."""

    def on_message_begin(self) -> None:
        self._is_between = False
        self._reset()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if "expect" in self._headers and self._headers["expect"].lower() == "100-continue":
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._api.into is not None:
            self._stream = self._api.open_stream(self, self._parser.get_method(), self._path, self._headers)

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        if self._stream is not None:
            self._stream.write(body)
            if self._stream.is_too_large:
                self._api.overflow()
            return
        self._size += len(body)
        if self._size > self._api.response_max_bytes:
            # Keep reading, so that the runtime gets its answer, but keep nothing.
            self._is_too_large = True
            self._body.clear()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        body = self._body
        request = RuntimeRequest(
            method=self._parser.get_method().decode("latin-1"),
            path=self._path.decode("latin-1"),
            headers=self._headers,
            body=body[0] if len(body) == 1 else b"".join(body),
            is_too_large=self._is_too_large,
        )
        self._is_between = True
        self._api.handle(self, request)
