"""A request and a response as values, free of any server.

The gateway fills an `HttpRequest` from what it received and writes an `HttpResponse` back. Nothing here knows
how.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A complete HTTP request.

    Attributes:
        method: upper-case method.
        path: the raw path: still percent-encoded, without the query; bytes beyond ASCII as Latin-1.
        query: the raw query string, without the question mark.
        headers: header values by lower-case name; repeated headers are joined with a comma.
        body: the whole body.
        is_complete: whether the body was within the limit; else it was not kept.
        base_url: scheme, address and port at which it arrived.
        client_address: the address that it came from; empty when unknown.
        gone: returns what is done once the client has gone, or will say nothing more; None: nobody knows.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    is_complete: bool = True
    base_url: str = "http://localhost"
    client_address: str = ""
    gone: Callable[[], Awaitable[None]] | None = None


class BrokenBody(Exception):
    """A body ends before its end."""


class StreamedBody(Protocol):
    """A body that is sent while it is being made. It has one reader."""

    async def read(self) -> bytes:
        """Wait for bytes and return them; none at the end.

        Raises:
            BrokenBody: the rest will not come; the client is to notice.
        """
        ...

    def abandon(self) -> None:
        """Make no more; nobody reads. May be repeated, also while somebody reads, who then is at the end."""
        ...


class HttpResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP response, complete unless it has a `stream`, which is sent instead of `body`.

    ``Content-Length`` and ``Transfer-Encoding`` are left to the server.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    stream: StreamedBody | None = None
