"""What AWS answers for each way in which an invocation can end (AWS's recorded error payloads)."""

from __future__ import annotations

import json
import signal

import pytest

from lambent.domain.limits import SYNC_RESPONSE_MAX_BYTES
from lambent.node.ending import Ending, RuntimeExit, TimedOut, ending_of, exit_reason
from lambent.node.runtime_api import Answer

ID = "5c3a0b1e-7a4e-4e0c-9d0a-2f6a1a3f6f00"


def ending(end: Answer | RuntimeExit | TimedOut, timeout_s: float = 1) -> Ending:
    return ending_of(end, request_id=ID, timeout_s=timeout_s)


def payload(end: Answer | RuntimeExit | TimedOut, timeout_s: float = 1) -> dict[str, str]:
    return json.loads(ending(end, timeout_s).payload)


def exited(code: int | None = None, *, by: int | None = None, out_of_memory: bool = False) -> RuntimeExit:
    return RuntimeExit(code=code, signal=by, out_of_memory=out_of_memory)


def test_a_result_is_passed_on_as_it_came() -> None:
    body = b' {"any": "bytes\xff'
    assert ending(Answer(body=body, is_error=False)) == Ending(payload=body, status="success")
    assert ending(Answer(body=body, is_error=False)).function_error is None


def test_an_error_of_the_function_is_passed_on_as_the_runtime_wrote_it() -> None:
    body = b'{"errorMessage": "no", "errorType": "Exception", "requestId": "", "stackTrace": []}'
    end = ending(Answer(body=body, is_error=True, error_type="Exception"))
    assert end == Ending(payload=body, status="error", error_type="Exception")
    assert end.function_error == "Unhandled"


def test_an_error_without_a_type_is_called_unknown() -> None:
    assert ending(Answer(body=b"{}", is_error=True)).error_type == "Runtime.Unknown"


@pytest.mark.parametrize(("timeout_s", "words"), [(1, "1.00"), (3, "3.00"), (900, "900.00")])
def test_a_timeout(timeout_s: int, words: str) -> None:
    assert payload(TimedOut(), timeout_s) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {ID} Error: Task timed out after {words} seconds",
    }
    end = ending(TimedOut(), timeout_s)
    assert (end.status, end.error_type, end.function_error) == ("timeout", "Sandbox.Timedout", "Unhandled")


@pytest.mark.parametrize(
    ("end", "error_type", "reason"),
    [
        (exited(0), "Runtime.ExitError", "Runtime exited without providing a reason"),
        (exited(), "Runtime.ExitError", "Runtime exited without providing a reason"),
        (exited(1), "Runtime.ExitError", "Runtime exited with error: exit status 1"),
        (exited(127), "Runtime.ExitError", "Runtime exited with error: exit status 127"),
        (exited(by=9), "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (exited(by=11), "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"),
        (exited(by=15), "Runtime.ExitError", "Runtime exited with error: signal: terminated"),
        (exited(by=6), "Runtime.ExitError", "Runtime exited with error: signal: aborted"),
        (exited(by=10), "Runtime.ExitError", "Runtime exited with error: signal: signal 10"),
        (exited(by=40), "Runtime.ExitError", "Runtime exited with error: signal: signal 40"),
        (
            exited(by=9, out_of_memory=True),
            "Runtime.OutOfMemory",
            "Runtime exited with error: signal: killed",
        ),
        (
            exited(1, out_of_memory=True),
            "Runtime.OutOfMemory",
            "Runtime exited with error: signal: killed",
        ),
    ],
)
def test_a_runtime_that_ends_without_an_answer(end: RuntimeExit, error_type: str, reason: str) -> None:
    message = f"RequestId: {ID} Error: {reason}"
    assert payload(end) == {"errorType": error_type, "errorMessage": message}
    assert ending(end).status == "error"
    assert ending(end).error_message == message
    assert exit_reason(end) == (error_type, reason)


@pytest.mark.parametrize("number", sorted(set(signal.Signals)))
def test_every_signal_has_words(number: signal.Signals) -> None:
    _, reason = exit_reason(exited(by=number))
    words = reason.removeprefix("Runtime exited with error: signal: ")
    assert words
    assert "SIG" not in words


def test_a_response_that_is_too_large() -> None:
    end = ending(Answer(body=b"", is_error=False, is_too_large=True))
    assert json.loads(end.payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert end.status == "error"
    assert SYNC_RESPONSE_MAX_BYTES == 6_291_556


def test_an_error_that_is_too_large_is_too_large_as_well() -> None:
    end = ending(Answer(body=b"", is_error=True, error_type="Exception", is_too_large=True))
    assert end.error_type == "Function.ResponseSizeTooLarge"
