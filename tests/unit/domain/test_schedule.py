"""Schedules: AWS's own examples, the letters of cron, and what is no schedule."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lambent.domain.schedule import next_due_s, parse_schedule


def seconds(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


def dues(expression: str, after: str, count: int = 1, *, since: str = "2026-11-27T10:00:15") -> list[str]:
    schedule = parse_schedule(expression)
    assert schedule is not None
    found: list[str] = []
    due_s: float | None = seconds(after)
    while len(found) < count:
        assert due_s is not None
        due_s = next_due_s(schedule, since_s=seconds(since), after_s=due_s)
        assert due_s is not None
        found.append(datetime.fromtimestamp(due_s, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "first", "second"),
    [
        # The examples of AWS's page, seen from a Friday.
        ("cron(0 10 * * ? *)", "2026-11-28T10:00:00", "2026-11-29T10:00:00"),
        ("cron(15 12 * * ? *)", "2026-11-27T12:15:00", "2026-11-28T12:15:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-27T18:00:00", "2026-11-30T18:00:00"),
        ("cron(0 8 1 * ? *)", "2026-12-01T08:00:00", "2027-01-01T08:00:00"),
        ("cron(0/15 * * * ? *)", "2026-11-27T10:45:00", "2026-11-27T11:00:00"),
        ("cron(0/10 * ? * MON-FRI *)", "2026-11-27T10:50:00", "2026-11-27T11:00:00"),
        ("cron(0/5 8-17 ? * MON-FRI *)", "2026-11-27T10:45:00", "2026-11-27T10:50:00"),
        ("cron(0 9 ? * 2#1 *)", "2026-12-07T09:00:00", "2027-01-04T09:00:00"),
        # The letters.
        ("cron(0 8 L * ? *)", "2026-11-30T08:00:00", "2026-12-31T08:00:00"),
        ("cron(0 8 L-2 * ? *)", "2026-11-28T08:00:00", "2026-12-29T08:00:00"),
        ("cron(0 8 LW * ? *)", "2026-11-30T08:00:00", "2026-12-31T08:00:00"),
        ("cron(0 8 28W * ? *)", "2026-11-27T08:00:00", "2026-12-28T08:00:00"),
        ("cron(0 8 1W 8 ? 2026-2028)", "2027-08-02T08:00:00", "2028-08-01T08:00:00"),
        ("cron(0 0 ? * 6L *)", "2026-12-25T00:00:00", "2027-01-29T00:00:00"),
        ("cron(0 0 ? * L *)", "2026-11-28T00:00:00", "2026-12-05T00:00:00"),
        ("cron(0 0 ? * FRI-MON *)", "2026-11-28T00:00:00", "2026-11-29T00:00:00"),
        ("cron(5,35 14 * JAN,Mar ? *)", "2027-01-01T14:05:00", "2027-01-01T14:35:00"),
        ("cron(0 12 29 2 ? *)", "2028-02-29T12:00:00", "2032-02-29T12:00:00"),
        ("rate(5 minutes)", "2026-11-27T10:45:15", "2026-11-27T10:50:15"),
        ("rate(1 hour)", "2026-11-27T11:00:15", "2026-11-27T12:00:15"),
        ("rate(7 days)", "2026-12-04T10:00:15", "2026-12-11T10:00:15"),
    ],
)
def test_a_schedule_is_due_when_aws_says_so(expression: str, first: str, second: str) -> None:
    after = "2026-11-27T07:30:00" if "28W" in expression else "2026-11-27T10:40:30"
    assert dues(expression, after, 2) == [first, second]


def test_a_due_time_is_after_the_one_that_is_asked_from() -> None:
    assert dues("cron(0 10 * * ? *)", "2026-11-27T10:00:00") == ["2026-11-28T10:00:00"]
    assert dues("rate(1 minute)", "2026-11-27T10:01:15") == ["2026-11-27T10:02:15"]
    assert dues("rate(1 minute)", "2026-11-27T09:00:00") == ["2026-11-27T10:01:15"]


@pytest.mark.parametrize("expression", ["cron(* * * * ? 2020)", "cron(0 0 31 2 ? *)"])
def test_some_are_never_due_again(expression: str) -> None:
    schedule = parse_schedule(expression)
    assert schedule is not None
    assert next_due_s(schedule, since_s=0, after_s=seconds("2026-11-27T10:00:00")) is None


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(1.5 hours)",
        "rate(5 seconds)",
        "rate(5  minutes)",
        "cron(0 10 * * ?)",
        "cron(0 10 * * * *)",
        "cron(0 10 ? * ? *)",
        "cron(60 10 * * ? *)",
        "cron(0 24 * * ? *)",
        "cron(0 10 32 * ? *)",
        "cron(0 10 * 13 ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(0 10 ? * MON#6 *)",
        "cron(0 10 ? * XYZ *)",
        "cron(0/0 10 * * ? *)",
        "cron(a 10 * * ? *)",
        "cron(0 10 * * ? 1969)",
        "at(2026-11-27T10:00:00)",
        "every minute",
    ],
)
def test_other_texts_are_no_schedules(expression: str) -> None:
    assert parse_schedule(expression) is None
