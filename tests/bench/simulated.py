"""The simulator beside a real run: the same arrivals through a server and through the model, and how far it was off.

The model is told what can be known beforehand: when who arrives and how long it sleeps, the server's settings, and how
long a few cold starts took before. What the run itself measured it is not told.
"""

from __future__ import annotations

import base64
import json
import math
import re
import statistics
import time
from dataclasses import dataclass
from random import Random

from tests.bench import load
from tests.bench.goals import LAMBENT, Figure
from tests.bench.load import Answer, LoadFailed
from tests.bench.measuring import SETTLE_S, Bench
from tests.bench.peers import Lambent

from lambent.simulation import Load, Platform, Summary, percentile, simulate, summarize
from lambent.simulation.distribution import measured
from lambent.simulation.load import poisson

SLEEPER = """import time

time.sleep(0.12)  # stands for imports


def handler(event, context):
    time.sleep(event["s"])
"""
IDLE_TIMEOUT_S = 3.0
SWEEP_S = IDLE_TIMEOUT_S / 4
"""How often the server looks for environments that have idled too long: on average they live half of it longer."""
MEMORY_MB = 1769
_NAME = "sleeper"
_MEAN_S = 0.15
_SEED = 20
_COLD_STARTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One invocation, from the log's tail and by the caller's clock."""

    at_s: float
    latency_s: float
    duration_ms: float
    billed_ms: int
    init_ms: float | None
    """Of a cold start."""


def simulator(bench: Bench) -> list[Figure]:
    """A server and the model under the same arrivals: a steady rate, a burst, a pause, twice that rate."""
    flags = ("--idle-timeout-s", str(IDLE_TIMEOUT_S))
    with Lambent(bench.new_directory("simulated"), *flags) as lambent:
        lambent.create(_NAME, SLEEPER, memory_mb=MEMORY_MB)
        before = [_cold_start(lambent, turn) for turn in range(_COLD_STARTS)]
        time.sleep(IDLE_TIMEOUT_S + 2 * SWEEP_S)
        at_s, sleeps_s = arrivals(Random(_SEED))
        found = _run(lambent, at_s, sleeps_s)
    expected = _model(before, at_s, sleeps_s)
    return _figures(found, expected)


def arrivals(random: Random) -> tuple[list[float], list[float]]:
    """Return when invocations come within about 22 s, and how long each sleeps."""
    steady = poisson(random, per_s=12, duration_s=7)
    burst = [7.0 + number * 0.002 for number in range(25)]
    # A pause of 6 s, in which every environment goes.
    quick = [14.0 + at for at in poisson(random, per_s=30, duration_s=7)]
    at_s = sorted([*steady, *burst, *quick])
    return at_s, [random.expovariate(1 / _MEAN_S) for _ in at_s]


def _cold_start(lambent: Lambent, turn: int) -> Measured:
    lambent.reconfigure(_NAME, turn)
    time.sleep(SETTLE_S)
    target = lambent.invoke_target(_NAME, event=b'{"s": 0}', answer=None, wants_log_tail=True)
    latency_s, answer = load.once(target)
    found = _measured(0.0, latency_s, answer)
    if found.init_ms is None:
        raise LoadFailed("the invocation was no cold start")
    return found


def _run(lambent: Lambent, at_s: list[float], sleeps_s: list[float]) -> list[Measured]:
    target = lambent.invoke_target(_NAME, answer=None, wants_log_tail=True)
    targets = [target.with_event(json.dumps({"s": sleep_s}).encode()) for sleep_s in sleeps_s]
    answers = load.by_timetable(targets, at_s)
    return [_measured(*one) for one in answers]


def _measured(at_s: float, latency_s: float, answer: Answer) -> Measured:
    tail = base64.b64decode(answer.header("x-amz-log-result") or "").decode()
    fields = dict(re.findall(r"\t([A-Z][A-Za-z ]+): ([\d.]+) ms", tail))
    if "Duration" not in fields and not (first := re.search(r"Duration: ([\d.]+) ms", tail)):
        raise LoadFailed(f"no REPORT line in {tail!r}")
    init = fields.get("Init Duration")
    return Measured(
        at_s=at_s,
        latency_s=latency_s,
        duration_ms=float(fields["Duration"] if "Duration" in fields else first[1]),  # type: ignore[index]
        billed_ms=int(float(fields["Billed Duration"])),
        init_ms=float(init) if init else None,
    )


def _model(before: list[Measured], at_s: list[float], sleeps_s: list[float]) -> Summary:
    inits_ms = [one.init_ms for one in before if one.init_ms is not None]
    beyond_s = [
        one.latency_s - (one.duration_ms + one.init_ms) / 1000 for one in before if one.init_ms is not None
    ]
    platform = Platform(
        memory_mb=MEMORY_MB,
        keep_alive_s=IDLE_TIMEOUT_S + SWEEP_S / 2,
        account_concurrency=100_000,
        start_overhead_s=max(0.0, statistics.median(beyond_s)),
    )
    arrived = Load(
        at_s=at_s, service_s=sleeps_s, starts=(measured(inits_ms, "cold starts"),), duration_s=at_s[-1]
    )
    return summarize(simulate(arrived, platform, seed=_SEED))


def _figures(found: list[Measured], expected: Summary) -> list[Figure]:
    latencies_ms = sorted(one.latency_s * 1000 for one in found)
    pairs = {
        "cold starts": (expected.cold_starts, sum(one.init_ms is not None for one in found)),
        "latency p50": (expected.latency_ms["p50"], percentile(latencies_ms, 50)),
        "latency p95": (expected.latency_ms["p95"], percentile(latencies_ms, 95)),
        "peak concurrency": (expected.peak_concurrency, peak_of(found)),
        "billed duration": (_billed_ms(expected), sum(one.billed_ms for one in found)),
    }
    return [
        Figure(
            name=f"simulator, {name}, error",
            unit="%",
            values={LAMBENT: abs(model / real - 1) * 100 if real else math.inf},
            note=f"model {model:,.4g}, run {real:,.4g}, of {len(found)} invocations",
        )
        for name, (model, real) in pairs.items()
    ]


def _billed_ms(summary: Summary) -> float:
    rate = 0.0000166667 * MEMORY_MB / 1024 / 1000
    return float(summary.bill.duration_usd) / rate


def peak_of(found: list[Measured]) -> int:
    """Return the most invocations that were under way at one moment, by the caller's clock."""
    changes = sorted(change for one in found for change in ((one.at_s, 1), (one.at_s + one.latency_s, -1)))
    running = peak = 0
    for _, change in changes:
        running += change
        peak = max(peak, running)
    return peak
