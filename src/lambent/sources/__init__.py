"""WHO PULLS: event source mappings at work.

`poller` takes records from a source, filters and batches them, and runs the mapping's function with each batch;
it knows no source. A source is a file of its own (`sqs`). What batches are made of and what becomes of them is
decided in `batches`, pure. Does not know how mappings are made: it is told when one has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record of a source, on its way into a batch."""

    id: str
    """What the function calls it when it reports failures."""
    event: dict[str, Any]
    """As the function is given it."""
    content: dict[str, Any]
    """As filters see it."""
    size_bytes: int
    token: Any
    """The source's own handle on it."""
    trace_header: str = ""


class Source(Protocol):
    """Where a mapping's records come from."""

    async def take(self, *, limit: int, wait_s: float) -> Sequence[Record]:
        """Return records, and wait for the first one if there is none.

        Raises:
            SourceMissing: the source does not exist.
        """
        ...

    async def done(self, records: Sequence[Record]) -> None:
        """Let go of records that need not come again."""
        ...

    async def give_back(self, records: Sequence[Record]) -> None:
        """Make records available again, at once: they were not looked at."""
        ...


class SourceMissing(Exception):
    """The source of a mapping does not exist. The message is one sentence."""
