"""Keeping the ledger small: rows are packed closer, and those go that are too old."""

from __future__ import annotations

import asyncio
import logging

from lambent.clock import Clock
from lambent.domain.ledger import day_of
from lambent.store.ledger import Ledger

_log = logging.getLogger(__name__)
_PACKING_PAUSE_S = 0.05
"""Between two steps: meanwhile requests have the interpreter for themselves."""
_DAY_S = 86_400


async def keep_ledger(ledger: Ledger, *, retention_days: int, every_s: float, clock: Clock) -> None:
    """Pack rows and let old ones go, for ever.

    Args:
        ledger: the rows.
        retention_days: how many days they are kept; 0: for ever.
        every_s: how often; 0: never.
        clock: the time. Should it jump ahead, no more days have passed than its monotonic part says: else everything
            would look old at once.
    """
    began_s, began_day = clock.monotonic_s(), _today(clock)
    while every_s > 0:
        await clock.sleep(every_s)
        passed_days = int((clock.monotonic_s() - began_s) // _DAY_S) + 1
        today = min(_today(clock), began_day + passed_days)
        try:
            if retention_days:
                await ledger.expire(before_day=today - retention_days)
            packed = 1
            while packed:
                packed = await ledger.compact(today=today)
                await asyncio.sleep(_PACKING_PAUSE_S)
        except Exception:
            _log.exception("The ledger could not be packed.")


def _today(clock: Clock) -> int:
    return day_of(int(clock.now_s() * 1000))
