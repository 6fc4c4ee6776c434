"""Errors and retries: what they cost."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from lambent.advice.answer import Answer, share, usd
from lambent.advice.past import SUCCESS, Past, Row

NOTICEABLE = 0.01
"""From this part of invocations or of the bill on, something should be done."""
_KINDS_MAX = 5


def advise_errors(past: Past) -> Answer:
    """Say what failed invocations and repeated ones cost."""
    failed = [row for row in past.invocations if row.status != SUCCESS]
    repeated = [row for row in past.invocations if row.attempt > 1]
    inits = [row for row in past.others if row.status != SUCCESS]
    cost = _cost(failed) + _cost(inits)
    count = len(past.invocations)
    evidence = (
        f"lambent logs {past.function} --filter ERROR --since 7d",
        f"lambent ledger {past.function} --since 7d",
    )
    if not failed and not inits and not repeated:
        return Answer(question="errors", verdict=f"None of {count:,} invocations failed.", evidence=evidence)
    month_usd = cost * Decimal(past.per_month)
    bill = past.bill_usd
    figures = [_figure(kind, rows, count) for kind, rows in _by_kind(failed)]
    if inits:
        figures.append(("failed inits", f"{len(inits):,}, {usd(_cost(inits))}"))
    if repeated:
        figures.append(
            ("second and later attempts", f"{share(len(repeated), count)}, {usd(_cost(repeated))}")
        )
    return Answer(
        question="errors",
        verdict=_verdict(
            failed, repeated, count=count, month_usd=month_usd, part=cost / bill if bill else None
        ),
        is_action=len(failed) / count >= NOTICEABLE or bool(bill and cost / bill >= Decimal(NOTICEABLE)),
        saved_usd=month_usd,
        figures=tuple(figures),
        evidence=evidence,
    )


def _cost(rows: list[Row]) -> Decimal:
    return sum((row.price_usd for row in rows), Decimal(0))


def _by_kind(failed: list[Row]) -> list[tuple[str, list[Row]]]:
    kinds = Counter(_kind(row) for row in failed)
    return [
        (kind, [row for row in failed if _kind(row) == kind]) for kind, _ in kinds.most_common(_KINDS_MAX)
    ]


def _kind(row: Row) -> str:
    return "timeout" if row.status == "timeout" else row.error_type or row.status


def _figure(kind: str, rows: list[Row], count: int) -> tuple[str, str]:
    return (
        kind,
        f"{share(len(rows), count)}, {usd(_cost(rows))}, the last at {rows[-1].at:%Y-%m-%d %H:%M:%S}Z",
    )


def _verdict(
    failed: list[Row], repeated: list[Row], *, count: int, month_usd: Decimal, part: Decimal | None
) -> str:
    of_it = "" if part is None else f", {part:.1%} of the bill"
    words = f"{share(len(failed), count)} of the invocations failed: {usd(month_usd)} in 30 days{of_it}."
    timeouts = [row for row in failed if row.status == "timeout"]
    if timeouts:
        words += f" {len(timeouts):,} timed out, and were billed until then."
    if repeated:
        words += f" {len(repeated):,} were second or later attempts of an event."
    return words
