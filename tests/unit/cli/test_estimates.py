"""Intervals hold what they promise, and chance is an argument."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.cli.estimates import (
    CONFIDENCE,
    bounds,
    interval,
    is_change,
    means,
    quantile,
    ranks,
    resampled,
)

numbers = st.lists(st.floats(0.01, 10_000), min_size=1, max_size=40)
shares = st.sampled_from([0.05, 0.25, 0.5, 0.95, 0.99])


def coverage(count: int, q: float, low: int, high: int) -> float:
    """Return how probable it is that the quantile lies between two ordered samples, by the binomial law itself."""
    return sum(math.comb(count, k) * q**k * (1 - q) ** (count - k) for k in range(low, high))


@given(count=st.integers(1, 300), q=shares)
@settings(max_examples=100)
def test_the_interval_of_a_quantile_covers_it_as_often_as_it_says(count: int, q: float) -> None:
    low, high = ranks(count, q)
    assert coverage(count, q, low or 0, high or count + 1) >= CONFIDENCE - 1e-9


@given(count=st.integers(1, 300), q=shares)
@settings(max_examples=100)
def test_no_narrower_interval_of_a_quantile_would_do(count: int, q: float) -> None:
    """Each end leaves out at most half of the error, and the next sample inwards would leave out more."""
    low, high = ranks(count, q)
    half = (1 - CONFIDENCE) / 2
    below_next = coverage(count, q, 0, (low or 0) + 1)
    assert below_next > half
    if high is not None:
        assert 1 - coverage(count, q, 0, high - 1) > half


def test_few_samples_do_not_bound_a_high_quantile() -> None:
    """The largest of 50 may well lie below the true p95: nobody knows how much above it that is."""
    assert quantile([float(number) for number in range(50)], 0.95).high is None
    assert quantile([float(number) for number in range(100)], 0.95).high is not None
    assert quantile([1.0, 2.0, 3.0], 0.5) == quantile([3.0, 1.0, 2.0], 0.5)
    assert (quantile([1.0, 2.0, 3.0], 0.5).low, quantile([1.0, 2.0, 3.0], 0.5).high) == (None, None)


@given(values=numbers, q=shares)
@settings(max_examples=60)
def test_a_quantile_is_a_sample_and_lies_within_its_interval(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert found.value in values
    assert sum(value <= found.value for value in values) >= q * len(values) - 1e-9
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value


@given(strata=st.lists(numbers, min_size=1, max_size=4), trim=st.floats(0, 0.4))
@settings(max_examples=60)
def test_a_mean_lies_between_the_extremes(strata: list[list[float]], trim: float) -> None:
    rows = [[(value, 2 * value) for value in stratum] for stratum in strata]
    mean, double = means(rows, trim)
    flat = [value for stratum in strata for value in stratum]
    assert min(flat) * 0.999 <= mean <= max(flat) * 1.001
    assert double == pytest.approx(2 * mean)


def test_a_trimmed_mean_forgets_outliers_but_no_payload() -> None:
    """Leaving out the top fifth of all would leave out the slow payload; of each payload, it leaves out its outlier."""
    quick = [(1.0,)] * 8 + [(1000.0,), (0.0,)]
    slow = [(100.0,)] * 3 + [(9000.0,), (1.0,)]
    assert means([quick, slow], 0.2) == ((1.0 * 10 + 100.0 * 5) / 15,)


def test_an_empty_stratum_counts_for_nothing() -> None:
    assert means([[], [(2.0,), (4.0,)]], 0.0) == (3.0,)


def test_resamples_keep_the_share_of_each_stratum() -> None:
    rows = resampled([[(1.0,)] * 9, [(100.0,)]], 0.0, Random(1))
    assert {row[0] for row in rows} == {10.9}


@given(seed=st.integers(0, 50))
@settings(max_examples=10)
def test_the_interval_of_a_mean_holds_the_mean(seed: int) -> None:
    chance = Random(seed)
    values = [(chance.gauss(100, 10),) for _ in range(30)]
    (mean,) = means([values], 0.0)
    found = interval(mean, [row[0] for row in resampled([values], 0.0, chance)])
    assert found.low is not None
    assert found.high is not None
    assert found.low < mean < found.high
    assert found.high - found.low < 15


def test_bounds_leave_out_the_same_on_both_sides() -> None:
    assert bounds([float(number) for number in range(1000)]) == (25.0, 974.0)


def test_a_difference_is_sure_only_when_chance_does_not_explain_it() -> None:
    chance = Random(3)
    noise = [chance.gauss(100, 10) for _ in range(30)]
    same = [chance.gauss(100, 10) for _ in range(30)]

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    assert not is_change([noise], [same], mean, Random(1))
    assert is_change([noise], [[value + 30 for value in same]], mean, Random(1))
    assert is_change([noise], [[value - 30 for value in same]], mean, Random(1))
    assert not is_change([[5.0] * 4], [[5.0] * 4], mean, Random(1))
