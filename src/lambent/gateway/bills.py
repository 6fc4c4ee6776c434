"""The bill as an answer: ``/_lambent/bill`` for a month, and ``/_lambent/bill/check``, which adds it up anew.

The sums come from the ledger, the arithmetic is `domain.bill`'s. Amounts are texts: exact decimals, never floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from lambent.domain.bill import (
    Assumptions,
    Bill,
    alternatives,
    bill,
    projected,
)
from lambent.domain.grouping import Group, UnknownGrouping, groups
from lambent.domain.ledger import DAY_MS, Usage, day_of, day_text
from lambent.domain.pricing.exact import plain
from lambent.domain.pricing.price_list import ARCHITECTURES, AWS, PriceList
from lambent.gateway.queries import BadQuery, refuse_unknown
from lambent.store.ledger import Audit, Ledger

BILL = "/_lambent/bill"
CHECK = "/_lambent/bill/check"
_MONTH = re.compile(r"(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])")
_SAVINGS = re.compile(r"savings-plan(=(?P<percent>[0-9]{1,2}(\.[0-9]{1,3})?))?")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month in UTC."""

    text: str
    start_ms: int
    end_ms: int

    @property
    def first_day(self) -> int:
        return day_of(self.start_ms)

    @property
    def last_day(self) -> int:
        return day_of(self.end_ms) - 1


class Bills:
    """Makes bills of what the ledger holds.

    Args:
        ledger: the sums.
        own: a price list of one's own, by which usage is charged beside AWS's.
    """

    def __init__(self, *, ledger: Ledger, own: PriceList | None = None) -> None:
        self._ledger = ledger
        self._own = own

    async def bill(self, account: str, query: Mapping[str, str], *, now_ms: int) -> dict[str, Any]:
        """Return the bill that a query asks for.

        Raises:
            BadQuery: the query makes no sense.
        """
        refuse_unknown(query, {"month", "by", "assume", "function", "region"})
        month = month_of(query.get("month"), now_ms)
        given = assumptions_of(query.get("assume", ""))
        usages = await self._usages(account, month, query)
        made = bill(usages, AWS, given)
        answer = {
            "month": month.text,
            "account": account,
            "is_over": month.end_ms <= now_ms,
            "assumptions": str(given) or None,
            **_members(made),
            "alternatives": [
                {"assumptions": str(other), "total": plain(bill(usages, AWS, other).total)}
                for other in alternatives(usages, given, AWS.home)
            ],
            "projection": _projection(usages, month, now_ms, given),
        }
        if self._own is not None:
            answer["own"] = _members(bill(usages, self._own))
        if by := query.get("by"):
            answer |= {"by": by, "groups": self._groups(usages, by)}
        return answer

    async def check(self, account: str, query: Mapping[str, str], *, now_ms: int) -> dict[str, Any]:
        """Add the rows of a month up anew, and say whether the bill comes out the same to the last digit.

        Raises:
            BadQuery: the query makes no sense.
        """
        refuse_unknown(query, {"month"})
        month = month_of(query.get("month"), now_ms)
        audit = await self._ledger.audit(account, first_day=month.first_day, last_day=month.last_day)
        kept, recounted = bill(audit.kept, AWS), bill(audit.recounted, AWS)
        differences = list(_differences(audit))
        return {
            "month": month.text,
            "account": account,
            "agrees": kept == recounted and not differences,
            "rows": sum(usage.sums.rows for usage in audit.recounted),
            "rows_since": day_text(max(audit.rows_since, month.first_day)),
            "total": plain(kept.total),
            "recomputed": plain(recounted.total),
            "listed": plain(kept.listed),
            "recomputed_listed": plain(recounted.listed),
            "differences": differences,
        }

    async def _usages(self, account: str, month: Month, query: Mapping[str, str]) -> list[Usage]:
        usages = await self._ledger.usage(account, first_day=month.first_day, last_day=month.last_day)
        wanted = {name: query[name] for name in ("function", "region") if query.get(name)}
        return [
            usage
            for usage in usages
            if all(getattr(usage.category, name) == value for name, value in wanted.items())
        ]

    def _groups(self, usages: Sequence[Usage], by: str) -> list[dict[str, Any]]:
        try:
            found = groups(usages, AWS, by)
        except UnknownGrouping as error:
            raise BadQuery(str(error)) from error
        own = {} if self._own is None else {group.key: group for group in groups(usages, self._own, by)}
        return [_group_members(group, own.get(group.key)) for group in found]


