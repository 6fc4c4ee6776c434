"""`lambent list`, `lambent url` and `lambent delete`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import typer

from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.terminal import UsageError, can_ask, notice, results, size_text

# ListFunctions leaves the state out, so each function is asked for; beyond this many it is not worth the time
# (https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html).
MAX_STATES = 200
STATE_STYLES = {"Active": "green", "Pending": "yellow", "Failed": "red"}


def list_functions(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the configurations as JSON.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """List the functions."""
    client = connect(context, endpoint, region, aws).client("lambda")
    functions = list(_functions(client))
    if as_json:
        typer.echo(json.dumps(functions, indent=2, default=str))
        return
    if not functions:
        notice("There are no functions yet: deploy one with `lambent deploy PATH`.")
        return
    results().print(_table(functions, _states(client, functions)))


def _functions(client: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("list_functions").paginate():
        yield from page["Functions"]


def _states(client: Any, functions: Sequence[dict[str, Any]]) -> list[str]:
    def state(function: dict[str, Any]) -> str:
        return str(client.get_function_configuration(FunctionName=function["FunctionName"]).get("State", ""))

    if len(functions) > MAX_STATES:
        return [str(function.get("State", "")) for function in functions]
    with ThreadPoolExecutor(max_workers=8) as threads:
        return list(threads.map(state, functions))


def _table(functions: Sequence[dict[str, Any]], states: Sequence[str]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("NAME", style="cyan", overflow="fold")
    table.add_column("RUNTIME", no_wrap=True)
    for heading in ("MEMORY", "TIMEOUT"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
    table.add_column("CODE", justify="right", no_wrap=True)
    table.add_column("LAST MODIFIED", no_wrap=True)
    for function, state in zip(functions, states, strict=True):
        table.add_row(
            Text(function["FunctionName"]),
            function.get("Runtime") or function.get("PackageType", ""),
            f"{function['MemorySize']} MB",
            f"{function['Timeout']} s",
            Text(state or "-", style=STATE_STYLES.get(state, "")),
            size_text(function["CodeSize"]),
            str(function["LastModified"])[:19].replace("T", " "),
        )
    return table


def url(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Function whose address to print.")],
    *,
    qualifier: Annotated[str | None, typer.Option("--qualifier", "-q", help="An alias.")] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Give it an address that everybody may use, if it has none.")
    ] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Print the URL of a function."""
    client = connect(context, endpoint, region, aws).client("lambda")
    named = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    try:
        found = client.get_function_url_config(**named)
    except client.exceptions.ResourceNotFoundException:
        if not create:
            raise
        found = client.create_function_url_config(AuthType="NONE", **named)
        client.add_permission(
            StatementId="FunctionURLAllowPublicAccess",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
            **named,
        )
    typer.echo(found["FunctionUrl"])


def delete(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Function to delete, with all its versions.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Delete a function, all its versions and aliases."""
    connection = connect(context, endpoint, region, aws)
    client = connection.client("lambda")
    if not yes:
        client.get_function_configuration(FunctionName=name)  # nobody should confirm what cannot be
        _confirm(name, connection)
    client.delete_function(FunctionName=name)
    notice(f"Deleted {name}.")


def _confirm(name: str, connection: Connection) -> None:
    if not can_ask():
        raise UsageError(f"Deleting {name} needs --yes where nobody can be asked.")
    place = connection.target.endpoint or "AWS"
    if not typer.confirm(f"Delete {name} at {place}, with all its versions?", err=True):
        notice("Nothing was deleted.")
        raise typer.Exit(1)
