"""Promises of distributions: their tables have the mean and the percentiles that were asked for."""

from __future__ import annotations

import math
from random import Random
from statistics import fmean

import pytest

from lambent.simulation.distribution import (
    Distribution,
    by_percentiles,
    constant,
    exponential,
    lognormal,
    measured,
    parse_distribution,
)
from lambent.simulation.summary import percentile


def ms(distribution: Distribution, percent: float) -> float:
    """Return a percentile of a distribution."""
    return percentile(sorted(distribution.values_s), percent) * 1000


def test_an_exponential_one_has_its_mean_and_its_median() -> None:
    assert exponential(100).mean_s == pytest.approx(0.1, rel=1e-4)
    assert ms(exponential(100), 50) == pytest.approx(100 * math.log(2), rel=1e-3)
    assert ms(exponential(100), 99) == pytest.approx(100 * math.log(100), rel=1e-3)


def test_a_log_normal_one_has_its_median_and_its_95th_percentile() -> None:
    found = lognormal(80, 400)
    assert ms(found, 50) == pytest.approx(80, rel=1e-3)
    assert ms(found, 95) == pytest.approx(400, rel=1e-3)
    sigma = math.log(5) / 1.6448536
    assert found.mean_s * 1000 == pytest.approx(80 * math.exp(sigma**2 / 2), rel=1e-3)


def test_one_by_percentiles_goes_through_them() -> None:
    found = by_percentiles([(0, 10), (1, 10), (25, 20), (50, 30), (75, 50), (99, 200), (100, 1_000)])
    for percent, expected in ((25, 20), (50, 30), (75, 50), (99, 200)):
        assert ms(found, percent) == pytest.approx(expected, rel=0.03)
    assert min(found.values_s) >= 0.01
    assert max(found.values_s) <= 1.0


def test_draws_come_from_the_table_and_are_as_likely() -> None:
    found = measured([10, 20, 60], "durations")
    drawn = found.draw(Random(1), 30_000)
    assert set(drawn) == {0.01, 0.02, 0.06}
    assert fmean(drawn) == pytest.approx(0.03, rel=0.02)
    assert constant(5).draw(Random(1), 3) == [0.005] * 3


@pytest.mark.parametrize(
    ("text", "mean_ms"), [("120", 120), ("0", 0), ("exponential:50", 50), ("lognormal:80,80", 80)]
)
def test_a_text_names_a_distribution(text: str, mean_ms: float) -> None:
    assert parse_distribution(text).mean_s * 1000 == pytest.approx(mean_ms, rel=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        "nan",
        "inf",
        "exponential",
        "exponential:",
        "exponential:1,2",
        "lognormal:5",
        "weibull:3",
        "1,2",
    ],
)
def test_what_names_none_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be MS, exponential:MEAN_MS or lognormal:P50_MS,P95_MS"):
        parse_distribution(text)


@pytest.mark.parametrize("text", ["lognormal:0,5", "lognormal:10,5"])
def test_a_95th_percentile_below_the_median_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="p95"):
        parse_distribution(text)
