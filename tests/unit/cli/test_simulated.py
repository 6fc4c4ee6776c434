"""The picture of a simulation shows its highest point, and that something ran wherever something did."""

from __future__ import annotations

from lambent.cli.simulated import picture


def test_the_picture_reaches_its_top_at_the_peak_and_shows_the_least_that_ran() -> None:
    lines = picture([0, 1, 400, 200])
    assert len(lines) == 4
    assert lines[0] == "  █"
    assert lines[-1] == " ▁██"


def test_there_is_no_picture_of_nothing() -> None:
    assert picture([0, 0]) == []
    assert picture([]) == []
