"""Results for people and for programs: a table, and the JSON of a run that a later one can be held against."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from tests.bench import goals
from tests.bench.goals import LAMBENT, Figure, Judged

_BUSY_LOAD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One run."""

    taken_at: str
    is_quick: bool
    machine: str
    peers: str = ""
    """Who they were, with their versions."""
    load_average: float
    """Of the last minute before the run."""
    notices: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    goals: tuple[Judged, ...] = ()


def machine() -> str:
    """Say in general words what this runs on."""
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{os.cpu_count()} CPUs {platform.machine()}, {platform.system()} {kernel}, "
        f"Python {platform.python_version()}"
    )


def write(results: Results, path: Path) -> None:
    """Keep a run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def read(path: Path) -> Results:
    """Read a run.

    Raises:
        OSError, msgspec.DecodeError: it cannot be read.
    """
    return msgspec.json.decode(path.read_bytes(), type=Results)


def show(results: Results, before: Results | None, console: Console) -> None:
    """Print a run, and what has changed since an earlier one."""
    console.print(f"Lambent beside its peers, {results.taken_at}, {results.machine}")
    for peers in dict.fromkeys(figure.peers for figure in results.figures):
        console.print(_table([figure for figure in results.figures if figure.peers == peers], peers, before))
    console.print(
        "vs: how many times better (above 1) or worse Lambent is; change: less is better but per s."
    )
    _show_goals(results.goals, console)
    for figure in results.figures:
        if figure.note:
            console.print(f"  {figure.name}: {figure.note}", style="dim", soft_wrap=True)
    for notice in [*results.notices, *_warnings(results)]:
        console.print(notice, style="yellow", soft_wrap=True)


def _table(figures: Sequence[Figure], peers: tuple[str, str], before: Results | None) -> Table:
    """Figures that have the same peers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    columns = [LAMBENT, "p99", *peers, *(f"vs {peer}" for peer in peers)]
    for column in [*columns, "before", "change"] if before else columns:
        table.add_column(column, justify="right", no_wrap=True)
    earlier = {figure.name: figure for figure in before.figures} if before else {}
    for figure in figures:
        cells = [_number(figure.values.get(name)) for name in (LAMBENT, *peers)]
        cells.insert(1, _number(figure.p99.get(LAMBENT)) if figure.p99 else "")
        cells += [_ratio(figure, peer) for peer in peers]
        if before:
            cells += _change(figure, earlier.get(figure.name))
        table.add_row(figure.name, figure.unit, *cells)
    return table


def _show_goals(judgements: Sequence[Judged], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("goal", no_wrap=True)
    for column in ("reached", "unit", "must", "", "aim", ""):
        table.add_column(column, justify="left" if column in ("", "unit") else "right", no_wrap=True)
    for judged in judgements:
        goal, sign = judged.goal, "≥" if judged.goal.more_is_better else "≤"
        bounds = [
            (f"{sign} {goal.must:g}", _met(judged.meets_must)),
            (f"{sign} {goal.aim:g}", _met(judged.meets_aim)) if goal.aim is not None else ("", ""),
        ]
        cells = [cell for bound in bounds for cell in bound]
        table.add_row(goal.figure, _number(judged.reached), judged.unit, *cells)
    console.print(table)


def _met(is_met: bool | None) -> str:
    return "not measured" if is_met is None else "met" if is_met else "missed"


def _warnings(results: Results) -> list[str]:
    if results.load_average <= _BUSY_LOAD:
        return []
    return [
        f"The load average was {results.load_average:.1f} before the run: something else was at work. "
        "Ratios within the run still count; times do not."
    ]


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _ratio(figure: Figure, peer: str) -> str:
    ours, theirs = figure.values.get(LAMBENT), figure.values.get(peer)
    if not ours or not theirs:
        return ""
    return f"{(ours / theirs if figure.more_is_better else theirs / ours):.2f}×"


def _change(figure: Figure, before: Figure | None) -> list[str]:
    now, then = figure.values.get(LAMBENT), before.values.get(LAMBENT) if before else None
    if not now or not then:
        return ["–", ""]
    return [_number(then), f"{(now / then - 1) * 100:+.0f} %"]


def with_figures(
    results: Results, figures: Sequence[Figure], notices: Sequence[str], *, peers: str
) -> Results:
    """Complete a run."""
    return dataclasses.replace(
        results,
        figures=tuple(figures),
        goals=tuple(goals.judge(figures)),
        notices=tuple(notices),
        peers=peers,
    )
