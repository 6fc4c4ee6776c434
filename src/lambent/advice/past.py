"""The past of a function, as the ledger has it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from sys import intern

import msgspec

from lambent.advice.answer import MONTH_S
from lambent.simulation import Load
from lambent.simulation.distribution import measured
from lambent.simulation.observed import peak_of

INVOCATION = "invocation"
SUCCESS = "success"
WINDOW_MIN_S = 60.0
_WORDS = (
    "kind",
    "function",
    "version",
    "runtime",
    "architecture",
    "initialization_type",
    "status",
    "error_type",
    "source",
)
SHORT_S = 86_400.0
"""Less history than this makes figures of a month rough."""


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the adviser reads of a row of the ledger."""

    kind: str
    at: datetime
    """When it ended."""
    function: str
    version: str = ""
    runtime: str | None = None
    architecture: str = "x86_64"
    memory_mb: int = 128
    initialization_type: str = "on-demand"
    cold_start_reason: str | None = None
    duration_ms: float = 0.0
    billed_ms: int = 0
    init_ms: float | None = None
    restore_ms: float | None = None
    max_memory_mb: int = 0
    status: str = SUCCESS
    error_type: str | None = None
    attempt: int = 1
    source: str | None = None
    price_usd: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        # The same few words in every row: one of each is enough, and a row takes half of the memory.
        for name in _WORDS:
            word: str | None = getattr(self, name)
            if word is not None:
                msgspec.structs.force_setattr(self, name, intern(word))

    @property
    def start_ms(self) -> float:
        """How long its environment took to start, if it was the first to use it."""
        return self.init_ms or self.restore_ms or 0.0

    @property
    def came_s(self) -> float:
        """When it came, in seconds since the epoch."""
        return self.at.timestamp() - (self.duration_ms + self.start_ms) / 1000


_decoder = msgspec.json.Decoder(Row)


def decode_row(line: str | bytes) -> Row:
    """Return a row of the ledger's lines of JSON.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decoder.decode(line)


@dataclass(frozen=True, kw_only=True, eq=False)
class Past:
    """What one function did. There is at least one invocation. What follows from the rows is computed once."""

    function: str
    invocations: Sequence[Row]
    """In the order in which they came."""
    others: Sequence[Row] = ()
    """Rows of inits, restores and what was kept ready."""
    now_s: float

    @cached_property
    def first_s(self) -> float:
        """When the first invocation came, in seconds since the epoch."""
        return self.invocations[0].came_s

    @property
    def window_s(self) -> float:
        """From the first invocation until now."""
        return max(WINDOW_MIN_S, self.now_s - self.first_s)

    @property
    def per_month(self) -> float:
        """By what figures of the window are multiplied to be those of 30 days."""
        return MONTH_S / self.window_s

    @property
    def is_short(self) -> bool:
        """Whether the window is so short that figures of a month are rough."""
        return self.window_s < SHORT_S

    @property
    def latest(self) -> Row:
        """The last invocation."""
        return self.invocations[-1]

    @property
    def memory_mb(self) -> int:
        """Of the last invocation; likewise the architecture."""
        return self.latest.memory_mb

    @property
    def architecture(self) -> str:
        return self.latest.architecture

    @cached_property
    def bill_usd(self) -> Decimal:
        """What all of it cost in the window."""
        return sum((row.price_usd for row in (*self.invocations, *self.others)), Decimal(0))

    @property
    def month_usd(self) -> Decimal:
        """The same for 30 days."""
        return self.bill_usd * Decimal(self.per_month)

    @cached_property
    def inits_ms(self) -> list[float]:
        """How long inits of cold starts took, those of restores left out."""
        return [row.init_ms for row in self.invocations if row.init_ms is not None]

    @cached_property
    def peak_concurrency(self) -> int:
        """The most that were under way at one moment."""
        return peak_of(
            [row.came_s for row in self.invocations],
            [row.duration_ms + row.start_ms for row in self.invocations],
        )

    @cached_property
    def mean_billed_ms(self) -> float:
        """Of an invocation."""
        return math.fsum(row.billed_ms for row in self.invocations) / len(self.invocations)

    def load(self, most: int | None = None) -> Load:
        """Return it as a load for the simulator, until now.

        Args:
            most: no more than so many invocations, the last ones.
        """
        rows = self.invocations if most is None else self.invocations[-most:]
        came_s = [row.came_s for row in rows]
        first_s = came_s[0]
        return Load(
            at_s=[at_s - first_s for at_s in came_s],
            service_s=[row.duration_ms / 1000 for row in rows],
            names=(self.function,),
            starts=(measured(self.inits_ms or [0.0], "cold starts"),),
            duration_s=max(WINDOW_MIN_S, self.now_s - first_s, came_s[-1] - first_s),
        )


def pasts_of(rows: Iterable[Row], *, now_s: float) -> list[Past]:
    """Return the past of each function that has invocations among these rows, by name."""
    by_function: dict[str, tuple[list[Row], list[Row]]] = {}
    for row in rows:
        invocations, others = by_function.setdefault(row.function, ([], []))
        (invocations if row.kind == INVOCATION else others).append(row)
    found: list[Past] = []
    for function, (invocations, others) in sorted(by_function.items()):
        if invocations:
            invocations.sort(key=lambda row: row.came_s)
            found.append(Past(function=function, invocations=invocations, others=others, now_s=now_s))
    return found
