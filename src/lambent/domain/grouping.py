"""What usage comes to by function, tag, day and the like: a bill's groups. Pure and exact.

They are at list price: the free tier and the tiers belong to all of an account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from lambent.domain.ledger import Sums, Usage, by_category, day_text
from lambent.domain.pricing.components import list_price
from lambent.domain.pricing.exact import MB_MS_PER_GB_S, exact
from lambent.domain.pricing.price_list import PriceList

GROUPINGS = (
    "function",
    "version",
    "alias",
    "runtime",
    "tag",
    "tenant",
    "day",
    "region",
    "architecture",
    "source",
)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """What usage of one kind comes to, at list price."""

    key: str
    sums: Sums
    gb_seconds: Decimal
    by_component: dict[str, Decimal]
    amount: Decimal


class UnknownGrouping(Exception):
    """There is nothing to group by of that name. The message is one sentence for the user."""


def groups(usages: Iterable[Usage], prices: PriceList, by: str) -> list[Group]:
    """Return what usage comes to by what it has in common, the dearest first; days in their order.

    Args:
        usages: the sums, in any order.
        prices: the price list.
        by: one of `GROUPINGS`, or ``tag:KEY`` for the values of one tag.

    Raises:
        UnknownGrouping: it is none of these.
    """
    if by not in GROUPINGS and not (by.startswith("tag:") and len(by) > 4):
        raise UnknownGrouping(
            f"There is no grouping by {by!r}: {', '.join(GROUPINGS)} and tag:KEY are known."
        )
    members: dict[str, list[Usage]] = {}
    for usage in usages:
        members.setdefault(_key(usage, by), []).append(usage)
    found = [_group(key, some, prices) for key, some in members.items()]
    if by == "day":
        return sorted(found, key=lambda group: group.key)
    return sorted(found, key=lambda group: (-group.amount, group.key))


def _key(usage: Usage, by: str) -> str:
    category = usage.category
    if by == "day":
        return day_text(usage.day)
    if by == "tag":
        return ", ".join(f"{key}={value}" for key, value in category.tags) or "(no tags)"
    if by.startswith("tag:"):
        return dict(category.tags).get(by[4:], f"(no {by[4:]})")
    if by in ("version", "alias"):
        qualifier = category.version if by == "version" else category.alias or "(no alias)"
        return f"{category.function}:{qualifier}"
    value: str = getattr(category, by)
    return value or f"(no {by})"


def _group(key: str, usages: Sequence[Usage], prices: PriceList) -> Group:
    by_component: dict[str, Decimal] = {}
    total = Sums()
    mb_ms = 0
    for category, sums in by_category(usages).items():
        total += sums
        mb_ms += category.memory_mb * sums.billed_ms
        with exact():
            for component, amount in list_price(category, sums, prices).items():
                by_component[component] = by_component.get(component, Decimal(0)) + amount
    with exact():
        return Group(
            key=key,
            sums=total,
            gb_seconds=Decimal(mb_ms) / MB_MS_PER_GB_S,
            by_component=dict(sorted(by_component.items())),
            amount=sum(by_component.values(), Decimal(0)),
        )
