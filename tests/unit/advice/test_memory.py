"""Which memory: sizes that were tried are compared by what a million cost; else what was used bounds it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lambent.advice.memory import advise_memory, cost_usd
from unit.advice.rows import every, past, row


def sized(memory_mb: int, duration_ms: float, start_s: float, count: int = 30, used_mb: int = 60) -> list:
    return [
        row(start_s + number, duration_ms, memory_mb=memory_mb, max_memory_mb=used_mb)
        for number in range(count)
    ]


def test_a_million_costs_what_its_requests_and_durations_do() -> None:
    rows = sized(1_024, 100, 0.0)
    assert cost_usd(rows, 1_024, "x86_64") == Decimal("0.2") + 100_000 * Decimal("0.0000166667")


def test_a_size_that_was_cheaper_is_named_with_what_it_saves() -> None:
    """256 MB: twice as long at a quarter of the price of 1,024 MB."""
    answer = advise_memory(past([*sized(256, 200, 0.0), *sized(1_024, 100, 100.0)]))
    assert answer.is_action
    assert answer.verdict.startswith("256 MB was cheaper than 1024 MB: $1.03 a million in place of $1.87.")
    saved = 60 * (100 * Decimal(1_024) - 200 * Decimal(256)) / 1_024_000 * Decimal("0.0000166667")
    assert float(answer.saved_usd or 0) == pytest.approx(float(saved), rel=1e-6)
    assert [name for name, _ in answer.figures] == ["most memory used", "256 MB", "1024 MB"]


def test_a_size_into_which_it_does_not_fit_is_not_named() -> None:
    answer = advise_memory(past([*sized(128, 100, 0.0), *sized(1_024, 100, 100.0, used_mb=120)]))
    assert not answer.is_action
    assert "1024 MB is the cheapest of the 2 sizes" in answer.verdict


def test_too_few_invocations_at_a_size_say_nothing() -> None:
    answer = advise_memory(past([*sized(256, 1, 0.0, count=5), *sized(512, 100, 100.0)]))
    assert not answer.is_action
    assert "256 MB" not in dict(answer.figures)


def test_what_is_not_used_is_told_without_promising_that_less_is_as_quick() -> None:
    answer = advise_memory(past(every(60.0, 10, memory_mb=512, max_memory_mb=100)))
    assert not answer.is_action
    assert "It uses 100 of 512 MB. 128 MB would hold it" in answer.verdict
    assert "only a measurement can tell" in answer.verdict
    assert answer.evidence[0] == "lambent tune f"


def test_what_is_used_up_is_left_alone() -> None:
    answer = advise_memory(past(every(60.0, 10, memory_mb=128, max_memory_mb=110)))
    assert answer.verdict == "It uses 110 of 128 MB: less would be too tight."


def test_running_out_of_memory_comes_first() -> None:
    rows = every(60.0, 10, memory_mb=256, max_memory_mb=256)
    rows.append(row(700.0, memory_mb=256, status="failure", error_type="Runtime.OutOfMemory"))
    answer = advise_memory(past(rows))
    assert answer.is_action
    assert answer.verdict == "1 invocations ran out of memory: give it more than 256 MB."
    assert "--filter Runtime.OutOfMemory" in answer.evidence[0]
