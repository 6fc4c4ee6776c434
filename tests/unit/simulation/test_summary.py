"""Promises of the summary: percentiles by nearest rank, concurrency within the time, and the bill to the last digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from lambent.domain.pricing import price_of
from lambent.simulation.distribution import constant
from lambent.simulation.engine import simulate
from lambent.simulation.load import Load
from lambent.simulation.platform import Platform
from lambent.simulation.summary import Summary, percentile, summarize


def summary_of(
    at_s: list[float], service_s: list[float], *, start_ms: float = 250, **platform: Any
) -> Summary:
    """The figures of a load."""
    load = Load(
        at_s=at_s, service_s=service_s, starts=(constant(start_ms),), duration_s=max(at_s, default=0.0)
    )
    return summarize(simulate(load, Platform(**platform)))


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1), (50, 50), (50.5, 51), (95, 95), (99, 99), (99.9, 100), (100, 100)]
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(percent: float, expected: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], percent) == expected
    assert percentile([7.0], percent) == 7.0


def test_latency_is_the_wait_and_the_duration() -> None:
    found = summary_of([0.0, 10.0, 20.0], [0.1, 0.2, 0.3])
    assert found.latency_ms["max"] == pytest.approx(350)
    assert found.latency_ms["p50"] == pytest.approx(300)
    assert found.latency_ms["mean"] == pytest.approx((350 + 200 + 300) / 3)


def test_what_was_throttled_has_no_latency_and_costs_nothing() -> None:
    found = summary_of([0.0, 0.0, 9.0], [1.0, 50.0, 1.0], reserved=1)
    assert (found.invocations, found.served, sum(found.throttled.values())) == (3, 2, 1)
    assert found.latency_ms["max"] == pytest.approx(1_250)
    assert found.bill.total_usd == _price(1_250) + _price(1_000)


def test_nothing_served_has_no_latency() -> None:
    found = summary_of([0.0, 1.0], [1.0, 1.0], reserved=0)
    assert found.latency_ms == {}
    assert found.mean_concurrency == 0
    assert found.bill.total_usd == 0


def test_concurrency_counts_what_runs_within_the_loads_time() -> None:
    # The first runs from 0 to 1 of 4 seconds, the second begins at their end.
    assert summary_of([0.0, 4.0], [1.0, 100.0], start_ms=0).mean_concurrency == pytest.approx(0.25)


def test_a_cold_start_is_billed_with_its_init_rounded_up_as_on_aws() -> None:
    found = summary_of([0.0, 5.0], [0.1001, 0.1001], start_ms=250.5, memory_mb=512, architecture="arm64")
    # 100.1 + 250.5 = 350.6 ms, and 100.1 ms.
    assert found.bill.total_usd == _price(351, 512, "arm64") + _price(101, 512, "arm64")
    assert found.bill.requests_usd == Decimal("0.0000004")


def test_a_whole_millisecond_is_not_rounded_up_for_a_floats_error() -> None:
    found = summary_of([0.0, 5.0, 6.0], [0.057, 0.057, 0.0571], start_ms=0)
    assert found.bill.total_usd == 2 * _price(57) + _price(58)


def test_what_takes_longer_than_the_timeout_is_ended_and_billed_until_then() -> None:
    found = summary_of([0.0, 100.0], [2.0, 5.0], start_ms=0, timeout_s=3.0)
    assert found.timed_out == 1
    assert found.bill.total_usd == _price(2_000) + _price(3_000)


def test_provisioned_concurrency_is_charged_for_whole_periods_of_five_minutes_and_for_what_runs_in_it() -> (
    None
):
    found = summary_of([0.0, 310.0], [1.0, 1.0], provisioned=2, memory_mb=1_024)
    kept, ran = 2 * 600 * Decimal("0.0000041667"), 2 * Decimal("0.0000097222")
    assert found.bill.provisioned_usd == kept + ran
    assert found.bill.duration_usd == 0
    assert found.on_provisioned == 2


def _price(billed_ms: int, memory_mb: int = 128, architecture: str = "x86_64") -> Decimal:
    return price_of(architecture=architecture, memory_mb=memory_mb, billed_duration_ms=billed_ms).price_usd
