"""What is kept is paid for by AWS's steps: five minutes, three hours, seconds."""

from __future__ import annotations

import pytest

from lambent.domain.ledger import PROVISIONED, SNAPSHOT
from lambent.domain.upkeep import Tally, Upkeep, charged, due_s
from samples import VERSION


def kept(kind: str, *, is_new: bool = True) -> Upkeep:
    return Upkeep(id="x", kind=kind, version=VERSION, is_new=is_new)


def due(upkeep: Upkeep, after_s: float, *, put_down_s: int = 0, is_over: bool = False) -> int:
    return due_s(upkeep, Tally(since_s=1000.0, charged_s=put_down_s), 1000.0 + after_s, is_over=is_over)


@pytest.mark.parametrize(
    ("after_s", "seconds"),
    [(0, 300), (1, 300), (300, 300), (300.1, 600), (600, 600), (3600, 3600), (3601, 3900)],
)
def test_provisioned_concurrency_is_rounded_up_to_five_minutes(after_s: float, seconds: int) -> None:
    assert due(kept(PROVISIONED), after_s, is_over=True) == seconds
    assert due(kept(PROVISIONED), after_s) == seconds


def test_what_has_been_put_down_is_not_put_down_again() -> None:
    upkeep, tally = kept(PROVISIONED), Tally(since_s=0.0, charged_s=0)
    total = 0
    for now_s in range(0, 1300, 60):
        seconds = due_s(upkeep, tally, float(now_s), is_over=False)
        tally = charged(tally, seconds)
        total += seconds
    assert total == 1500


@pytest.mark.parametrize(
    ("after_s", "seconds"), [(0, 10_800), (10_800, 10_800), (10_800.5, 10_801), (86_400, 86_400)]
)
def test_a_snapshot_is_paid_for_three_hours_at_least(after_s: float, seconds: int) -> None:
    assert due(kept(SNAPSHOT), after_s, is_over=True) == seconds


def test_a_snapshot_that_an_earlier_server_kept_is_not_new() -> None:
    assert due(kept(SNAPSHOT, is_new=False), 0) == 0
    assert due(kept(SNAPSHOT, is_new=False), 5, is_over=True) == 5


def test_the_seconds_of_a_snapshot_are_put_down_together() -> None:
    assert due(kept(SNAPSHOT), 10_800 + 899, put_down_s=10_800) == 0
    assert due(kept(SNAPSHOT), 10_800 + 900, put_down_s=10_800) == 900


@pytest.mark.parametrize("kind", [PROVISIONED, SNAPSHOT])
def test_a_clock_that_goes_back_owes_nothing(kind: str) -> None:
    assert due(kept(kind), -5000, put_down_s=20_000, is_over=True) == 0
