"""`LogEvents` in SQLite: many events to a row.

A busy function writes thousands of events in a second. They arrive in batches, and each batch of a stream
becomes one row (a chunk) with its events packed and compressed, found by the times of its first and last
event. Chunks span a minute at most, so that a search by time is bounded on both sides and the end of a long
stream is found without walking through it.
"""

from __future__ import annotations

import asyncio
import heapq
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from lambent.store import KeptEvents, LogEvent, LogPage, LogQuery, StreamKey, StreamSummary
from lambent.store.log_order import Chunk, Window, merge, message_bytes, page_of, window_of
from lambent.store.sqlite.light_writes import LightDatabase

SPAN_MAX_MS = 60_000
_COMPRESS_MIN_BYTES = 256
_COMPRESS_LEVEL = 1
"""Log lines repeat themselves: the fastest level already makes them five times smaller."""
_REMOVE_SLICE = 500
"""Chunks removed in one transaction, so that writers never wait long behind a deletion."""
_STREAM_CURSORS_MAX = 100
"""Streams that are searched each by its own index; for more of them, the group's index is walked."""
_INTEGER_MAX = 2**62
_TIMESTAMP_MS = attrgetter("timestamp_ms")
_LAST_CHARACTER = "\U0010ffff"

_PACK_SLICE_CHARACTERS, _PACK_MAX_CHARACTERS, _PACK_ALL_MAX_CHARACTERS = 50_000, 250_000, 2_000_000
"""What is packed on the event loop between two turns of others, of one stream, and in all: a millisecond's work is a
quarter of a million."""
_LIGHT_MAX_BYTES, _LIGHT_MAX_STREAMS = 500_000, 100
"""Chunks that are written on the event loop; more by the writer thread."""
_ROWS_MAX = 64
"""Of one statement."""
_KNOWN_MAX = 10_000
"""Streams whose ids are remembered."""
_ADD_STREAM = """
INSERT INTO log_streams (group_id, name, created_ms, stored_bytes) VALUES (?, ?, ?, 0)
ON CONFLICT (group_id, name) DO NOTHING
"""
_RAISE_STREAMS = """
UPDATE log_streams SET
    first_event_ms    = min(coalesce(first_event_ms, new.column2), new.column2),
    last_event_ms     = max(coalesce(last_event_ms, new.column3), new.column3),
    last_ingestion_ms = new.column4,
    stored_bytes      = stored_bytes + new.column5
FROM (VALUES {rows}) AS new WHERE log_streams.id = new.column1
"""
_ADD_CHUNKS = """
INSERT INTO log_chunks (group_id, stream_id, first_ms, last_ms, ingestion_ms, stored_bytes, body) VALUES {rows}
"""

