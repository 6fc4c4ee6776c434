"""The paths of the ledger: ``/_lambent/ledger`` gives its rows, for the caller's account.

Rows come as lines of JSON, a page at a time; the header ``x-lambent-next`` says where to go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from lambent.domain.ledger import KINDS, Row, flat
from lambent.domain.pricing.components import row_price
from lambent.domain.pricing.exact import exact, plain
from lambent.domain.pricing.price_list import AWS, LISTS
from lambent.errors import ServiceError
from lambent.gateway.admission import Admit
from lambent.store.ledger import Ledger, RowQuery
from lambent.wire.http import HttpRequest, HttpResponse

LEDGER = "/_lambent/ledger"
_READ = "ce:GetCostAndUsage"
_ROWS_DEFAULT, _ROWS_MAX = 1000, 10_000


class BadQuery(Exception):
    """The query makes no sense. The message is one sentence for the user."""


class Accounting:
    """Answers what is asked of the ledger."""

    def __init__(self, *, ledger: Ledger, settle: Callable[[], Awaitable[None]], admit: Admit) -> None:
        """Make it.

        Args:
            ledger: the rows.
            settle: returns when what has happened so far is in the ledger.
            admit: says who asks, if they may.
        """
        self._ledger = ledger
        self._settle = settle
        self._admit = admit

    def serves(self, path: str) -> bool:
        """Whether a path is one of these."""
        return path == LEDGER

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the answer to one request."""
        if request.method not in ("GET", "HEAD"):
            return said(405, f"{request.method} is not possible here.")
        try:
            caller = await self._admit(request, _READ)
            return await self._rows(caller.account, query_of(request))
        except BadQuery as error:
            return said(400, str(error))
        except ServiceError as error:
            return said(error.status, error.message, code=type(error).__name__)

    async def _rows(self, account: str, query: Mapping[str, str]) -> HttpResponse:
        wanted = row_query(account, query)
        await self._settle()
        page = await self._ledger.read(wanted)
        lines = b"".join(msgspec.json.encode(with_price(row)) + b"\n" for row in page.rows)
        headers = [("Content-Type", "application/x-ndjson")]
        if page.after is not None:
            headers.append(("x-lambent-next", str(page.after)))
        return HttpResponse(status=200, headers=headers, body=lines)


def with_price(row: Row) -> dict[str, Any]:
    """Return a row as plain members, with its price by component (USD, first tier, before the free tier)."""
    prices = row_price(row, LISTS.get(row.category.price_list, AWS))
    with exact():
        total = sum(prices.values(), Decimal(0))
    by_component = {component: plain(amount) for component, amount in prices.items()}
    return flat(row) | {
        "price_list": row.category.price_list,
        "price_usd": plain(total),
        "price": by_component,
    }


def row_query(account: str, query: Mapping[str, str]) -> RowQuery:
    """Return what a query string asks for.

    Raises:
        BadQuery: it has a member that is unknown or makes no sense.
    """
    known = {"function", "region", "kind", "since", "until", "after", "limit"}
    refuse_unknown(query, known)
    kinds = tuple(filter(None, query.get("kind", "").split(",")))
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise BadQuery(f"There is no kind of row {unknown[0]!r}: kinds are {', '.join(KINDS)}.")
    limit = whole(query, "limit", default=_ROWS_DEFAULT)
    if not 1 <= limit <= _ROWS_MAX:
        raise BadQuery(f"limit must be from 1 to {_ROWS_MAX}.")
    until = query.get("until")
    return RowQuery(
        account=account,
        function=query.get("function") or None,
        region=query.get("region") or None,
        kinds=kinds,
        since_ms=time_ms("since", query.get("since", "0")),
        until_ms=None if until is None else time_ms("until", until),
        after=whole(query, "after", default=0),
        limit=limit,
    )


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
    return HttpResponse(
        status=status, headers=[("Content-Type", "application/json")], body=msgspec.json.encode(content)
    )
