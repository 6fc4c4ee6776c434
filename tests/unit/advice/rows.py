"""Rows of the ledger for tests of the adviser."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from lambent.advice.answer import MONTH_S
from lambent.advice.past import Past, Row
from lambent.domain.pricing import price_of

NOW_S = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
START_S = NOW_S - MONTH_S
"""So that a window of the whole history is 30 days, and its bill that of 30 days."""


def row(at_s: float, duration_ms: float = 100.0, **others: Any) -> Row:
    """An invocation that came so many seconds after the start, priced as on AWS."""
    values: dict[str, Any] = {"kind": "invocation", "function": "f", "memory_mb": 128} | others
    start_ms = (values.get("init_ms") or 0.0) + (values.get("restore_ms") or 0.0)
    values.setdefault("billed_ms", round(duration_ms + start_ms))
    if "price_usd" not in values:
        values["price_usd"] = price_of(
            architecture=values.get("architecture", "x86_64"),
            memory_mb=values["memory_mb"],
            billed_duration_ms=values["billed_ms"],
        ).price_usd
    ended_s = START_S + at_s + (duration_ms + start_ms) / 1000
    return Row(at=datetime.fromtimestamp(ended_s, UTC), duration_ms=duration_ms, **values)


def past(rows: Iterable[Row], others: Iterable[Row] = ()) -> Past:
    """The past of a function that was first invoked at the start, or a little later."""
    return Past(
        function="f", invocations=sorted(rows, key=lambda one: one.came_s), others=list(others), now_s=NOW_S
    )


def every(gap_s: float, count: int, **others: Any) -> list[Row]:
    """Invocations at an even pace; the first is a cold start of 250 ms, unless it is said otherwise."""
    init = {"init_ms": 250.0} | others
    return [row(0.0, **init), *(row(number * gap_s, **others) for number in range(1, count))]


def changed(one: Row, **others: Any) -> Row:
    """The same row with other members."""
    return msgspec.structs.replace(one, **others)


ZERO = Decimal(0)
