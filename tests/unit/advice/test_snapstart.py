"""Whether SnapStart pays: a restore has a price of its own, which short inits do not reach."""

from __future__ import annotations

import pytest

from lambent.advice.snapstart import advise_snapstart
from unit.advice.rows import past, row


def cold(init_ms: float, count: int = 1_000, **others: object):
    """A cold start every 20 minutes."""
    return past(
        [row(number * 1_200.0, init_ms=init_ms, memory_mb=1_024, **others) for number in range(count)]
    )


def test_short_inits_cost_less_than_restores() -> None:
    answer = advise_snapstart(cold(200), runtime="python3.12", is_on=False)
    # For each GB: 1,000 · (0.0001397998 - 0.2 · 0.0000166667) + 30 days · 0.0000015046.
    more = 1_000 * (0.0001397998 - 0.2 * 0.0000166667) + 2_592_000 * 0.0000015046
    assert f"It does not save money: ${more:.2f} more in 30 days" in answer.verdict
    assert "A restore costs as much as an init of 8.4 s." in answer.verdict
    assert not answer.is_action


def test_long_inits_are_worth_it_for_their_latency() -> None:
    answer = advise_snapstart(cold(2_000), runtime="python3.13", is_on=False)
    assert answer.is_action
    assert answer.saved_usd is None
    assert "It would take most of 2.00 s from each cold start" in answer.verdict


def test_java_pays_nothing_for_it_and_saves_every_init() -> None:
    answer = advise_snapstart(cold(3_000), runtime="java21", is_on=False)
    assert answer.is_action
    assert float(answer.saved_usd or 0) == pytest.approx(1_000 * 3 * 0.0000166667)


def test_who_has_it_already_is_told_of_its_restores() -> None:
    answer = advise_snapstart(past([row(0.0, restore_ms=20.0), row(10.0)]), runtime="python3.12", is_on=True)
    assert answer.verdict == "It is on: 1 restores."
    assert not answer.is_action


@pytest.mark.parametrize(
    ("runtime", "storage_mb", "words"),
    [
        ("python3.11", 512, "python3.11 has no SnapStart. Python has it from 3.12 on."),
        ("nodejs22.x", 512, "nodejs22.x has no SnapStart."),
        ("", 512, "An image has no SnapStart."),
        ("python3.12", 1_024, "With 1,024 MB of ephemeral storage it cannot have SnapStart."),
    ],
)
def test_who_cannot_have_it_is_told_why(runtime: str, storage_mb: int, words: str) -> None:
    answer = advise_snapstart(cold(200), runtime=runtime, is_on=False, ephemeral_storage_mb=storage_mb)
    assert (answer.verdict, answer.is_action) == (words, False)


def test_without_cold_starts_there_is_nothing_to_shorten() -> None:
    answer = advise_snapstart(past([row(0.0)]), runtime="python3.12", is_on=False)
    assert answer.verdict == "There were no cold starts to shorten."
