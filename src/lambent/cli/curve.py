"""A curve for the terminal, drawn with Braille dots: two by four of them in each character.

Pure: points in, lines of text out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

# The bits of a Braille character by column and row (Unicode, block U+2800).
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BLANK = "\u2800"
POINT, HOLLOW = "●", "○"


class _Canvas:
    def __init__(self, columns: int, rows: int) -> None:
        self.width, self.height = columns * 2, rows * 4
        self._cells = [[0] * columns for _ in range(rows)]
        self._marks: dict[tuple[int, int], str] = {}

    def dot(self, x: int, y: int) -> None:
        self._cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]

    def line(self, start: tuple[int, int], end: tuple[int, int], *, gap: int) -> None:
        """Draw a line; with a gap, only every so manieth dot of it."""
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for step in range(0, steps + 1, gap):
            share = step / steps
            x, y = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
            self.dot(x, y)

    def mark(self, x: int, y: int, sign: str) -> None:
        self._marks[y // 4, x // 2] = sign

    def lines(self) -> list[str]:
        return [
            "".join(
                self._marks.get((row, column)) or (chr(0x2800 + bits) if bits else " ")
                for column, bits in enumerate(cells)
            )
            for row, cells in enumerate(self._cells)
        ]


def curve(
    points: Sequence[tuple[int, float, bool]],
    *,
    columns: int,
    rows: int,
    text: Callable[[float], str],
) -> list[str]:
    """Return the lines of a curve with its axes.

    Args:
        points: at least one memory size in MB with its value and whether it is to be trusted; the others are hollow.
        columns: the width of the curve, without what is written left of it.
        rows: its height, without the axis.
        text: writes a value.
    """
    canvas = _Canvas(columns, rows)
    place = _places(points, canvas)
    for (_, _, is_sure_before), (_, _, is_sure), start, end in zip(
        points, points[1:], place, place[1:], strict=False
    ):
        canvas.line(start, end, gap=1 if is_sure and is_sure_before else 4)
    for (_, _, is_sure), (x, y) in zip(points, place, strict=True):
        canvas.mark(x, y, POINT if is_sure else HOLLOW)
    top, bottom = text(max(value for _, value, _ in points)), "0"
    margin = max(len(top), len(bottom))
    labels = [top, *[""] * (rows - 2), bottom] if rows > 1 else [top]
    body = [f"{label:>{margin}} ┤{line}" for label, line in zip(labels, canvas.lines(), strict=True)]
    axis, sizes = _axis(points, place, columns)
    return [*body, f"{'':>{margin}} └{axis}", f"{'':>{margin}}  {sizes}".rstrip()]


def _places(points: Sequence[tuple[int, float, bool]], canvas: _Canvas) -> list[tuple[int, int]]:
    """Return where each point lies: sizes by their logarithm, values from zero, so that what is flat looks flat."""
    logs = [math.log(size) for size, _, _ in points]
    values = [value for _, value, _ in points]
    left, wide = min(logs), max(logs) - min(logs)
    high = max(values)
    return [
        (
            round((at - left) / wide * (canvas.width - 1)) if wide else 0,
            round((high - value) / high * (canvas.height - 1)) if high else canvas.height - 1,
        )
        for at, value in zip(logs, values, strict=True)
    ]


def _axis(
    points: Sequence[tuple[int, float, bool]], place: Sequence[tuple[int, int]], columns: int
) -> tuple[str, str]:
    """Return the line below the curve, and the sizes below that, as many as have room."""
    axis, sizes = ["─"] * columns, ""
    for (size, _, _), (x, _) in zip(points, place, strict=True):
        axis[x // 2] = "┬"
        label = str(size)
        start = max(0, min(x // 2 - len(label) // 2, columns - len(label)))
        if start > len(sizes) or not sizes:
            sizes = f"{sizes:<{start}}{label}"
    return "".join(axis), sizes
