"""Whether SnapStart pays: what restores and the cache cost beside the inits that they replace."""

from __future__ import annotations

import re
from decimal import Decimal

from lambent.advice.answer import MONTH_S, Answer, ms, usd
from lambent.advice.past import Past
from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB
from lambent.domain.pricing.price_list import AWS, FREE_SNAPSHOT_RUNTIMES
from lambent.simulation import percentile

_SERVED = re.compile(r"python3\.(1[2-9]|[2-9]\d)|java(11|17|21|2[5-9])|dotnet([89]|1\d)")
"""Runtimes with SnapStart (AWS page "Improving startup performance with Lambda SnapStart")."""
_INSTEAD = {"python": " Python has it from 3.12 on."}
WORTH_MS = 500.0
"""Inits longer than this are worth it for the latency alone."""


def advise_snapstart(past: Past, *, runtime: str, is_on: bool, ephemeral_storage_mb: int = 512) -> Answer:
    """Say whether SnapStart would pay."""
    if _SERVED.fullmatch(runtime) is None:
        words = f"{runtime or 'An image'} has no SnapStart.{_INSTEAD.get(runtime[:6], '')}"
        return Answer(question="SnapStart", verdict=words)
    if ephemeral_storage_mb > EPHEMERAL_STORAGE_DEFAULT_MB:
        words = f"With {ephemeral_storage_mb:,} MB of ephemeral storage it cannot have SnapStart."
        return Answer(question="SnapStart", verdict=words)
    inits_ms = sorted(past.inits_ms)
    restores_ms = sorted(row.restore_ms for row in past.invocations if row.restore_ms is not None)
    evidence = (
        f"aws lambda update-function-configuration --function-name {past.function} "
        "--snap-start ApplyOn=PublishedVersions",
        f"lambent logs {past.function} --filter '\"Init Duration\"'",
    )
    if not inits_ms:
        words = (
            f"It is on: {len(restores_ms):,} restores." if is_on else "There were no cold starts to shorten."
        )
        return Answer(question="SnapStart", verdict=words, evidence=evidence[1:])
    p50 = percentile(inits_ms, 50)
    month_inits = len(inits_ms) * past.per_month
    init_usd, snap_usd, restore_usd = _prices(past, runtime, p50)
    difference = Decimal(month_inits) * (restore_usd - init_usd) + snap_usd
    is_worth = p50 >= WORTH_MS and not is_on
    figures = [
        ("init of a cold start", f"p50 {ms(p50)}, of {len(inits_ms):,}; {month_inits:,.0f} in 30 days"),
        ("an init is billed", usd(init_usd)),
        ("a restore costs", usd(restore_usd)),
        ("the cache of one version costs", f"{usd(snap_usd)} in 30 days"),
    ]
    if restores_ms:
        figures.append(("restores took", f"p50 {ms(percentile(restores_ms, 50))}, of {len(restores_ms):,}"))
    return Answer(
        question="SnapStart",
        verdict=_verdict(past, p50, difference, (init_usd, restore_usd), month_inits),
        is_action=is_worth or (difference < 0 and not is_on),
        saved_usd=-difference if difference < 0 else None,
        figures=tuple(figures),
        evidence=evidence,
    )


def _prices(past: Past, runtime: str, init_ms: float) -> tuple[Decimal, Decimal, Decimal]:
    """Return what an init, the cache for 30 days, and a restore cost; what a restore takes is billed as well."""
    prices, gb = AWS.prices, Decimal(past.memory_mb) / 1024
    init_usd = gb * Decimal(init_ms) / 1000 * prices.duration[past.architecture][0].rate
    if runtime.startswith(FREE_SNAPSHOT_RUNTIMES):
        return init_usd, Decimal(0), Decimal(0)
    cache, restore = prices.snapshot_cache or Decimal(0), prices.snapshot_restore or Decimal(0)
    return init_usd, gb * cache * MONTH_S, gb * restore


def _verdict(
    past: Past, p50: float, difference: Decimal, restore: tuple[Decimal, Decimal], month_inits: float
) -> str:
    init_usd, restore_usd = restore
    if difference < 0:
        return f"It pays: {usd(-difference)} less in 30 days, and inits of {ms(p50)} become restores."
    seconds = Decimal(month_inits) * Decimal(p50) / 1000
    each = f" ({usd(difference / seconds)} for each second of init)" if seconds else ""
    words = f"It does not save money: {usd(difference)} more in 30 days{each}."
    if restore_usd > init_usd:
        rate = AWS.prices.duration[past.architecture][0].rate
        even_s = restore_usd / (Decimal(past.memory_mb) / 1024 * rate)
        words += f" A restore costs as much as an init of {even_s:.1f} s."
    if p50 >= WORTH_MS:
        return f"{words} It would take most of {ms(p50)} from each cold start, though."
    return f"{words} At {ms(p50)}, an init is short enough as it is."