_Place = tuple[int, int]
"""The id of a group, and that of a stream in it. No id is ever used twice."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[list[int], list[str]]).decode


class SqliteLogEvents:
    """See `lambent.store.LogEvents` for the contract."""

    def __init__(self, database: LightDatabase) -> None:
        self._database = database
        self._known: dict[StreamKey, _Place] = {}
        """Where streams are, as far as is known: one may be gone."""

    async def create_stream(self, key: StreamKey, *, created_ms: int) -> bool:
        def create(connection: sqlite3.Connection) -> bool:
            group_id = _raise_group(connection, key.group)
            return connection.execute(_ADD_STREAM, (group_id, key.stream, created_ms)).rowcount == 1

        return await self._database.write(create)

    async def append(
        self, batches: Sequence[tuple[StreamKey, Sequence[LogEvent]]], *, ingestion_ms: int
    ) -> list[list[KeptEvents]]:
        keys = [key for key, _ in batches]
        packed = await _packed([events for _, events in batches])
        known = {key: self._known[key] for key in keys if key in self._known}
        try:
            kept, found = await self._write(partial(_append, keys, packed, ingestion_ms, known), packed)
        except _StreamGone:
            for key in known:
                self._known.pop(key, None)
            kept, found = await self._write(partial(_append, keys, packed, ingestion_ms, {}), packed)
        # Only now: what is undone must not be remembered.
        if len(self._known) > _KNOWN_MAX:
            self._known.clear()
        self._known.update(found)
        return kept

    async def _write(
        self, change: Callable[[sqlite3.Connection], _Appended], packed: Sequence[Sequence[_Run]]
    ) -> _Appended:
        size_bytes = sum(len(run.body) for runs in packed for run in runs)
        if size_bytes <= _LIGHT_MAX_BYTES and len(packed) <= _LIGHT_MAX_STREAMS:
            return await self._database.write_lightly(change, size_bytes=size_bytes)
        return await self._database.write(change)

    async def read(self, query: LogQuery) -> LogPage:
        return await self._database.read_long(partial(_read, query=query))

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
        order = ("coalesce(last_event_ms, 0)", "log_streams.name") if by_last_event else ("log_streams.name",)
        place = None if after is None else (after if by_last_event else (after[1],))
        query, values = _streams_query(order, place, descending)
        bounds = (group, prefix, prefix + _LAST_CHARACTER)

        def ask(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(query, (*bounds, *values, limit)).fetchall()

        rows = await self._database.read_long(ask)
        return [_summary(group, row) for row in rows]

    async def sizes(self, groups: Sequence[str] | None = None) -> dict[str, int]:
        def ask(connection: sqlite3.Connection) -> dict[str, int]:
            sums = (
                "SELECT name, (SELECT coalesce(sum(stored_bytes), 0) FROM log_streams WHERE group_id = g.id) "
                "FROM log_groups g"
            )
            if groups is None:
                return dict(connection.execute(sums).fetchall())
            one = f"{sums} WHERE name = ?"
            return dict(row for name in groups for row in connection.execute(one, (name,)))

        return await self._database.read_long(ask)

    async def delete(self, group: str, *, stream: str | None = None) -> None:
        await self._database.write(partial(_forget, group=group, stream=stream))
        while await self._database.write(_remove_forgotten):
            pass

    async def expire(self, group: str, *, before_ms: int) -> None:
        while await self._database.write(partial(_remove_expired, group=group, before_ms=before_ms)):
            pass
        # What a deletion left behind when the process died in the middle of it.
        while await self._database.write(_remove_forgotten):
            pass


# Writing.


def _raise_group(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT id FROM log_groups WHERE name = ?", (name,)).fetchone()
    if row is None:
        row = connection.execute("INSERT INTO log_groups (name) VALUES (?) RETURNING id", (name,)).fetchone()
    return int(row[0])


class _StreamGone(Exception):
    """A stream is not where it was."""


def _append(
    keys: Sequence[StreamKey],
    packed: Sequence[Sequence[_Run]],
    ingestion_ms: int,
    known: Mapping[StreamKey, _Place],
    connection: sqlite3.Connection,
) -> _Appended:
    """Write the runs of streams and return how they are kept, and where streams are that were not known.

    In few statements, whatever the number of streams: when the writer thread makes them, it has to wait after each for
    its turn with the interpreter, and takes it from whoever is at work.

    Raises:
        _StreamGone: what was known is not so any more.
    """
    found: dict[StreamKey, _Place] = {}
    raised: dict[int, tuple[int, int, int, int, int]] = {}
    chunks: list[tuple[int, int, int, int, int, int, bytes]] = []
    for key, runs in zip(keys, packed, strict=True):
        if not runs:
            continue
        place = known.get(key) or found.get(key)
        if place is None:
            place = found[key] = _place_of(connection, key, ingestion_ms)
        group_id, stream_id = place
        for run in runs:
            first_ms, last_ms = run.first_ms, run.last_ms
            _, before_ms, after_ms, _, before_bytes = raised.get(stream_id, (0, first_ms, last_ms, 0, 0))
            raised[stream_id] = (
                stream_id,
                min(first_ms, before_ms),
                max(last_ms, after_ms),
                ingestion_ms,
                before_bytes + run.size_bytes,
            )
            chunks.append((group_id, stream_id, first_ms, last_ms, ingestion_ms, run.size_bytes, run.body))
    updates = _execute(connection, _RAISE_STREAMS, list(raised.values()))
    if sum(cursor.rowcount for cursor in updates) < len(raised):
        raise _StreamGone
    numbers: list[int] = []
    for cursor in _execute(connection, _ADD_CHUNKS, chunks):
        assert cursor.lastrowid is not None
        # One statement numbers its rows one after another.
        numbers += range(cursor.lastrowid - cursor.rowcount + 1, cursor.lastrowid + 1)
    chunk_ids = iter(numbers)
    return [[KeptEvents(next(chunk_ids), run.events) for run in runs] for runs in packed], found


def _execute(
    connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[Any, ...]]
) -> Iterator[sqlite3.Cursor]:
    """Run a statement on many rows at once, in as few pieces as can be."""
    for begin in range(0, len(rows), _ROWS_MAX):
        part = rows[begin : begin + _ROWS_MAX]
        values = [value for row in part for value in row]
        yield connection.execute(_with_rows(statement, len(part), len(part[0])), values)


@lru_cache(maxsize=4 * _ROWS_MAX)
def _with_rows(statement: str, rows: int, columns: int) -> str:
    return statement.format(rows=", ".join([f"({', '.join('?' * columns)})"] * rows))


def _place_of(connection: sqlite3.Connection, key: StreamKey, created_ms: int) -> _Place:
    """Return where a stream is; one that does not exist is made."""
    group_id = _raise_group(connection, key.group)
    connection.execute(_ADD_STREAM, (group_id, key.stream, created_ms))
    found = "SELECT id FROM log_streams WHERE group_id = ? AND name = ?"
    return group_id, int(connection.execute(found, (group_id, key.stream)).fetchone()[0])


# Packing.


class _Run(NamedTuple):
    """Events of a stream in order of time, a minute's at most, and the chunk that they become."""

    events: Sequence[LogEvent]
    first_ms: int
    last_ms: int
    size_bytes: int
    """Of their messages."""
    body: bytes


