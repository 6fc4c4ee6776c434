"""The page stands alone, says what was measured, and marks what AWS would not give."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from lambent.cli.tune_page import page
from lambent.cli.tune_result import choose
from unit.cli.test_tune_result import CPU_BOUND, around, size

DOUBTED = size(10240, around(60, 3), doubt="5.8 vCPU, and the machine has 2")


def made(title: str = "Memory sizes of f") -> str:
    sizes = [*CPU_BOUND, DOUBTED]
    return page(title, ["512 MB is the fastest."], sizes, choose(sizes, "speed", 0.5), "5 of each")


class Tags(HTMLParser):
    """Collects what a page refers to, and checks that its elements are closed in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "circle", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("meta", "line", "circle", "polygon"):
            assert self.open.pop() == tag


def test_the_page_needs_nothing_from_anywhere() -> None:
    """Its only address is the link to the visualiser, which nobody has to follow."""
    tags = Tags()
    tags.feed(made())
    assert tags.open == []
    assert len(tags.references) == 1
    assert tags.references[0].startswith("https://lambda-power-tuning.show/#")
    assert "url(" not in made()
    assert "@import" not in made()
    assert "<script" not in made()


def test_the_page_follows_light_and_dark() -> None:
    assert "color-scheme: light dark" in made()
    assert "prefers-color-scheme: dark" in made()


def test_the_curves_are_svg_with_a_point_for_every_size() -> None:
    charts = re.findall(r"<svg.*?</svg>", made(), re.DOTALL)
    assert len(charts) == 2
    durations, costs = (ElementTree.fromstring(chart) for chart in charts)
    dots = [circle.get("class") or "" for circle in costs.iter("circle")]
    assert sum("dot cost" in kind for kind in dots) == 4
    assert sum("hollow" in kind for kind in dots) == 1
    assert sum(kind == "best" for kind in dots) == 1
    titles = [title.text or "" for title in durations.iter("title")]
    assert [title.split(" (")[0].rpartition(" at ")[0] for title in titles] == ["p50"] * 4 + ["p95"] * 4
    assert CPU_BOUND[0].p50 is not None
    assert titles[0] == f"p50 at 128 MB: {CPU_BOUND[0].p50.value:.0f}"
    assert any(title.endswith("(not what AWS would give)") for title in titles)


def test_all_that_is_drawn_lies_within_its_frame() -> None:
    for chart in re.findall(r"<svg.*?</svg>", made(), re.DOTALL):
        for circle in ElementTree.fromstring(chart).iter("circle"):
            assert 0 <= float(circle.get("cx") or -1) <= 720
            assert 0 <= float(circle.get("cy") or -1) <= 260


def test_the_table_has_every_size_with_its_note() -> None:
    text = made()
    for memory_mb in (128, 256, 512, 10240):
        assert f"<td>{memory_mb} MB</td>" in text
    assert "<td>5.8 vCPU, and the machine has 2</td>" in text
    assert text.count('class="chosen"') == 1
    assert text.count('class="doubted"') == 1


def test_names_are_escaped() -> None:
    assert "<b>" not in made("Memory sizes of <b>")


def test_a_page_without_figures_still_says_why() -> None:
    failed = size(128, [], is_given_up=True)
    text = page("t", ["The function fails at every size."], [failed], None, "s")
    assert "The function fails at every size." in text
    assert "<svg" not in text
