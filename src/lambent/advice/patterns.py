"""What is unusual: spikes, bursts of errors, durations that drift; each against the function's own past."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

from lambent.advice.answer import Answer, ms
from lambent.advice.past import SUCCESS, Past

MINUTE_S = 60
SPIKE_MIN, ERRORS_MIN, DRIFT_MIN = 20, 5, 80
"""Fewer invocations in a minute, errors in ten minutes, or warm invocations in all are not looked at."""
RARE = 1e-6
"""How unlikely a burst of errors must be, if errors came at the rate that they have otherwise."""
DRIFT_RATIO = 1.2
DRIFT_Z = 5.0
_SHOWN_MAX = 3
_COMPARED_MAX = 20_000


def advise_patterns(past: Past) -> Answer:
    """Say what was unusual, and when."""
    found = [*spikes(past), *error_bursts(past), *drift(past)]
    evidence = (f"lambent ledger {past.function} --since 7d", f"lambent simulate --history {past.function}")
    if not found:
        return Answer(
            question="patterns", verdict="Nothing unusual: no spikes, no bursts of errors, no drift."
        )
    kinds = Counter(kind for kind, _ in found)
    words = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in kinds.items())
    return Answer(
        question="patterns",
        verdict=f"Unusual: {words}.",
        is_action=any(kind != "spike" for kind in kinds),
        figures=tuple(found),
        evidence=evidence,
    )


def spikes(past: Past) -> list[tuple[str, str]]:
    """Return minutes with far more invocations than the function usually has."""
    minutes = Counter(int(row.came_s // MINUTE_S) for row in past.invocations)
    first, last = min(minutes), max(minutes)
    if last - first < 10:
        return []
    counts = [minutes.get(minute, 0) for minute in range(first, last + 1)]
    usual = median(counts)
    spread = max(1.4826 * median(abs(count - usual) for count in counts), math.sqrt(usual + 1))
    limit = max(SPIKE_MIN, usual + 6 * spread)
    found = _joined([minute for minute in sorted(minutes) if minutes[minute] > limit])
    ranked = sorted(found, key=lambda span: -max(minutes[minute] for minute in span))
    return [
        (
            "spike",
            f"{_when(span[0] * MINUTE_S)}, {len(span)} min: up to {max(minutes[minute] for minute in span):,} "
            f"a minute, usually {usual:g}",
        )
        for span in ranked[:_SHOWN_MAX]
    ]


def error_bursts(past: Past) -> list[tuple[str, str]]:
    """Return stretches of ten minutes in which far more failed than otherwise."""
    width_s = 10 * MINUTE_S
    all_of, failed = Counter[int](), Counter[int]()
    for row in past.invocations:
        stretch = int(row.came_s // width_s)
        all_of[stretch] += 1
        failed[stretch] += row.status != SUCCESS
    total, errors = sum(all_of.values()), sum(failed.values())
    found: list[tuple[float, str]] = []
    for stretch, count in failed.items():
        if count < ERRORS_MIN or all_of[stretch] == total:
            continue
        # What is usual is what it did at other times: never quite nothing, or a single error would be a burst.
        usual = (errors - count + 1) / (total - all_of[stretch] + 2)
        chance = binomial_tail(all_of[stretch], count, usual)
        if chance < RARE:
            part = f"{count:,} of {all_of[stretch]:,} failed in ten minutes, usually {usual:.2%}"
            found.append((chance, f"{_when(stretch * width_s)}: {part}"))
    return [("error burst", words) for _, words in sorted(found)[:_SHOWN_MAX]]


def drift(past: Past) -> list[tuple[str, str]]:
    """Return how durations of the last quarter differ from those before, if they clearly do."""
    rows = [row for row in past.invocations if row.status == SUCCESS and not row.start_ms]
    if len(rows) < DRIFT_MIN:
        return []
    cut = len(rows) * 3 // 4
    before, after = rows[:cut], rows[cut:]
    step = max(1, len(rows) // _COMPARED_MAX)
    before_ms, after_ms = ([row.duration_ms for row in part[::step]] for part in (before, after))
    ratio = median(after_ms) / max(median(before_ms), 1e-3)
    if 1 / DRIFT_RATIO < ratio < DRIFT_RATIO or abs(rank_z(before_ms, after_ms)) < DRIFT_Z:
        return []
    words = (
        f"since {_when(after[0].came_s)} p50 is {ms(median(after_ms))}, before it was {ms(median(before_ms))}"
    )
    changes = [
        name
        for name, values in (
            ("version", {row.version for row in after} - {row.version for row in before}),
            ("memory size", {row.memory_mb for row in after} - {row.memory_mb for row in before}),
        )
        if values
    ]
    return [("duration drift", words + (f"; its {' and '.join(changes)} changed" if changes else ""))]


def binomial_tail(count: int, least: int, chance: float) -> float:
    """Return the probability that at least so many of a count happen, each with this chance."""
    if least <= 0 or chance >= 1:
        return 1.0
    if chance <= 0:
        return 0.0
    logs = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        + k * math.log(chance) + (count - k) * math.log1p(-chance)
        for k in range(least, count + 1)
    ]  # fmt: skip
    most = max(logs)
    return min(1.0, math.exp(most) * math.fsum(math.exp(value - most) for value in logs))


def rank_z(before: Sequence[float], after: Sequence[float]) -> float:
    """Return how many standard deviations the ranks of the later values are off (Mann-Whitney); above 0 if higher."""
    pooled = sorted([(value, 0) for value in before] + [(value, 1) for value in after])
    ranks, place = 0.0, 0
    while place < len(pooled):
        end = place
        while end < len(pooled) and pooled[end][0] == pooled[place][0]:
            end += 1
        middle = (place + 1 + end) / 2
        ranks += middle * sum(group for _, group in pooled[place:end])
        place = end
    n, m = len(before), len(after)
    u = ranks - m * (m + 1) / 2
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    return (u - n * m / 2) / deviation if deviation else 0.0


def _joined(minutes: Sequence[int]) -> list[list[int]]:
    spans: list[list[int]] = []
    for minute in minutes:
        if spans and minute - spans[-1][-1] == 1:
            spans[-1].append(minute)
        else:
            spans.append([minute])
    return spans


def _when(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M}Z"