_Appended = tuple[list[list[KeptEvents]], dict[StreamKey, _Place]]


async def _packed(batches: Sequence[Sequence[LogEvent]]) -> list[list[_Run]]:
    """Pack the events of streams: a little on the event loop, so that others have their turn, much in a thread."""
    sizes = [sum([len(event.message) for event in events]) for events in batches]
    if max(sizes, default=0) > _PACK_MAX_CHARACTERS or sum(sizes) > _PACK_ALL_MAX_CHARACTERS:
        return await asyncio.to_thread(lambda: [_runs(events) for events in batches])
    packed: list[list[_Run]] = []
    waiting = 0
    for events, size in zip(batches, sizes, strict=True):
        if waiting > _PACK_SLICE_CHARACTERS:
            waiting = 0
            await asyncio.sleep(0)
        waiting += size
        packed.append(_runs(events))
    return packed


def _runs(events: Sequence[LogEvent]) -> list[_Run]:
    return [_run(span) for span in _spans(sorted(events, key=_TIMESTAMP_MS))] if events else []


def _run(events: Sequence[LogEvent]) -> _Run:
    # In one piece: there are thousands, and event by event this would cost more than writing them.
    size_bytes = message_bytes("".join([event.message for event in events]))
    first_ms, last_ms = events[0].timestamp_ms, events[-1].timestamp_ms
    return _Run(events, first_ms, last_ms, size_bytes, _body(events, first_ms))


def _spans(ordered: Sequence[LogEvent]) -> Iterator[Sequence[LogEvent]]:
    """Cut events that are in order of time into runs of a minute at most."""
    begin = 0
    while ordered[-1].timestamp_ms - ordered[begin].timestamp_ms > SPAN_MAX_MS:
        end = begin + 1
        while ordered[end].timestamp_ms - ordered[begin].timestamp_ms <= SPAN_MAX_MS:
            end += 1
        yield ordered[begin:end]
        begin = end
    yield ordered[begin:]


def _body(events: Sequence[LogEvent], first_ms: int) -> bytes:
    offsets = [event.timestamp_ms - first_ms for event in events]
    messages = [event.message for event in events]
    try:
        packed = _pack((offsets, messages))
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8; the event is worth more than the broken character.
        packed = _pack((offsets, [message.encode(errors="replace").decode() for message in messages]))
    if len(packed) < _COMPRESS_MIN_BYTES:
        return b"\0" + packed
    return b"\1" + zlib.compress(packed, _COMPRESS_LEVEL)


# Reading.


def _read(connection: sqlite3.Connection, *, query: LogQuery) -> LogPage:
    # One snapshot for the index and the bodies, so that a deletion in between cannot tear the page.
    connection.execute("BEGIN")
    row = connection.execute("SELECT id FROM log_groups WHERE name = ?", (query.group,)).fetchone()
    if row is None:
        return LogPage(events=[], position=None)
    window = window_of(query)
    chunks = _chunks(connection, query, int(row[0]), window)
    return page_of(query, merge(chunks, window, newest_first=query.newest_first))


