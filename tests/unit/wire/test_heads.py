"""Promises of remembered heads: the same request means the same, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import ServiceError
from lambent.wire.http import HttpRequest
from lambent.wire.model import load_api
from lambent.wire.parse import read
from lambent.wire.route import Router

LAMBDA = load_api("lambda")
ROUTER = Router([LAMBDA])


def invoke(name: str = "hello", *, query: str = "", body: bytes = b"{}", **headers: str) -> dict[str, Any]:
    """Read an Invoke with these headers, by name with underscores."""
    request = HttpRequest(
        method="POST",
        path=f"/2015-03-31/functions/{name}/invocations",
        query=query,
        headers={name.replace("_", "-"): text for name, text in headers.items()},
        body=body,
    )
    return read(ROUTER.route(request), request)


def test_the_body_is_each_requests_own() -> None:
    first, second, third = invoke(body=b"1"), invoke(body=b"2"), invoke(body=b"")
    assert first == {"FunctionName": "hello", "Payload": b"1"}
    assert second == {"FunctionName": "hello", "Payload": b"2"}
    assert third == {"FunctionName": "hello"}


def test_what_one_caller_does_with_the_parameters_no_other_sees() -> None:
    invoke("mine").clear()
    assert invoke("mine") == {"FunctionName": "mine", "Payload": b"{}"}


def test_path_query_and_headers_each_make_a_difference() -> None:
    assert invoke("other")["FunctionName"] == "other"
    assert invoke(query="Qualifier=live")["Qualifier"] == "live"
    assert invoke(query="Qualifier=test")["Qualifier"] == "test"
    assert invoke(x_amz_invocation_type="Event")["InvocationType"] == "Event"
    assert invoke(x_amz_log_type="Tail") == {"FunctionName": "hello", "LogType": "Tail", "Payload": b"{}"}
    assert invoke() == {"FunctionName": "hello", "Payload": b"{}"}


def test_headers_that_are_no_parameters_make_none() -> None:
    assert invoke(authorization="one") == invoke(authorization="two") == invoke()


def test_what_breaks_a_constraint_is_refused_each_time() -> None:
    for _ in range(3):
        with pytest.raises(
            ServiceError, match="1 validation error detected: Value 'Soon' at 'invocationType'"
        ):
            invoke(x_amz_invocation_type="Soon")


def test_a_context_that_is_too_long_to_be_remembered_is_read() -> None:
    for letter in "ab":
        assert invoke(x_amz_client_context=letter * 3000)["ClientContext"] == letter * 3000


def test_more_callers_than_are_remembered_are_told_apart() -> None:
    for number in range(5000):
        assert invoke(f"function-{number}")["FunctionName"] == f"function-{number}"


def test_operations_whose_bodies_are_parameters_are_read_whole() -> None:
    remembered = {name for name, operation in LAMBDA.operations.items() if operation.heads is not None}
    assert remembered == {"Invoke", "InvokeWithResponseStream"}
