"""What one invocation costs, as its caller is told at once.

AWS's list prices (`price_list`), tier 1, before the free tier. Exact decimal arithmetic: a bill is not a float.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import msgspec

from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB, STREAMED_BURST_BYTES
from lambent.domain.pricing.exact import GB_BYTES, MB_MS_PER_GB_S, exact
from lambent.domain.pricing.price_list import ARCHITECTURES, AWS

assert AWS.prices.request is not None
REQUEST_USD = AWS.prices.request
"""0.20 USD per million requests."""


class Cost(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The account of one invocation."""

    gb_seconds: Decimal
    price_usd: Decimal


@lru_cache(maxsize=4096)
def price_of(
    *,
    architecture: str,
    memory_mb: int,
    billed_duration_ms: int,
    ephemeral_storage_mb: int = EPHEMERAL_STORAGE_DEFAULT_MB,
    is_restored: bool = False,
    is_provisioned: bool = False,
    is_tenants_new: bool = False,
    region: str = AWS.home,
) -> Cost:
    """Return what one invocation costs.

    Args:
        architecture: ``x86_64`` or ``arm64``.
        memory_mb: the configured MemorySize.
        billed_duration_ms: duration rounded up to whole milliseconds, init or restore included on a cold start.
        ephemeral_storage_mb: the configured size of /tmp; only what exceeds 512 MB is charged.
        is_restored: whether its environment was restored from a snapshot for it, at a price.
        is_provisioned: whether it ran in provisioned concurrency.
        is_tenants_new: whether its environment was made for its tenant alone, and for it.
        region: where.
    """
    prices = AWS.of(region)
    assert prices.request is not None
    assert prices.ephemeral_storage is not None
    assert prices.snapshot_restore is not None
    assert architecture in ARCHITECTURES
    storage_mb = max(0, ephemeral_storage_mb - EPHEMERAL_STORAGE_DEFAULT_MB)
    with exact():
        gb_seconds = Decimal(memory_mb * billed_duration_ms) / MB_MS_PER_GB_S
        storage_gb_seconds = Decimal(storage_mb * billed_duration_ms) / MB_MS_PER_GB_S
        rate = (
            prices.provisioned_duration[architecture]
            if is_provisioned
            else prices.duration[architecture][0].rate
        )
        price = prices.request + gb_seconds * rate + storage_gb_seconds * prices.ephemeral_storage
        if is_restored:
            price += prices.snapshot_restore * memory_mb / 1024
        if is_tenants_new:
            price += prices.tenant_environment[architecture] * memory_mb / 1024
    return Cost(gb_seconds=gb_seconds, price_usd=price)


def price_of_stream(streamed_bytes: int, *, region: str = AWS.home) -> Decimal:
    """Return what streaming one response of this size costs, in USD, on top of its invocation."""
    rate = AWS.of(region).streamed_gb
    assert rate is not None
    with exact():
        return rate * max(0, streamed_bytes - STREAMED_BURST_BYTES) / GB_BYTES