def _chunks(
    connection: sqlite3.Connection, query: LogQuery, group_id: int, window: Window
) -> Iterator[tuple[int, Callable[[], Chunk]]]:
    names = _stream_names(connection, query, group_id)
    if names is not None and len(names) <= _STREAM_CURSORS_MAX:
        rows = _merged_rows(connection, query, list(names), window)
    else:
        rows = _rows(connection, query, "group_id", group_id, window)
    known = {} if names is None else names
    for bound_ms, chunk_id, stream_id in rows:
        name = known.get(stream_id)
        if name is None and names is None:
            name = _stream_name(connection, stream_id)
        if name is not None:
            known[stream_id] = name
            yield bound_ms, partial(_load, connection, chunk_id, name)


def _stream_name(connection: sqlite3.Connection, stream_id: int) -> str | None:
    row = connection.execute("SELECT name FROM log_streams WHERE id = ?", (stream_id,)).fetchone()
    return None if row is None else str(row[0])


def _stream_names(connection: sqlite3.Connection, query: LogQuery, group_id: int) -> dict[int, str] | None:
    """Return the streams asked for as id → name, or None when all are."""
    find = "SELECT id, name FROM log_streams WHERE group_id = ?"
    if query.streams is not None:
        rows = (connection.execute(f"{find} AND name = ?", (group_id, name)) for name in query.streams)
        return dict(row for cursor in rows for row in cursor)
    if query.stream_prefix:
        bounds = (group_id, query.stream_prefix, query.stream_prefix + _LAST_CHARACTER)
        return dict(connection.execute(f"{find} AND name >= ? AND name < ?", bounds).fetchall())
    return None


_Row = tuple[int, int, int]
"""(bound in time, chunk id, stream id)."""


def _merged_rows(
    connection: sqlite3.Connection, query: LogQuery, stream_ids: Sequence[int], window: Window
) -> Iterator[_Row]:
    rows = [_rows(connection, query, "stream_id", stream_id, window) for stream_id in stream_ids]
    return heapq.merge(*rows, reverse=query.newest_first)


def _rows(
    connection: sqlite3.Connection, query: LogQuery, owner: str, owner_id: int, window: Window
) -> Iterator[_Row]:
    """Walk an index of chunks that may hold events of the window, in the order that `merge` asks for."""
    low_ms = max(0, min(window.above[0], _INTEGER_MAX))
    high_ms = min(window.below[0], _INTEGER_MAX)
    direction = "DESC" if query.newest_first else "ASC"
    # A chunk spans no more than SPAN_MAX_MS: that bounds the walk at the far end, too.
    rows = connection.execute(
        f"SELECT first_ms, last_ms, id, stream_id FROM log_chunks WHERE {owner} = ? "  # noqa: S608
        f"AND first_ms BETWEEN ? AND ? AND last_ms >= ? ORDER BY first_ms {direction}",
        (owner_id, low_ms - SPAN_MAX_MS, high_ms, low_ms),
    )
    if query.newest_first:
        return _by_last_event(rows)
    return ((first_ms, chunk_id, stream_id) for first_ms, _, chunk_id, stream_id in rows)


def _by_last_event(rows: Iterable[tuple[int, int, int, int]]) -> Iterator[_Row]:
    """Turn rows by falling time of the first event into rows by falling time of the last event."""
    waiting: list[tuple[int, int, int]] = []
    for first_ms, last_ms, chunk_id, stream_id in rows:
        # No row from here on ends later than this.
        latest_ms = first_ms + SPAN_MAX_MS
        while waiting and -waiting[0][0] > latest_ms:
            yield _turned(heapq.heappop(waiting))
        heapq.heappush(waiting, (-last_ms, -chunk_id, stream_id))
    while waiting:
        yield _turned(heapq.heappop(waiting))


def _turned(row: tuple[int, int, int]) -> _Row:
    return -row[0], -row[1], row[2]


