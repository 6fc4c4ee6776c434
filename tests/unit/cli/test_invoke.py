"""The result comes to stdout byte by byte; everything else goes to stderr."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from lambent.wire.eventstream import message
from unit.cli.stand_in import Asked, Reply, Run, StandIn

LOG = (
    "START RequestId: 8f5 Version: $LATEST\n[ERROR] oops\rTraceback\rhere\nEND RequestId: 8f5\n"
    "REPORT RequestId: 8f5\tDuration: 1.00 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\t\n"
)
PRICE = {
    "x-lambent-billed-duration-ms": "2",
    "x-lambent-gb-seconds": "0.00025",
    "x-lambent-price-usd": "0.0000002042",
}


@pytest.fixture
def function(aws: StandIn) -> StandIn:
    """A function whose answer is `null` with odd white space, and whose log is given when it is asked for."""

    def answer(asked: Asked) -> Reply:
        headers = {"X-Amz-Executed-Version": "$LATEST", **PRICE}
        if asked.headers.get("x-amz-log-type") == "Tail":
            headers["X-Amz-Log-Result"] = base64.b64encode(LOG.encode()).decode()
        if asked.headers.get("x-amz-invocation-type") == "Event":
            return Reply(status=202)
        return Reply(body=b'{"a":  "\\u00e4\xc3\xa4"}', headers=headers)

    aws.on("POST", r"/2015-03-31/functions/f/invocations.*", answer)
    return aws


def test_the_result_is_exactly_what_came(ask: Run, function: StandIn) -> None:
    ran = ask("invoke", "f")
    assert ran.code == 0
    assert ran.out == b'{"a":  "\\u00e4\xc3\xa4"}'
    assert ran.err == "status 200, version $LATEST, billed 2 ms\n"


def test_the_event_is_sent_exactly_as_given(ask: Run, function: StandIn, tmp_path: Path) -> None:
    """White space and the order of keys are the user's."""
    event = b'{ "z": 1,\n "a": "\xc3\xa4" }'
    (tmp_path / "event.json").write_bytes(event)
    ask("invoke", "f", "-d", event.decode())
    ask("invoke", "f", "--file", tmp_path / "event.json")
    ask("invoke", "f", stdin=event)
    ask("invoke", "f", "--file", "-", stdin=event)
    assert [asked.body for asked in function.asked] == [event] * 4


def test_there_is_no_tail_of_what_is_not_waited_for(ask: Run, function: StandIn) -> None:
    ran = ask("invoke", "f", "--async", "--tail")
    assert (ran.code, function.asked) == (2, [])
    assert ran.err == (
        "lambent: --tail shows the log of an invocation that has ended, and --async does not wait for it: see "
        "`lambent logs f --follow`.\n"
    )


def test_no_event_is_no_payload(ask: Run, function: StandIn) -> None:
    ask("invoke", "f", stdin=b" \n")
    assert function.asked[0].body == b""


def test_data_given_leaves_a_pipe_unread(ask: Run, function: StandIn) -> None:
    """In a loop over lines, the command must not swallow the loop's own input."""
    ask("invoke", "f", "-d", "1", stdin=b"not JSON")
    assert function.asked[0].body == b"1"


def test_tail_shows_the_log_and_the_price(ask: Run, function: StandIn) -> None:
    ran = ask("invoke", "f", "--tail")
    lines = ran.err.splitlines()
    assert lines[0] == "START RequestId: 8f5 Version: $LATEST"
    assert "here" in lines
    assert "\r" not in ran.err
    assert any(line.startswith("REPORT RequestId: 8f5") for line in lines)
    assert lines[-1] == "On AWS: $0.000000204 for this call (2 ms, 0.00025 GB-s), $0.20 for a million."
    assert b"REPORT" not in ran.out


def test_without_the_headers_no_price_is_made_up(ask: Run, aws: StandIn) -> None:
    headers = {"X-Amz-Log-Result": base64.b64encode(LOG.encode()).decode()}
    aws.on("POST", ".*invocations", lambda _: Reply(body=b"null", headers=headers))
    ran = ask("invoke", "f", "--tail")
    assert "On AWS" not in ran.err
    assert "billed" not in ran.err


def test_a_failing_function_is_exit_code_1_with_its_payload(ask: Run, aws: StandIn) -> None:
    payload = json.dumps({"errorMessage": "no", "errorType": "ValueError"}).encode()
    aws.on(
        "POST", ".*invocations", lambda _: Reply(body=payload, headers={"X-Amz-Function-Error": "Unhandled"})
    )
    ran = ask("invoke", "f")
    assert ran.code == 1
    assert ran.out == payload
    assert ran.err == "The function failed (Unhandled): status 200\n"


def test_a_cold_start_says_why(ask: Run, aws: StandIn) -> None:
    headers = {"x-lambent-cold-start-reason": "first invocation"}
    aws.on("POST", ".*invocations", lambda _: Reply(body=b"1", headers=headers))
    assert ask("invoke", "f").err == "status 200, cold start (first invocation)\n"


