"""What a trace says by itself: the same figures as a simulation has, of what really happened. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lambent.simulation.summary import PERCENTS, percentile
from lambent.simulation.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The figures of what happened."""

    invocations: int
    cold_starts: int
    latency_ms: Mapping[str, float]
    """Init and duration: ``p50`` to ``p99.9``, ``mean`` and ``max``. What else somebody waited for, no trace says."""
    peak_concurrency: int
    mean_concurrency: float


def observe(trace: Trace) -> Observed | None:
    """Return the figures of a trace; None if it does not say how long all of its invocations ran."""
    if any(map(math.isnan, trace.duration_ms)):
        return None
    latencies_ms = [
        duration_ms + (0.0 if math.isnan(init_ms) else init_ms)
        for duration_ms, init_ms in zip(trace.duration_ms, trace.init_ms, strict=True)
    ]
    ordered = sorted(latencies_ms)
    first_s, last_s = min(trace.at_s), max(trace.at_s)
    return Observed(
        invocations=len(ordered),
        cold_starts=sum(not math.isnan(init_ms) for init_ms in trace.init_ms),
        latency_ms={f"p{percent:g}": percentile(ordered, percent) for percent in PERCENTS}
        | {"mean": math.fsum(ordered) / len(ordered), "max": ordered[-1]},
        peak_concurrency=peak_of(trace.at_s, latencies_ms),
        mean_concurrency=math.fsum(latencies_ms) / 1000 / (last_s - first_s) if last_s > first_s else 0.0,
    )


def peak_of(at_s: list[float], latencies_ms: list[float]) -> int:
    """Return the most invocations that were under way at one moment; one that ends makes room for one that begins."""
    changes = [(at, 1) for at in at_s]
    changes += [(at + latency / 1000, -1) for at, latency in zip(at_s, latencies_ms, strict=True)]
    changes.sort()
    running = peak = 0
    for _, change in changes:
        running += change
        peak = max(peak, running)
    return peak
