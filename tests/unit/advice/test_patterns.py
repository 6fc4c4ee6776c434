"""What is unusual is measured against the function's own past; what is usual is not told."""

from __future__ import annotations

from random import Random

import pytest

from lambent.advice.patterns import advise_patterns, binomial_tail, drift, error_bursts, rank_z, spikes
from unit.advice.rows import past, row


def usual(seed: int = 1, hours: float = 4, per_minute: float = 10, **others: object) -> list:
    """Random arrivals at one rate, with durations around 100 ms."""
    random = Random(seed)
    rows, at_s = [], 0.0
    while at_s < hours * 3_600:
        at_s += random.expovariate(per_minute / 60)
        rows.append(row(at_s, random.gauss(100, 10), **others))
    return rows


@pytest.mark.parametrize("seed", range(5))
def test_random_arrivals_are_nothing_unusual(seed: int) -> None:
    answer = advise_patterns(past(usual(seed)))
    assert answer.verdict == "Nothing unusual: no spikes, no bursts of errors, no drift."
    assert not answer.is_action


def test_a_spike_is_told_with_its_minutes_and_what_is_usual() -> None:
    burst = [row(7_200 + n * 0.4) for n in range(300)]
    ((kind, words),) = spikes(past([*usual(), *burst]))
    assert kind == "spike"
    assert words.startswith("2025-12-02 02:00Z, 2 min: up to 1")
    assert words.endswith("a minute, usually 10")
    assert not advise_patterns(past([*usual(), *burst])).is_action


def test_errors_that_come_together_are_a_burst_and_scattered_ones_are_not() -> None:
    rows = usual(hours=10)
    scattered = [row(n * 900.0, status="error") for n in range(40)]
    assert error_bursts(past([*rows, *scattered])) == []
    together = [row(9_000 + n, status="error") for n in range(40)]
    ((kind, words),) = error_bursts(past([*rows, *together]))
    assert kind == "error burst"
    assert words.startswith("2025-12-02 02:30Z: 40 of ")
    assert advise_patterns(past([*rows, *together])).is_action


def test_what_has_always_failed_is_no_burst() -> None:
    assert error_bursts(past(usual(status="error"))) == []


def test_durations_that_rise_for_good_are_a_drift() -> None:
    rows = usual(hours=4)
    slower = [row(4 * 3_600 + n * 6.0, 150, version="2", memory_mb=256) for n in range(len(rows) // 3)]
    ((kind, words),) = drift(past([*rows, *slower]))
    assert kind == "duration drift"
    assert "p50 is 150 ms, before it was 1" in words
    assert words.endswith("its version and memory size changed")


def test_a_few_slow_ones_and_slower_cold_starts_are_no_drift() -> None:
    rows = usual(hours=4)
    slow = [row(14_000 + n, 2_000) for n in range(20)]
    cold = [row(14_100 + n, 2_000, init_ms=100.0) for n in range(600)]
    assert drift(past([*rows, *slow, *cold])) == []


def test_the_tail_of_the_binomial_distribution_is_exact() -> None:
    assert binomial_tail(10, 10, 0.5) == pytest.approx(0.5**10)
    assert binomial_tail(10, 1, 0.1) == pytest.approx(1 - 0.9**10)
    assert binomial_tail(4, 2, 0.5) == pytest.approx(11 / 16)
    assert binomial_tail(5, 0, 0.3) == 1
    assert binomial_tail(5, 1, 0.0) == 0


def test_ranks_say_which_of_two_groups_is_higher() -> None:
    low, high = [float(n) for n in range(50)], [float(n) + 100 for n in range(50)]
    assert rank_z(low, high) == pytest.approx(8.6, abs=0.1)
    assert rank_z(high, low) == pytest.approx(-8.6, abs=0.1)
    assert rank_z(low, low) == pytest.approx(0.0)
    assert rank_z([1.0] * 10, [1.0] * 10) == 0
