"""A function URL: the HTTP address of a function or of one of its aliases.

What is stored of it, and how its address is written. Who answers requests at that address is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """The configuration of one function URL."""

    id: str
    """32 lower-case letters and digits: the first label of the host name. It is never used again."""
    auth_type: str
    """``NONE`` or ``AWS_IAM``."""
    created: str
    """``2026-01-02T03:04:05.678901Z``."""
    last_modified: str
    invoke_mode: str | None = None
    """``BUFFERED``, ``RESPONSE_STREAM``, or None when never set, which means ``BUFFERED``."""
    cors: Mapping[str, Any] | None = None
    """The members of Cors as the caller gave them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlOwner:
    """What a function URL belongs to; kept under the URL's id, so that a request finds its function."""

    account: str
    region: str
    name: str
    qualifier: str | None = None
    """The alias, or None for the function itself."""


def function_url(url_id: str, *, region: str, endpoint_url: str) -> str:
    """Return the address of a function URL.

    The names under ``localhost`` need no name server: they mean this machine (RFC 6761). The scheme and the
    port are those at which the caller reached the server.
    """
    parts = urlsplit(endpoint_url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{url_id}.lambda-url.{region}.localhost{port}/"
