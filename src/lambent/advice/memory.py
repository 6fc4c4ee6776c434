"""Which memory size: what was used of it, and what other sizes did that the function has had."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from lambent.advice.answer import Answer, ms, usd
from lambent.advice.past import Past, Row
from lambent.domain.pricing import price_of
from lambent.simulation import percentile

ENOUGH = 20
"""Warm invocations at a size, before it is compared with another."""
HEADROOM = 1.25
SIZE_MIN_MB, STEP_MB = 128, 64
OUT_OF_MEMORY = "Runtime.OutOfMemory"
_NOTICEABLE = 0.05


def advise_memory(past: Past) -> Answer:
    """Say which memory size is best, as far as the ledger knows."""
    sizes = {
        size: rows for size, rows in _by_size(past).items() if len(rows) >= ENOUGH or size == past.memory_mb
    }
    used_mb = max(row.max_memory_mb for row in past.invocations)
    died = sum(row.error_type == OUT_OF_MEMORY for row in past.invocations)
    evidence = (f"lambent tune {past.function}", f"lambent logs {past.function} --filter REPORT --since 7d")
    figures = tuple(_figure(size, rows, past.architecture) for size, rows in sorted(sizes.items()))
    figures = (("most memory used", f"{used_mb} of {past.memory_mb} MB"), *figures)
    if died:
        return Answer(
            question="memory",
            verdict=f"{died:,} invocations ran out of memory: give it more than {past.memory_mb} MB.",
            is_action=True,
            figures=figures,
            evidence=(f"lambent logs {past.function} --filter {OUT_OF_MEMORY}", *evidence),
        )
    compared = _compare(past, sizes, used_mb)
    verdict, saved = compared if compared is not None else _by_use(past, used_mb)
    return Answer(
        question="memory",
        verdict=verdict,
        is_action=saved is not None,
        saved_usd=saved,
        figures=figures,
        evidence=evidence,
    )


def _by_size(past: Past) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in past.invocations:
        if not row.start_ms and row.architecture == past.architecture:
            found.setdefault(row.memory_mb, []).append(row)
    return found


def cost_usd(rows: Sequence[Row], memory_mb: int, architecture: str) -> Decimal:
    """Return what a million invocations like these cost."""
    billed_ms = sum(row.billed_ms for row in rows)
    request = price_of(architecture=architecture, memory_mb=memory_mb, billed_duration_ms=0).price_usd
    total = price_of(architecture=architecture, memory_mb=memory_mb, billed_duration_ms=billed_ms).price_usd
    return request * 1_000_000 + (total - request) * 1_000_000 / len(rows)


def _figure(size: int, rows: Sequence[Row], architecture: str) -> tuple[str, str]:
    ordered = sorted(row.duration_ms for row in rows)
    words = f"p50 {ms(percentile(ordered, 50))}, p95 {ms(percentile(ordered, 95))}"
    cost = usd(cost_usd(rows, size, architecture))
    return f"{size} MB", f"{len(rows):,} warm invocations, {words}, {cost} a million"


def _compare(past: Past, sizes: dict[int, list[Row]], used_mb: int) -> tuple[str, Decimal | None] | None:
    """Compare sizes of which enough is known; None if there is only one."""
    known = {
        size: cost_usd(rows, size, past.architecture) for size, rows in sizes.items() if len(rows) >= ENOUGH
    }
    if len(known) < 2 or past.memory_mb not in known:
        return None
    now = known[past.memory_mb]
    best = min(
        (size for size in known if size >= used_mb * HEADROOM), key=known.__getitem__, default=past.memory_mb
    )
    if known[best] >= now * Decimal(1 - _NOTICEABLE):
        return f"{past.memory_mb} MB is the cheapest of the {len(known)} sizes that it has had.", None
    saved = (now - known[best]) / 1_000_000 * len(past.invocations) * Decimal(past.per_month)
    verdict = f"{best} MB was cheaper than {past.memory_mb} MB: {usd(known[best])} a million in place of {usd(now)}."
    return verdict, saved


def _by_use(past: Past, used_mb: int) -> tuple[str, Decimal | None]:
    enough_mb = max(SIZE_MIN_MB, math.ceil(used_mb * HEADROOM / STEP_MB) * STEP_MB)
    if enough_mb >= past.memory_mb:
        return f"It uses {used_mb} of {past.memory_mb} MB: less would be too tight.", None
    most = past.month_usd * (1 - Decimal(enough_mb) / past.memory_mb)
    verdict = (
        f"It uses {used_mb} of {past.memory_mb} MB. {enough_mb} MB would hold it and save at most {usd(most)} "
        "in 30 days, if it is as quick with less CPU: only a measurement can tell."
    )
    return verdict, None
