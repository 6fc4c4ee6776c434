"""`lambent budget`: how much may be spent, on what, and what happens then."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote

import typer

from lambent.cli.client import EndpointOption, RegionOption, connect
from lambent.cli.terminal import UsageError, notice, results

PATH = "/_lambent/budgets"
app = typer.Typer(help="Budgets: warn of spending, or stop it.", no_args_is_help=True)


@app.command("set")
def set_budget(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="How much may be spent, in USD.")],
    *,
    daily: Annotated[bool, typer.Option("--daily", help="In a day instead of in a month.")] = False,
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="On this function.", show_default=False)
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE", help="On functions with this tag.", show_default=False)
    ] = None,
    warn: Annotated[
        str, typer.Option(metavar="PERCENT", help="Warn at this part of it, in the server's log; `never`.")
    ] = "80",
    stop: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Stop its functions at this part of it: reserved concurrency becomes 0.",
            show_default=False,
        ),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(metavar="ARN", help="Tell this topic (or queue, or function).", show_default=False),
    ] = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Make or change a budget: of a function, of a tag, or of the account."""
    members: dict[str, Any] = {
        "amount": _number(amount, "AMOUNT"),
        "period": "daily" if daily else "monthly",
        "function": function,
        "tag": tag,
        "warn_percent": None if warn == "never" else _number(warn, "--warn"),
        "stop_percent": None if stop is None else _number(stop, "--stop"),
        "topic_arn": topic,
    }
    connection = connect(context, endpoint, region, aws=False)
    made = connection.own(
        "PUT", f"{PATH}/{quote(name, safe='')}", content=json.dumps(members).encode()
    ).json()
    notice(f"{made['name']}: ${made['spent']} of ${made['amount']} are spent{_state(made)}.")


@app.command("list")
def list_budgets(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show the budgets, and how they stand."""
    budgets = connect(context, endpoint, region, aws=False).own("GET", PATH).json()["budgets"]
    if as_json:
        typer.echo(json.dumps(budgets, indent=2))
        return
    if not budgets:
        notice("There are no budgets yet: make one with `lambent budget set NAME AMOUNT`.")
        return
    results().print(_table(budgets))


@app.command("delete")
def delete(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    *,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Delete a budget; functions that it stopped run again."""
    connect(context, endpoint, region, aws=False).own("DELETE", f"{PATH}/{quote(name, safe='')}")
    notice(f"Deleted {name}.")


def _number(text: str, what: str) -> str:
    try:
        is_number = Decimal(text.rstrip("%")).is_finite()
    except ArithmeticError:
        is_number = False
    if not is_number:
        raise UsageError(f"{what} must be a number, not {text!r}.")
    return text.rstrip("%")


def _state(budget: dict[str, Any]) -> str:
    if budget["is_stopped"]:
        return f", {len(budget['stopped'])} functions are stopped"
    return ", a warning was given" if budget["is_warned"] else ""


def _table(budgets: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("NAME", "left"), ("OF", "left"), ("SPENT", "right"), ("AMOUNT", "right"), ("PERIOD", "left"),
        ("WARN", "right"), ("STOP", "right"), ("STATE", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=True)
    for budget in budgets:
        of = budget["function"] or budget["tag"] or "the account"
        state = "stopped" if budget["is_stopped"] else "warned" if budget["is_warned"] else "ok"
        table.add_row(
            budget["name"],
            of,
            f"${Decimal(budget['spent']):.6f}",
            f"${budget['amount']}",
            budget["period"],
            _percent(budget["warn_percent"]),
            _percent(budget["stop_percent"]),
            state,
        )
    return table


def _percent(text: str | None) -> str:
    return "" if text is None else f"{text} %"
