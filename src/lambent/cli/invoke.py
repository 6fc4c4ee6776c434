"""`lambent invoke`: one invocation. The result goes to stdout byte by byte, all else to stderr."""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.report import Bill, parse_bill
from lambent.cli.terminal import UsageError, notice

# A function may run for 900 s; its start and its answer take some time as well.
READ_TIMEOUT_S = 920.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back from Invoke."""

    status: int
    payload: bytes
    function_error: str | None  # the kind (``Unhandled``) when the function failed
    version: str | None
    log: str | None  # the last 4 KB, when it was asked for
    bill: Bill | None
    cold_start_reason: str | None  # None when the environment was warm, or on AWS


def invoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Function: name, name:qualifier or ARN.")],
    *,
    event: Annotated[
        str | None, typer.Option("--data", "-d", metavar="JSON", help="The event.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="The event is in this file (- is stdin).", show_default=False
        ),
    ] = None,
    qualifier: Annotated[str | None, typer.Option(help="Version or alias.", show_default=False)] = None,
    tail: Annotated[bool, typer.Option("--tail", help="Show the log and what it would cost on AWS.")] = False,
    is_async: Annotated[
        bool, typer.Option("--async", help="Queue the event and do not wait (Event).")
    ] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Invoke a function.

    The event comes from -d, --file or a pipe. The result goes to stdout, log and status to stderr. The exit
    code is 1 when the function failed.
    """
    if tail and is_async:
        raise UsageError(
            f"--tail shows the log of an invocation that has ended, and --async does not wait for it: see "
            f"`lambent logs {name} --follow`."
        )
    payload = read_event(event, file)
    connection = connect(context, endpoint, region, aws)
    answer = ask(connection, name, payload, qualifier=qualifier, tail=tail, is_async=is_async)
    sys.stdout.buffer.write(answer.payload)
    sys.stdout.buffer.flush()
    if answer.payload and sys.stdout.isatty():
        # The result has no line end of its own; on a terminal, what follows must not stick to it.
        notice("")
    _tell(answer)
    if answer.function_error:
        raise typer.Exit(1)


def read_event(event: str | None, file: Path | None) -> bytes | None:
    """Return the event as bytes, None when there is none.

    Raises:
        UsageError: there are two, or it is not JSON.
        OSError: the file cannot be read.
    """
    if event is not None and file is not None:
        raise UsageError("Give the event either with -d or with --file, not both.")
    if event is not None:
        return _checked(event.encode("utf-8", "surrogateescape"), "-d")
    if file is not None and str(file) != "-":
        return _checked(file.read_bytes(), str(file))
    stdin: TextIO | None = sys.stdin  # None when it was closed before we started
    if stdin is not None and (file is not None or not stdin.isatty()):
        piped = stdin.buffer.read()
        return _checked(piped, "stdin") if piped.strip() else None
    return None


def _checked(payload: bytes, source: str) -> bytes:
    try:
        json.loads(payload)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"The event in {source} is not JSON: {error.msg} at {place}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The event in {source} is not JSON: it is not UTF-8.") from error
    return payload


def ask(
    connection: Connection,
    name: str,
    payload: bytes | None,
    *,
    qualifier: str | None = None,
    tail: bool = False,
    is_async: bool = False,
) -> Answer:
    """Invoke a function once, never twice: it may have done its work although we missed its answer."""
    client = connection.client("lambda", read_timeout_s=READ_TIMEOUT_S, is_retried=False)
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
    parameters: dict[str, Any] = {"FunctionName": name, "LogType": "Tail" if tail else "None"}
    parameters["InvocationType"] = "Event" if is_async else "RequestResponse"
    if payload is not None:
        parameters["Payload"] = payload
    if qualifier:
        parameters["Qualifier"] = qualifier
    response = client.invoke(**parameters)
    headers: dict[str, str] = response["ResponseMetadata"]["HTTPHeaders"]
    log = response.get("LogResult")
    return Answer(
        status=response["StatusCode"],
        payload=response["Payload"].read(),
        function_error=response.get("FunctionError"),
        version=response.get("ExecutedVersion"),
        log=base64.b64decode(log).decode("utf-8", "replace") if log else None,
        bill=parse_bill(headers),
        cold_start_reason=headers.get("x-lambent-cold-start-reason"),
    )


def _tell(answer: Answer) -> None:
    if answer.log:
        # An error's lines are joined by carriage returns, so that they are one event; on a terminal they
        # would overwrite each other.
        notice(answer.log.replace("\r", "\n").rstrip(), style="dim")
    words = [f"status {answer.status}"]
    if answer.version:
        words.append(f"version {answer.version}")
    if answer.bill:
        words.append(f"billed {answer.bill.billed_duration_ms} ms")
    if answer.cold_start_reason:
        words.append(f"cold start ({answer.cold_start_reason})")
    if answer.function_error:
        notice(f"The function failed ({answer.function_error}): " + ", ".join(words), style="red")
    else:
        notice(", ".join(words), style="dim")
    if answer.log is not None and answer.bill:
        notice(str(answer.bill), style="bold")
