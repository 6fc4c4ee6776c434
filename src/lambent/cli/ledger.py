"""`lambent ledger`: the rows of the ledger, for people and for other programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lambent.cli.client import Connection, EndpointOption, RegionOption, TargetFlags, connect
from lambent.cli.export import (
    AMOUNT,
    CsvOption,
    OutputOption,
    ParquetOption,
    only_one,
    write_csv,
    write_parquet,
)
from lambent.cli.logs import plain_name, start_time_ms
from lambent.cli.terminal import notice, results, usd_text

PATH = "/_lambent/ledger"
_PAGE_ROWS = 5000
COMPONENTS = (
    "requests",
    "duration",
    "init",
    "ephemeral-storage",
    "provisioned-concurrency",
    "provisioned-duration",
    "provisioned-init",
    "snapstart-cache",
    "snapstart-restore",
    "streamed",
    "tenant-isolation",
)
COLUMNS: Mapping[str, str] = {
    "sequence": "BIGINT",
    "kind": "VARCHAR",
    "at": "TIMESTAMP WITH TIME ZONE",
    "request_id": "VARCHAR",
    "account": "VARCHAR",
    "region": "VARCHAR",
    "function": "VARCHAR",
    "version": "VARCHAR",
    "alias": "VARCHAR",
    "tenant": "VARCHAR",
    "tags": "VARCHAR",
    "runtime": "VARCHAR",
    "architecture": "VARCHAR",
    "memory_mb": "INTEGER",
    "ephemeral_storage_mb": "INTEGER",
    "initialization_type": "VARCHAR",
    "is_spillover": "BOOLEAN",
    "cold_start_reason": "VARCHAR",
    "duration_ms": "DOUBLE",
    "billed_ms": "BIGINT",
    "billed_init_ms": "BIGINT",
    "init_ms": "DOUBLE",
    "restore_ms": "DOUBLE",
    "max_memory_mb": "INTEGER",
    "request_bytes": "BIGINT",
    "response_bytes": "BIGINT",
    "streamed_bytes": "BIGINT",
    "status": "VARCHAR",
    "error_type": "VARCHAR",
    "trace_id": "VARCHAR",
    "attempt": "INTEGER",
    "source": "VARCHAR",
    "count": "INTEGER",
    "price_list": "VARCHAR",
    "price_usd": AMOUNT,
    **{f"price_{component.replace('-', '_')}": AMOUNT for component in COMPONENTS},
}


def ledger(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Function; all without one.")] = None,
    *,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="How far back: 30s, 10m, 2h, 7d, or `all`.")
    ] = "1h",
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="invocation, initialization, restore, provisioned-concurrency, snapshot; separated by commas.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print rows as lines of JSON.")] = False,
    as_csv: CsvOption = False,
    as_parquet: ParquetOption = False,
    output: OutputOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show what ran, row by row, and what each would cost on AWS."""
    form = only_one(json=as_json, csv=as_csv, parquet=as_parquet)
    query = {"since": str(start_time_ms(since, time.time()))}
    query |= {"function": plain_name(name)} if name else {}
    query |= {"kind": kind} if kind else {}
    # Rows of all regions are shown, unless one is asked for.
    if asked_region := region or (context.obj.region if isinstance(context.obj, TargetFlags) else None):
        query["region"] = asked_region
    rows = read_rows(connect(context, endpoint, region, aws=False), query)
    if form == "parquet":
        write_parquet(COLUMNS, map(flat, rows), output)
    elif form == "csv":
        write_csv(COLUMNS, map(flat, rows), output)
    elif form == "json" or output is not None:
        _write_lines(rows, output)
    else:
        _show(rows, name, since, asked_region)


def read_rows(connection: Connection, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield rows, page by page."""
    after = "0"
    while after:
        answer = connection.own("GET", PATH, {**query, "after": after, "limit": str(_PAGE_ROWS)})
        for line in answer.body.splitlines():
            yield json.loads(line)
        after = answer.headers.get("x-lambent-next", "")


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with a column for the price of each component."""
    prices = {
        f"price_{component.replace('-', '_')}": row["price"].get(component, "0") for component in COMPONENTS
    }
    return {**row, **prices}


def _write_lines(rows: Iterator[dict[str, Any]], output: Path | None) -> None:
    if output is None:
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
        return
    with output.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def _show(rows: Iterator[dict[str, Any]], name: str | None, since: str, region: str | None) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("AT", "FUNCTION", "KIND"):
        table.add_column(heading, no_wrap=True)
    for heading in ("DURATION", "BILLED", "MEMORY"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("OUTCOME", "PRICE"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        outcome = row["error_type"] or row["status"]
        table.add_row(
            row["at"],
            Text(f"{row['function']}:{row['alias'] or row['version']}"),
            row["kind"] if row["cold_start_reason"] is None else f"{row['kind']}, cold",
            f"{row['duration_ms']:.2f} ms",
            f"{row['billed_ms']:,} ms",
            f"{row['max_memory_mb']} MB" if row["max_memory_mb"] else "",
            Text(outcome, style="" if row["status"] == "success" else "red"),
            usd_text(_decimal(row["price_usd"])),
        )
    if table.row_count:
        results().print(table)
    else:
        what = f"{f' of {name}' if name else ''}{f' in {region}' if region else ''}"
        notice(f"Nothing ran{what} (--since {since}): try --since 1d or all.")


def _decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)
