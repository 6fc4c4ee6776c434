"""Whether provisioned concurrency pays: the real arrivals, replayed with more and more of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from lambent.advice.answer import MONTH_S, Answer, ms, share, usd
from lambent.advice.past import Past
from lambent.domain.pricing.price_list import AWS
from lambent.simulation import Load, Platform, simulate, summarize
from lambent.simulation.summary import in_periods_s

CANDIDATES = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987)
REPLAYED_MAX = 200_000
"""Of a longer history, the last invocations are replayed: each try takes as many."""
KEEP_ALIVE_S, MAX_LIFE_S = 600.0, 7_200.0
"""Of environments that are not provisioned, as `lambent simulate` assumes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """What so much of it would have been."""

    provisioned: int
    month_usd: Decimal
    cold_starts: float
    """In 30 days."""
    p99_ms: float
    busy_share: float
    """Of the time that the provisioned environments were ready."""


def break_even_share(architecture: str) -> float:
    """Return which part of the time a provisioned environment must be busy to be no dearer than on demand.

    It costs p for each second that it is kept and d for each second that it runs, and o would be the price on demand:
    p + d·u = o·u.
    """
    prices = AWS.prices
    on_demand = prices.duration[architecture][0].rate
    return float(prices.provisioned[architecture] / (on_demand - prices.provisioned_duration[architecture]))


def advise_provisioned(past: Past, *, has: int = 0) -> Answer:
    """Say whether provisioned concurrency would have paid.

    Args:
        past: what happened.
        has: how much the function has now, over its versions and aliases.
    """
    load = past.load(REPLAYED_MAX)
    peak = past.peak_concurrency
    counts = sorted({*(count for count in CANDIDATES if count <= peak), 0, 1, peak, has})
    tries = [_try(past, load, count) for count in counts]
    without, best = tries[0], min(tries, key=lambda one: one.month_usd)
    now = next(one for one in tries if one.provisioned == has)
    first, needed = tries[1], break_even_share(past.architecture)
    replayed = (
        (("replayed", f"the last {len(load):,} invocations"),) if len(load) < len(past.invocations) else ()
    )
    figures = (
        *replayed,
        ("an environment must be busy", f"{needed:.0%} of the time to be no dearer than on demand"),
        ("the first would be", f"{first.busy_share:.1%} of the time"),
        *(_figure(one) for one in tries),
    )
    return Answer(
        question="provisioned concurrency",
        verdict=_verdict_with(now, best, without) if has else _verdict(tries, without, best, needed),
        is_action=best is not now,
        saved_usd=now.month_usd - best.month_usd if best is not now else None,
        figures=figures,
        evidence=(
            f"lambent simulate --history {past.function} --provisioned "
            + ",".join(str(one.provisioned) for one in tries),
        ),
    )


def _try(past: Past, load: Load, count: int) -> _Try:
    platform = Platform(
        memory_mb=past.memory_mb,
        architecture=past.architecture,
        provisioned=count,
        account_concurrency=max(1_000, count * 2),
        keep_alive_s=KEEP_ALIVE_S,
        max_life_s=MAX_LIFE_S,
    )
    per_month = MONTH_S / load.duration_s
    run = simulate(load, platform)
    summary = summarize(run)
    ready_s = count * load.duration_s
    busy_s = sum(load.service_s[place] for place in run.on_provisioned)
    return _Try(
        provisioned=count,
        month_usd=(summary.bill.total_usd - _rounded_usd(platform, load.duration_s)) * Decimal(per_month),
        cold_starts=summary.cold_starts * per_month,
        p99_ms=summary.latency_ms.get("p99", 0.0),
        busy_share=busy_s / ready_s if ready_s else 0.0,
    )


def _rounded_usd(platform: Platform, duration_s: float) -> Decimal:
    """Return what whole periods of five minutes cost beyond the time that there was: of a month, that is nothing."""
    beyond_s = in_periods_s(duration_s) - Decimal(duration_s)
    gb_s = Decimal(platform.memory_mb) / 1024 * platform.provisioned * beyond_s
    return gb_s * AWS.prices.provisioned[platform.architecture]


def _figure(one: _Try) -> tuple[str, str]:
    busy = f", busy {one.busy_share:.1%}" if one.provisioned else ""
    return (
        f"with {one.provisioned}",
        f"{usd(one.month_usd)} and {one.cold_starts:,.0f} cold starts in 30 days, p99 {ms(one.p99_ms)}{busy}",
    )


def _verdict_with(now: _Try, best: _Try, without: _Try) -> str:
    """Say whether what is provisioned now pays."""
    words = f"It has {now.provisioned} provisioned, which cost {usd(now.month_usd)} in 30 days"
    if best is now:
        return f"{words} and pay: no other number is cheaper."
    more = without.cold_starts - now.cold_starts
    if best.provisioned:
        return f"{words}; {best.provisioned} would cost {usd(best.month_usd)}."
    return (
        f"{words}; without any it would be {usd(without.month_usd)} and {max(0, more):,.0f} cold starts more: "
        "they pay only if those matter."
    )


def _verdict(tries: list[_Try], now: _Try, best: _Try, needed: float) -> str:
    if best.provisioned:
        words = (
            f"It pays: {best.provisioned} provisioned would cost {usd(best.month_usd)} in 30 days in place of "
            f"{usd(now.month_usd)}"
        )
        avoided = now.cold_starts - best.cold_starts
        return (
            f"{words}, with {share(avoided, now.cold_starts)} fewer cold starts."
            if avoided > 0
            else f"{words}."
        )
    if now.cold_starts < 1:
        return "It does not pay: there are no cold starts to avoid."
    # The least that avoids what one can hope for: nine of ten.
    helps = next((one for one in tries[1:] if one.cold_starts <= now.cold_starts * 0.1), tries[-1])
    avoided = now.cold_starts - helps.cold_starts
    busy = f"the first would be busy {tries[1].busy_share:.1%} of the time, {needed:.0%} is needed"
    words = f"It does not pay by itself: {busy}."
    if avoided <= 0:
        return f"{words} Nor would it avoid cold starts."
    dearer = helps.month_usd - now.month_usd
    each = usd(dearer / Decimal(avoided))
    return (
        f"{words} {helps.provisioned} would avoid {share(avoided, now.cold_starts)} of the cold starts for "
        f"{usd(dearer)} more in 30 days, {each} each."
    )
