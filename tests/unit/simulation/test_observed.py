"""Promises of what a trace says by itself."""

from __future__ import annotations

import pytest

from lambent.simulation.observed import observe, peak_of
from lambent.simulation.trace import read_trace


def test_a_trace_tells_its_cold_starts_latencies_and_concurrency() -> None:
    found = observe(read_trace(["at,duration_ms,init_ms", "0,1000,500", "1,1000,", "4,500,"]))
    assert found is not None
    assert found.invocations == 3
    assert found.cold_starts == 1
    assert found.latency_ms["p50"] == 1_000
    assert found.latency_ms["max"] == 1_500
    assert found.peak_concurrency == 2
    assert found.mean_concurrency == pytest.approx((1.5 + 1 + 0.5) / 4)


def test_a_trace_that_does_not_say_all_durations_tells_nothing() -> None:
    assert observe(read_trace(["at,duration_ms", "0,1000", "1,"])) is None


def test_one_that_ends_makes_room_for_one_that_begins() -> None:
    assert peak_of([0.0, 1.0, 1.5], [1_000.0, 1_000.0, 100.0]) == 2
    assert peak_of([], []) == 0
