"""A curve as SVG: values over memory sizes, with the interval in which the true ones lie.

Pure: points in, text out. Colours are CSS variables of the page around it, so that it follows light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 16, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A size with its value. A hollow one is marked as not to be trusted."""

    memory_mb: int
    value: float
    low: float | None = None
    high: float | None = None
    is_hollow: bool = False
    is_best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve with its name; ``kind`` is the class by which the page colours it."""

    name: str
    kind: str
    points: Sequence[Point]


class _Scale:
    """Where sizes (by their logarithm) and values (from zero) lie."""

    def __init__(self, lines: Sequence[Line]) -> None:
        points = [point for line in lines for point in line.points]
        logs = [math.log(point.memory_mb) for point in points]
        self._left, self._wide = min(logs), max(logs) - min(logs)
        self.step = _step(max(max(point.value, point.high or 0.0) for point in points))
        highest = max(max(point.value, point.high or 0.0) for point in points)
        self.top = self.step * max(1, math.ceil(highest / self.step))

    def x(self, memory_mb: int) -> float:
        share = (math.log(memory_mb) - self._left) / self._wide if self._wide else 0.5
        return LEFT + 12 + share * (WIDTH - LEFT - RIGHT - 24)

    def y(self, value: float) -> float:
        return TOP + (1 - value / self.top) * (HEIGHT - TOP - BOTTOM)


def _step(highest: float) -> float:
    """Return the distance of the lines of the grid: 1, 2 or 5 of some power of ten, four or five of them."""
    if highest < 1e-9:  # nothing, for anybody who looks
        return 1.0
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def chart(lines: Sequence[Line], *, title: str, text: Callable[[float], str]) -> str:
    """Return an ``svg`` element with these curves; at least one point in all."""
    scale = _Scale(lines)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        *_grid(scale),
        *_sizes(scale, lines),
    ]
    for line in lines:
        parts += _band(scale, line)
    for line in lines:
        parts += _strokes(scale, line)
        parts += _dots(scale, line, text)
    return "\n".join([*parts, "</svg>"])


def _grid(scale: _Scale) -> list[str]:
    parts: list[str] = []
    for number in range(round(scale.top / scale.step) + 1):
        value = number * scale.step
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.6g}</text>'
        )
    return parts


def _sizes(scale: _Scale, lines: Sequence[Line]) -> list[str]:
    """Return the names of the sizes below the curve, those that would overlap left out."""
    parts: list[str] = []
    free_from = 0.0
    for memory_mb in sorted({point.memory_mb for line in lines for point in line.points}):
        x, label = scale.x(memory_mb), str(memory_mb)
        if x - len(label) * 4 >= free_from:
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>'
            )
            free_from = x + len(label) * 4 + 4
    x = LEFT + (WIDTH - LEFT - RIGHT) / 2
    return [
        *parts,
        f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="middle">memory size (MB)</text>',
    ]


def _band(scale: _Scale, line: Line) -> list[str]:
    bounded = [point for point in line.points if point.low is not None and point.high is not None]
    if len(bounded) < 2:
        return []
    upper = [f"{scale.x(point.memory_mb):.1f},{scale.y(point.high or 0):.1f}" for point in bounded]
    lower = [f"{scale.x(point.memory_mb):.1f},{scale.y(point.low or 0):.1f}" for point in reversed(bounded)]
    return [f'<polygon class="band {line.kind}" points="{" ".join([*upper, *lower])}"/>']


def _strokes(scale: _Scale, line: Line) -> list[str]:
    parts: list[str] = []
    for start, end in zip(line.points, line.points[1:], strict=False):
        doubtful = " doubtful" if start.is_hollow or end.is_hollow else ""
        parts.append(
            f'<line class="stroke {line.kind}{doubtful}" '
            f'x1="{scale.x(start.memory_mb):.1f}" y1="{scale.y(start.value):.1f}" '
            f'x2="{scale.x(end.memory_mb):.1f}" y2="{scale.y(end.value):.1f}"/>'
        )
    return parts


def _dots(scale: _Scale, line: Line, text: Callable[[float], str]) -> list[str]:
    parts: list[str] = []
    for point in line.points:
        x, y = scale.x(point.memory_mb), scale.y(point.value)
        kinds = f"dot {line.kind}{' hollow' if point.is_hollow else ''}"
        if point.is_best:
            parts.append(f'<circle class="best" cx="{x:.1f}" cy="{y:.1f}" r="9"/>')
        words = f"{line.name} at {point.memory_mb} MB: {text(point.value)}"
        if point.is_hollow:
            words += " (not what AWS would give)"
        parts.append(
            f'<circle class="{kinds}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{escape(words)}</title></circle>'
        )
    return parts
