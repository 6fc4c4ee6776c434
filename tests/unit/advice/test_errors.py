"""What errors cost is the price of their rows; retries and failed inits are told apart."""

from __future__ import annotations

import pytest

from lambent.advice.errors import advise_errors
from unit.advice.rows import every, past, row


def test_nothing_failed() -> None:
    answer = advise_errors(past(every(60.0, 50)))
    assert (answer.verdict, answer.is_action) == ("None of 50 invocations failed.", False)


def test_failures_are_told_by_kind_with_what_they_cost() -> None:
    rows = every(60.0, 90)
    rows += [row(6_000.0 + n, 3_000, status="timeout", error_type="Sandbox.Timedout") for n in range(2)]
    rows += [row(7_000.0 + n, status="error", error_type="ValueError", attempt=n + 1) for n in range(8)]
    answer = advise_errors(past(rows))
    cost = sum(one.price_usd for one in rows if one.status != "success")
    assert answer.is_action
    assert answer.saved_usd == pytest.approx(cost)
    assert answer.verdict.startswith("10 (10%) of the invocations failed: ")
    assert "2 timed out, and were billed until then." in answer.verdict
    assert "7 were second or later attempts of an event." in answer.verdict
    assert [name for name, _ in answer.figures] == ["ValueError", "timeout", "second and later attempts"]


def test_failed_inits_are_counted_by_what_they_were_billed() -> None:
    init = row(5.0, 9_000, kind="initialization", status="error")
    answer = advise_errors(past(every(60.0, 100), [init]))
    assert answer.saved_usd == pytest.approx(init.price_usd)
    assert dict(answer.figures)["failed inits"].startswith("1, $")


def test_a_rare_error_is_told_and_nothing_is_asked_for() -> None:
    rows = [*every(60.0, 999), row(1.0, status="error", error_type="E")]
    answer = advise_errors(past(rows))
    assert not answer.is_action
    assert answer.verdict.startswith("1 (0.1%) of the invocations failed")
