"""What batches are made of and what becomes of their records, as decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.invocation import Outcome
from lambent.sources import Record
from lambent.sources.batches import (
    BATCH_MAX_BYTES,
    concurrency,
    filters_of,
    fitting,
    payload_of,
    succeeded,
    wanted,
)
from samples import invocation, report


def record(name: str, *, size: int = 1, content: dict[str, Any] | None = None) -> Record:
    return Record(id=name, event={"messageId": name}, content=content or {}, size_bytes=size, token=name)


BATCH = [record("a"), record("b"), record("c")]


def ids_after(answer: bytes, *, error: str | None = None, reports: bool = True) -> list[str]:
    outcome = Outcome(payload=answer, report=report(invocation()), function_error=error)
    return [its.id for its in succeeded(BATCH, outcome, reports_failures=reports)]


def failures(*identifiers: Any) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": its} for its in identifiers]}).encode()


@pytest.mark.parametrize(
    "answer", [b"null", b"", b"{}", b'"text"', b'{"batchItemFailures": []}', b'{"batchItemFailures": null}']
)
def test_an_answer_that_reports_nothing_is_a_complete_success(answer: bytes) -> None:
    assert ids_after(answer) == ["a", "b", "c"]


def test_what_is_reported_comes_again_and_the_rest_does_not() -> None:
    assert ids_after(failures("b")) == ["a", "c"]


@pytest.mark.parametrize(
    "answer",
    [
        failures(""),
        failures(None),
        failures("unknown"),
        failures("a", "unknown"),
        b'{"batchItemFailures": [{"wrongKey": "a"}]}',
        b'{"batchItemFailures": ["a"]}',
        b'{"batchItemFailures": "a"}',
        b"not json",
    ],
)
def test_a_report_that_makes_no_sense_is_a_complete_failure(answer: bytes) -> None:
    assert ids_after(answer) == []


def test_a_function_error_fails_the_whole_batch_whatever_it_says() -> None:
    assert ids_after(b"{}", error="Unhandled") == []


def test_without_reports_only_a_function_error_is_a_failure() -> None:
    assert ids_after(failures("a"), reports=False) == ["a", "b", "c"]


def test_a_record_passes_when_one_of_the_filters_matches_or_there_are_none() -> None:
    settings = {
        "FilterCriteria": {"Filters": [{"Pattern": '{"body": {"n": [1]}}'}, {"Pattern": '{"body": ["x"]}'}]}
    }
    filters = filters_of(settings)
    assert wanted(record("a", content={"body": {"n": 1}}), filters)
    assert wanted(record("a", content={"body": "x"}), filters)
    assert not wanted(record("a", content={"body": {"n": 2}}), filters)
    assert wanted(record("a"), filters_of({}))


def test_a_batch_ends_before_it_is_too_large_and_has_one_record_at_least() -> None:
    half = BATCH_MAX_BYTES // 2
    assert fitting([record("a", size=half), record("b", size=half), record("c")]) == 2
    assert fitting([record("a", size=BATCH_MAX_BYTES + 1), record("b")]) == 1
    assert fitting(BATCH) == 3


def test_batches_at_once_begin_with_five_and_grow_as_long_as_there_is_more_to_do() -> None:
    assert concurrency({}, busy_s=0, most=1000) == 5
    assert concurrency({}, busy_s=60, most=1000) == 305
    assert concurrency({}, busy_s=6000, most=5000) == 1250
    assert concurrency({}, busy_s=600, most=16) == 16
    assert concurrency({"ScalingConfig": {"MaximumConcurrency": 2}}, busy_s=600, most=16) == 2
    assert concurrency({"ScalingConfig": {}}, busy_s=0, most=3) == 3


def test_the_payload_has_the_records_in_their_order() -> None:
    assert json.loads(payload_of(BATCH)) == {"Records": [{"messageId": name} for name in "abc"]}
