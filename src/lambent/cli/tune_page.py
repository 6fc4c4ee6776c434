"""The tuner's page: curves and figures in one HTML file that needs nothing else.

Pure: figures in, text out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from lambent.cli.chart import Line, Point, chart
from lambent.cli.estimates import Estimate
from lambent.cli.tune_result import Choice, Size, visualisation
from lambent.cli.tune_words import figure_text, ms_text, usd_number

_STYLE = """
:root { color-scheme: light dark; --page: #fcfcfb; --ink: #1b1b19; --soft: #62625c; --rule: #e3e2dd;
  --first: #1f6fb4; --second: #b4561f; --cost: #23815a; --best: #1b1b19; }
@media (prefers-color-scheme: dark) { :root { --page: #191918; --ink: #ecebe6; --soft: #a3a29a; --rule: #383733;
  --first: #6cb0ec; --second: #ec9a6c; --cost: #63c79a; --best: #ecebe6; } }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 76rem; padding: 2rem 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } h2 { font-size: 1rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0; } .soft { color: var(--soft); }
svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--rule); } .tick { fill: var(--soft); font-size: 11px; }
.stroke { stroke-width: 2; } .doubtful { stroke-dasharray: 3 5; }
.first { stroke: var(--first); fill: var(--first); } .second { stroke: var(--second); fill: var(--second); }
.cost { stroke: var(--cost); fill: var(--cost); } .band { opacity: .14; stroke: none; }
.dot { stroke-width: 2; } .hollow { fill: var(--page); } .best { fill: none; stroke: var(--best); stroke-width: 1.5; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 50%; margin: 0 .35em 0 1em; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--rule); padding: .35rem .6rem; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } td:last-child, th:last-child { text-align: left; white-space: normal; }
tr.chosen td { font-weight: 600; } tr.doubted td { color: var(--soft); }
.interval { color: var(--soft); font-size: .85em; font-weight: 400; }
"""


def page(
    title: str, sentences: Sequence[str], sizes: Sequence[Size], choice: Choice | None, setting: str
) -> str:
    """Return the page.

    Args:
        title: what was tuned.
        sentences: what came of it.
        sizes: the figures, by memory size.
        choice: the best size.
        setting: how it was measured.
    """
    measured = [size for size in sizes if size.cost is not None]
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(sentence)}</p>" for sentence in sentences),
        f'<p class="soft">{escape(setting)}</p>',
        *(_charts(measured, choice) if measured else ()),
        "<h2>Figures</h2>",
        _table(sizes, choice),
        '<p class="soft">Small figures: where the true value lies with 95 % confidence; “…” where so few '
        "invocations do not bound it.</p>",
    ]
    if choice is not None:
        parts.append(
            f'<p><a href="{escape(visualisation(sizes))}">The same at lambda-power-tuning.show</a></p>'
        )
    return "\n".join([*parts, "</body>\n</html>\n"])


def _charts(sizes: Sequence[Size], choice: Choice | None) -> list[str]:
    best_mb = choice.best.memory_mb if choice else None
    durations = [
        Line(name="p50", kind="first", points=_points(sizes, lambda size: size.p50, best_mb)),
        Line(name="p95", kind="second", points=_points(sizes, lambda size: size.p95, None)),
    ]
    costs = [Line(name="cost", kind="cost", points=_points(sizes, lambda size: size.cost, best_mb))]
    keys = "".join(
        f'<span class="key" style="background: var(--{kind})"></span>{name}'
        for kind, name in (("first", "p50"), ("second", "p95"))
    )
    parts = [
        f'<h2>Duration (ms) <span class="soft">{keys}</span></h2>',
        chart(durations, title="Duration by memory size", text=ms_text),
        "<h2>Cost of a million invocations (USD)</h2>",
        chart(costs, title="Cost by memory size", text=usd_number),
    ]
    if any(size.doubt for size in sizes):
        parts.append('<p class="soft">Hollow: measured here, but not what AWS would give.</p>')
    return parts


def _points(
    sizes: Sequence[Size], figure: Callable[[Size], Estimate | None], best_mb: int | None
) -> list[Point]:
    found = ((size, figure(size)) for size in sizes)
    return [
        Point(
            memory_mb=size.memory_mb,
            value=one.value,
            low=one.low,
            high=one.high,
            is_hollow=not size.is_candidate,
            is_best=size.memory_mb == best_mb,
        )
        for size, one in found
        if one is not None
    ]


def _table(sizes: Sequence[Size], choice: Choice | None) -> str:
    has_other = any(size.other_cost for size in sizes)
    has_starts = any(size.init_ms is not None for size in sizes)
    heads = ["Memory", "Calls", "p50 (ms)", "p95 (ms)", "Mean (ms)", "USD per million"]
    heads += ["on arm64"] if has_other else []
    heads += ["Start (ms)"] if has_starts else []
    rows: list[str] = []
    for size in sizes:
        kind = "chosen" if choice and size is choice.best else "" if size.is_candidate else "doubted"
        cells = [f"{size.memory_mb} MB", str(size.count)]
        cells += [_cell(figure, ms_text) for figure in (size.p50, size.p95, size.duration)]
        cells.append(_cell(size.cost, usd_number))
        cells += [_cell(size.other_cost, usd_number)] if has_other else []
        cells += [ms_text(size.init_ms) if size.init_ms is not None else "-"] if has_starts else []
        cells += [f"{size.max_memory_used_mb} MB", escape(size.note)]
        rows.append(f'<tr class="{kind}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    head = "".join(f"<th>{name}</th>" for name in [*heads, "Memory used", "Note"])
    return f'<div class="scroll"><table><tr>{head}</tr>\n{chr(10).join(rows)}</table></div>'


def _cell(figure: Estimate | None, text: Callable[[float], str]) -> str:
    if figure is None:
        return "-"
    value, edges = figure_text(figure, text)
    return f'{value} <span class="interval">{edges}</span>'
