"""Requests that this server sends: to addresses that subscribers gave, and to S3. Asynchronous and bounded.

A request has a connection of its own and one time limit for all of it, so that who never answers holds up
nobody else. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools
import msgspec

_BODY_MAX_BYTES = 65_536
"""What is read of an answer: the rest is of no interest."""
_ANSWER_MAX_BYTES = 1_048_576
"""Of everything that an answer may consist of, its headers among it."""
_READ_BYTES = 65_536


class NoAnswer(Exception):
    """There was no answer. The message is one sentence without its full stop."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, as far as it was read."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class Outgoing:
    """Sends requests.

    Args:
        reaches_private: whether addresses of this machine and of private networks may be sent to.
        at_once_max: how many requests are on their way at one moment; further ones wait in turn.
    """

    def __init__(self, *, reaches_private: bool = True, at_once_max: int = 1_000) -> None:
        self._reaches_private = reaches_private
        self._free = asyncio.Semaphore(at_once_max)
        self._tls: ssl.SSLContext | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        """Send a request and return the answer.

        Args:
            method: the method.
            url: ``http://…`` or ``https://…``.
            headers: headers beside Host, Content-Length and Connection; Host may be among them.
            body: the whole body.
            timeout_s: for all of it, from the look-up of the name to the end of the answer.

        Raises:
            NoAnswer: nobody listens there, the answer is none, or it did not come in time.
        """
        async with self._free:
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(method, url, headers, body)
            except TimeoutError as error:
                raise NoAnswer(f"no answer within {timeout_s:g} s") from error
            except httptools.HttpParserError as error:
                raise NoAnswer("the answer is no HTTP") from error
            except (OSError, UnicodeError, ValueError) as error:
                raise NoAnswer(f"no answer: {_reason(error)}") from error

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        place = urlsplit(url)
        is_tls = place.scheme == "https"
        host, port = place.hostname or "", place.port or (443 if is_tls else 80)
        tls = {"ssl": self._context(), "server_hostname": host} if is_tls else {}
        reader, writer = await self._connect(host, port, tls)
        try:
            writer.write(_head(method, place, headers, len(body)) + body)
            await writer.drain()
            return await _read(reader)
        finally:
            writer.close()
            # Without waiting: a TLS connection's other end may never say goodbye.
            writer.transport.abort()

    async def _connect(
        self, host: str, port: int, tls: Mapping[str, Any]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the first address of a host that lets us; it is addresses that are judged, not names."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        failure = OSError(f"{', '.join(addresses)} may not be sent to")
        for address in filter(self._may_reach, addresses):
            try:
                return await asyncio.open_connection(address, port, **tls)
            except OSError as error:
                failure = error
        raise failure

    def _may_reach(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(parsed, "ipv4_mapped", None)
        judged = mapped or parsed
        # Link-local: what a cloud tells its machines about themselves, and the sandboxes' own addresses.
        if judged.is_link_local or judged.is_multicast or judged.is_unspecified:
            return False
        return self._reaches_private or judged.is_global

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def _head(method: str, place: Any, headers: Mapping[str, str], length: int) -> bytes:
    target = place.path or "/"
    if place.query:
        target += f"?{place.query}"
    given = {name.lower() for name in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"Host: {place.netloc.rpartition('@')[2]}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {length}", "Connection: close"]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header has a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read(reader: asyncio.StreamReader) -> Answer:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    left = _ANSWER_MAX_BYTES
    while not answer.is_complete and len(answer.body) < _BODY_MAX_BYTES:
        data = await reader.read(_READ_BYTES)
        left -= len(data)
        if left < 0:
            raise ValueError("the answer is too large")
        if not data:
            # Without a length the end of the connection is the end of the answer.
            if answer.has_headers and "content-length" not in answer.headers:
                break
            raise ConnectionResetError("the connection ended before the answer did")
        with contextlib.suppress(httptools.HttpParserUpgrade):
            parser.feed_data(data)
        if answer.has_headers and not answer.status:
            answer.status = parser.get_status_code()
    status = answer.status or parser.get_status_code()
    return Answer(status=status, headers=answer.headers, body=bytes(answer.body[:_BODY_MAX_BYTES]))


class _Answer:
    """What httptools tells."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.has_headers = False
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.has_headers = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror | ssl.SSLError) and error.errno:
        # The text of event loops has Python's way to write an address in it.
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
