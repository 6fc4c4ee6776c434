"""`lambent invoke`: one invocation. The result goes to stdout byte by byte, all else to stderr."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, TextIO

import typer

from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.debugging import PORTS, DebuggedInvocation, instructions
from lambent.cli.invocation import Answer, ask, ask_streamed
from lambent.cli.project import NOWHERE, project_file, read_project
from lambent.cli.terminal import UsageError, notice


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
    stream: Annotated[
        bool, typer.Option("--stream", help="Print the response as it comes (InvokeWithResponseStream).")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Let it wait for a debugger, in an environment of its own.")
    ] = False,
    debug_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            help="Where the debugger attaches (default: 5678, Node.js 9229).",
            show_default=False,
        ),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Invoke a function.

    The event comes from -d, --file or a pipe. The result goes to stdout, log and status to stderr. The exit
    code is 1 when the function failed.
    """
    if stream and (is_async or debug or debug_port is not None):
        raise UsageError("--stream goes neither with --async nor with --debug.")
    if tail and is_async:
        raise UsageError(
            f"--tail shows the log of an invocation that has ended, and --async does not wait for it: see "
            f"`lambent logs {name} --follow`."
        )
    payload = read_event(event, file)
    connection = connect(context, endpoint, region, aws)
    if stream:
        _stream(connection, name, payload, qualifier=qualifier, tail=tail)
        return
    if debug or debug_port is not None:
        if is_async or connection.target.is_aws:
            raise UsageError("--debug goes neither with --async nor with --aws.")
        answer = _debug(connection, name, payload, qualifier=qualifier, tail=tail, port=debug_port)
    else:
        answer = ask(connection, name, payload, qualifier=qualifier, tail=tail, is_async=is_async)
    _show(answer.payload)
    if answer.payload and sys.stdout.isatty():
        # The result has no line end of its own; on a terminal, what follows must not stick to it.
        notice("")
    _tell(answer)
    if answer.function_error:
        raise typer.Exit(1)


def _show(content: bytes) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _stream(
    connection: Connection, name: str, payload: bytes | None, *, qualifier: str | None, tail: bool
) -> None:
    """Print the response while it comes. An error is none of it and goes where all else goes."""
    is_empty = True

    def show(content: bytes) -> None:
        nonlocal is_empty
        is_empty = False
        _show(content)

    try:
        answer = ask_streamed(connection, name, payload, show, qualifier=qualifier, tail=tail)
    finally:
        if not is_empty and sys.stdout.isatty():
            notice("")
    if answer.payload:
        notice(answer.payload.decode("utf-8", "replace"), style="red")
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


def _debug(
    connection: Connection,
    name: str,
    payload: bytes | None,
    *,
    qualifier: str | None,
    tail: bool,
    port: int | None,
) -> Answer:
    """Invoke a function under a debugger, and say how to attach one."""
    own_name, port = debugged(connection, name, qualifier, port)
    invocation = DebuggedInvocation(
        connection,
        port,
        lambda client: ask(connection, name, payload, qualifier=qualifier, tail=tail, client=client),
    )
    try:
        waiting = invocation.wait_until_listening()
        if waiting is not None:
            notice(instructions(own_name, waiting, local_root(own_name)))
            if invocation.wait_until_attached():
                notice("A debugger has attached.", style="dim")
        return invocation.result()
    finally:
        invocation.end()


def debugged(connection: Connection, name: str, qualifier: str | None, port: int | None) -> tuple[str, int]:
    """Return a function's own name and the port at which its debugger is awaited.

    Raises:
        UsageError: there is no debugger for its runtime.
    """
    client = connection.client("lambda")
    parameters = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    configuration = client.get_function_configuration(**parameters)
    runtime = str(configuration.get("Runtime"))
    usual = next((usual for family, usual in PORTS.items() if runtime.startswith(family)), None)
    if usual is None:
        raise UsageError(f"There is no debugger for functions on {runtime}.")
    return str(configuration["FunctionName"]), usual if port is None else port


def local_root(name: str) -> str:
    """Return where VS Code finds a function's code: that of the project here, else the folder that it has open."""
    workspace = "${workspaceFolder}"
    try:
        file = project_file(Path())
        project = read_project(Path(), lambda: NOWHERE) if file is not None else None
    except UsageError:
        return workspace
    function = project.named(name) if project is not None else None
    if function is None or function.path is None:
        return workspace
    path = Path(os.path.relpath(function.path if function.path.is_dir() else function.path.parent))
    return workspace if path == Path() else f"{workspace}/{path}"


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
