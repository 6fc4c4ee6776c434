"""`lambent logs`: what a function wrote, once or as it comes."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from lambent.cli.client import AwsOption, EndpointOption, RegionOption, connect, error_code
from lambent.cli.terminal import CommandError, UsageError, notice, results

POLL_INTERVAL_S = 0.5
# Events of several streams do not arrive in the order of their times; look this far back for late ones.
OVERLAP_MS = 10_000

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def logs(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Function name.")],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="How far back: 30s, 10m, 2h, 7d, or `all`.")
    ] = "10m",
    pattern: Annotated[
        str | None,
        typer.Option(
            "--filter", metavar="PATTERN", help="CloudWatch Logs filter pattern.", show_default=False
        ),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Show a function's log."""
    start_ms = start_time_ms(since, time.time())
    connection = connect(context, endpoint, region, aws)
    group, exists = find_group(connection.client("lambda"), name)
    reader = Reader(client=connection.client("logs"), group=group, pattern=pattern, start_ms=start_ms)
    count = _show(reader)
    if not reader.has_group and not exists:
        raise CommandError(f"There is neither a function {name} nor a log group {group}.")
    if not count and not reader.has_group:
        notice(f"{name} has not logged anything yet.")
    elif not count and not follow:
        notice(f"Nothing found in {group} (--since {since}): try --since 1d or all.")
    if follow:
        _follow(reader)


def start_time_ms(since: str, now_s: float) -> int:
    """Return the time that ``10m`` (before now) means, in milliseconds since the epoch; ``all`` is 0.

    Raises:
        UsageError: the age has another form.
    """
    if since == "all":
        return 0
    match = re.fullmatch(r"(\d{1,9})([smhdw])", since)
    if not match:
        raise UsageError(f"--since must be an age such as 30s, 10m, 2h or 7d, or all, not {since!r}.")
    return max(0, int((now_s - int(match[1]) * _UNITS_S[match[2]]) * 1000))


def plain_name(name: str) -> str:
    """Return a function's own name, of an ARN or a name with a version or alias."""
    return name.rpartition(":function:")[2].partition(":")[0]


def find_group(client: Any, name: str) -> tuple[str, bool]:
    """Return a function's log group, and whether the function exists; a deleted one may still have a log."""
    try:
        configuration = client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return f"/aws/lambda/{plain_name(name)}", False
    usual = f"/aws/lambda/{configuration['FunctionName']}"
    return configuration.get("LoggingConfig", {}).get("LogGroup") or usual, True


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads a log group from a time on, and again, without giving any event twice."""

    client: Any
    group: str
    pattern: str | None
    start_ms: int
    has_group: bool = True
    _seen: dict[str, int] = field(
        default_factory=dict[str, int]
    )  # event id → its time, as far back as we look

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the events that were not yielded before, in the order in which CloudWatch Logs gives them."""
        newest_ms = self.start_ms
        try:
            for event in self._pages():
                newest_ms = max(newest_ms, event["timestamp"])
                if event["eventId"] not in self._seen:
                    self._seen[event["eventId"]] = event["timestamp"]
                    yield event
            self.has_group = True
        except Exception as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            self.has_group = False  # it comes with the first invocation
        self.start_ms = max(self.start_ms, newest_ms - OVERLAP_MS)
        self._seen = {event_id: at_ms for event_id, at_ms in self._seen.items() if at_ms >= self.start_ms}

    def _pages(self) -> Iterator[dict[str, Any]]:
        parameters: dict[str, Any] = {"logGroupName": self.group, "startTime": self.start_ms}
        if self.pattern:
            parameters["filterPattern"] = self.pattern
        for page in self.client.get_paginator("filter_log_events").paginate(**parameters):
            yield from page["events"]


def _follow(reader: Reader) -> None:
    try:
        while True:
            time.sleep(POLL_INTERVAL_S)
            _show(reader)
    except KeyboardInterrupt:
        notice("")  # the only way to end it, hence no failure


def _show(reader: Reader) -> int:
    console = results()
    count = 0
    for event in reader.read():
        count += 1
        at, message = _time_text(event["timestamp"]), message_text(event["message"])
        if console.is_terminal:
            from rich.text import Text

            console.print(Text.assemble((at, "dim"), " ", (message, style_of(message))))
        else:
            sys.stdout.write(f"{at} {message}\n")
    sys.stdout.flush()
    return count


def _time_text(timestamp_ms: int) -> str:
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{timestamp_ms % 1000:03d}Z"


def message_text(message: str) -> str:
    """Return a log event as people read it."""
    # Python's bootstrap joins the lines of a traceback by carriage returns, so that they stay one event.
    return message.rstrip("\r\n\t ").replace("\r\n", "\n").replace("\r", "\n")


def style_of(message: str) -> str:
    """Return the colour of a log event: Lambda's own lines stand back, errors stand out."""
    if message.startswith(
        ("INIT_START ", "START ", "END ", "REPORT ", "XRAY ", "EXTENSION", "RESTORE_", "INIT_REPORT ")
    ):
        return "dim"
    if message.startswith(("[ERROR]", "[CRITICAL]", "Traceback ")) or " Task timed out after " in message:
        return "red"
    return "yellow" if message.startswith("[WARNING]") else ""
