"""One invocation through the public API, made once: its response as a whole, or bit by bit as it comes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lambent.cli.client import Connection
from lambent.cli.report import Bill, parse_bill
from lambent.cli.terminal import CommandError

# A function may run for 900 s; its start and its answer take some time as well.
READ_TIMEOUT_S = 920.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back of an invocation."""

    status: int
    payload: bytes
    function_error: str | None  # the kind (``Unhandled``) when the function failed
    version: str | None
    log: str | None  # the last 4 KB, when it was asked for
    bill: Bill | None
    cold_start_reason: str | None  # None when the environment was warm, or on AWS


def ask(
    connection: Connection,
    name: str,
    payload: bytes | None,
    *,
    qualifier: str | None = None,
    tail: bool = False,
    is_async: bool = False,
    client: Any = None,
) -> Answer:
    """Invoke a function once, never twice: it may have done its work although we missed its answer.

    Args:
        connection: whom to ask.
        name: the function.
        payload: the event.
        qualifier: version or alias.
        tail: whether the end of its log is wanted.
        is_async: whether the event is only queued.
        client: asks instead of the connection's own.
    """
    client = client or connection.client("lambda", read_timeout_s=READ_TIMEOUT_S, is_retried=False)
    return ask_client(client, name, payload, qualifier=qualifier, tail=tail, is_async=is_async)


def ask_client(
    client: Any,
    name: str,
    payload: bytes | None,
    *,
    qualifier: str | None = None,
    tail: bool = False,
    is_async: bool = False,
) -> Answer:
    """Do as `ask`, with a client of ``lambda`` that does not ask twice and has `READ_TIMEOUT_S` of patience."""
    parameters = _parameters(name, payload, qualifier, tail)
    response = client.invoke(**parameters, InvocationType="Event" if is_async else "RequestResponse")
    headers: dict[str, str] = response["ResponseMetadata"]["HTTPHeaders"]
    return Answer(
        status=response["StatusCode"],
        payload=response["Payload"].read(),
        function_error=response.get("FunctionError"),
        version=response.get("ExecutedVersion"),
        log=_log_text(response.get("LogResult")),
        bill=parse_bill(headers),
        cold_start_reason=headers.get("x-lambent-cold-start-reason"),
    )


def ask_streamed(
    connection: Connection,
    name: str,
    payload: bytes | None,
    show: Callable[[bytes], None],
    *,
    qualifier: str | None = None,
    tail: bool = False,
) -> Answer:
    """Do as `ask`, by InvokeWithResponseStream; the answer's payload is that of an error, which came last.

    Args:
        connection: whom to ask.
        name: the function.
        payload: the event.
        show: takes the parts of the response, each as soon as it has come.
        qualifier: version or alias.
        tail: whether the end of its log is wanted.

    Raises:
        CommandError: the response has no end, so nobody knows whether this is all of it.
    """
    client = connection.client("lambda", read_timeout_s=READ_TIMEOUT_S, is_retried=False)
    response = client.invoke_with_response_stream(**_parameters(name, payload, qualifier, tail))
    complete: dict[str, Any] | None = None
    for event in response["EventStream"]:
        if "PayloadChunk" in event:
            show(event["PayloadChunk"]["Payload"])
        elif "InvokeComplete" in event:
            complete = event["InvokeComplete"]
    if complete is None:
        raise CommandError(f"The response of {name} broke off: its last event has not come.")
    return Answer(
        status=response["StatusCode"],
        payload=(complete.get("ErrorDetails") or "").encode(),
        function_error=complete.get("ErrorCode"),
        version=response.get("ExecutedVersion"),
        log=_log_text(complete.get("LogResult")),
        bill=None,
        cold_start_reason=None,
    )


def _parameters(name: str, payload: bytes | None, qualifier: str | None, tail: bool) -> dict[str, Any]:
    """Return what both operations are asked with."""
    parameters: dict[str, Any] = {"FunctionName": name, "LogType": "Tail" if tail else "None"}
    if payload is not None:
        parameters["Payload"] = payload
    if qualifier:
        parameters["Qualifier"] = qualifier
    return parameters


def _log_text(encoded: str | None) -> str | None:
    return base64.b64decode(encoded).decode("utf-8", "replace") if encoded else None
