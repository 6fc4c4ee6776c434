"""The door of the ledger: rows are appended and read, never changed; their sums are kept beside them.

`lambent.store.sqlite.ledger` is the implementation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lambent.domain.ledger import Row, Rows, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuery:
    """Which rows to read."""

    account: str
    function: str | None = None
    """Its name; None: of all functions."""
    region: str | None = None
    kinds: Sequence[str] = ()
    """Empty: of all kinds."""
    since_ms: int = 0
    """Inclusive."""
    until_ms: int | None = None
    """Exclusive."""
    after: int = 0
    """Only rows with a higher sequence."""
    limit: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPage:
    """Rows in the order of their sequences, and where to go on."""

    rows: Sequence[Row]
    after: int | None
    """For `RowQuery.after`; None: nothing is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Sums as they are kept, and as the rows add up; both by day and category."""

    kept: Sequence[Usage]
    """Without days whose rows are gone."""
    recounted: Sequence[Usage]
    rows_since: int
    """The first day of which rows are kept."""


class Ledger(Protocol):
    """Rows and their sums."""

    async def append(self, batches: Sequence[Rows]) -> None:
        """Write rows, all or none. Durable against ``kill -9`` when it returns."""
        ...

    async def read(self, query: RowQuery) -> RowPage:
        """Return rows."""
        ...

    async def usage(self, account: str, *, first_day: int, last_day: int) -> list[Usage]:
        """Return the sums of an account's rows, by day and category, both days included."""
        ...

    async def audit(self, account: str, *, first_day: int, last_day: int) -> Audit:
        """Add the rows up anew, and return that beside the sums of the same moment."""
        ...

    async def rows_since(self) -> int:
        """Return the first day of which rows are kept, and not only sums."""
        ...

    async def compact(self, *, today: int) -> int:
        """Pack some rows closer and return how many pieces they were; 0 when nothing is left that is worth it.

        Those of days before today are packed however few they are.
        """
        ...

    async def expire(self, *, before_day: int) -> None:
        """Let the rows of earlier days go; their sums stay."""
        ...
