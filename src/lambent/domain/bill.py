"""The bill of a month: line items, the free tier, the tiers, and what it would be under other assumptions. Pure.

The sums of the ledger are multiplied by a price list, in exact decimals. The free tier is taken off first, then the
tiers are applied to what is left, as AWS's own examples do (AWS page "AWS Lambda pricing"). Where one free amount is
for several regions and architectures, it goes to x86_64 first, then by name of the region: the same usage makes the
same bill, in whatever order it came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import msgspec

from lambent.domain.ledger import SUMS, Sums, Usage, by_category
from lambent.domain.pricing.components import (
    FIELDS,
    INIT,
    ON_DEMAND,
    PROVISIONED_DURATION,
    PROVISIONED_INIT,
    PROVISIONED_RESERVED,
    REQUESTS,
    STREAMED,
    charge,
    has_free_tier,
    in_unit,
    quantities,
    rate_of,
)
from lambent.domain.pricing.exact import MB_MS_PER_GB_S, exact, plain
from lambent.domain.pricing.price_list import ARCHITECTURES, PriceList, Tier

_SAVED = (*ON_DEMAND, PROVISIONED_RESERVED, PROVISIONED_DURATION, PROVISIONED_INIT)
"""What a Compute Savings Plan makes cheaper."""
SAVINGS_PERCENTS = (12, 17)
"""Of a Compute Savings Plan: paid as one goes, and all at once (aws-facts §1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What is taken to be otherwise than it was."""

    free_tier: bool = True
    architecture: str | None = None
    """All ran on this one, for as long as it did."""
    region: str | None = None
    """All ran in this one."""
    savings_percent: Decimal = Decimal(0)
    """How much less a savings plan makes duration and provisioned concurrency cost."""

    def __str__(self) -> str:
        parts = [
            f"on {self.architecture}" if self.architecture else "",
            f"in {self.region}" if self.region else "",
            "" if self.free_tier else "without the free tier",
            f"with a savings plan of {plain(self.savings_percent)} %" if self.savings_percent else "",
        ]
        return ", ".join(filter(None, parts))


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line item."""

    region: str
    component: str
    """That of `lambent.domain.pricing.components`; init is in the line of duration."""
    architecture: str | None
    """None: the price is the same on all."""
    tier: str
    """``free``, or for duration which tier: ``1``, ``2``, …; else empty."""
    quantity: Decimal
    unit: str
    rate: Decimal
    amount: Decimal


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What usage costs by one price list."""

    price_list: str
    currency: str
    lines: tuple[Line, ...]
    listed: Decimal
    """At the first tier, before the free tier: what the rows cost, added up."""
    free_tier: Decimal
    """What the free tier takes off that."""
    tiers: Decimal
    """What cheaper tiers take off."""
    savings: Decimal
    """What a savings plan takes off."""
    total: Decimal
    init: Decimal
    """What of the list price is init and restore, where that is charged as duration."""
    notices: tuple[str, ...] = ()
    """What one has to know about it, a sentence each."""


_Place = tuple[str, str, str]
"""Component, region and architecture."""


class _Amounts:
    """Whole quantities by place: those that the free tier is for, and the others."""

    def __init__(self, usages: Iterable[Usage]) -> None:
        self.eligible: defaultdict[_Place, int] = defaultdict(int)
        self.others: defaultdict[_Place, int] = defaultdict(int)
        for category, sums in by_category(usages).items():
            into = self.eligible if has_free_tier(category) else self.others
            for component, quantity in quantities(category, sums):
                into[component, category.region, category.architecture] += quantity

    @property
    def places(self) -> list[_Place]:
        """In the order in which the free tier is given, and in which lines are written."""
        return sorted({*self.eligible, *self.others}, key=_order)

    def all(self, place: _Place) -> int:
        return self.eligible.get(place, 0) + self.others.get(place, 0)


def _order(place: _Place) -> tuple[str, int, str]:
    component, region, architecture = place
    number = ARCHITECTURES.index(architecture) if architecture in ARCHITECTURES else len(ARCHITECTURES)
    return component, number, region


def bill(usages: Iterable[Usage], prices: PriceList, assumptions: Assumptions | None = None) -> Bill:
    """Return the bill of a month's usage.

    Args:
        usages: the sums of the month, in any order.
        prices: the price list.
        assumptions: what to take as otherwise than it was.
    """
    given = assumptions or Assumptions()
    amounts = _Amounts(_assumed(usages, given))
    with exact():
        lines = tuple(_lines(amounts, prices, has_free=given.free_tier))
        listed = _listed(amounts, prices)
        free_tier = sum(
            (line.quantity * _first_rate(line, prices) for line in lines if line.tier == "free"), Decimal(0)
        )
        before = sum((line.amount for line in lines), Decimal(0))
        saved = sum((line.amount for line in lines if line.component in _SAVED), Decimal(0))
        savings = saved * given.savings_percent / 100
        return Bill(
            price_list=prices.name,
            currency=prices.currency,
            lines=lines,
            listed=listed,
            free_tier=free_tier,
            tiers=listed - free_tier - before,
            savings=savings,
            total=before - savings,
            init=_listed(amounts, prices, (INIT, PROVISIONED_INIT)),
            notices=tuple(_notices(amounts, prices)),
        )


def _assumed(usages: Iterable[Usage], given: Assumptions) -> Iterator[Usage]:
    changes = {"architecture": given.architecture, "region": given.region}
    changed = {name: value for name, value in changes.items() if value is not None}
    for usage in usages:
        if changed:
            category = msgspec.structs.replace(usage.category, **changed)
            usage = msgspec.structs.replace(usage, category=category)  # noqa: PLW2901 - the same, elsewhere
        yield usage


def _listed(amounts: _Amounts, prices: PriceList, components: Sequence[str] | None = None) -> Decimal:
    total = Decimal(0)
    for component, region, architecture in amounts.places:
        if components is None or component in components:
            quantity = amounts.all((component, region, architecture))
            here = prices.of(region)
            total += charge(component, quantity, prices=here, architecture=architecture).amount
    return total


def _first_rate(line: Line, prices: PriceList) -> Decimal:
    return rate_of(line.component, prices.of(line.region), line.architecture or "") or Decimal(0)


# Lines -----------------------------------------------------------------------------------------------------


def _lines(amounts: _Amounts, prices: PriceList, *, has_free: bool) -> Iterator[Line]:
    free = prices.free
    pools = {
        REQUESTS: free.requests if has_free else 0,
        ON_DEMAND[0]: free.gb_seconds * MB_MS_PER_GB_S if has_free else 0,
        STREAMED: free.streamed_bytes if has_free else 0,
    }
    for (component, region, architecture), (eligible, others) in _billed(amounts).items():
        if rate_of(component, prices.of(region), architecture) is None:
            continue  # a notice says so
        taken = min(eligible, pools.get(component, 0))
        if taken:
            pools[component] -= taken
            yield _line(component, region, architecture, taken, tier="free", rate=Decimal(0))
        yield from _charged(component, region, architecture, eligible - taken + others, prices)


def _billed(amounts: _Amounts) -> dict[_Place, tuple[int, int]]:
    """Return eligible and other quantities by what has a line of its own: init is duration."""
    found: dict[_Place, tuple[int, int]] = {}
    for component, region, architecture in amounts.places:
        place = (component, region, architecture)
        as_line = {INIT: ON_DEMAND[0], PROVISIONED_INIT: PROVISIONED_DURATION}.get(component, component)
        eligible, others = found.get((as_line, region, architecture), (0, 0))
        found[as_line, region, architecture] = (
            eligible + amounts.eligible.get(place, 0),
            others + amounts.others.get(place, 0),
        )
    return {place: found[place] for place in sorted(found, key=_order)}


def _charged(
    component: str, region: str, architecture: str, quantity: int, prices: PriceList
) -> Iterator[Line]:
    """Yield the lines of a quantity that is paid for, one for each tier."""
    here = prices.of(region)
    if component != ON_DEMAND[0]:
        rate = rate_of(component, here, architecture)
        if quantity and rate is not None:
            yield _line(component, region, architecture, quantity, tier="", rate=rate)
        return
    for number, (tier, part) in enumerate(_in_tiers(quantity, here.duration[architecture]), start=1):
        if part:
            yield _line(component, region, architecture, part, tier=str(number), rate=tier.rate)


def _in_tiers(mb_ms: int, tiers: Sequence[Tier]) -> Iterator[tuple[Tier, int]]:
    below = 0
    for tier in tiers:
        end = mb_ms if tier.up_to_gb_s is None else min(mb_ms, tier.up_to_gb_s * MB_MS_PER_GB_S)
        yield tier, max(0, end - below)
        below = max(below, end)


def _line(component: str, region: str, architecture: str, quantity: int, *, tier: str, rate: Decimal) -> Line:
    value, unit = in_unit(component, quantity)
    return Line(
        region=region,
        component=component,
        architecture=architecture,
        tier=tier,
        quantity=value,
        unit=unit,
        rate=rate,
        amount=value * rate,
    )


def _notices(amounts: _Amounts, prices: PriceList) -> Iterator[str]:
    """Say where the list has gaps: what is not charged, and where another region's prices are taken."""
    strangers: set[str] = set()
    for component, region, architecture in amounts.places:
        value, unit = in_unit(component, amounts.all((component, region, architecture)))
        if rate_of(component, prices.of(region), architecture) is None:
            yield (
                f"{prices.name} has no price for {component} on {architecture} in {region}: "
                f"{plain(value)} {unit} are not charged."
            )
        elif prices.stands_in(region, FIELDS[component], architecture):
            strangers.add(region)
    for region in sorted(strangers):
        lacks = "does not know" if not prices.knows(region) else "does not have all prices of"
        yield f"{prices.name} {lacks} {region}: prices of {prices.home} stand in for what is missing."


# Later, and otherwise --------------------------------------------------------------------------------------


def projected(usages: Iterable[Usage], *, elapsed_ms: int, total_ms: int) -> list[Usage] | None:
    """Return what usage comes to at the end of a while, if it goes on as it did so far; None: nothing has passed yet.

    Args:
        usages: the sums so far.
        elapsed_ms: in how long they came together.
        total_ms: how long it will have been at the end.
    """
    if elapsed_ms <= 0:
        return None
    factor = Fraction(max(total_ms, elapsed_ms), elapsed_ms)
    return [
        msgspec.structs.replace(
            usage, sums=Sums(**{name: int(getattr(usage.sums, name) * factor) for name in SUMS})
        )
        for usage in usages
    ]


def alternatives(usages: Sequence[Usage], given: Assumptions, home: str) -> list[Assumptions]:
    """Return assumptions that are worth a comparison with those given."""
    architectures = {usage.category.architecture for usage in usages}
    regions = {usage.category.region for usage in usages}
    found: list[Assumptions] = []
    if given.architecture is None:
        found += [replace(given, architecture=name) for name in ARCHITECTURES if architectures - {name}]
    if given.region is None and regions - {home}:
        found.append(replace(given, region=home))
    if given.free_tier:
        found.append(replace(given, free_tier=False))
    if not given.savings_percent:
        found += [replace(given, savings_percent=Decimal(percent)) for percent in SAVINGS_PERCENTS]
    return found
