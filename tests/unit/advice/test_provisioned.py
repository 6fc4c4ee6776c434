"""Whether provisioned concurrency pays is found by replaying what was; the edge is where AWS's prices cross."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lambent.advice.answer import MONTH_S
from lambent.advice.past import Past
from lambent.advice.provisioned import advise_provisioned, break_even_share
from unit.advice.rows import past, row

KEPT = Decimal("0.0000041667")
RAN, ON_DEMAND = Decimal("0.0000097222"), Decimal("0.0000166667")


def test_an_environment_must_be_busy_for_three_fifths_of_the_time() -> None:
    for architecture in ("x86_64", "arm64"):
        assert break_even_share(architecture) == pytest.approx(0.6, abs=0.001)


@pytest.mark.parametrize("part", [0.05, 0.2])
def test_it_does_not_pay_for_what_is_mostly_idle(part: float) -> None:
    """An invocation every hour, for a part of that hour, for 30 days."""
    hours = range(MONTH_S // 3_600)
    answer = advise_provisioned(
        past([row(hour * 3_600.0, part * 3_600_000, memory_mb=1_024) for hour in hours])
    )
    assert not answer.is_action
    assert answer.verdict.startswith("It does not pay")


def steady(per_minute_s: float) -> Past:
    """So many busy seconds in each minute of a day, which is all its history."""
    first_s = MONTH_S - 86_400.0
    return past([row(first_s + n * 60.0, per_minute_s * 1_000, memory_mb=1_024) for n in range(1_440)])


@pytest.mark.parametrize(("per_minute_s", "pays"), [(30.0, False), (35.0, False), (37.0, True), (55.0, True)])
def test_it_pays_from_the_busy_share_on_at_which_the_prices_cross(per_minute_s: float, pays: bool) -> None:
    answer = advise_provisioned(steady(per_minute_s))
    assert answer.is_action is pays
    if pays:
        # For one environment of a GB in 30 days.
        share = Decimal(per_minute_s) / 60
        saved = MONTH_S * (ON_DEMAND * share - KEPT - RAN * share)
        assert float(answer.saved_usd or 0) == pytest.approx(float(saved), rel=0.01)
        assert answer.verdict.startswith("It pays: 1 provisioned would cost")


def test_what_avoids_cold_starts_is_told_with_the_price_of_each() -> None:
    """An invocation every 20 minutes: each is a cold start, as environments are kept for 10."""
    rows = [row(number * 1_200.0, 100, init_ms=500.0) for number in range(2_160)]
    answer = advise_provisioned(past(rows))
    figures = dict(answer.figures)
    assert "2,160 cold starts" in figures["with 0"]
    assert "0 cold starts" in figures["with 1"]
    kept = MONTH_S * KEPT / 8
    less = 2_160 * (Decimal("0.6") * ON_DEMAND - Decimal("0.1") * RAN) / 8
    dearer = float(kept - less)
    assert f"1 would avoid 2,160 (100%) of the cold starts for ${dearer:.2f} more" in answer.verdict
    assert answer.evidence == ("lambent simulate --history f --provisioned 0,1",)


def test_as_many_are_tried_as_were_ever_needed_at_once() -> None:
    burst = [row(number / 1_000, 5_000, init_ms=100.0) for number in range(7)]
    answer = advise_provisioned(past(burst))
    assert answer.evidence[0].endswith("--provisioned 0,1,2,3,5,7")


def test_without_cold_starts_there_is_nothing_to_avoid() -> None:
    rows = [row(number * 60.0, 100) for number in range(1_000)]
    answer = advise_provisioned(past(rows))
    assert not answer.is_action


def test_of_a_long_history_the_last_invocations_are_replayed_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lambent.advice.provisioned.REPLAYED_MAX", 100)
    one = past([row(number * 1_200.0, 100, init_ms=500.0) for number in range(2_160)])
    figures = dict(advise_provisioned(one).figures)
    assert figures["replayed"] == "the last 100 invocations"
    # As many cold starts in 30 days as the whole history has.
    assert "2,160 cold starts" in figures["with 0"]


@pytest.mark.parametrize(
    ("per_minute_s", "words"),
    [
        (5.0, "It has 1 provisioned, which cost"),
        (55.0, "and pay: no other number is cheaper."),
    ],
)
def test_what_is_provisioned_now_is_judged_too(per_minute_s: float, words: str) -> None:
    rows = steady(per_minute_s).invocations
    answer = advise_provisioned(past(rows), has=1)
    assert words in answer.verdict
    assert answer.is_action is (per_minute_s < 36)
    if answer.is_action:
        # What it costs to keep a GB ready for 30 days, less what running in it is cheaper.
        share = Decimal(per_minute_s) / 60
        saved = MONTH_S * (KEPT + RAN * share - ON_DEMAND * share)
        assert float(answer.saved_usd or 0) == pytest.approx(float(saved), rel=0.01)


def test_a_short_history_is_not_charged_for_more_time_than_it_had() -> None:
    """A minute of history: one environment of a GB is kept for 30 days, not for five times as long."""
    rows = [row(MONTH_S - 60.0 + n, 10, memory_mb=1_024) for n in range(60)]
    figures = dict(advise_provisioned(past(rows)).figures)
    kept = float(MONTH_S * KEPT)
    assert float(figures["with 1"].split()[0].lstrip("$")) == pytest.approx(kept + 0.8, abs=0.5)
