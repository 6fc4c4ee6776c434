"""The table of a pull request says what changed, and what chance explains."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from lambent.cli.bill_table import Change, Side, change_text, changes, grown, markdown
from lambent.cli.measure import Failure
from unit.cli.test_tune_result import around, sample

PAYLOADS = ["large.json", "small.json"]


def side(label: str, middles_ms: Sequence[float], package_bytes: int = 1000, init_ms: float = 50.0) -> Side:
    return Side(
        label=label,
        samples=tuple(
            sample(512, duration_ms, number)
            for number, middle in enumerate(middles_ms)
            for duration_ms in around(middle, middle / 50)
        ),
        cold=tuple(sample(512, 5.0, init_ms=start) for start in around(init_ms, 1, 8)),
        failures=(),
        package_bytes=package_bytes,
        unzipped_bytes=package_bytes * 3,
    )


def found(before: Side, after: Side) -> dict[tuple[str, str], Change]:
    return {(one.payload, one.figure): one for one in changes(before, after, PAYLOADS, Random(1))}


BEFORE = side("main", [200.0, 10.0])
AFTER = side("HEAD", [300.0, 10.0], package_bytes=2000, init_ms=80.0)


def test_what_became_dearer_says_by_how_much() -> None:
    change = found(BEFORE, AFTER)["large.json", "cost per million calls"]
    assert change.share == pytest.approx(0.5, abs=0.03)
    assert change.is_sure
    assert change_text(change).startswith("+")


def test_what_chance_explains_is_marked() -> None:
    noisy = Side(
        label="noisy",
        samples=tuple(sample(512, duration_ms, 1) for duration_ms in around(10.1, 3)),
        cold=BEFORE.cold,
        failures=(),
        package_bytes=1,
        unzipped_bytes=1,
    )
    assert change_text(found(BEFORE, noisy)["small.json", "p50"]).startswith(("≈", "="))


def test_cold_starts_and_packages_are_compared() -> None:
    all_found = found(BEFORE, AFTER)
    assert all_found["", "cold start (p50)"].share == pytest.approx(0.6, abs=0.05)
    assert change_text(all_found["", "package"]) == "+100.0 %"
    assert all_found["", "unzipped"].before == 3000


def test_the_table_is_markdown_with_a_row_for_every_figure() -> None:
    rows = changes(BEFORE, AFTER, PAYLOADS, Random(1))
    text = markdown(BEFORE, AFTER, rows, PAYLOADS, "5 of each.")
    lines = text.splitlines()
    assert lines[0] == "### What it costs: `main` → `HEAD`"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(rows)
    assert {line.count("|") for line in table} == {6}
    assert any(line.startswith("| `large.json` | cost per million calls | $") for line in table)
    assert lines[-1] == "5 of each."


def test_a_side_that_fails_says_with_what_and_why() -> None:
    failure = Failure(payload=1, price_usd=0.0, kind="KeyError", message="'n' | `x`\nline")
    broken = Side(
        label="a|b", samples=(), cold=(), failures=(failure,) * 3, package_bytes=0, unzipped_bytes=0
    )
    text = markdown(BEFORE, broken, changes(BEFORE, broken, PAYLOADS, Random(1)), PAYLOADS, "s")
    assert "**Fails after** with `small.json`: `KeyError: 'n' x line`" in text
    assert text.count("**Fails") == 1
    assert "`a b`" in text
    assert "| gone |" in text


@pytest.mark.parametrize(
    ("before", "after", "is_sure", "text"),
    [
        (1.0, 1.5, True, "+50.0 %"),
        (1.0, 0.5, True, "−50.0 %"),
        (1.0, 1.05, False, "≈ +5.0 %"),
        (1.0, 1.0, False, "="),
        (1.0, 72.0, True, "× 72"),
        (None, 1.0, True, "new"),
        (1.0, None, True, "gone"),
        (None, None, True, "-"),
    ],
)
def test_a_change_is_one_word(before: float | None, after: float | None, is_sure: bool, text: str) -> None:
    change = Change(payload="", figure="", before=before, after=after, text=str, is_sure=is_sure)
    assert change_text(change) == text


def test_only_costs_that_have_surely_grown_fail_a_build() -> None:
    rows = changes(BEFORE, AFTER, PAYLOADS, Random(1))
    assert {change.payload for change in grown(rows, 10)} == {"all payloads", "large.json"}
    assert grown(rows, 90) == []
    assert grown(changes(AFTER, BEFORE, PAYLOADS, Random(1)), 0) == []
