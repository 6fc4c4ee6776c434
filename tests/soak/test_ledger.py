"""What the soak's ledger finds, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from soak import ledger, machine
from soak.functions import CHARACTERS, Answer, by_name
from soak.ledger import Entry, Life, LoggedLines, Sample

KILLED = Life(number=1, started_s=0.0, ending_s=100.0, ended_s=100.0, was_killed=True)
STOPPED = Life(number=2, started_s=0.0, ending_s=100.0, ended_s=103.0, was_killed=False)
LIVES = {1: KILLED, 2: STOPPED}


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "request_id": "a",
        "character": "good",
        "sent_s": 10.0,
        "ended_s": 11.0,
        "life": 1,
        "outcome": "answered",
        "answered_id": "a",
    }
    return Entry(**values | changes)


def logged(*request_ids: str) -> LoggedLines:
    counts = {request_id: request_ids.count(request_id) for request_id in request_ids}
    return LoggedLines(starts=counts, ends=counts, reports=counts)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (entry(), ""),
        (entry(outcome="refused"), ""),
        (entry(outcome=""), "never came to an end"),
        (entry(answered_id="b"), "was answered as b"),
        (entry(answered_id=""), "was answered as nobody"),
        (entry(outcome="cut"), "its connection broke"),
        (entry(outcome="cut", ended_s=100.1), ""),
        (entry(outcome="cut", ended_s=100.1, life=3), "its connection broke"),
        # A server that stops in order answers what it has begun; what comes later it need not take.
        (entry(outcome="cut", ended_s=101.0, life=2), "its connection broke"),
        (entry(outcome="cut", sent_s=100.5, ended_s=101.0, life=2), ""),
    ],
)
def test_every_invocation_has_one_outcome_or_is_named(one: Entry, words: str) -> None:
    found = ledger.without_one_outcome([one], LIVES)
    assert len(found) == (1 if words else 0)
    assert words in "".join(found)


def test_two_answers_to_one_request_id_are_found() -> None:
    assert ledger.without_one_outcome([entry(), entry()], LIVES) == ["a was answered 2 times"]


@pytest.mark.parametrize(
    ("one", "lines", "words", "lost"),
    [
        (entry(), logged("a"), "", 0),
        (entry(), logged(), "has no REPORT", 0),
        (entry(ended_s=99.0), logged(), "", 1),
        (entry(ended_s=99.0, life=2), logged(), "has no REPORT", 0),
        (entry(outcome="refused"), logged("a"), "was refused and has a REPORT", 0),
        (entry(outcome="cut"), logged("a"), "", 0),
        (entry(outcome="cut"), logged(), "", 0),
        (entry(), LoggedLines(starts={"a": 1}, reports={"a": 2}), "has 2 REPORT lines", 0),
        (entry(), LoggedLines(reports={"a": 1}), "a REPORT without a START", 0),
    ],
)
def test_answers_and_the_log_must_match(one: Entry, lines: LoggedLines, words: str, lost: int) -> None:
    found, lost_found = ledger.without_their_report([one], LIVES, lines)
    assert (len(found), lost_found) == (1 if words else 0, lost)
    assert words in "".join(found)


def test_an_invocation_that_nobody_sent_is_found_in_the_log() -> None:
    assert ledger.unknown([entry()], logged("a", "b")) == ["b is in the log and was never sent"]


def samples(memory_mb: list[float], descriptors: list[int]) -> list[Sample]:
    return [
        Sample(at_s=60.0 * i, invocations=i, memory_mb=mb, descriptors=count, kinds={"socket": count})
        for i, (mb, count) in enumerate(zip(memory_mb, descriptors, strict=True))
    ]


def test_growth_is_found_and_named_and_a_warm_up_is_not_growth() -> None:
    flat = samples([40, 60, 70, 71, 69, 72, 70, 71], [30, 45, 48, 48, 47, 48, 49, 48])
    assert ledger.growth(flat)[0] == []
    memory, *_ = ledger.growth(samples([60, 60, *(60 + 5 * i for i in range(6))], [48] * 8))[0]
    assert memory.startswith("the server's memory grew by 20.0 MB")
    descriptors, *_ = ledger.growth(samples([60] * 8, [48, 48, 48, 50, 52, 54, 56, 58]))[0]
    assert descriptors == "the server's descriptors grew by 8: 10 × socket"


def test_too_few_quiet_moments_are_said_to_be_too_few() -> None:
    assert "too few" in ledger.growth(samples([60] * 5, [48] * 5))[1]


@pytest.mark.parametrize(
    ("name", "event", "answer", "is_right"),
    [
        ("good", {"number": 1}, Answer(status=200, payload=b'{"number": 1}'), True),
        ("good", {"number": 1}, Answer(status=200, payload=b'{"number": 2}'), False),
        ("good", {"number": 1}, Answer(status=200, payload=b"<html>"), False),
        ("good", {"number": 1}, Answer(status=500, error_code="ServiceException"), False),
        ("limited", {}, Answer(status=429, error_code="TooManyRequestsException"), True),
        ("slow", {}, Answer(status=429, error_code="TooManyRequestsException"), False),
        (
            "late",
            {},
            Answer(status=200, payload=b'{"errorMessage": "2026 a Task timed out after 1.00 seconds"}'),
            True,
        ),
        ("late", {}, Answer(status=200, payload=b"null"), False),
    ],
)
def test_only_right_answers_are_right(name: str, event: Any, answer: Answer, is_right: bool) -> None:
    assert (by_name(name).complaint(event, answer) == "") is is_right


def test_every_character_has_a_name_and_an_event_of_its_own() -> None:
    assert len({character.name for character in CHARACTERS}) == len(CHARACTERS)


def test_the_files_of_a_data_directory_are_those_that_its_class_documents() -> None:
    assert {"control.db", "control.db-wal", "logs.db", "blobs", "code", "run", "lock", "secret"} <= (
        machine.documented_names()
    )
