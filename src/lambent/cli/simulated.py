"""What a simulation came to: tables and a picture over time for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lambent.cli.terminal import notice, results, usd_text

if TYPE_CHECKING:
    from lambent.cli.replay import Replay
    from lambent.simulation import Observed, Platform, Run, Summary

_BLOCKS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 4
_MONTH_S = 30 * 86_400
_SETTINGS: tuple[tuple[str, Callable[[Platform], str]], ...] = (
    ("memory", lambda platform: f"{platform.memory_mb} MB"),
    ("reserved", lambda platform: "none" if platform.reserved is None else str(platform.reserved)),
    ("provisioned", lambda platform: str(platform.provisioned)),
    ("account limit", lambda platform: f"{platform.account_concurrency:,}"),
    ("keep-alive", lambda platform: f"{platform.keep_alive_s:g} s"),
)


def show(replay: Replay, runs: Sequence[Run], summaries: Sequence[Summary]) -> None:
    """Print the figures of runs side by side, and the concurrency over time of the first."""
    from rich.table import Table

    notice(replay.source)
    for assumption in replay.assumptions:
        notice(assumption, style="yellow")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    for _ in runs:
        table.add_column(justify="right")
    if replay.observed is not None:
        table.add_column(justify="right")
    for name, cells in rows(runs, summaries, replay.observed):
        table.add_row(name, *cells)
    results().print(table)
    if len(runs) == 1:
        results().print(
            f"\nconcurrency over {runs[0].load.duration_s:.4g} s, peak {summaries[0].peak_concurrency}"
        )
        for line in picture(runs[0].peaks):
            results().print(line)


def rows(
    runs: Sequence[Run], summaries: Sequence[Summary], observed: Observed | None = None
) -> list[tuple[str, list[str]]]:
    """Return the lines of the table: what differs between the platforms, then the figures; what happened comes last."""
    found: list[tuple[str, list[str]]] = []
    if observed is not None:
        found.append(("", [*(["simulated"] * len(runs)), "as it was"]))
    for name, text in _SETTINGS:
        texts = [text(run.platform) for run in runs]
        if len(set(texts)) > 1 or len(runs) == 1:
            found.append((name, texts))
    found.append(("", [""] * len(runs)))
    for name, figure in _FIGURES:
        texts = [figure(summary) for summary in summaries]
        if any(texts):
            found.append((name, [text or "0" for text in texts]))
    if observed is not None:
        happened = happened_of(observed)
        found[1:] = [(name, [*cells, happened.get(name, "")]) for name, cells in found[1:]]
    return found


def happened_of(observed: Observed) -> dict[str, str]:
    """Return what really happened, by the names of the table."""
    latencies = {f"latency {name}": f"{value:,.1f} ms" for name, value in observed.latency_ms.items()}
    return latencies | {
        "invocations": f"{observed.invocations:,}",
        "cold starts": _share(observed.cold_starts, observed.invocations) or "0",
        "peak concurrency": f"{observed.peak_concurrency:,}",
        "mean concurrency": f"{observed.mean_concurrency:.4g}",
    }


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.2%})" if count and of else ""


def _latency(name: str) -> Callable[[Summary], str]:
    def text(summary: Summary) -> str:
        return f"{summary.latency_ms[name]:,.1f} ms" if summary.latency_ms else "–"

    return text


def _throttled(summary: Summary) -> str:
    reasons = ", ".join(f"{count:,} by {reason}" for reason, count in sorted(summary.throttled.items()))
    return f"{_share(sum(summary.throttled.values()), summary.invocations)}: {reasons}" if reasons else ""


_FIGURES: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("invocations", lambda it: f"{it.invocations:,}"),
    ("throttled", _throttled),
    ("timed out", lambda it: _share(it.timed_out, it.served)),
    ("cold starts", lambda it: _share(it.cold_starts, it.served) or "0"),
    ("waited for an environment", lambda it: _share(it.waited, it.served)),
    ("in provisioned environments", lambda it: _share(it.on_provisioned, it.served)),
    ("spilled over", lambda it: _share(it.spilled_over, it.served)),
    ("latency p50", _latency("p50")),
    ("latency p90", _latency("p90")),
    ("latency p95", _latency("p95")),
    ("latency p99", _latency("p99")),
    ("latency p99.9", _latency("p99.9")),
    ("latency max", _latency("max")),
    ("peak concurrency", lambda it: f"{it.peak_concurrency:,}"),
    ("mean concurrency", lambda it: f"{it.mean_concurrency:.4g}"),
    ("peak environments", lambda it: f"{it.peak_environments:,}"),
    ("requests", lambda it: usd_text(it.bill.requests_usd)),
    ("duration", lambda it: usd_text(it.bill.duration_usd)),
    ("provisioned", lambda it: usd_text(it.bill.provisioned_usd) if it.bill.provisioned_usd else ""),
    ("bill on AWS", lambda it: usd_text(it.bill.total_usd)),
    ("the same for 30 days", lambda it: usd_text(_monthly(it)) if it.duration_s else ""),
)


def _monthly(summary: Summary) -> Any:
    return summary.bill.total_usd * _MONTH_S / max(1, round(summary.duration_s))


def picture(peaks: Sequence[int]) -> list[str]:
    """Return bars of blocks, some lines high, the first line on top."""
    most = max(peaks, default=0)
    if not most:
        return []
    heights = [math.ceil(peak / most * _HEIGHT * 8) for peak in peaks]
    return [
        "".join(_BLOCKS[min(8, max(0, height - line * 8))] for height in heights).rstrip()
        for line in reversed(range(_HEIGHT))
    ]


def as_json(replay: Replay, runs: Sequence[Run], summaries: Sequence[Summary]) -> str:
    """Return it all as JSON, prices as decimal text."""
    content: dict[str, Any] = {
        "source": replay.source,
        "assumptions": list(replay.assumptions),
        "lines_left_out": replay.broken,
        "runs": [_run(run, summary) for run, summary in zip(runs, summaries, strict=True)],
    }
    if replay.observed is not None:
        content["observed"] = dataclasses.asdict(replay.observed)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _run(run: Run, summary: Summary) -> dict[str, Any]:
    platform, bill = run.platform, summary.bill
    return {
        "platform": {
            "memory_mb": platform.memory_mb,
            "architecture": platform.architecture,
            "timeout_s": platform.timeout_s,
            "reserved": platform.reserved,
            "provisioned": platform.provisioned,
            "account_concurrency": platform.account_concurrency,
            "keep_alive_s": platform.keep_alive_s,
            "max_life_s": platform.max_life_s if math.isfinite(platform.max_life_s) else None,
            "start_overhead_s": platform.start_overhead_s,
            "is_rate_limited": platform.is_rate_limited,
        },
        "duration_s": summary.duration_s,
        "invocations": summary.invocations,
        "served": summary.served,
        "throttled": dict(summary.throttled),
        "timed_out": summary.timed_out,
        "cold_starts": summary.cold_starts,
        "waited": summary.waited,
        "on_provisioned": summary.on_provisioned,
        "spilled_over": summary.spilled_over,
        "latency_ms": dict(summary.latency_ms),
        "peak_concurrency": summary.peak_concurrency,
        "mean_concurrency": summary.mean_concurrency,
        "environments_started": summary.environments_started,
        "peak_environments": summary.peak_environments,
        "environment_s": summary.environment_s,
        "concurrency_over_time": run.peaks,
        "bill_usd": {
            "requests": _text(bill.requests_usd),
            "duration": _text(bill.duration_usd),
            "provisioned": _text(bill.provisioned_usd),
            "total": _text(bill.total_usd),
        },
    }


def _text(usd: Any) -> str:
    return f"{usd:f}"
