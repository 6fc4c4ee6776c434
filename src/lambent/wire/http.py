"""A request and a response as values, free of any server.

The gateway fills an `HttpRequest` from whatever its server hands it and writes an `HttpResponse` back.
Nothing here knows ASGI.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A complete HTTP request.

    Attributes:
        method: upper-case method.
        path: the raw path: still percent-encoded, without the query; bytes beyond ASCII as Latin-1.
        query: the raw query string, without the question mark.
        headers: header values by lower-case name; repeated headers are joined with a comma.
        body: the whole body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A complete HTTP response; `body` may become an asynchronous iterator when operations stream.

    ``Content-Length`` is left to the server.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
