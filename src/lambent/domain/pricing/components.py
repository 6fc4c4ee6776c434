"""What usage costs by component, at the first tier and before the free tier. Pure and exact.

It is the price of each row, and of any sum of rows: prices are per unit of whole numbers that add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from lambent.domain.ledger import PROVISIONED, SNAPSHOT, Category, Row, Rows, Sums, sums_of
from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB
from lambent.domain.pricing.exact import GB_BYTES, exact, gb_seconds
from lambent.domain.pricing.price_list import FREE_SNAPSHOT_RUNTIMES, PriceList, Prices

REQUESTS = "requests"
DURATION = "duration"
INIT = "init"
"""Init and restore inside the billed duration, at the price of duration."""
EPHEMERAL_STORAGE = "ephemeral-storage"
PROVISIONED_RESERVED = "provisioned-concurrency"
PROVISIONED_DURATION = "provisioned-duration"
PROVISIONED_INIT = "provisioned-init"
SNAPSHOT_CACHE = "snapstart-cache"
SNAPSHOT_RESTORE = "snapstart-restore"
STREAMED = "streamed"
TENANT = "tenant-isolation"
ON_DEMAND = (DURATION, INIT)
"""Components that count together for the tiers and the free tier of duration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """An amount of a component."""

    component: str
    quantity: Decimal
    unit: str
    rate: Decimal | None
    """At the first tier; None: the list has none."""

    @property
    def amount(self) -> Decimal:
        """What it costs; call it inside `exact`."""
        return Decimal(0) if self.rate is None else self.quantity * self.rate


FIELDS = {
    REQUESTS: "request",
    DURATION: "duration",
    INIT: "duration",
    EPHEMERAL_STORAGE: "ephemeral_storage",
    PROVISIONED_RESERVED: "provisioned",
    PROVISIONED_DURATION: "provisioned_duration",
    PROVISIONED_INIT: "provisioned_duration",
    SNAPSHOT_CACHE: "snapshot_cache",
    SNAPSHOT_RESTORE: "snapshot_restore",
    STREAMED: "streamed_gb",
    TENANT: "tenant_environment",
}
"""The member of `Prices` for each component."""


def is_in_provisioned(category: Category) -> bool:
    """Whether something ran in provisioned concurrency, not beyond it."""
    return category.initialization_type == PROVISIONED and not category.is_spillover


def has_free_tier(category: Category) -> bool:
    """Whether the free tier is for it: not where provisioned concurrency is enabled (AWS page "Pricing")."""
    return category.initialization_type != PROVISIONED and not category.is_spillover


def quantities(category: Category, sums: Sums) -> Iterator[tuple[str, int]]:
    """Yield what is charged by component, in whole units: requests, MB-ms, MB, bytes.

    Components with nothing to charge are left out.
    """
    for component, quantity in _quantities(category, sums):
        if quantity:
            yield component, quantity


def _quantities(category: Category, sums: Sums) -> Iterator[tuple[str, int]]:
    mb_ms = category.memory_mb * sums.billed_ms
    is_free = category.runtime.startswith(FREE_SNAPSHOT_RUNTIMES)
    if category.kind == PROVISIONED:
        yield PROVISIONED_RESERVED, mb_ms
        return
    if category.kind == SNAPSHOT:
        yield SNAPSHOT_CACHE, 0 if is_free else mb_ms
        return
    in_provisioned = is_in_provisioned(category)
    init_mb_ms = category.memory_mb * sums.billed_init_ms
    yield REQUESTS, sums.requests
    yield PROVISIONED_DURATION if in_provisioned else DURATION, mb_ms - init_mb_ms
    yield PROVISIONED_INIT if in_provisioned else INIT, init_mb_ms
    extra_mb = max(0, category.ephemeral_storage_mb - EPHEMERAL_STORAGE_DEFAULT_MB)
    yield EPHEMERAL_STORAGE, extra_mb * sums.billed_ms
    yield SNAPSHOT_RESTORE, 0 if is_free else category.memory_mb * sums.restores
    yield STREAMED, sums.charged_stream_bytes
    yield TENANT, category.memory_mb * sums.new_environments if category.tenant else 0


def charge(component: str, quantity: int, *, prices: Prices, architecture: str) -> Charge:
    """Return a quantity in the unit of its price, with the price. Call it inside `exact`."""
    value, unit = in_unit(component, quantity)
    return Charge(
        component=component, quantity=value, unit=unit, rate=rate_of(component, prices, architecture)
    )


def in_unit(component: str, quantity: int) -> tuple[Decimal, str]:
    """Return a whole quantity in the unit of the component's price. Call it inside `exact`."""
    if component == REQUESTS:
        return Decimal(quantity), "requests"
    if component in (SNAPSHOT_RESTORE, TENANT):
        return Decimal(quantity) / 1024, "GB"
    if component == STREAMED:
        return Decimal(quantity) / GB_BYTES, "GB"
    return gb_seconds(quantity), "GB-s"


def rate_of(component: str, prices: Prices, architecture: str) -> Decimal | None:
    """Return the price of a component, that of the first tier; None: the list has none."""
    if component in ON_DEMAND:
        tiers = prices.duration.get(architecture)
        return tiers[0].rate if tiers else None
    if component == PROVISIONED_RESERVED:
        return prices.provisioned.get(architecture)
    if component in (PROVISIONED_DURATION, PROVISIONED_INIT):
        return prices.provisioned_duration.get(architecture)
    if component == TENANT:
        return prices.tenant_environment.get(architecture)
    single: Decimal | None = getattr(prices, FIELDS[component])
    return single


def list_price(category: Category, sums: Sums, prices: PriceList) -> dict[str, Decimal]:
    """Return what usage costs by component: the first tier's price, before the free tier."""
    here = prices.of(category.region)
    with exact():
        return {
            component: charge(component, quantity, prices=here, architecture=category.architecture).amount
            for component, quantity in quantities(category, sums)
        }


def row_price(row: Row, prices: PriceList) -> dict[str, Decimal]:
    """Return what one row costs by component."""
    return list_price(row.category, sums_of_row(row), prices)


def sums_of_row(row: Row) -> Sums:
    """Return a row as sums."""
    rows = Rows(
        category=row.category,
        at_ms=[row.at_ms],
        request_ids=[row.request_id],
        trace_ids=[row.trace_id],
        duration_us=[row.duration_us],
        billed_ms=[row.billed_ms],
        max_memory_mb=[row.max_memory_mb],
        request_bytes=[row.request_bytes],
        response_bytes=[row.response_bytes],
        rare={0: row.rare},
    )
    return sums_of(rows)
