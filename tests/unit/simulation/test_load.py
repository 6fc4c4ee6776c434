"""Promises of loads: arrivals are in order, as many as asked for, and never more than memory is meant for."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from statistics import fmean, pvariance

import pytest

from lambent.simulation.distribution import constant
from lambent.simulation.load import INVOCATIONS_MAX, TraceError, most_in, poisson, poisson_load, scaled


def test_poisson_arrivals_have_the_gaps_of_a_poisson_process() -> None:
    at_s = poisson(Random(1), per_s=50, duration_s=1_000)
    gaps = [later - earlier for earlier, later in pairwise(at_s)]
    assert min(gaps) >= 0
    assert fmean(gaps) == pytest.approx(0.02, rel=0.02)
    # Of exponential gaps, the deviation is the mean.
    assert pvariance(gaps) ** 0.5 == pytest.approx(0.02, rel=0.03)
    assert at_s[-1] < 1_000


def test_a_load_without_invocations_is_refused() -> None:
    with pytest.raises(TraceError, match="take longer with --for"):
        poisson_load(Random(1), per_s=1e-9, duration_s=1, service=constant(1), start=constant(1))


def test_too_many_invocations_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(TraceError, match="too many at once"):
        poisson(Random(1), per_s=INVOCATIONS_MAX, duration_s=2)
    with pytest.raises(TraceError, match="--scale"):
        scaled(Random(1), [0.0, 1.0], INVOCATIONS_MAX)


@pytest.mark.parametrize("factor", [0.25, 1.0, 2.5])
def test_a_scaled_load_has_so_many_times_as_many_arrivals_in_the_same_time(factor: float) -> None:
    at_s = poisson(Random(1), per_s=10, duration_s=1_000)
    found = scaled(Random(2), at_s, factor)
    assert len(found) == pytest.approx(len(at_s) * factor, rel=0.03)
    times = [at for at, _ in found]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= at_s[-1]
    # Copies stay near what they were made from.
    assert all(abs(at - at_s[place]) <= 30 for at, place in found)


@pytest.mark.parametrize(
    ("at_s", "count", "is_more"),
    [
        ([], 0, False),
        ([0.0, 0.5, 0.9], 3, False),
        ([0.0, 0.5, 0.9], 2, True),
        ([0.0, 0.5, 1.0], 2, False),
        ([0.0, 2.0, 2.1, 2.2], 2, True),
    ],
)
def test_a_window_with_more_arrivals_than_a_number_is_found(
    at_s: list[float], count: int, is_more: bool
) -> None:
    assert most_in(at_s, count, 1.0) is is_more
