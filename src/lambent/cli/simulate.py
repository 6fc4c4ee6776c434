"""`lambent simulate`: replays arrivals on a model of the platform; several platforms side by side.

The model is `lambent.simulation`. Options become platforms here, and `cli.replay` opens what is
replayed.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lambent.cli.client import AwsOption, EndpointOption, RegionOption, connect
from lambent.cli.replay import Replay, Source, replay_of
from lambent.cli.simulated import as_json, show
from lambent.cli.terminal import CommandError, UsageError, notice

if TYPE_CHECKING:
    from lambent.simulation import Platform

SCENARIOS_MAX = 24
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def simulate(
    context: typer.Context,
    *,
    trace: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TRACE]", help="CSV, JSON lines or Azure's counts (- is stdin).", show_default=False
        ),
    ] = None,
    poisson: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", help="No trace: arrivals at random, so many per second.", show_default=False
        ),
    ] = None,
    history: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="No trace: what the ledger has of a function.", show_default=False),
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="AGE", help="From when on --history goes: 2h, 30d, all.")
    ] = "30d",
    for_: Annotated[str, typer.Option("--for", metavar="TIME", help="How long --poisson goes on.")] = "1h",
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this function of the trace.", show_default=False)
    ] = None,
    durations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Azure's percentiles of durations.", show_default=False),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="MS",
            help="How long invocations run: MS, exponential:MEAN or lognormal:P50,P95. Default: as in the trace.",
            show_default=False,
        ),
    ] = None,
    cold_start: Annotated[
        str | None,
        typer.Option(metavar="MS", help="How long inits take, in the same forms.", show_default=False),
    ] = None,
    overhead: Annotated[
        float, typer.Option("--start-overhead", metavar="MS", help="What a cold start takes beside its init.")
    ] = 0.0,
    scale: Annotated[float, typer.Option(metavar="FACTOR", help="So many times as many invocations.")] = 1.0,
    memory: Annotated[
        str | None,
        typer.Option(
            metavar="MB,…",
            help="MemorySize, for the bill. Default: as in the trace, or 128.",
            show_default=False,
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="x86_64 or arm64. Default: as in the trace, or x86_64.", show_default=False
        ),
    ] = None,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="The functions' timeout.")] = "15m",
    reserved: Annotated[
        str, typer.Option(metavar="N,…", help="Reserved concurrency of each function, or none.")
    ] = "none",
    provisioned: Annotated[
        str, typer.Option(metavar="N,…", help="Provisioned concurrency of each function.")
    ] = "0",
    account_limit: Annotated[str, typer.Option(metavar="N,…", help="The account's concurrency.")] = "1000",
    keep_alive: Annotated[
        str, typer.Option(metavar="TIME,…", help="How long environments may idle.")
    ] = "10m",
    max_life: Annotated[str, typer.Option(metavar="TIME", help="How old they may become, or none.")] = "2h",
    rate_limit: Annotated[
        bool, typer.Option(help="Ten requests a second for each unit of concurrency.")
    ] = True,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
    validate: Annotated[
        bool, typer.Option("--validate", help="Show beside it what the trace says really happened.")
    ] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    aws: AwsOption = False,
) -> None:
    """Replay invocations on a model of the platform: latency, cold starts, throttles, concurrency, the bill.

    Options with an ellipsis take several values, and all combinations are shown side by side.
    """
    source = Source(
        trace=trace,
        history=history,
        since=since,
        per_s=None if poisson is None else _positive(poisson, "--poisson"),
        for_s=seconds_of(for_, "--for"),
        function=function,
        durations=durations,
        service=service,
        start=cold_start,
        scale=_positive(scale, "--scale"),
        random=Random(seed),  # noqa: S311 - no secret
    )
    platforms = platforms_of(
        memory=memory or "128",
        reserved=reserved,
        provisioned=provisioned,
        account_limit=account_limit,
        keep_alive=keep_alive,
    )
    fixed: dict[str, Any] = {
        "timeout_s": seconds_of(timeout, "--timeout"),
        "max_life_s": math.inf if max_life == "none" else seconds_of(max_life, "--max-life"),
        "start_overhead_s": _not_negative(overhead, "--start-overhead") / 1000,
        "is_rate_limited": rate_limit,
    }
    _check_architecture(architecture)
    replay = replay_of(source, lambda: connect(context, endpoint, region, aws))
    fixed["architecture"] = architecture or replay.architecture or "x86_64"
    if memory is None and replay.memory_mb:
        fixed["memory_mb"] = replay.memory_mb
    if validate and replay.observed is None:
        raise CommandError(
            "There is nothing to compare with: the trace does not say how long all invocations ran."
        )
    compare(
        replay if validate else replace(replay, observed=None),
        [replace(platform, **fixed) for platform in platforms],
        seed=seed,
        is_json=is_json,
    )


def compare(replay: Replay, platforms: Sequence[Platform], *, seed: int, is_json: bool) -> None:
    """Replay on each platform, and print the figures."""
    from lambent.simulation import simulate, summarize

    started_s = time.perf_counter()
    runs = [simulate(replay.load, platform, seed=seed) for platform in platforms]
    summaries = [summarize(run) for run in runs]
    took_s = time.perf_counter() - started_s
    if is_json:
        sys.stdout.write(as_json(replay, runs, summaries))
        return
    show(replay, runs, summaries)
    notice(f"{len(replay.load) * len(runs):,} invocations simulated in {took_s:.2f} s.", style="dim")


# Options ---------------------------------------------------------------------------------------------------


def platforms_of(
    *, memory: str, reserved: str, provisioned: str, account_limit: str, keep_alive: str
) -> list[Platform]:
    """Return all combinations of these values.

    Raises:
        UsageError: one is not what it must be, or they are too many.
    """
    from lambent.simulation import Platform

    numbers = (
        _whole_numbers(memory, "--memory", 128, 32_768),
        _whole_numbers(reserved, "--reserved", 0, 1_000_000, none="none"),
        _whole_numbers(provisioned, "--provisioned", 0, 100_000),
        _whole_numbers(account_limit, "--account-limit", 0, 10_000_000),
        [seconds_of(text, "--keep-alive") for text in keep_alive.split(",")],
    )
    combinations = list(itertools.product(*numbers))
    if len(combinations) > SCENARIOS_MAX:
        raise UsageError(
            f"That would be {len(combinations)} combinations; at most {SCENARIOS_MAX} are compared."
        )
    found: list[Platform] = []
    for memory_mb, reserved_, provisioned_, account, keep_alive_s in combinations:
        if reserved_ is not None and (provisioned_ or 0) > reserved_:
            raise UsageError(f"--provisioned {provisioned_} is more than --reserved {reserved_}.")
        found.append(
            Platform(
                memory_mb=memory_mb or 0,
                reserved=reserved_,
                provisioned=provisioned_ or 0,
                account_concurrency=account or 0,
                keep_alive_s=keep_alive_s,
            )
        )
    return found


def _whole_numbers(text: str, name: str, least: int, most: int, none: str = "") -> list[int | None]:
    found: list[int | None] = []
    for word in map(str.strip, text.split(",")):
        if none and word == none:
            found.append(None)
        elif re.fullmatch(r"\d{1,9}", word) and least <= int(word) <= most:
            found.append(int(word))
        else:
            also = f", or {none}" if none else ""
            raise UsageError(f"{name} must be whole numbers from {least} to {most:,}{also}, not {text!r}.")
    return found


def seconds_of(text: str, name: str) -> float:
    """Return the seconds of a time such as ``90s``, ``10m`` or ``1.5h``.

    Raises:
        UsageError: it has another form.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)", text.strip())
    if not match or not float(match[1]):
        raise UsageError(f"{name} must be a time such as 500ms, 90s, 10m or 2h, not {text!r}.")
    return float(match[1]) * _UNITS_S[match[2]]


def _positive(value: float, name: str) -> float:
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{name} must be above 0, not {value:g}.")
    return value


def _not_negative(value: float, name: str) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{name} must not be below 0, not {value:g}.")
    return value


def _check_architecture(name: str | None) -> None:
    if name not in (None, "x86_64", "arm64"):
        raise UsageError(f"--architecture must be x86_64 or arm64, not {name!r}.")
