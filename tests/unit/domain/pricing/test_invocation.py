"""What an invocation costs: AWS's list prices, exactly (AWS page "AWS Lambda pricing")."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.domain.pricing import REQUEST_USD, price_of, price_of_stream


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
