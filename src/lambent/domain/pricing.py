"""The price list, as data, and what one invocation costs.

Figures are AWS's list prices for us-east-1 in USD (AWS page "AWS Lambda pricing"; aws-facts §1), tier 1, before
the free tier. Exact decimal arithmetic: a bill is not a float.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import msgspec

from lambent.domain.limits import STREAMED_BURST_BYTES

REQUEST_USD = Decimal("0.0000002")
"""0.20 USD per million requests."""
DURATION_USD_PER_GB_S = {"x86_64": Decimal("0.0000166667"), "arm64": Decimal("0.0000133334")}
EPHEMERAL_STORAGE_USD_PER_GB_S = Decimal("0.0000000309")
RESTORE_USD_PER_GB = Decimal("0.0001397998")
"""SnapStart, per GB of memory and restore; Python and .NET."""
STREAMED_USD_PER_GB = Decimal("0.008")
"""Of a streamed response, beyond its first 6 MB."""
FREE_EPHEMERAL_STORAGE_MB = 512
_BYTES_PER_GB = 1024**3
_MB_MS_PER_GB_S = Decimal(1024 * 1000)


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
    ephemeral_storage_mb: int = FREE_EPHEMERAL_STORAGE_MB,
    is_restored: bool = False,
) -> Cost:
    """Return what one on-demand invocation costs.

    Args:
        architecture: ``x86_64`` or ``arm64``.
        memory_mb: the configured MemorySize.
        billed_duration_ms: duration rounded up to whole milliseconds, init or restore included on a cold start.
        ephemeral_storage_mb: the configured size of /tmp; only what exceeds 512 MB is charged.
        is_restored: whether its environment was restored from a snapshot for it.
    """
    gb_seconds = Decimal(memory_mb * billed_duration_ms) / _MB_MS_PER_GB_S
    storage_mb = max(0, ephemeral_storage_mb - FREE_EPHEMERAL_STORAGE_MB)
    storage_gb_seconds = Decimal(storage_mb * billed_duration_ms) / _MB_MS_PER_GB_S
    price = (
        REQUEST_USD
        + gb_seconds * DURATION_USD_PER_GB_S[architecture]
        + storage_gb_seconds * EPHEMERAL_STORAGE_USD_PER_GB_S
    )
    if is_restored:
        price += RESTORE_USD_PER_GB * memory_mb / 1024
    return Cost(gb_seconds=gb_seconds, price_usd=price)


def price_of_stream(streamed_bytes: int) -> Decimal:
    """Return what streaming one response of this size costs, in USD, on top of its invocation."""
    return STREAMED_USD_PER_GB * max(0, streamed_bytes - STREAMED_BURST_BYTES) / _BYTES_PER_GB
