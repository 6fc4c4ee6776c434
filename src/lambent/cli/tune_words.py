"""How the tuner speaks: figures, the table and the curves of the terminal, and the sentences about the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lambent.cli.curve import curve
from lambent.cli.estimates import Estimate
from lambent.cli.tune_result import Choice, Size

CURVE_COLUMNS, CURVE_ROWS = 60, 8


def ms_text(duration_ms: float) -> str:
    """Return a duration in ms with three digits that count: ``0.52``, ``17.3``, ``1,204``."""
    if duration_ms >= 100:
        return f"{duration_ms:,.0f}"
    return f"{duration_ms:.1f}" if duration_ms >= 10 else f"{duration_ms:.2f}"


def usd_number(price_usd: float) -> str:
    """Return an amount of USD without its sign: ``0.2021``, ``2.51``, ``1,204``."""
    if price_usd >= 100:
        return f"{price_usd:,.0f}"
    return (
        f"{price_usd:.2f}"
        if price_usd >= 10
        else f"{price_usd:.3f}"
        if price_usd >= 1
        else f"{price_usd:.4f}"
    )


def figure_text(figure: Estimate, text: Callable[[float], str]) -> tuple[str, str]:
    """Return a figure and its interval; ``…`` stands for an end that is not bounded."""
    low, high = ("…" if edge is None else text(edge) for edge in (figure.low, figure.high))
    return text(figure.value), f"[{low}, {high}]"


def table(sizes: Sequence[Size], choice: Choice | None) -> Any:
    """Return the figures as a table of rich."""
    from rich.table import Table
    from rich.text import Text

    has_other = any(size.other_cost for size in sizes)
    has_starts = any(size.init_ms is not None for size in sizes)
    headings = ["MEMORY", "CALLS", "P50 MS", "P95 MS", "USD PER MILLION"]
    headings += ["ON ARM64"] if has_other else []
    headings += ["START MS"] if has_starts else []
    result = Table(box=None, pad_edge=False, header_style="bold")
    for heading in [*headings, "USED"]:
        result.add_column(heading, justify="right", no_wrap=True)
    result.add_column("")
    for size in sizes:
        is_best = choice is not None and size is choice.best
        cells = [f"{size.memory_mb} MB", str(size.count), _cell(size.p50, ms_text), _cell(size.p95, ms_text)]
        cells.append(_cell(size.cost, usd_number))
        cells += [_cell(size.other_cost, usd_number)] if has_other else []
        cells += ["-" if size.init_ms is None else ms_text(size.init_ms)] if has_starts else []
        cells.append(f"{size.max_memory_used_mb} MB" if size.count else "-")
        style = "bold green" if is_best else "" if size.is_candidate else "dim"
        note = Text(f"◀ best {size.note}".strip() if is_best else size.note)
        result.add_row(*cells, note, style=style)
    return result


def _cell(figure: Estimate | None, text: Callable[[float], str]) -> str:
    return "-" if figure is None else " ".join(figure_text(figure, text))


def curves(sizes: Sequence[Size]) -> list[str]:
    """Return the lines of both curves, cost and duration over memory."""
    points = [(size, size.p50, size.cost) for size in sizes]
    shown = [(size, p50, cost) for size, p50, cost in points if p50 is not None and cost is not None]
    if len(shown) < 2:
        return []
    durations = [(size.memory_mb, p50.value, size.is_candidate) for size, p50, _ in shown]
    costs = [(size.memory_mb, cost.value, size.is_candidate) for size, _, cost in shown]
    lines = ["p50 (ms) over memory (MB)"]
    lines += curve(durations, columns=CURVE_COLUMNS, rows=CURVE_ROWS, text=ms_text)
    lines += ["", "USD per million invocations over memory (MB)"]
    lines += curve(costs, columns=CURVE_COLUMNS, rows=CURVE_ROWS, text=usd_number)
    if not all(size.is_candidate for size, _, _ in shown):
        lines.append("○ measured here, but no size to choose: see the notes above.")
    return lines


_SUPERLATIVES = {"cost": "cheapest", "speed": "fastest", "balanced": "best balanced"}


def sentences(sizes: Sequence[Size], choice: Choice | None) -> list[str]:
    """Return what came of it, for people."""
    if choice is None:
        return [_why_nothing(sizes)]
    best = choice.best
    assert best.p50 is not None
    assert best.cost is not None
    said = [
        f"{best.memory_mb} MB is the {_SUPERLATIVES[choice.strategy]}: p50 {ms_text(best.p50.value)} ms, "
        f"${usd_number(best.cost.value)} for a million invocations."
    ]
    if choice.runner_up is None:
        said.append("No other size could be compared with it.")
    elif not choice.is_significant:
        names = ", ".join(f"{memory_mb} MB" for memory_mb in choice.ties)
        said.append(f"Not significant: so few invocations cannot tell it from {names}. Raise --num to know.")
        said += _among_equals(sizes, choice)
    else:
        said.append(f"The difference to the next, {choice.runner_up.memory_mb} MB, is significant (95 %).")
        if choice.ties:
            names = ", ".join(f"{memory_mb} MB" for memory_mb in choice.ties)
            said.append(f"It is not significant to {names}.")
    return said


def _among_equals(sizes: Sequence[Size], choice: Choice) -> list[str]:
    """Return which of the sizes that cannot be told apart is better by the other quantity."""
    if choice.strategy == "balanced":
        return []
    equals = [size for size in sizes if size is choice.best or size.memory_mb in choice.ties]
    is_cost = choice.strategy == "cost"
    figures = [(size.duration if is_cost else size.cost, size) for size in equals]
    other = min(((figure.value, size.memory_mb) for figure, size in figures if figure is not None))[1]
    if other == choice.best.memory_mb:
        return []
    return [f"Of these, {other} MB is the {_SUPERLATIVES['speed' if is_cost else 'cost']}."]


def _why_nothing(sizes: Sequence[Size]) -> str:
    failed = [size for size in sizes if not size.is_fit]
    if failed and len(failed) == len(sizes):
        return f"The function fails at every size: {failed[-1].failures[-1]}"
    return "No size can be chosen: none was measured as AWS would give it; see the notes."