def _load(connection: sqlite3.Connection, chunk_id: int, stream: str) -> Chunk:
    first_ms, ingestion_ms, body = connection.execute(
        "SELECT first_ms, ingestion_ms, body FROM log_chunks WHERE id = ?", (chunk_id,)
    ).fetchone()
    offsets, messages = _unpack(zlib.decompress(body[1:]) if body[0] else body[1:])
    return Chunk(
        number=chunk_id,
        stream=stream,
        ingestion_ms=ingestion_ms,
        timestamps_ms=[first_ms + offset for offset in offsets],
        messages=messages,
    )


def _streams_query(
    order: Sequence[str], place: Sequence[Any] | None, descending: bool
) -> tuple[str, Sequence[Any]]:
    direction, beyond = ("DESC", "<") if descending else ("ASC", ">")
    condition = "" if place is None else f"AND ({', '.join(order)}) {beyond} ({', '.join('?' * len(order))})"
    sorting = ", ".join(f"{column} {direction}" for column in order)
    sql = (
        "SELECT log_streams.name, created_ms, first_event_ms, last_event_ms, last_ingestion_ms "  # noqa: S608
        "FROM log_streams JOIN log_groups ON log_groups.id = group_id "
        "WHERE log_groups.name = ? AND log_streams.name >= ? AND log_streams.name < ? "
        f"{condition} ORDER BY {sorting} LIMIT ?"
    )
    return sql, place or ()


def _summary(group: str, row: Sequence[Any]) -> StreamSummary:
    name, created_ms, first_event_ms, last_event_ms, last_ingestion_ms = row
    return StreamSummary(
        key=StreamKey(group=group, stream=name),
        created_ms=created_ms,
        first_event_ms=first_event_ms,
        last_event_ms=last_event_ms,
        last_ingestion_ms=last_ingestion_ms,
    )


# Removing.


def _forget(connection: sqlite3.Connection, *, group: str, stream: str | None) -> None:
    """Make streams unreachable at once; their chunks are removed later, in slices."""
    row = connection.execute("SELECT id FROM log_groups WHERE name = ?", (group,)).fetchone()
    if row is None:
        return
    chosen, values = "group_id = ?", (row[0],)
    if stream is not None:
        chosen, values = "group_id = ? AND name = ?", (row[0], stream)
    connection.execute(f"INSERT INTO log_chunks_to_remove SELECT id FROM log_streams WHERE {chosen}", values)  # noqa: S608
    connection.execute(f"DELETE FROM log_streams WHERE {chosen}", values)  # noqa: S608
    if stream is None:
        connection.execute("DELETE FROM log_groups WHERE id = ?", (row[0],))


def _remove_forgotten(connection: sqlite3.Connection) -> bool:
    """Remove a slice of what belongs to deleted streams; False when nothing is left."""
    row = connection.execute("SELECT stream_id FROM log_chunks_to_remove LIMIT 1").fetchone()
    if row is None:
        return False
    removed = connection.execute(
        "DELETE FROM log_chunks WHERE id IN (SELECT id FROM log_chunks WHERE stream_id = ? LIMIT ?)",
        (row[0], _REMOVE_SLICE),
    ).rowcount
    if removed < _REMOVE_SLICE:
        connection.execute("DELETE FROM log_chunks_to_remove WHERE stream_id = ?", row)
    return True


def _remove_expired(connection: sqlite3.Connection, *, group: str, before_ms: int) -> bool:
    """Remove a slice of the chunks that are wholly too old; False when nothing is left."""
    rows = connection.execute(
        "SELECT log_chunks.id, stream_id, stored_bytes FROM log_chunks "
        "JOIN log_groups ON log_groups.id = group_id WHERE log_groups.name = ? "
        "AND first_ms < ? AND last_ms < ? LIMIT ?",
        (group, before_ms, before_ms, _REMOVE_SLICE),
    ).fetchall()
    for chunk_id, stream_id, stored_bytes in rows:
        connection.execute("DELETE FROM log_chunks WHERE id = ?", (chunk_id,))
        connection.execute(
            "UPDATE log_streams SET stored_bytes = stored_bytes - ? WHERE id = ?", (stored_bytes, stream_id)
        )
    for stream_id in {row[1] for row in rows}:
        connection.execute(
            "UPDATE log_streams SET first_event_ms = "
            "(SELECT min(first_ms) FROM log_chunks WHERE stream_id = ?1) WHERE id = ?1",
            (stream_id,),
        )
    return bool(rows)