def test_async_does_not_wait(ask: Run, function: StandIn) -> None:
    ran = ask("invoke", "f", "--async", "-d", "{}")
    assert ran.code == 0
    assert ran.out == b""
    assert ran.err == "status 202\n"


def test_a_qualifier_is_passed_on(ask: Run, function: StandIn) -> None:
    ask("invoke", "f", "--qualifier", "live")
    assert function.asked[0].path.endswith("?Qualifier=live")


@pytest.mark.parametrize("arguments", [("-d", "{'a': 1}"), ("-d", ""), ("-d", "{} {}")])
def test_data_that_is_not_json_is_a_wrong_argument(
    ask: Run, aws: StandIn, arguments: tuple[str, ...]
) -> None:
    ran = ask("invoke", "f", *arguments)
    assert ran.code == 2
    assert ran.err.startswith("lambent: The event in -d is not JSON: ")
    assert ran.err.count("\n") == 1
    assert aws.asked == []


def test_a_file_that_is_not_json_is_named(ask: Run, aws: StandIn, tmp_path: Path) -> None:
    (tmp_path / "event.json").write_bytes(b"\xff")
    ran = ask("invoke", "f", "-f", tmp_path / "event.json")
    assert ran.code == 2
    assert "event.json is not JSON: it is not UTF-8." in ran.err


def test_a_missing_file_is_named(ask: Run, aws: StandIn, tmp_path: Path) -> None:
    ran = ask("invoke", "f", "-f", tmp_path / "missing.json")
    assert ran.code == 1
    assert ran.err == f"lambent: {tmp_path}/missing.json: No such file or directory.\n"


def test_two_events_are_one_too_many(ask: Run, aws: StandIn, tmp_path: Path) -> None:
    assert ask("invoke", "f", "-d", "1", "-f", tmp_path).code == 2


def test_an_invocation_is_never_made_twice(ask: Run, aws: StandIn) -> None:
    """A function may have done its work although its answer was lost."""
    aws.on("POST", ".*invocations", {"message": "try again"}, status=503)
    assert ask("invoke", "f").code == 1
    assert len(aws.asked) == 1


# As it comes -----------------------------------------------------------------------------------------------


def events(*pieces: bytes, complete: dict[str, str] | None) -> bytes:
    """A stream of a response, with its last event or (None) without."""
    messages = [message({":event-type": "PayloadChunk", ":message-type": "event"}, piece) for piece in pieces]
    if complete is not None:
        headers = {
            ":event-type": "InvokeComplete",
            ":content-type": "application/json",
            ":message-type": "event",
        }
        messages.append(message(headers, json.dumps(complete).encode()))
    return b"".join(messages)


def streams(aws: StandIn, body: bytes) -> None:
    headers = {"Content-Type": "application/vnd.amazon.eventstream", "X-Amz-Executed-Version": "3"}
    aws.on(
        "POST",
        r"/2021-11-15/functions/f/response-streaming-invocations.*",
        lambda _: Reply(body=body, headers=headers),
    )


def test_a_streamed_response_is_its_pieces_and_its_log_comes_last(ask: Run, aws: StandIn) -> None:
    streams(aws, events(b"\xc3", b"\xa4", complete={"LogResult": base64.b64encode(LOG.encode()).decode()}))
    ran = ask("invoke", "f", "--stream", "--tail", "--qualifier", "live", "-d", "[1]")
    assert (ran.code, ran.out) == (0, "ä".encode())
    assert ran.err.splitlines()[-1] == "status 200, version 3"
    assert "START RequestId: 8f5 Version: $LATEST" in ran.err
    asked = aws.asked[0]
    assert (asked.body, asked.headers["x-amz-log-type"]) == (b"[1]", "Tail")
    assert asked.path.endswith("?Qualifier=live")


def test_an_error_behind_a_streamed_response_is_none_of_it(ask: Run, aws: StandIn) -> None:
    payload = '{"errorMessage":"no","errorType":"ValueError"}'
    streams(aws, events(b"one", complete={"ErrorCode": "Unhandled", "ErrorDetails": payload}))
    ran = ask("invoke", "f", "--stream")
    assert (ran.code, ran.out) == (1, b"one")
    assert ran.err == f"{payload}\nThe function failed (Unhandled): status 200, version 3\n"


@pytest.mark.parametrize("cut_bytes", [0, 5])
def test_a_streamed_response_without_its_end_is_no_success(ask: Run, aws: StandIn, cut_bytes: int) -> None:
    body = events(b"one", b"two", complete=None)
    streams(aws, body[: len(body) - cut_bytes])
    ran = ask("invoke", "f", "--stream")
    assert (ran.code, ran.out) == (1, b"onetwo" if cut_bytes == 0 else b"one")
    assert ran.err == "lambent: The response of f broke off: its last event has not come.\n"


@pytest.mark.parametrize("other", ["--async", "--debug"])
def test_some_invocations_are_not_streamed(ask: Run, aws: StandIn, other: str) -> None:
    ran = ask("invoke", "f", "--stream", other)
    assert (ran.code, aws.asked) == (2, [])
    assert ran.err == "lambent: --stream goes neither with --async nor with --debug.\n"
