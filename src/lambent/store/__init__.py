"""MEMORY: documents, blobs and log events that survive ``kill -9``.

The doors are here; `lambent.store.sqlite` is the embedded implementation, `lambent.testing.MemoryStore` the one
for tests, and one contract suite (`tests/contract/test_store.py`) runs against both. What a room acknowledges
to a caller must have returned from one of these awaits first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec


class RevisionConflict(Exception):
    """A document was not at the revision that a change expected; nothing of that `apply` was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A stored value: bytes under a kind and a key, with a revision that grows by one on each put."""

    kind: str
    key: str
    body: bytes
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Write a document."""

    kind: str
    key: str
    body: bytes
    expect_revision: int | None = None
    """None: whatever is there; 0: nothing may be there; else exactly this revision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove a document; removing what is not there is no error unless a revision is expected."""

    kind: str
    key: str
    expect_revision: int | None = None


class Documents(Protocol):
    """Small values by kind and key."""

    async def get(self, kind: str, key: str) -> Document | None:
        """Return the document as last applied, or None."""
        ...

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[Document]:
        """Return documents whose key starts with `prefix` and sorts after `after`, in key order (bytewise)."""
        ...

    async def apply(self, *changes: Put | Delete) -> tuple[int, ...]:
        """Make all changes or none, durably, and return the new revisions (0 for a delete).

        Raises:
            RevisionConflict: an expectation did not hold.
        """
        ...


class Blobs(Protocol):
    """Large immutable values, named by the SHA-256 of their content in hex."""

    async def put(self, content: bytes) -> str:
        """Keep the content durably and return its name; keeping the same content again is cheap."""
        ...

    def path(self, name: str) -> Path:
        """Return the file that holds a blob.

        Raises:
            KeyError: there is no such blob.
        """
        ...

    async def delete(self, name: str) -> None:
        """Forget a blob; one that is not there is no error."""
        ...

    async def keep_only(self, names: Set[str]) -> None:
        """Forget every blob but these, and what was half written; only while nobody puts any."""
        ...


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """One event on its way into a log stream; a struct because thousands are made in a second."""

    timestamp_ms: int
    message: str


class KeptEvents(msgspec.Struct, frozen=True):
    """Events of one stream that were kept together, as `LogEvents.append` tells of them."""

    chunk: int
    """With it, `lambent.store.log_order.identified` makes their ids."""
    events: Sequence[LogEvent]
    """In order of time."""


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as it was kept."""

    stream: str
    timestamp_ms: int
    ingestion_ms: int
    message: str
    event_id: str
    """56 digits; unique, and in the order of time: the later of two events has the larger id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKey:
    """A log stream. `group` is any text that names the group for good, see `lambent.store.log_groups`."""

    group: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """What is known of a log stream without reading its events."""

    key: StreamKey
    created_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    last_ingestion_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which events of a group to read."""

    group: str
    streams: Sequence[str] | None = None
    """Only these; None means all of the group."""
    stream_prefix: str = ""
    """Only streams whose name begins so."""
    start_ms: int = 0
    """Inclusive."""
    end_ms: int | None = None
    """Exclusive."""
    after: str | None = None
    """Only events after the one with this event id, which need not exist."""
    before: str | None = None
    """Only events before the one with this event id, which need not exist."""
    newest_first: bool = False
    """Begin at the end; the events then come in falling order."""
    matches: Callable[[str], bool] | None = None
    """Only messages that it accepts; called in another thread."""
    limit: int = 10_000
    """How many events at most."""
    max_bytes: int = 1_048_576
    """Size of the messages in UTF-8; one event is given even if it alone is larger."""
    scan_limit: int = 100_000
    """How many events to look at at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Events that were found, and where the search stopped."""

    events: Sequence[StoredEvent]
    position: str | None
    """The id of the last event looked at, for `LogQuery.after` (or `before`); None: nothing is left."""


class LogEvents(Protocol):
    """Events of log streams: written in batches, read by time."""

    async def create_stream(self, key: StreamKey, *, created_ms: int) -> bool:
        """Make an empty stream; False when it exists."""
        ...

    async def append(
        self, batches: Sequence[tuple[StreamKey, Sequence[LogEvent]]], *, ingestion_ms: int
    ) -> list[list[KeptEvents]]:
        """Write events; a stream that does not exist is made. Durable against ``kill -9`` when it returns.

        Events of a batch may come in any order; those of the same timestamp keep theirs. Returns of each batch how
        it was kept.
        """
        ...

    async def read(self, query: LogQuery) -> LogPage:
        """Return events in the order of (timestamp, arrival); whatever `append` has taken is seen."""
        ...

    async def streams(
        self,
        group: str,
        *,
        prefix: str = "",
        by_last_event: bool = False,
        descending: bool = False,
        after: tuple[int, str] | None = None,
        limit: int = 1000,
    ) -> list[StreamSummary]:
        """Return streams of a group, by name or by the time of their last event.

        Args:
            group: the group.
            prefix: only streams whose name begins so.
            by_last_event: order by (last_event_ms or 0, name) instead of by name (bytewise).
            descending: reverse that order.
            after: (last_event_ms or 0, name) of the stream after which to begin.
            limit: how many at most.
        """
        ...

    async def sizes(self, groups: Sequence[str] | None = None) -> dict[str, int]:
        """Return bytes of messages per group, for all groups known here or for some of them."""
        ...

    async def delete(self, group: str, *, stream: str | None = None) -> None:
        """Forget a stream, or with None all of the group."""
        ...

    async def expire(self, group: str, *, before_ms: int) -> None:
        """Forget events older than this, except perhaps those of the last minute before it; streams stay."""
        ...
