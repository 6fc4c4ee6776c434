"""The curve of the terminal shows what was measured, from zero on."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.cli.curve import HOLLOW, POINT, curve


def drawn(points: list[tuple[int, float, bool]], columns: int = 40, rows: int = 6) -> list[str]:
    return curve(points, columns=columns, rows=rows, text=lambda value: f"{value:g}")


def row_of(lines: list[str], column: int, sign: str = POINT) -> int:
    return next(number for number, line in enumerate(lines) if line[column : column + 1] == sign)


def test_a_falling_curve_falls_and_a_flat_one_is_flat() -> None:
    falling = drawn([(128, 800.0, True), (256, 400.0, True), (512, 200.0, True)])
    margin = len("800 ┤")
    assert row_of(falling, margin) == 0
    assert row_of(falling, margin + 39) >= 4
    flat = drawn([(128, 20.4, True), (512, 20.5, True)])
    assert sum(POINT in line for line in flat) == 1


def test_the_axes_say_where_it_begins_and_ends() -> None:
    lines = drawn([(128, 800.0, True), (512, 200.0, True)])
    assert lines[0].startswith("800 ┤")
    assert lines[5].startswith("  0 ┤")
    assert lines[-1].split() == ["128", "512"]


def test_what_is_not_to_be_trusted_is_hollow() -> None:
    text = "".join(drawn([(128, 2.0, True), (10240, 1.0, False)]))
    assert (text.count(POINT), text.count(HOLLOW)) == (1, 1)


@given(
    points=st.dictionaries(st.integers(128, 10240), st.tuples(st.floats(0, 1e6), st.booleans()), min_size=1),
    columns=st.integers(10, 80),
    rows=st.integers(2, 12),
)
@settings(max_examples=60)
def test_any_points_make_lines_of_one_width(
    points: dict[int, tuple[float, bool]], columns: int, rows: int
) -> None:
    lines = drawn([(size, *points[size]) for size in sorted(points)], columns, rows)
    assert len(lines) == rows + 2
    assert len({len(line) for line in lines[:-1]}) == 1
