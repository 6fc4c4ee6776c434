"""The order of log events: event ids, and merging chunks of events that may overlap in time.

Pure, shared by the implementations of `lambent.store.LogEvents`. An event's place is (timestamp, chunk, index
in the chunk); its id is that place in digits, so that ids sort as events do.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from lambent.store import KeptEvents, LogPage, LogQuery, StoredEvent

Place = tuple[int, int, int]
"""(timestamp_ms, chunk, index)."""

_CHUNK_UNIT = 10**12
_TIME_UNIT = 10**36
_ID_DIGITS = 56


def event_id(place: Place) -> str:
    """Return the event id of a place: 56 digits, as AWS's."""
    timestamp_ms, chunk, index = place
    return f"{timestamp_ms * _TIME_UNIT + chunk * _CHUNK_UNIT + index:0{_ID_DIGITS}d}"


def place_of(identifier: str) -> Place:
    """Return the place that an event id names.

    Raises:
        ValueError: it is not an event id.
    """
    if len(identifier) != _ID_DIGITS or not (identifier.isascii() and identifier.isdigit()):
        raise ValueError(f"{identifier!r} is not an event id")
    timestamp_ms, rest = divmod(int(identifier), _TIME_UNIT)
    chunk, index = divmod(rest, _CHUNK_UNIT)
    return timestamp_ms, chunk, index


def identified(kept: Iterable[KeptEvents]) -> list[tuple[str, int, str]]:
    """Return id, timestamp and message of events that were just kept."""
    return [
        (event_id((event.timestamp_ms, run.chunk, index)), event.timestamp_ms, event.message)
        for run in kept
        for index, event in enumerate(run.events)
    ]


def next_id(identifier: str) -> str:
    """Return the smallest id above one: what comes before it includes the event itself."""
    return f"{int(identifier) + 1:0{_ID_DIGITS}d}"


def previous_id(identifier: str) -> str:
    """Return the largest id below one: what comes after it includes the event itself."""
    return f"{max(0, int(identifier) - 1):0{_ID_DIGITS}d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The places that a query asks for: both ends exclusive."""

    above: Place
    below: Place

    def has(self, place: Place) -> bool:
        """Tell whether a place lies inside."""
        return self.above < place < self.below


def window_of(query: LogQuery) -> Window:
    """Return the window of a query."""
    above: Place = (query.start_ms - 1, _TIME_UNIT, 0)
    if query.after is not None:
        above = max(above, place_of(query.after))
    below: Place = (query.end_ms, -1, 0) if query.end_ms is not None else (_TIME_UNIT, 0, 0)
    if query.before is not None:
        below = min(below, place_of(query.before))
    return Window(above=above, below=below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Events of one stream that were kept together, in order of time."""

    number: int
    stream: str
    ingestion_ms: int
    timestamps_ms: Sequence[int]
    messages: Sequence[str]


def merge(
    chunks: Iterable[tuple[int, Callable[[], Chunk]]], window: Window, *, newest_first: bool
) -> Iterator[tuple[Place, Chunk]]:
    """Yield the events of chunks in order, loading a chunk only when its time has come.

    Args:
        chunks: per chunk its bound and how to load it, by rising time of the first event; with `newest_first`
            by falling time of the last event.
        window: which places are wanted.
        newest_first: the direction.
    """
    waiting: list[tuple[Place, Chunk]] = []
    # Places are unique, so that a comparison never gets as far as the chunk. Backwards, all signs are turned.
    sign = -1 if newest_first else 1
    for bound_ms, load in chunks:
        while waiting and waiting[0][0][0] < sign * bound_ms:
            yield _turned(heapq.heappop(waiting), sign)
        chunk = load()
        for index, timestamp_ms in enumerate(chunk.timestamps_ms):
            place = (timestamp_ms, chunk.number, index)
            if window.has(place):
                heapq.heappush(waiting, _turned((place, chunk), sign))
    while waiting:
        yield _turned(heapq.heappop(waiting), sign)


def _turned(entry: tuple[Place, Chunk], sign: int) -> tuple[Place, Chunk]:
    if sign > 0:
        return entry
    (timestamp_ms, number, index), chunk = entry
    return (-timestamp_ms, -number, -index), chunk


def page_of(query: LogQuery, places: Iterator[tuple[Place, Chunk]]) -> LogPage:
    """Take events as far as the limits of a query allow."""
    events: list[StoredEvent] = []
    size_bytes = 0
    last: Place | None = None
    for scanned, (place, chunk) in enumerate(places):
        message = chunk.messages[place[2]]
        accepted = query.matches is None or query.matches(message)
        if accepted:
            size_bytes += message_bytes(message)
        if (
            scanned >= query.scan_limit
            or len(events) >= query.limit
            or (size_bytes > query.max_bytes and events)
        ):
            return LogPage(events=events, position=None if last is None else event_id(last))
        last = place
        if accepted:
            events.append(StoredEvent(chunk.stream, place[0], chunk.ingestion_ms, message, event_id(place)))
    return LogPage(events=events, position=None)


def message_bytes(message: str) -> int:
    """Return the size of a message in UTF-8."""
    return len(message) if message.isascii() else len(message.encode(errors="replace"))
