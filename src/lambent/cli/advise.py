"""`lambent advise`: what the ledger says that could be better, with the numbers and the commands that show it.

The answers are `lambent.advice`'s. Here rows and configurations are fetched; `cli.init_profile` profiles.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lambent.cli.advice_text import as_json, show_all, show_one
from lambent.cli.client import AwsOption, Connection, EndpointOption, RegionOption, connect
from lambent.cli.history import ledger_lines
from lambent.cli.init_profile import TEMPORARY, profile_init
from lambent.cli.logs import plain_name
from lambent.cli.replay import nothing_in_ledger
from lambent.cli.terminal import CommandError, UsageError, notice

if TYPE_CHECKING:
    from lambent.advice import Answer, Function, Import, Machine, Past, Row, Wishes

ROWS_MAX = 1_000_000
"""Each takes half a kilobyte while it is looked at."""


def advise(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Function; without one, all of them.", show_default=False),
    ] = None,
    *,
    since: Annotated[str, typer.Option(metavar="AGE", help="From when on: 2h, 30d, all.")] = "30d",
    imports: Annotated[
        bool,
        typer.Option("--imports", help="Profile what its init imports, by a clone that is removed again."),
    ] = False,
    spot_share: Annotated[
        float, typer.Option(metavar="SHARE", help="What Spot costs, as a part of on demand.")
    ] = 0.5,
    server: Annotated[
        str | None,
        typer.Option(
            metavar="USD,VCPU,GB",
            help="An own server: its price for 30 days and its size.",
            show_default=False,
        ),
    ] = None,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Say what could be better: memory, provisioned concurrency, SnapStart, imports, errors, placement, patterns.

    The ledger's past is replayed and priced as on AWS. Nothing is changed.
    """
    from lambent.advice import advise as answers_of

    wishes = _wishes(spot_share, server)
    if name == "":
        raise UsageError("NAME is empty: leave it out to be advised on all functions.")
    if imports and name is None:
        raise UsageError("--imports needs the name of a function.")
    connection = connect(context, endpoint, region, aws)
    pasts = _pasts(connection, name, since)
    answers: list[tuple[Past, list[Answer]]] = []
    for past in pasts:
        configuration = _configuration(connection, past.function)
        profile = _profile(connection, configuration) if imports else None
        provisioned = _provisioned(connection, past.function) if configuration else 0
        function = _function(configuration, profile, provisioned) if configuration else None
        answers.append((past, answers_of(past, function, wishes)))
    answers.sort(key=lambda one: -one[0].month_usd)
    if is_json:
        sys.stdout.write(as_json(answers))
    elif name is not None:
        show_one(*answers[0])
    else:
        show_all(answers)


def _pasts(connection: Connection, name: str | None, since: str) -> list[Past]:
    from lambent.advice import decode_row, pasts_of

    function = None if name is None else plain_name(name)
    lines = ledger_lines(connection, function=function, since=since, kind="")
    rows: list[Row] = []
    broken = 0
    for line in lines:
        if len(rows) == ROWS_MAX:
            notice(
                f"Only the first {ROWS_MAX:,} rows are looked at: choose a shorter --since.", style="yellow"
            )
            break
        try:
            rows.append(decode_row(line))
        except ValueError:
            broken += 1
    if broken:
        notice(
            f"{broken:,} rows of the ledger cannot be read and are left out: is the server of another version?",
            style="yellow",
        )
    pasts = pasts_of((row for row in rows if not row.function.startswith(TEMPORARY)), now_s=time.time())
    if not pasts:
        if function is not None:
            raise CommandError(nothing_in_ledger(connection, function, since))
        raise CommandError(f"The ledger has no invocations (--since {since}): there is nothing to advise on.")
    return pasts


def _configuration(connection: Connection, name: str) -> Mapping[str, Any] | None:
    client = connection.client("lambda")
    try:
        found: dict[str, Any] = client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    return found


def _profile(connection: Connection, configuration: Mapping[str, Any] | None) -> list[Import]:
    if configuration is None:
        raise CommandError("The function is gone, so its init cannot be profiled.")
    notice(
        f"Running the init of a clone of {configuration['FunctionName']} to see what it imports …",
        style="dim",
    )
    return profile_init(connection, configuration)


def _provisioned(connection: Connection, name: str) -> int:
    """Return how much provisioned concurrency a function has, over its versions and aliases."""
    client = connection.client("lambda")
    pages = client.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=name)
    found: list[int] = [
        one["RequestedProvisionedConcurrentExecutions"]
        for page in pages
        for one in page["ProvisionedConcurrencyConfigs"]
    ]
    return sum(found)


def _function(configuration: Mapping[str, Any], profile: list[Import] | None, provisioned: int) -> Function:
    from lambent.advice import Function

    return Function(
        runtime=configuration.get("Runtime", ""),
        handler=configuration.get("Handler", ""),
        code_bytes=configuration.get("CodeSize", 0),
        layer_bytes=sum(layer.get("CodeSize", 0) for layer in configuration.get("Layers", [])),
        ephemeral_storage_mb=configuration.get("EphemeralStorage", {}).get("Size", 512),
        has_snapstart=configuration.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions",
        provisioned=provisioned,
        imports=profile,
    )


def _wishes(spot_share: float, server: str | None) -> Wishes:
    from lambent.advice import Wishes

    if not 0 < spot_share <= 1:
        raise UsageError(f"--spot-share must be above 0 and at most 1, not {spot_share:g}.")
    return Wishes(spot_share=Decimal(str(spot_share)), own_server=None if server is None else _server(server))


def _server(text: str) -> Machine:
    from lambent.advice import Machine

    try:
        numbers = [Decimal(part) for part in text.split(",")]
    except InvalidOperation:
        numbers = []
    if len(numbers) != 3 or not all(number.is_finite() and number > 0 for number in numbers):
        raise UsageError(
            f"--server must be its price for 30 days, its vCPUs and its GB, as in 40,4,16; not {text!r}."
        )
    price, vcpus, gb = numbers
    return Machine(name="own server", month_usd=price, vcpus=float(vcpus), gb=float(gb))
