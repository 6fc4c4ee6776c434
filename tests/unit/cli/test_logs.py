"""Logs come in order, once each, and say so when there are none."""

# ruff: noqa: N803 - the parameters of boto3 are AWS's names

from __future__ import annotations

from typing import Any

import pytest

from lambent.cli import logs
from lambent.cli.logs import OVERLAP_MS, Reader, start_time_ms, style_of
from lambent.cli.terminal import UsageError
from unit.cli.stand_in import Run, StandIn

CONFIGURATION = {"FunctionName": "f", "LoggingConfig": {"LogGroup": "/own/group"}}


def event(number: int, at_ms: int, message: str = "") -> dict[str, Any]:
    return {
        "eventId": str(number),
        "timestamp": at_ms,
        "message": message or f"line {number}\n",
        "logStreamName": "s",
    }


@pytest.mark.parametrize(
    ("since", "expected_ms"), [("30s", 970_000), ("10m", 400_000), ("1h", 0), ("all", 0)]
)
def test_an_age_is_a_time_before_now(since: str, expected_ms: int) -> None:
    assert start_time_ms(since, 1000.0) == expected_ms


@pytest.mark.parametrize("since", ["", "10", "m", "-1m", "10 m", "1y", "yesterday"])
def test_another_age_is_a_wrong_argument(since: str) -> None:
    with pytest.raises(UsageError, match="--since must be an age"):
        start_time_ms(since, 1000.0)


def test_all_pages_of_the_functions_own_group_are_shown_in_order(ask: Run, aws: StandIn) -> None:
    aws.on("GET", ".*/functions/f/configuration", CONFIGURATION)
    pages = [
        {"events": [event(1, 1000), event(2, 2345, "two\r  lines\n")], "nextToken": "more"},
        {"events": [event(3, 3000)]},
    ]
    aws.on_target("FilterLogEvents", lambda asked: pages[1] if "nextToken" in asked.json else pages[0])
    ran = ask("logs", "f", "--since", "all", "--filter", "line")
    assert ran.out.decode() == (
        "1970-01-01T00:00:01.000Z line 1\n"
        "1970-01-01T00:00:02.345Z two\n  lines\n"
        "1970-01-01T00:00:03.000Z line 3\n"
    )
    first = aws.asked[1].json
    assert (first["logGroupName"], first["startTime"], first["filterPattern"]) == ("/own/group", 0, "line")


def test_no_events_are_said_not_to_be_there(ask: Run, aws: StandIn) -> None:
    aws.on("GET", ".*/functions/f/configuration", CONFIGURATION)
    aws.on_target("FilterLogEvents", {"events": []})
    ran = ask("logs", "f")
    assert ran.code == 0
    assert ran.out == b""
    assert ran.err == "Nothing found in /own/group (--since 10m): try --since 1d or all.\n"


def test_a_function_that_never_ran_has_not_logged_yet(ask: Run, aws: StandIn) -> None:
    aws.on("GET", ".*/functions/f/configuration", CONFIGURATION)
    aws.on_target(
        "FilterLogEvents", {"__type": "ResourceNotFoundException", "message": "no group"}, status=400
    )
    ran = ask("logs", "f")
    assert ran.code == 0
    assert ran.err == "f has not logged anything yet.\n"


def test_a_deleted_function_still_has_its_log(ask: Run, aws: StandIn) -> None:
    aws.missing("GET", ".*/configuration")
    aws.on_target("FilterLogEvents", {"events": [event(1, 1000)]})
    ran = ask("logs", "f", "--since", "all")
    assert ran.code == 0
    assert b"line 1" in ran.out
    assert aws.asked[1].json["logGroupName"] == "/aws/lambda/f"


def test_neither_function_nor_group_is_a_failure(ask: Run, aws: StandIn) -> None:
    aws.missing("GET", ".*/configuration")
    aws.on_target(
        "FilterLogEvents", {"__type": "ResourceNotFoundException", "message": "no group"}, status=400
    )
    for arguments in (("f",), ("f", "--follow")):
        ran = ask("logs", *arguments)
        assert ran.code == 1
        assert ran.err == "lambent: There is neither a function f nor a log group /aws/lambda/f.\n"


@pytest.mark.parametrize(
    "name", ["f:7", "000000000000:function:f", "arn:aws:lambda:us-east-1:000000000000:function:f:live"]
)
def test_the_group_of_a_deleted_function_is_named_after_it_alone(ask: Run, aws: StandIn, name: str) -> None:
    aws.missing("GET", ".*/configuration.*")
    aws.on_target("FilterLogEvents", {"events": [event(1, 1000)]})
    assert ask("logs", name, "--since", "all").code == 0
    assert aws.asked[-1].json["logGroupName"] == "/aws/lambda/f"


def test_following_ends_cleanly_with_ctrl_c(ask: Run, aws: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.on("GET", ".*/functions/f/configuration", CONFIGURATION)
    aws.on_target("FilterLogEvents", {"events": [event(1, 1000)]})
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(logs.time, "sleep", wait)
    ran = ask("logs", "f", "--follow", "--since", "all")
    assert ran.code == 0
    assert ran.out == b"1970-01-01T00:00:01.000Z line 1\n"
    assert waits == [logs.POLL_INTERVAL_S] * 3


class Group:
    """A log group in memory, with the one call that `Reader` makes."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.starts_ms: list[int] = []

    def get_paginator(self, _: str) -> Group:
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> list[dict[str, Any]]:
        self.starts_ms.append(startTime)
        return [{"events": [each for each in self.events if each["timestamp"] >= startTime]}]


def test_an_event_is_given_once_and_a_late_one_still_comes() -> None:
    group = Group()
    reader = Reader(client=group, group="g", pattern=None, start_ms=0)
    group.events = [event(1, 50_000), event(2, 60_000)]
    assert [each["eventId"] for each in reader.read()] == ["1", "2"]
    assert list(reader.read()) == []
    group.events += [event(3, 60_000 - OVERLAP_MS), event(4, 61_000)]
    assert [each["eventId"] for each in reader.read()] == ["3", "4"]
    assert list(reader.read()) == []


def test_what_is_remembered_is_bounded_by_how_far_back_it_looks() -> None:
    group = Group()
    reader = Reader(client=group, group="g", pattern=None, start_ms=0)
    group.events = [event(number, number * 1000) for number in range(1000)]
    assert len(list(reader.read())) == 1000
    list(reader.read())
    assert group.starts_ms[-1] == 999_000 - OVERLAP_MS
    assert len(reader._seen) == OVERLAP_MS // 1000 + 1


@pytest.mark.parametrize(
    ("message", "style"),
    [
        ("START RequestId: 1 Version: 1", "dim"),
        ("[ERROR] ValueError: no", "red"),
        ("2026-01-02T03:04:05.678Z 8f5 Task timed out after 3.00 seconds", "red"),
        ("[WARNING]\tx", "yellow"),
        ("STARTED well", ""),
    ],
)
def test_errors_stand_out_and_lambdas_own_lines_stand_back(message: str, style: str) -> None:
    assert style_of(message) == style