def _members(made: Bill) -> dict[str, Any]:
    return {
        "price_list": made.price_list,
        "currency": made.currency,
        "lines": [
            {
                "region": line.region,
                "component": line.component,
                "architecture": line.architecture,
                "tier": line.tier,
                "quantity": plain(line.quantity),
                "unit": line.unit,
                "rate": plain(line.rate),
                "amount": plain(line.amount),
            }
            for line in made.lines
        ],
        "listed": plain(made.listed),
        "init": plain(made.init),
        "free_tier": plain(made.free_tier),
        "tiers": plain(made.tiers),
        "savings": plain(made.savings),
        "total": plain(made.total),
        "notices": list(made.notices),
    }


def _group_members(group: Group, own: Group | None) -> dict[str, Any]:
    sums = group.sums
    members = {
        "key": group.key,
        "requests": sums.requests,
        "errors": sums.errors,
        "cold_starts": sums.cold_starts,
        "duration_ms": sums.duration_us // 1000,
        "billed_ms": sums.billed_ms,
        "gb_seconds": plain(group.gb_seconds),
        "request_bytes": sums.request_bytes,
        "response_bytes": sums.response_bytes,
        "by_component": {component: plain(amount) for component, amount in group.by_component.items()},
        "amount": plain(group.amount),
    }
    return members if own is None else members | {"own_amount": plain(own.amount)}


def _projection(
    usages: Sequence[Usage], month: Month, now_ms: int, given: Assumptions
) -> dict[str, Any] | None:
    """Return what the month comes to if it goes on as since its beginning, or since the ledger's first day in it."""
    if not usages or not month.start_ms <= now_ms < month.end_ms:
        return None
    since_ms = max(month.start_ms, min(usage.day for usage in usages) * DAY_MS)
    later = projected(usages, elapsed_ms=now_ms - since_ms, total_ms=month.end_ms - since_ms)
    if later is None:
        return None
    made = bill(later, AWS, given)
    return {
        "since": day_text(day_of(since_ms)),
        "requests": sum(usage.sums.requests for usage in later),
        "listed": plain(made.listed),
        "total": plain(made.total),
    }


def _differences(audit: Audit) -> list[dict[str, Any]]:
    kept = {(usage.day, usage.category): usage.sums for usage in audit.kept}
    recounted = {(usage.day, usage.category): usage.sums for usage in audit.recounted}
    return [
        {
            "day": day_text(day),
            "function": category.function,
            "version": category.version,
            "kind": category.kind,
            "rows_kept": sums.rows if (sums := kept.get((day, category))) else 0,
            "rows_found": sums.rows if (sums := recounted.get((day, category))) else 0,
        }
        for day, category in sorted(
            kept.keys() | recounted.keys(), key=lambda place: (place[0], str(place[1]))
        )
        if kept.get((day, category)) != recounted.get((day, category))
    ]


def month_of(text: str | None, now_ms: int) -> Month:
    """Return a month by its name, ``2026-01``; None: that of now.

    Raises:
        BadQuery: it is none.
    """
    if text is None:
        text = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m")
    match = _MONTH.fullmatch(text)
    if match is None or match["year"] < "1970" or match["year"] == "9999":
        raise BadQuery(f"month must be one such as 2026-01, not {text!r}.")
    start = datetime(int(match["year"]), int(match["month"]), 1, tzinfo=UTC)
    end = datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC)
    return Month(text=text, start_ms=_ms(start), end_ms=_ms(end))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000


def assumptions_of(text: str) -> Assumptions:
    """Return assumptions by their names: an architecture, a region, ``no-free-tier``, ``savings-plan=12``.

    Raises:
        BadQuery: one has no meaning.
    """
    given = Assumptions()
    for word in filter(None, text.split(",")):
        savings = _SAVINGS.fullmatch(word)
        if word in ARCHITECTURES:
            given = replace(given, architecture=word)
        elif word == "no-free-tier":
            given = replace(given, free_tier=False)
        elif savings is not None:
            given = replace(given, savings_percent=Decimal(savings["percent"] or "12"))
        elif _REGION.fullmatch(word):
            if not AWS.knows(word):
                raise BadQuery(f"There are no prices of a region {word!r} in {AWS.name}.")
            given = replace(given, region=word)
        else:
            raise BadQuery(
                f"There is no assumption {word!r}: {', '.join(ARCHITECTURES)}, a region, no-free-tier and "
                "savings-plan=PERCENT are known."
            )
    return given
