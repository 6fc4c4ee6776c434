"""From samples at several memory sizes to figures, to the best size, and to how sure that is.

Pure. The strategies are those of aws-lambda-power-tuning: the least mean cost, the least mean duration, or the least of
both, weighted, each as a share of the largest.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lambent.cli.estimates import Estimate, Row, bounds, interval, means, quantile, resampled
from lambent.cli.measure import Failure, Sample

VISUALISER = "https://lambda-power-tuning.show/"
MILLION = 1_000_000
# Failures that a larger memory size can cure; one of them, and nobody should choose that size.
_OF_THE_SIZE = ("Runtime.OutOfMemory", "Runtime.ExitError", "Sandbox.Timedout", "MemoryError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured at a size. The order of a row's quantities: duration, cost, cost at the other price."""

    memory_mb: int
    samples: tuple[Sample, ...]
    other_prices: tuple[float, ...] = ()
    """What the same invocations would cost on arm64; empty when that was not asked for."""
    failures: tuple[Failure, ...] = ()
    is_given_up: bool = False
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The figures of one memory size; durations in ms, costs in USD for a million invocations."""

    memory_mb: int
    count: int
    failures: tuple[Failure, ...] = ()
    doubt: str | None = None
    is_fit: bool = True
    """Whether the function works at this size."""
    p50: Estimate | None = None
    p95: Estimate | None = None
    duration: Estimate | None = None
    cost: Estimate | None = None
    other_cost: Estimate | None = None
    init_ms: float | None = None
    max_memory_used_mb: int = 0
    resamples: tuple[Row, ...] = field(default=(), repr=False)

    @property
    def is_candidate(self) -> bool:
        return self.is_fit and self.doubt is None and self.cost is not None

    @property
    def note(self) -> str:
        """Return what has to be said about the size, or nothing."""
        words = [self.doubt] if self.doubt else []
        if self.failures:
            words.append(f"{len(self.failures)} failed ({self.failures[0]})")
        return "; ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The best size by a strategy.

    ``ties`` are the sizes that the samples cannot tell from it, without itself; ``runner_up`` is the second best.
    """

    strategy: str
    best: Size
    runner_up: Size | None
    ties: tuple[int, ...]

    @property
    def is_significant(self) -> bool:
        return self.runner_up is None or self.runner_up.memory_mb not in self.ties


def size_of(measured: Measured, payload_count: int, trim: float, chance: Random) -> Size:
    """Return the figures of what was measured at one size.

    Args:
        measured: the samples.
        payload_count: how many payloads there were; the mean leaves out the extremes of each.
        trim: the share that is left out of means at either end.
        chance: for the intervals.
    """
    samples = measured.samples
    is_fit = not measured.is_given_up and not any(one.kind in _OF_THE_SIZE for one in measured.failures)
    size = Size(
        memory_mb=measured.memory_mb,
        count=len(samples),
        failures=measured.failures,
        doubt=measured.doubt,
        is_fit=is_fit,
    )
    if not samples:
        return size
    strata: list[list[Row]] = [[] for _ in range(payload_count)]
    for at, sample in enumerate(samples):
        other = measured.other_prices[at : at + 1]
        strata[sample.payload].append((sample.duration_ms, sample.price_usd, *other))
    resamples = resampled(strata, trim, chance)
    figures = [
        interval(value, [row[column] for row in resamples])
        for column, value in enumerate(means(strata, trim))
    ]
    durations = [sample.duration_ms for sample in samples]
    starts = [sample.start_ms for sample in samples if sample.is_cold]
    return Size(
        memory_mb=measured.memory_mb,
        count=len(samples),
        failures=measured.failures,
        doubt=measured.doubt,
        is_fit=is_fit,
        p50=quantile(durations, 0.5),
        p95=quantile(durations, 0.95),
        duration=figures[0],
        cost=figures[1].scaled(MILLION),
        other_cost=figures[2].scaled(MILLION) if len(figures) > 2 else None,
        init_ms=quantile(starts, 0.5).value if starts else None,
        max_memory_used_mb=max(sample.report.max_memory_used_mb for sample in samples),
        resamples=tuple(resamples),
    )


