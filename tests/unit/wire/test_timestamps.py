"""Moments on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from lambent.wire import timestamps

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "1767323045",
        "1767323045.0",
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T05:04:05+02:00",
        "2026-01-02T03:04:05",
        "Fri, 02 Jan 2026 03:04:05 GMT",
    ],
)
def test_any_of_the_three_formats_is_read(text: str) -> None:
    assert timestamps.from_text(text) == MOMENT
    assert timestamps.from_text(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "nan", "inf", "1e300", "2026-13-01", "Fri, 99 Xxx 2026"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        timestamps.from_text(text)


def test_microseconds_survive_the_way_through_a_number() -> None:
    moment = MOMENT + timedelta(microseconds=123_457)
    assert timestamps.from_unix(timestamps.to_unix(moment)) == moment


def test_whole_seconds_are_written_as_an_integer() -> None:
    assert repr(timestamps.to_unix(MOMENT)) == "1767323045"
    assert repr(timestamps.to_unix(MOMENT + timedelta(milliseconds=500))) == "1767323045.5"


@pytest.mark.parametrize(
    ("microseconds", "written"),
    [
        (0, "2026-01-02T03:04:05Z"),
        (7_000, "2026-01-02T03:04:05.007Z"),
        (7, "2026-01-02T03:04:05.000007Z"),
    ],
)
def test_iso_has_as_many_digits_as_are_needed(microseconds: int, written: str) -> None:
    assert timestamps.to_iso(MOMENT + timedelta(microseconds=microseconds)) == written


def test_moments_of_other_zones_are_written_in_utc_and_those_of_none_are_utc() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=9)))
    nowhere = MOMENT.replace(tzinfo=None)
    for moment in (elsewhere, nowhere):
        assert timestamps.to_unix(moment) == 1767323045
        assert timestamps.to_iso(moment) == "2026-01-02T03:04:05Z"
        assert timestamps.to_rfc822(moment) == "Fri, 02 Jan 2026 03:04:05 GMT"
