"""Upkeep: what is paid for by the time for which it is kept, and how much of that is due. Pure.

Provisioned concurrency is paid for from its allocation to its end, each five minutes when they begin; the snapshot of a
version for three hours when it is published, and after them by the second until it is deleted (AWS page "AWS Lambda
pricing").
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from lambent.domain.function import FunctionVersion
from lambent.domain.ledger import PROVISIONED, SNAPSHOT

PROVISIONED_STEP_S = 300
SNAPSHOT_MIN_S = 3 * 3600
_SNAPSHOT_STEP_S = 900
"""A snapshot's seconds are put down together: a row in a quarter of an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Something that is kept for a version."""

    id: str
    """Of what asks for it: the allocation of provisioned concurrency, or the version's configuration."""
    kind: str
    """`PROVISIONED` or `SNAPSHOT`."""
    version: FunctionVersion
    alias: str = ""
    """For which it is kept ready."""
    count: int = 1
    """How many environments."""
    is_new: bool = True
    """Whether the least that is paid for is due; not for what an earlier server kept already."""

    @property
    def place(self) -> str:
        """What tells it from everything else that is kept for the function."""
        return f"{self.kind} {self.version.version} {self.alias} {self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How long something has been kept, and how much of that has been put down."""

    since_s: float
    """Monotonic time."""
    charged_s: int
    """Seconds since then that need not be put down any more."""


def due_s(upkeep: Upkeep, tally: Tally, now_s: float, *, is_over: bool) -> int:
    """Return the seconds that are to be put down now.

    Args:
        upkeep: what is kept.
        tally: since when, and what has been put down.
        now_s: monotonic time; a clock that went back means that nothing is due.
        is_over: whether it is not kept any longer.
    """
    kept_s = max(0.0, now_s - tally.since_s)
    if upkeep.kind == PROVISIONED:
        owed = math.ceil(kept_s / PROVISIONED_STEP_S) * PROVISIONED_STEP_S
        owed = max(owed, PROVISIONED_STEP_S)
    else:
        owed = math.ceil(kept_s) if is_over else math.floor(kept_s)
        owed = max(owed, SNAPSHOT_MIN_S if upkeep.is_new else 0)
    due = max(0, owed - tally.charged_s)
    is_worth_it = is_over or upkeep.kind != SNAPSHOT or due >= _SNAPSHOT_STEP_S
    return due if is_worth_it else 0


def charged(tally: Tally, seconds: int) -> Tally:
    """Return the tally after so many seconds have been put down."""
    return replace(tally, charged_s=tally.charged_s + seconds)