def choose(sizes: Sequence[Size], strategy: str, balanced_weight: float) -> Choice | None:
    """Return the best size and what cannot be told from it; None when no size is a candidate."""
    candidates = [size for size in sizes if size.is_candidate]
    if not candidates:
        return None
    weight = {"cost": 1.0, "speed": 0.0}.get(strategy, balanced_weight)
    scores = _scores([_means(size) for size in candidates], weight)
    ranked = sorted(range(len(candidates)), key=lambda at: scores[at])
    best = ranked[0]
    drawn = [_scores(rows, weight) for rows in zip(*(size.resamples for size in candidates), strict=True)]
    ties = [at for at in ranked[1:] if bounds([row[at][0] - row[best][0] for row in drawn])[0] <= 0]
    return Choice(
        strategy=strategy,
        best=candidates[best],
        runner_up=candidates[ranked[1]] if len(ranked) > 1 else None,
        ties=tuple(sorted(candidates[at].memory_mb for at in ties)),
    )


def _means(size: Size) -> Row:
    assert size.duration is not None
    assert size.cost is not None
    return size.duration.value, size.cost.value / MILLION


def _scores(rows: Sequence[Row], weight: float) -> list[tuple[float, float]]:
    """Return what is to be least, and what decides among equals: the other quantity."""
    slowest, dearest = max(row[0] for row in rows), max(row[1] for row in rows)
    return [
        (
            weight * row[1] / dearest + (1 - weight) * (row[0] / slowest if slowest else 0.0),
            row[0] if weight >= 0.5 else row[1],
        )
        for row in rows
    ]


def visualisation(sizes: Sequence[Size]) -> str:
    """Return the address at which the visualiser of aws-lambda-power-tuning draws these sizes.

    The figures are in its fragment, which a browser keeps to itself: memory sizes as int16, durations and costs as
    float32, little-endian, in base64. What this machine cannot give is left out, since the link cannot mark it.
    """
    shown = [size for size in sizes if size.is_candidate]
    rows = [_means(size) for size in shown]
    packed = (
        struct.pack(f"<{len(shown)}h", *(size.memory_mb for size in shown)),
        struct.pack(f"<{len(shown)}f", *(row[0] for row in rows)),
        struct.pack(f"<{len(shown)}f", *(row[1] for row in rows)),
    )
    return f"{VISUALISER}#{';'.join(base64.b64encode(part).decode() for part in packed)}"


def output(
    sizes: Sequence[Size], choice: Choice | None, *, spent_usd: float, includes_stats: bool
) -> dict[str, Any]:
    """Return the state machine's output, with what it does not know under ``lambent``.

    ``executionCost`` is 0: there are no state transitions to pay for.
    """
    best = choice.best if choice else None
    document: dict[str, Any] = {
        "power": best.memory_mb if best else None,
        "cost": _means(best)[1] if best else None,
        "duration": _means(best)[0] if best else None,
        "stateMachine": {
            "executionCost": 0,
            "lambdaCost": spent_usd,
            "visualization": visualisation(sizes),
        },
    }
    if includes_stats:
        document["stats"] = [
            {"averagePrice": cost, "averageDuration": duration, "value": size.memory_mb}
            for size in sizes
            if size.cost is not None
            for duration, cost in (_means(size),)
        ]
    document["lambent"] = {
        "strategy": choice.strategy if choice else None,
        "significant": choice.is_significant if choice else None,
        "ties": list(choice.ties) if choice else [],
        "sizes": [_shown(size) for size in sizes],
    }
    return document


def _shown(size: Size) -> Mapping[str, Any]:
    return {
        "memoryMb": size.memory_mb,
        "invocations": size.count,
        "failures": [str(failure) for failure in size.failures],
        "candidate": size.is_candidate,
        "note": size.note,
        "p50Ms": _edges(size.p50),
        "p95Ms": _edges(size.p95),
        "meanMs": _edges(size.duration),
        "usdPerMillion": _edges(size.cost),
        "arm64UsdPerMillion": _edges(size.other_cost),
        "startMs": size.init_ms,
        "maxMemoryUsedMb": size.max_memory_used_mb,
    }


def _edges(figure: Estimate | None) -> Mapping[str, float | None] | None:
    return None if figure is None else {"value": figure.value, "low": figure.low, "high": figure.high}
