"""`lambent pattern explain`: is an event meant by a filter pattern, and if not, why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from lambent.cli.client import AwsOption, EndpointOption, RegionOption, connect
from lambent.cli.terminal import UsageError

app = typer.Typer(help="Ask about filter patterns.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Ask about filter patterns."""


@app.command()
def explain(
    context: typer.Context,
    *,
    pattern: Annotated[
        str,
        typer.Option("--pattern", "-p", metavar="FILE|JSON", help="A filter's Pattern.", show_default=False),
    ],
    event: Annotated[
        str,
        typer.Option(
            "--event",
            "-e",
            metavar="FILE|JSON",
            help="A record as its function gets it (- is stdin); a body that is JSON may be given as such.",
            show_default=False,
        ),
    ],
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Say whether an event source mapping with this filter would hand this record on; exit code 1 means no."""
    question = {"pattern": _read(pattern, "--pattern"), "event": _with_body(_read(event, "--event"))}
    connection = connect(context, endpoint, region, aws)
    answer = connection.own("POST", "/_lambent/pattern/explain", content=json.dumps(question).encode()).json()
    if answer["matches"]:
        typer.echo("The event matches.")
        return
    typer.echo(answer["reason"])
    raise typer.Exit(1)


def _read(text: str, source: str) -> Any:
    """Return the JSON that a flag gives, itself or in a file.

    Raises:
        UsageError: it is no JSON.
        OSError: the file cannot be read.
    """
    if not text.lstrip().startswith(("{", "[", '"')):
        text = sys.stdin.read() if text == "-" else Path(text).read_text(encoding="utf-8", errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source} must be JSON or a file with it: {error}.") from error


def _with_body(event: Any) -> Any:
    """As a mapping sees a record of a queue: a body that is the text of an object is filtered by its members."""
    if not isinstance(event, dict):
        return event
    record = cast("dict[str, Any]", event)
    try:
        content = json.loads(record["body"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return record
    return record if not isinstance(content, dict) else {**record, "body": cast("dict[str, Any]", content)}
