"""The simulator: a model of the platform that replays arrivals, and says what they would have met and cost.

Pure computation: a load (who comes when, and for how long) and a platform (limits, keep-alive, what is provisioned) in,
a run out. It decides as the platform does, by the same functions and token buckets where those are pure
(`lambent.invoke.assignment`, `lambent.invoke.rates`), and prices as it does (`lambent.domain.pricing`). It knows no
clock, no files and no server.
"""

from __future__ import annotations

from lambent.simulation.azure import COUNTS_HEADER, read_counts, read_durations
from lambent.simulation.distribution import Distribution, parse_distribution
from lambent.simulation.engine import BINS, Run, simulate
from lambent.simulation.load import Load, TraceError, poisson_load
from lambent.simulation.observed import Observed, observe
from lambent.simulation.platform import Platform
from lambent.simulation.summary import SimulatedBill, Summary, percentile, summarize
from lambent.simulation.trace import Trace, has_cold_starts, load_of, read_trace

__all__ = [
    "BINS",
    "COUNTS_HEADER",
    "Distribution",
    "Load",
    "Observed",
    "Platform",
    "Run",
    "SimulatedBill",
    "Summary",
    "Trace",
    "TraceError",
    "has_cold_starts",
    "load_of",
    "observe",
    "parse_distribution",
    "percentile",
    "poisson_load",
    "read_counts",
    "read_durations",
    "read_trace",
    "simulate",
    "summarize",
]
