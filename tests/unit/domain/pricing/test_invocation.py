"""What an invocation costs: AWS's list prices, exactly (AWS page "AWS Lambda pricing")."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.domain.pricing import REQUEST_USD, price_of, price_of_stream
from lambent.domain.pricing.exact import exact


@pytest.mark.parametrize(
    ("memory_mb", "billed_duration_ms", "gb_seconds"),
    [(1024, 1_000, "1"), (1024, 800, "0.8"), (128, 1, "0.000125"), (10_240, 900_000, "9000"), (128, 0, "0")],
)
def test_gb_seconds_are_memory_times_billed_time(
    memory_mb: int, billed_duration_ms: int, gb_seconds: str
) -> None:
    cost = price_of(architecture="x86_64", memory_mb=memory_mb, billed_duration_ms=billed_duration_ms)
    assert cost.gb_seconds == Decimal(gb_seconds)


def test_a_million_requests_of_a_second_and_a_gigabyte() -> None:
    cost = price_of(architecture="x86_64", memory_mb=1024, billed_duration_ms=1_000)
    assert cost.price_usd * 1_000_000 == Decimal("0.20") + Decimal("16.6667")


def test_arm_is_cheaper() -> None:
    cost = price_of(architecture="arm64", memory_mb=1024, billed_duration_ms=1_000)
    assert cost.price_usd - REQUEST_USD == Decimal("0.0000133334")


def test_the_first_512_mb_of_tmp_are_free_and_the_rest_is_not() -> None:
    def extra(ephemeral_storage_mb: int) -> Decimal:
        base = price_of(architecture="x86_64", memory_mb=128, billed_duration_ms=1_000)
        storage = price_of(
            architecture="x86_64",
            memory_mb=128,
            billed_duration_ms=1_000,
            ephemeral_storage_mb=ephemeral_storage_mb,
        )
        return storage.price_usd - base.price_usd

    assert extra(512) == 0
    assert extra(512 + 1024) == Decimal("0.0000000309")


def test_an_invocation_that_took_no_time_is_still_a_request() -> None:
    cost = price_of(architecture="x86_64", memory_mb=10_240, billed_duration_ms=0)
    assert cost.price_usd == Decimal("0.0000002")


def extra_of(**changes: Any) -> Decimal:
    """What something makes an invocation of a second and a gigabyte cost more."""
    plain: dict[str, Any] = {"architecture": "x86_64", "memory_mb": 1024, "billed_duration_ms": 1_000}
    with exact():
        return price_of(**plain | changes).price_usd - price_of(**plain).price_usd


def test_provisioned_concurrency_runs_at_a_price_of_its_own() -> None:
    assert extra_of(is_provisioned=True) == Decimal("0.0000097222") - Decimal("0.0000166667")


def test_other_regions_have_prices_of_their_own_as_far_as_they_are_known() -> None:
    assert extra_of(region="af-south-1") == Decimal("0.0000221") - Decimal("0.0000166667")
    assert extra_of(region="eu-west-1") == extra_of(region="xx-moon-1") == 0


def test_a_tenants_new_environment_is_paid_for_by_its_memory() -> None:
    assert extra_of(is_tenants_new=True) == Decimal("0.000166667")


def test_a_stream_is_paid_for_beyond_its_first_six_megabytes() -> None:
    free = 6 * 2**20
    assert extra_of(streamed_bytes=free) == price_of_stream(free) == 0
    with exact():
        assert extra_of(streamed_bytes=free + 1) == Decimal("0.008") / 2**30
    assert price_of_stream(free + 2**30) == Decimal("0.008")


@given(st.integers(128, 10_240), st.integers(0, 900_000), st.integers(0, 900_000))
def test_time_is_billed_the_same_in_one_piece_or_two(memory_mb: int, one_ms: int, other_ms: int) -> None:
    """Exact arithmetic: a bill of millions of invocations has no rounding error to explain."""

    def duration_price(billed_duration_ms: int) -> Decimal:
        cost = price_of(architecture="x86_64", memory_mb=memory_mb, billed_duration_ms=billed_duration_ms)
        return cost.price_usd - REQUEST_USD

    assert duration_price(one_ms) + duration_price(other_ms) == duration_price(one_ms + other_ms)


def test_the_first_6_mb_of_a_streamed_response_are_free_and_the_rest_is_not() -> None:
    assert price_of_stream(0) == price_of_stream(6 * 1024**2) == 0
    assert price_of_stream(6 * 1024**2 + 1024**3) == Decimal("0.008")
    assert price_of_stream(6 * 1024**2 + 1) == Decimal("0.008") / 1024**3
