"""The paths of the ledger: ``/_lambent/ledger`` gives its rows, ``/_lambent/bill`` what they cost.

Rows come as lines of JSON, a page at a time; the header ``x-lambent-next`` says where to go on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from lambent.clock import Clock
from lambent.domain.ledger import KINDS, Row, flat
from lambent.domain.pricing.components import row_price
from lambent.domain.pricing.exact import exact, plain
from lambent.domain.pricing.price_list import AWS, LISTS, PriceList
from lambent.errors import ServiceError
from lambent.gateway.admission import Admit
from lambent.gateway.bills import BILL, CHECK, Bills
from lambent.gateway.queries import BadQuery, as_json, query_of, refuse_unknown, said, time_ms, whole
from lambent.store.ledger import Ledger, RowQuery
from lambent.wire.http import HttpRequest, HttpResponse

LEDGER = "/_lambent/ledger"
_READ = "ce:GetCostAndUsage"
_ROWS_DEFAULT, _ROWS_MAX = 1000, 10_000


class Accounting:
    """Answers what is asked of the ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        settle: Callable[[], Awaitable[None]],
        admit: Admit,
        clock: Clock,
        own: PriceList | None = None,
    ) -> None:
        """Make it.

        Args:
            ledger: the rows.
            settle: returns when what has happened so far is in the ledger.
            admit: says who asks, if they may.
            clock: says which month it is.
            own: a price list of one's own, by which usage is charged beside AWS's.
        """
        self._ledger = ledger
        self._bills = Bills(ledger=ledger, own=own)
        self._clock = clock
        self._settle = settle
        self._admit = admit

    def serves(self, path: str) -> bool:
        """Whether a path is one of these."""
        return path in (LEDGER, BILL, CHECK)

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the answer to one request."""
        if request.method not in ("GET", "HEAD"):
            return said(405, f"{request.method} is not possible here.")
        try:
            caller = await self._admit(request, _READ)
            query = query_of(request)
            if request.path == LEDGER:
                return await self._rows(caller.account, query)
            await self._settle()
            make = self._bills.bill if request.path == BILL else self._bills.check
            made = await make(caller.account, query, now_ms=int(self._clock.now_s() * 1000))
            return as_json(200, made)
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
