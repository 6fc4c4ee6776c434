"""The past is read from the ledger's lines, put in order, and stretched to 30 days."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from lambent.advice.past import decode_row, pasts_of
from unit.advice.rows import MONTH_S, NOW_S, START_S, every, past, row

LINE = {
    "sequence": 7,
    "kind": "invocation",
    "at": "2026-01-02T03:04:05.350Z",
    "function": "f",
    "version": "$LATEST",
    "duration_ms": 100.0,
    "billed_ms": 350,
    "init_ms": 250.0,
    "restore_ms": None,
    "memory_mb": 512,
    "status": "success",
    "tags": {"team": "a"},
    "price_usd": "0.0000031166725",
}


def test_a_row_is_read_and_what_is_not_needed_is_passed_over() -> None:
    found = decode_row(json.dumps(LINE))
    assert found.price_usd == Decimal("0.0000031166725")
    assert found.start_ms == 250
    # It ended at 05.350, after 350 ms.
    assert found.came_s == pytest.approx(1_767_323_045.0)


def test_what_is_no_row_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_row('{"at": 1}')


def test_each_function_has_a_past_of_its_own_in_the_order_in_which_they_came() -> None:
    rows = [row(5.0, function="b"), row(9.0, 8_000, function="a"), row(10.0, 10, function="a")]
    rows.append(row(0.0, function="c", kind="initialization"))
    first, second = pasts_of(reversed(rows), now_s=NOW_S)
    assert (first.function, second.function) == ("a", "b")
    # The one that came first ended last.
    assert [one.duration_ms for one in first.invocations] == [8_000, 10]


def test_a_bill_is_stretched_to_30_days_by_what_has_passed_since_the_first_invocation() -> None:
    whole = past(every(60.0, 10))
    assert whole.window_s == MONTH_S
    assert whole.month_usd == pytest.approx(whole.bill_usd)
    half = past([row(MONTH_S / 2), row(MONTH_S * 0.75)])
    assert float(half.month_usd) == pytest.approx(float(half.bill_usd) * 2)
    assert not half.is_short
    assert past([row(MONTH_S - 3_600)]).is_short


def test_the_load_of_a_past_has_its_arrivals_durations_and_cold_starts() -> None:
    load = past(every(60.0, 3)).load()
    assert load.at_s == pytest.approx([0.0, 60.0, 120.0], abs=1e-3)
    assert load.service_s == pytest.approx([0.1] * 3)
    assert load.starts[0].values_s == (0.25,)
    assert load.duration_s == pytest.approx(NOW_S - START_S)


def test_concurrency_is_that_of_what_was_under_way() -> None:
    assert past([row(0.0, 1_000), row(0.5, 1_000), row(5.0)]).peak_concurrency == 2
