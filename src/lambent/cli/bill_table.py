"""What a change costs, as a Markdown table for a pull request: figures of two sides in, text out. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from lambent.cli.estimates import is_change, quantile
from lambent.cli.measure import Failure, Sample
from lambent.cli.terminal import size_text
from lambent.cli.tune_words import ms_text, usd_number

MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that are compared."""

    label: str
    samples: tuple[Sample, ...]
    cold: tuple[Sample, ...]
    failures: tuple[Failure, ...]
    package_bytes: int
    unzipped_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure before and after. None: there is none, as the function failed."""

    payload: str
    figure: str
    before: float | None
    after: float | None
    text: Callable[[float], str]
    is_sure: bool = True
    """Whether the difference is more than chance explains; what is counted, not measured, is always sure."""

    @property
    def share(self) -> float | None:
        """Return by which part of itself the figure changed."""
        if self.before is None or self.after is None or not self.before:
            return None
        return self.after / self.before - 1


def changes(before: Side, after: Side, payloads: Sequence[str], chance: Random) -> list[Change]:
    """Return all figures that are compared.

    Args:
        before: the one side.
        after: the other.
        payloads: the names of the payloads, by their number.
        chance: decides with which samples the differences are tried.
    """
    found: list[Change] = []
    strata = [_strata(side.samples, len(payloads)) for side in (before, after)]
    if len(payloads) > 1 and all(all(one) for one in strata):
        found.append(_cost("all payloads", strata[0], strata[1], chance))
    for payload, one, other in zip(payloads, *strata, strict=True):
        found.append(_cost(payload, [one], [other], chance))
        found += [_duration(payload, one, other, q, chance) for q in (0.5, 0.95)]
    found.append(_start(before.cold, after.cold, chance))
    used = [
        max((one.report.max_memory_used_mb for one in side.samples), default=None) for side in (before, after)
    ]
    found += [
        Change(
            payload="", figure="memory used", before=used[0], after=used[1], text=lambda mb: f"{mb:.0f} MB"
        ),
        _counted("package", before.package_bytes, after.package_bytes),
        _counted("unzipped", before.unzipped_bytes, after.unzipped_bytes),
    ]
    return found


def _strata(samples: Sequence[Sample], count: int) -> list[list[Sample]]:
    """Return the samples of each payload."""
    return [[sample for sample in samples if sample.payload == number] for number in range(count)]


def _measured(
    payload: str,
    figure: str,
    *,
    strata: tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]],
    of: Callable[[Sequence[float]], float],
    text: Callable[[float], str],
    chance: Random,
) -> Change:
    before, after = ([value for stratum in side for value in stratum] for side in strata)
    return Change(
        payload=payload,
        figure=figure,
        before=of(before) if before else None,
        after=of(after) if after else None,
        text=text,
        is_sure=bool(before and after) and is_change(*strata, of, chance),
    )


def _cost(
    payload: str, before: Sequence[Sequence[Sample]], after: Sequence[Sequence[Sample]], chance: Random
) -> Change:
    prices = [[[one.price_usd for one in stratum] for stratum in side] for side in (before, after)]
    return _measured(
        payload,
        "cost per million calls",
        strata=(prices[0], prices[1]),
        of=lambda usd: sum(usd) / len(usd) * MILLION,
        text=lambda usd: f"${usd_number(usd)}",
        chance=chance,
    )


def _duration(
    payload: str, before: Sequence[Sample], after: Sequence[Sample], q: float, chance: Random
) -> Change:
    return _measured(
        payload,
        f"p{q * 100:.0f}",
        strata=([[one.duration_ms for one in before]], [[one.duration_ms for one in after]]),
        of=lambda ms: quantile(ms, q).value,
        text=_ms,
        chance=chance,
    )


def _start(before: Sequence[Sample], after: Sequence[Sample], chance: Random) -> Change:
    return _measured(
        "",
        "cold start (p50)",
        strata=([[one.start_ms for one in before]], [[one.start_ms for one in after]]),
        of=lambda ms: quantile(ms, 0.5).value,
        text=_ms,
        chance=chance,
    )


def _ms(duration_ms: float) -> str:
    return f"{ms_text(duration_ms)} ms"


def _counted(figure: str, before: int, after: int) -> Change:
    known = [size or None for size in (before, after)]
    return Change(
        payload="", figure=figure, before=known[0], after=known[1], text=lambda size: size_text(int(size))
    )


def markdown(
    before: Side, after: Side, found: Sequence[Change], payloads: Sequence[str], setting: str
) -> str:
    """Return the table, with what was compared above it and how below.

    Args:
        before: the one side.
        after: the other.
        found: the figures.
        payloads: the names of the payloads, by their number.
        setting: how it was measured.
    """
    lines = [
        f"### What it costs: {_code(before.label)} → {_code(after.label)}",
        "",
        "| payload | | before | after | change |",
        "|:--|:--|--:|--:|--:|",
    ]
    for change in found:
        cells = ["-" if value is None else change.text(value) for value in (change.before, change.after)]
        lines.append(
            f"| {_cell(change.payload)} | {change.figure} | {cells[0]} | {cells[1]} | {change_text(change)} |"
        )
    for name, side in (("before", before), ("after", after)):
        for failure in {failure.payload: failure for failure in side.failures}.values():
            lines += ["", f"**Fails {name}** with {_code(payloads[failure.payload])}: {_code(str(failure))}"]
    return "\n".join([*lines, "", setting])


def change_text(change: Change) -> str:
    """Return a change in percent, or as a factor from ten on; ``≈`` says that it is no more than chance explains."""
    share = change.share
    if share is None:
        return (
            "-"
            if change.before is None and change.after is None
            else "new"
            if change.before is None
            else "gone"
        )
    percent = f"× {share + 1:.0f}" if share >= 9 else f"{share * 100:+.1f} %".replace("-", "−")
    if percent in ("+0.0 %", "−0.0 %"):
        return "="
    return percent if change.is_sure else f"≈ {percent}"


def _cell(text: str) -> str:
    return _code(text) if text and text != "all payloads" else text


def _code(text: str) -> str:
    """Return a text as Markdown code that stays within its cell."""
    plain = re.sub(r"[`|\s]+", " ", text).strip()
    return f"`{plain}`"


def grown(found: Sequence[Change], percent: float) -> list[Change]:
    """Return the costs that have surely grown by more than so many percent."""
    return [
        change
        for change in found
        if change.figure.startswith("cost") and change.is_sure and (change.share or 0) * 100 > percent
    ]
