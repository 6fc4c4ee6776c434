"""What the ledger says of the past of functions: rows as lines of JSON, page by page, over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from lambent.cli.client import Connection
from lambent.cli.logs import start_time_ms
from lambent.cli.terminal import UsageError

LEDGER = "/_lambent/ledger"
_PAGE = 10_000


def ledger_lines(
    connection: Connection, *, function: str | None, since: str, kind: str = "invocation"
) -> Iterator[str]:
    """Yield the rows of the ledger as they are sent, oldest first.

    Args:
        connection: to Lambent.
        function: its name; None: of all functions.
        since: an age such as ``7d``, or ``all``.
        kind: of rows; empty: of all kinds.

    Raises:
        UsageError: AWS is asked, which has no ledger, or the age has another form.
        CommandError: the server refuses, for instance because it keeps no ledger.
    """
    if connection.target.is_aws:
        raise UsageError("AWS has no ledger: leave out --aws.")
    query = {"limit": str(_PAGE), "since": str(start_time_ms(since, time.time()))}
    if connection.target.region:
        query["region"] = connection.target.region
    query |= {name: value for name, value in (("function", function), ("kind", kind)) if value}
    after: str | None = "0"
    while after is not None:
        answer = connection.own("GET", LEDGER, {**query, "after": after})
        for line in answer.body.splitlines():
            yield line.decode()
        after = answer.headers.get("x-lambent-next")


def rows(
    connection: Connection, *, function: str | None, since: str, kind: str = ""
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the ledger, oldest first; see `ledger_lines`."""
    for line in ledger_lines(connection, function=function, since=since, kind=kind):
        yield json.loads(line)
