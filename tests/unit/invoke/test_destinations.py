"""What is told of an asynchronous invocation that has ended: AWS's record, to the letter."""

from __future__ import annotations

import json
import re
from typing import Any

from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.invocation import Outcome
from lambent.domain.parcel import Parcel
from lambent.domain.queued_event import QueuedEvent
from lambent.invoke.destinations import parcels
from lambent.invoke.retry import Ended
from samples import KEY, invocation, report

GOOD, BAD, DEAD = "arn:aws:sqs:us-east-1:000000000000:good", "arn:aws:lambda:us-east-1:0:function:bad", "dead"
TRACE = "Root=1-5bdb40ca-556d8b0c50dc66f0511bf520;Parent=0123456789abcdef;Sampled=0"
ERROR = b'{"errorMessage": "no", "errorType": "ValueError"}'


def outcome(payload: bytes, error: str | None = None) -> Outcome:
    return Outcome(payload=payload, report=report(invocation()), function_error=error)


def told(
    condition: str, result: Outcome | None, *, attempts: int = 1, dead: str | None = None, **changes: Any
) -> list[Parcel]:
    event = QueuedEvent(
        **{"request_id": "r-1", "key": KEY, "accepted_s": 0.0, "trace_header": TRACE, "attempts": attempts}
        | changes
    )
    return parcels(
        Ended(event=event, condition=condition),
        b'{"a": 1.0}',
        outcome=result,
        executed_version="7",
        config=EventInvokeConfig(on_success=GOOD, on_failure=BAD, last_modified_s=0),
        dead_letter_arn=dead,
        now_s=1_767_323_045.678,
    )


def test_a_success_is_recorded_for_its_destination() -> None:
    (parcel,) = told("Success", outcome(b'{"b":[2]}'), dead=DEAD)
    assert (parcel.arn, parcel.trace_header, parcel.attributes) == (GOOD, TRACE, ())
    assert json.loads(parcel.body) == {
        "version": "1.0",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "requestContext": {
            "requestId": "r-1",
            "functionArn": KEY.qualified_arn("$LATEST"),
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"a": 1.0},
        "responseContext": {"statusCode": 200, "executedVersion": "7"},
        "responsePayload": {"b": [2]},
    }


def test_a_failure_is_recorded_with_its_error_and_goes_to_the_dead_letter_queue_too() -> None:
    record, letter = told(
        "RetriesExhausted", outcome(ERROR, "Unhandled"), attempts=3, dead=DEAD, qualifier="live"
    )
    read = json.loads(record.body)
    assert record.arn == BAD
    assert read["requestContext"]["functionArn"] == KEY.qualified_arn("live")
    assert read["requestContext"]["approximateInvokeCount"] == 3
    assert read["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "7",
        "functionError": "Unhandled",
    }
    assert read["responsePayload"] == json.loads(ERROR)
    assert (letter.arn, letter.body) == (DEAD, b'{"a": 1.0}')
    assert letter.attributes == (
        ("RequestID", "String", "r-1"),
        ("ErrorCode", "Number", "200"),
        ("ErrorMessage", "String", "no"),
    )


def test_what_never_ran_has_no_response() -> None:
    record, letter = told("ZeroReservedConcurrency", None, attempts=0, dead=DEAD)
    read = json.loads(record.body)
    assert "responseContext" not in read and "responsePayload" not in read
    assert read["requestContext"]["approximateInvokeCount"] == 0
    assert letter.attributes[2] == ("ErrorMessage", "String", "ZeroReservedConcurrency")


def test_a_long_error_message_is_cut_at_a_kilobyte() -> None:
    _, letter = told(
        "RetriesExhausted", outcome(json.dumps({"errorMessage": "é" * 2000}).encode()), dead=DEAD
    )
    assert letter.attributes[2][2] == "é" * 512


def test_a_response_that_is_no_json_is_told_as_text() -> None:
    (record,) = told("Success", outcome(b"not \xff json"))
    assert json.loads(record.body)["responsePayload"] == "not \ufffd json"


def test_nobody_who_wants_to_know_is_told_nothing() -> None:
    event = QueuedEvent(request_id="r", key=KEY, accepted_s=0.0)
    ended = Ended(event=event, condition="RetriesExhausted")
    nothing = parcels(
        ended, b"{}", outcome=None, executed_version="1", config=None, dead_letter_arn=None, now_s=0.0
    )
    assert nothing == []


def test_a_record_has_a_name_for_a_bucket_that_stays_the_same() -> None:
    first, again = (told("RetriesExhausted", outcome(ERROR, "Unhandled"))[0] for _ in range(2))
    assert re.fullmatch(
        rf"aws/lambda/async/{KEY.name}/2026/01/02/2026-01-02T03\.04\.05-[0-9a-f-]{{36}}", first.key
    )
    assert first.key == again.key


def test_a_record_becomes_an_event_on_a_bus_that_stays_the_same() -> None:
    bus = "arn:aws:events:us-east-1:000000000000:event-bus/b"

    def parcel(condition: str, error: str | None = None) -> Parcel:
        (made,) = parcels(
            Ended(event=QueuedEvent(request_id="r", key=KEY, accepted_s=0.0), condition=condition),
            b"{}",
            outcome=outcome(b"{}", error),
            executed_version="1",
            config=EventInvokeConfig(on_success=bus, on_failure=bus, last_modified_s=0),
            dead_letter_arn=None,
            now_s=5.0,
        )
        return made

    event = parcel("Success").event
    assert event is not None
    assert event.detail_type == "Lambda Function Invocation Result - Success"
    assert (event.source, event.account, event.region) == ("lambda", KEY.account, KEY.region)
    assert event.resources == (bus, f"{KEY.arn}:$LATEST")
    assert parcel("Success").event == event
    failed = parcel("RetriesExhausted", "Unhandled").event
    assert failed is not None
    assert failed.detail_type == "Lambda Function Invocation Result - Failure"
