"""What the tuner says is true of its figures."""

from __future__ import annotations

import pytest

from lambent.cli.measure import Failure
from lambent.cli.tune_result import choose
from lambent.cli.tune_words import curves, ms_text, sentences, usd_number
from unit.cli.test_tune_result import CPU_BOUND, around, size


@pytest.mark.parametrize(
    ("ms", "text"), [(0.515, "0.52"), (9.994, "9.99"), (17.34, "17.3"), (1204.4, "1,204")]
)
def test_durations_have_three_digits_that_count(ms: float, text: str) -> None:
    assert ms_text(ms) == text


@pytest.mark.parametrize(
    ("usd", "text"), [(0.2021, "0.2021"), (2.514, "2.514"), (25.149, "25.15"), (1204, "1,204")]
)
def test_amounts_have_the_digits_that_make_a_difference(usd: float, text: str) -> None:
    assert usd_number(usd) == text


def test_a_clear_result_is_said_plainly() -> None:
    said = sentences(CPU_BOUND, choose(CPU_BOUND, "cost", 0.5))
    assert said[0].startswith("256 MB is the cheapest: p50 38")
    assert said[1] == "The difference to the next, 512 MB, is significant (95 %)."


def test_a_result_within_the_noise_is_said_to_be_so() -> None:
    flat = [size(memory_mb, around(20 + memory_mb / 1e6, 2)) for memory_mb in (128, 512, 1024)]
    said = " ".join(sentences(flat, choose(flat, "speed", 0.5)))
    assert "Not significant" in said
    assert "128 MB" in said


def test_of_equals_the_cheapest_is_named() -> None:
    flat = [size(128, [20.0, 21.0, 22.0] * 5), size(512, [19.9, 21.0, 22.0] * 5)]
    assert sentences(flat, choose(flat, "speed", 0.5))[-1] == "Of these, 128 MB is the cheapest."


def test_a_function_that_fails_everywhere_is_told_why() -> None:
    failure = Failure(payload=0, price_usd=0.0, kind="KeyError", message="'n'")
    failed = [size(memory_mb, [], failures=(failure,) * 3, is_given_up=True) for memory_mb in (128, 256)]
    assert sentences(failed, None) == ["The function fails at every size: KeyError: 'n'"]
    assert curves(failed) == []


def test_where_nothing_can_be_trusted_nothing_is_recommended() -> None:
    doubted = [size(128, around(1, 0.1), doubt="CPU does not follow memory here")]
    assert sentences(doubted, None)[0].startswith("No size can be chosen")


def test_both_curves_are_drawn_and_what_is_hollow_explained() -> None:
    lines = curves([*CPU_BOUND, size(10240, around(60, 3), doubt="too many")])
    assert sum(line.endswith("over memory (MB)") for line in lines) == 2
    assert lines[-1].startswith("○")
