"""What a run comes to: latency, cold starts, throttles, concurrency and the bill. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from lambent.domain.pricing import REQUEST_USD, price_of
from lambent.domain.pricing.price_list import AWS
from lambent.simulation.engine import Run, service_times_s
from lambent.simulation.platform import Platform

PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
_NOTHING_MS = 1e-6
"""Less than a float's error in a duration: it does not begin another millisecond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedBill:
    """What a run would cost on AWS, in USD, before the free tier."""

    requests_usd: Decimal
    duration_usd: Decimal
    """Of what ran on demand, init phases included."""
    provisioned_usd: Decimal
    """What was kept ready, and what ran in it."""

    @property
    def total_usd(self) -> Decimal:
        """All of it."""
        return self.requests_usd + self.duration_usd + self.provisioned_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures of a run."""

    invocations: int
    served: int
    throttled: Mapping[str, int]
    """By reason."""
    timed_out: int
    cold_starts: int
    """Invocations that were the first to use their environment."""
    waited: int
    """Invocations that waited for an environment, cold or not."""
    spilled_over: int
    on_provisioned: int
    environments_started: int
    peak_environments: int
    environment_s: float
    peak_concurrency: int
    mean_concurrency: float
    """Over the load's duration."""
    latency_ms: Mapping[str, float]
    """From the arrival to the result: ``p50`` to ``p99.9``, ``mean`` and ``max``; empty if nothing was served."""
    duration_s: float
    bill: SimulatedBill


def summarize(run: Run) -> Summary:
    """Return the figures of a run."""
    service_s = service_times_s(run.load, run.platform)
    latencies_s = _latencies_s(run, service_s)
    busy_s = _busy_s(run, latencies_s)
    served_s = [latency for latency in latencies_s if latency >= 0] if run.throttled else latencies_s
    served_s.sort()
    return Summary(
        invocations=len(run.load),
        served=len(served_s),
        throttled=dict(Counter(run.throttled.values())),
        timed_out=_timed_out(run),
        cold_starts=len(run.cold_s),
        waited=len(run.waits_s),
        spilled_over=run.spilled_over,
        on_provisioned=len(run.on_provisioned),
        environments_started=run.started,
        peak_environments=run.peak_environments,
        environment_s=run.environment_s,
        peak_concurrency=run.peak_concurrency,
        mean_concurrency=busy_s / run.load.duration_s if run.load.duration_s else 0.0,
        latency_ms=_percentiles_ms(served_s),
        duration_s=run.load.duration_s,
        bill=bill_of(run, service_s),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile by nearest rank: the least value that so many per cent do not exceed.

    Args:
        ordered: at least one value, rising.
        percent: above 0, at most 100.
    """
    # A product such as 29.000000000000004 means 29.
    return ordered[max(0, math.ceil(percent / 100 * len(ordered) - 1e-9) - 1)]


def bill_of(run: Run, service_s: Sequence[float]) -> SimulatedBill:
    """Return what a run would cost on AWS."""
    platform, load = run.platform, run.load
    all_ms = _billed_ms(service_s)
    throttled_ms = _billed_ms([service_s[place] for place in run.throttled])
    provisioned_ms = _billed_ms([service_s[place] for place in run.on_provisioned])
    on_demand_ms = all_ms - throttled_ms - provisioned_ms
    for place, init_s in run.cold_s.items():
        on_demand_ms += _billed_ms([service_s[place] + init_s]) - _billed_ms([service_s[place]])
    kept_gb_s = (
        Decimal(platform.memory_mb)
        / 1024
        * platform.provisioned
        * len(load.names)
        * _in_five_minutes(load.duration_s)
    )
    return SimulatedBill(
        requests_usd=REQUEST_USD * (len(load) - len(run.throttled)),
        duration_usd=_duration_usd(platform, on_demand_ms),
        provisioned_usd=kept_gb_s * AWS.prices.provisioned[platform.architecture]
        + _duration_usd(platform, provisioned_ms, is_provisioned=True),
    )


def _duration_usd(platform: Platform, billed_ms: int, *, is_provisioned: bool = False) -> Decimal:
    cost = price_of(
        architecture=platform.architecture,
        memory_mb=platform.memory_mb,
        billed_duration_ms=billed_ms,
        is_provisioned=is_provisioned,
    )
    return cost.price_usd - REQUEST_USD


def _in_five_minutes(duration_s: float) -> int:
    """Provisioned concurrency is charged for whole periods of five minutes."""
    return math.ceil(duration_s / 300) * 300


def _billed_ms(durations_s: Sequence[float]) -> int:
    return sum(map(math.ceil, [duration * 1000 - _NOTHING_MS for duration in durations_s]))


def _latencies_s(run: Run, service_s: Sequence[float]) -> list[float]:
    """Of each invocation, from its arrival to its end; -1 if it was throttled."""
    latencies_s = list(service_s)
    for place, wait_s in run.waits_s.items():
        latencies_s[place] += wait_s
    for place in run.throttled:
        latencies_s[place] = -1.0
    return latencies_s


def _busy_s(run: Run, latencies_s: Sequence[float]) -> float:
    """How long invocations ran, together, within the load's duration."""
    total_s = math.fsum(latencies_s) + len(run.throttled)
    end_s, longest_s = run.load.duration_s, max(latencies_s, default=0.0)
    for at_s, latency_s in zip(reversed(run.load.at_s), reversed(latencies_s), strict=True):
        if at_s + longest_s < end_s:
            break
        total_s -= max(0.0, at_s + max(0.0, latency_s) - end_s)
    return total_s


def _timed_out(run: Run) -> int:
    timeout_s, service_s = run.platform.timeout_s, run.load.service_s
    if max(service_s, default=0.0) <= timeout_s:
        return 0
    return sum(
        duration > timeout_s and place not in run.throttled for place, duration in enumerate(service_s)
    )


def _percentiles_ms(ordered_s: Sequence[float]) -> dict[str, float]:
    if not ordered_s:
        return {}
    found = {f"p{percent:g}": percentile(ordered_s, percent) * 1000 for percent in PERCENTS}
    return {**found, "mean": math.fsum(ordered_s) / len(ordered_s) * 1000, "max": ordered_s[-1] * 1000}
