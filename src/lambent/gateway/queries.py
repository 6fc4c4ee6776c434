"""Query strings of Lambent's own paths, and the answers to those that make no sense."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from lambent.wire.http import HttpRequest, HttpResponse


class BadQuery(Exception):
    """The query makes no sense. The message is one sentence for the user."""


def query_of(request: HttpRequest) -> dict[str, str]:
    """Return the members of a query string."""
    return dict(parse_qsl(request.query, keep_blank_values=True))


def refuse_unknown(query: Mapping[str, str], known: set[str]) -> None:
    """Refuse members that mean nothing here.

    Raises:
        BadQuery: there is one.
    """
    if unknown := sorted(query.keys() - known):
        raise BadQuery(
            f"There is nothing to ask by {unknown[0]!r} here: {', '.join(sorted(known))} are known."
        )


def whole(query: Mapping[str, str], name: str, *, default: int) -> int:
    """Return a member that is a whole number.

    Raises:
        BadQuery: it is none.
    """
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadQuery(f"{name} must be a whole number, not {text!r}.")
    return int(text)


def time_ms(name: str, text: str) -> int:
    """Return a time, given as milliseconds since the epoch or in the form of ISO 8601 (UTC without a zone).

    Raises:
        BadQuery: it has neither form.
    """
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadQuery(f"{name} must be a time such as 2026-01-31T12:00:00Z, not {text!r}.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int(moment.timestamp() * 1000))


def said(status: int, message: str, *, code: str | None = None) -> HttpResponse:
    """Return a sentence as an answer."""
    content = {"message": message} if code is None else {"code": code, "message": message}
    return as_json(status, content)


def as_json(status: int, content: Mapping[str, Any]) -> HttpResponse:
    """Return members as an answer."""
    return HttpResponse(
        status=status, headers=[("Content-Type", "application/json")], body=msgspec.json.encode(content)
    )
