"""A curve keeps its shape on the page: more is higher, doubling is as far everywhere, the grid starts at zero."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.cli.chart import HEIGHT, WIDTH, Line, Point, chart


def circles(points: list[Point]) -> list[tuple[float, float]]:
    text = chart([Line(name="p50", kind="first", points=points)], title="t", text=lambda value: f"{value:g}")
    found = ElementTree.fromstring(text).iter("circle")
    return [(float(one.get("cx") or 0), float(one.get("cy") or 0)) for one in found]


def test_each_doubling_is_as_wide_as_the_next_and_less_is_lower() -> None:
    (x1, y1), (x2, y2), (x3, y3) = circles(
        [Point(memory_mb=128, value=4.0), Point(memory_mb=256, value=2.0), Point(memory_mb=512, value=1.0)]
    )
    assert abs((x2 - x1) - (x3 - x2)) <= 0.2
    assert y1 < y2 < y3


def test_the_interval_is_a_band_around_the_curve() -> None:
    points = [Point(memory_mb=size, value=2.0, low=1.0, high=3.0) for size in (128, 256)]
    text = chart([Line(name="p50", kind="first", points=points)], title="t", text=str)
    assert ElementTree.fromstring(text).find("polygon") is not None
    open_end = [Point(memory_mb=size, value=2.0, low=1.0, high=None) for size in (128, 256)]
    text = chart([Line(name="p95", kind="second", points=open_end)], title="t", text=str)
    assert ElementTree.fromstring(text).find("polygon") is None


@given(values=st.dictionaries(st.integers(128, 10240), st.floats(0, 1e9), min_size=1, max_size=12))
@settings(max_examples=50)
def test_whatever_is_drawn_is_in_the_picture(values: dict[int, float]) -> None:
    for x, y in circles([Point(memory_mb=size, value=values[size]) for size in sorted(values)]):
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
