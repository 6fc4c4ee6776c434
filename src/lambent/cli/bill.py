"""`lambent bill`: what a month would cost on AWS, and what it costs on this machine.

The server makes the bill; here it is shown. `lambent bill check` has it added up anew from the rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer

from lambent.cli import bill_diff
from lambent.cli.client import EndpointOption, RegionOption, connect
from lambent.cli.export import (
    AMOUNT,
    CsvOption,
    OutputOption,
    ParquetOption,
    only_one,
    write_csv,
    write_parquet,
)
from lambent.cli.terminal import CommandError, notice, results

PATH = "/_lambent/bill"
app = typer.Typer(help="What a month would cost on AWS.", invoke_without_command=True)

_LINE_COLUMNS: Mapping[str, str] = {
    "month": "VARCHAR",
    "account": "VARCHAR",
    "price_list": "VARCHAR",
    "currency": "VARCHAR",
    "region": "VARCHAR",
    "component": "VARCHAR",
    "architecture": "VARCHAR",
    "tier": "VARCHAR",
    "quantity": AMOUNT,
    "unit": "VARCHAR",
    "rate": AMOUNT,
    "amount": AMOUNT,
}
_GROUP_COLUMNS: Mapping[str, str] = {
    "month": "VARCHAR",
    "account": "VARCHAR",
    "by": "VARCHAR",
    "key": "VARCHAR",
    "requests": "BIGINT",
    "errors": "BIGINT",
    "cold_starts": "BIGINT",
    "duration_ms": "BIGINT",
    "billed_ms": "BIGINT",
    "gb_seconds": AMOUNT,
    "request_bytes": "BIGINT",
    "response_bytes": "BIGINT",
    "by_component": "VARCHAR",
    "amount": AMOUNT,
    "own_amount": AMOUNT,
}
_NAMES = {
    "requests": "Requests",
    "duration": "Duration",
    "ephemeral-storage": "Ephemeral storage",
    "provisioned-concurrency": "Provisioned concurrency",
    "provisioned-duration": "Duration, provisioned",
    "snapstart-cache": "SnapStart cache",
    "snapstart-restore": "SnapStart restore",
    "streamed": "Response streaming",
    "tenant-isolation": "Tenant isolation",
}
MonthOption = Annotated[
    str | None, typer.Option(metavar="YYYY-MM", help="Month (default: this one).", show_default=False)
]


@app.callback()
def bill(
    context: typer.Context,
    *,
    month: MonthOption = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Group by function, version, alias, runtime, tag, tag:KEY, tenant, day, region, architecture, source.",
            show_default=False,
        ),
    ] = None,
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only of this function.", show_default=False)
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            help="As if: arm64, x86_64, a region, no-free-tier, savings-plan=PERCENT; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    as_csv: CsvOption = False,
    as_parquet: ParquetOption = False,
    output: OutputOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show what a month would cost on AWS: line items, free tier, and what it comes to at its end."""
    if context.invoked_subcommand is not None:
        return
    form = only_one(json=as_json, csv=as_csv, parquet=as_parquet)
    asked = {"month": month, "by": by, "function": function, "assume": ",".join(assume or ())}
    query = {name: text for name, text in asked.items() if text}
    made: dict[str, Any] = connect(context, endpoint, region, aws=False).own("GET", PATH, query).json()
    if form == "json":
        text = json.dumps(made, indent=2)
        typer.echo(text) if output is None else output.write_text(text + "\n", encoding="utf-8")
    elif form is not None:
        columns, rows = _table_of(made)
        (write_csv if form == "csv" else write_parquet)(columns, rows, output)
    else:
        _show(made, function)


@app.command("check")
def check(
    context: typer.Context,
    *,
    month: MonthOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Add a month up anew from the rows of the ledger: it must agree to the last digit."""
    query = {"month": month} if month else {}
    found: dict[str, Any] = (
        connect(context, endpoint, region, aws=False).own("GET", f"{PATH}/check", query).json()
    )
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    if not found["agrees"]:
        raise CommandError(_disagreement(found))
    if not as_json and found["rows_since"][:7] > found["month"]:
        notice(
            f"The rows of {found['month']} are gone, and only their sums are kept: nothing can be added up."
        )
    elif not as_json:
        since = f" since {found['rows_since']}" if found["rows_since"] > f"{found['month']}-01" else ""
        typer.echo(f"{found['rows']:,} rows of {found['month']}{since} agree: ${found['recomputed']}.")


app.command("diff")(bill_diff.diff)


def _disagreement(found: Mapping[str, Any]) -> str:
    differences: Sequence[Mapping[str, Any]] = found["differences"]
    first = f", first {differences[0]['function']} on {differences[0]['day']}" if differences else ""
    return (
        f"The bill of {found['month']} does not agree with its rows: ${found['total']} is kept, "
        f"${found['recomputed']} is found ({len(differences)} differences{first})."
    )


def _table_of(made: Mapping[str, Any]) -> tuple[Mapping[str, str], list[dict[str, Any]]]:
    """Return the columns and rows of its groups if it has any, else of its lines."""
    head = {"month": made["month"], "account": made["account"]}
    if "groups" in made:
        return _GROUP_COLUMNS, [{**head, "by": made["by"], **group} for group in made["groups"]]
    bills = [made, *([made["own"]] if "own" in made else [])]
    return _LINE_COLUMNS, [
        {**head, "price_list": one["price_list"], "currency": one["currency"], **line}
        for one in bills
        for line in one["lines"]
    ]


# For people ------------------------------------------------------------------------------------------------


def _show(made: Mapping[str, Any], function: str | None) -> None:
    so_far = "" if made["is_over"] else ", so far"
    assumed = f" {made['assumptions']}" if made["assumptions"] else ""
    of = f" of {function}" if function else ""
    if not made["lines"] and not made["notices"]:
        notice(f"There is nothing{of} to pay for in {made['month']}.")
        return
    notice(f"{made['month']}{so_far}{of}, account {made['account']}{assumed}, by {made['price_list']}")
    console = results()
    console.print(_lines_table(made["lines"], made["currency"]))
    console.print(_totals_table(made))
    if "own" in made:
        own = made["own"]
        console.print(f"\nBy {own['price_list']}")
        console.print(_lines_table(own["lines"], own["currency"]))
        console.print(f"Total {_money(own['total'], own['currency'])}")
    if "groups" in made:
        console.print("\nAt list price, before the free tier")
        console.print(_groups_table(made))
    for sentence in (*made["notices"], *made.get("own", {}).get("notices", ())):
        notice(sentence, style="yellow")


def _plain_table(*headings: str, left: int = 1) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(headings))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right", no_wrap=True)
    return table


def _lines_table(lines: Sequence[Mapping[str, Any]], currency: str) -> Any:
    table = _plain_table("ITEM", "REGION", "QUANTITY", "PRICE", "AMOUNT", left=2)
    for line in lines:
        table.add_row(
            _item(line),
            line["region"],
            f"{_quantity(line['quantity'])} {line['unit']}",
            "free" if line["tier"] == "free" else _rate(line, currency),
            _money(line["amount"], currency),
        )
    return table


def _item(line: Mapping[str, Any]) -> str:
    name = _NAMES.get(line["component"]) or str(line["component"])
    if line["component"] in ("requests", "streamed"):
        return name
    tier = f", tier {line['tier']}" if line["tier"] not in ("", "free", "1") else ""
    return f"{name}, {line['architecture']}{tier}"


def _totals_table(made: Mapping[str, Any]) -> Any:
    currency = made["currency"]
    table = _plain_table("", "")
    rows = [
        ("List price", Decimal(made["listed"])),
        ("  of which init and restore", Decimal(made["init"])),
        ("Free tier", -Decimal(made["free_tier"])),
        ("Tiers", -Decimal(made["tiers"])),
        ("Savings plan", -Decimal(made["savings"])),
    ]
    for name, amount in rows:
        if amount:
            table.add_row(name, _money(amount, currency))
    table.add_row("Total", _money(made["total"], currency), style="bold")
    if made["projection"]:
        table.add_row(
            "At the end of the month, if it goes on so", _money(made["projection"]["total"], currency)
        )
    for other in made["alternatives"]:
        table.add_row(f"As if {other['assumptions']}", _money(other["total"], currency))
    return table


def _groups_table(made: Mapping[str, Any]) -> Any:
    has_own = "own" in made
    headings = [made["by"].upper(), "REQUESTS", "ERRORS", "COLD STARTS", "GB-S", "AMOUNT"]
    table = _plain_table(*headings, *([made["own"]["price_list"].upper()] if has_own else []))
    for group in made["groups"]:
        cells = [
            group["key"],
            f"{group['requests']:,}",
            f"{group['errors']:,}",
            f"{group['cold_starts']:,}",
            _quantity(group["gb_seconds"]),
            _money(group["amount"], made["currency"]),
        ]
        table.add_row(*cells, *([_money(group["own_amount"], made["own"]["currency"])] if has_own else []))
    return table


def _quantity(text: str) -> str:
    number = Decimal(text)
    return f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,.3f}"


def _rate(line: Mapping[str, Any], currency: str) -> str:
    rate = Decimal(line["rate"])
    if line["unit"] == "requests":
        return f"{_money(rate * 1_000_000, currency)} a million"
    return f"{_sign(currency)}{rate:f}"


def _money(amount: str | Decimal, currency: str) -> str:
    """Return an amount for people: two digits, or of less than a cent the first three that are not zero."""
    value = Decimal(amount)
    if value and abs(value) < Decimal("0.01"):
        text = f"{abs(value):.{2 - value.adjusted()}f}".rstrip("0")
    else:
        text = f"{abs(value):,.2f}"
    return f"{'-' if value < 0 else ''}{_sign(currency)}{text}"


def _sign(currency: str) -> str:
    return {"USD": "$", "EUR": "€", "GBP": "£"}.get(currency, f"{currency} ")
