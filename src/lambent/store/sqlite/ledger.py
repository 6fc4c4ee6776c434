"""The ledger in SQLite: rows in compressed chunks of columns, sums in a table beside them (decision 0026).

A chunk holds rows of one category and one day. Compaction puts the chunks of a category and a day together; a row
keeps its sequence, so that a reader in the middle of its pages notices nothing.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter

import msgspec

from lambent.domain.ledger import SUMS, Category, Row, Rows, Sums, Usage, by_day, sum_of, sums_of
from lambent.store.ledger import Audit, RowPage, RowQuery
from lambent.store.sqlite.ledger_chunks import Chunk, pack, unpack
from lambent.store.sqlite.light_writes import LightDatabase

CHUNK_ROWS_MAX = 4096
_COMPACT_PIECES_MAX = 256
"""Chunks that are put together in one transaction: more would hold up whoever waits for the interpreter."""
_COMPACT_TODAY_MIN = 32
"""Chunks of a day that is not over; fewer are left for later, so that none is packed again and again."""
_EXPIRE_SLICE = 500
_READ_CATEGORIES_MAX = 500
"""Categories that are searched each by its own index; for more of them, all chunks are walked."""
_LIGHT_ROWS_MAX, _LIGHT_BATCHES_MAX = 2_000, 100
"""So much is written on the event loop, where it takes a few milliseconds; more by the writer thread."""
_ROW_BYTES = 40
_INTEGER_MAX = 2**62

_encode = msgspec.json.Encoder().encode
_decode_category = msgspec.json.Decoder(Category).decode
_ADD_SEQUENCES = "UPDATE next_sequence SET sequence = sequence + ? RETURNING sequence"
_ADD_CHUNK = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_USAGE = (
    f"INSERT INTO usage (day, category_id, {', '.join(SUMS)}) VALUES (?, ?{', ?' * len(SUMS)}) "  # noqa: S608
    f"ON CONFLICT (day, category_id) DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in SUMS)}"
)


class SqliteLedger:
    """See `lambent.store.ledger.Ledger` for the contract."""

    def __init__(self, database: LightDatabase) -> None:
        self._database = database
        self._known: dict[Category, int] = {}
        """Ids by category."""

    async def append(self, batches: Sequence[Rows]) -> None:
        count = sum(map(len, batches))

        def change(connection: sqlite3.Connection) -> dict[Category, int]:
            new: dict[Category, int] = {}
            (after,) = connection.execute(_ADD_SEQUENCES, (count,)).fetchone()
            sequence = after - count
            for rows in batches:
                category_id = self._known.get(rows.category) or new.get(rows.category)
                if category_id is None:
                    category_id = new[rows.category] = _category_id(connection, rows.category)
                for day, of_day in by_day(rows):
                    _add(connection, category_id, day, of_day, sequence)
                    sequence += len(of_day)
            return new

        if count <= _LIGHT_ROWS_MAX and len(batches) <= _LIGHT_BATCHES_MAX:
            new = await self._database.write_lightly(change, size_bytes=count * _ROW_BYTES)
        else:
            new = await self._database.write(change)
        # Only now: what is undone must not be remembered.
        if len(self._known) > 100_000:
            self._known.clear()
        self._known.update(new)

    async def read(self, query: RowQuery) -> RowPage:
        return await self._database.read_long(partial(_read, query=query))

    async def usage(self, account: str, *, first_day: int, last_day: int, by_day: bool = True) -> list[Usage]:
        return await self._database.read_long(
            partial(_usage, account=account, first_day=first_day, last_day=last_day, by_day=by_day)
        )

    async def audit(self, account: str, *, first_day: int, last_day: int) -> Audit:
        return await self._database.read_long(
            partial(_audit, account=account, first_day=first_day, last_day=last_day)
        )

    async def rows_since(self) -> int:
        return self._database.read(_rows_since)

    async def compact(self, *, today: int) -> int:
        return await self._database.write(partial(_compact, today=today), is_soft=True)

    async def expire(self, *, before_day: int) -> None:
        while await self._database.write(partial(_expire, before_day=before_day), is_soft=True):
            pass


# Writing.


def _category_id(connection: sqlite3.Connection, category: Category) -> int:
    body = _encode(category)
    row = connection.execute("SELECT id FROM categories WHERE body = ?", (body,)).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO categories (account, function, body) VALUES (?, ?, ?) RETURNING id",
            (category.account, category.function, body),
        ).fetchone()
    return int(row[0])


def _add(connection: sqlite3.Connection, category_id: int, day: int, rows: Rows, sequence: int) -> None:
    for begin in range(0, len(rows), CHUNK_ROWS_MAX):
        end = min(begin + CHUNK_ROWS_MAX, len(rows))
        part = rows if end - begin == len(rows) else rows.part(range(begin, end))
        chunk = Chunk(sequences=range(sequence + begin, sequence + end), rows=part)
        _add_chunk(connection, category_id, day, chunk)
    sums = sums_of(rows)
    connection.execute(_ADD_USAGE, (day, category_id, *msgspec.structs.astuple(sums)))


def _add_chunk(connection: sqlite3.Connection, category_id: int, day: int, chunk: Chunk) -> None:
    times = chunk.rows.at_ms
    first, last = chunk.sequences[0], chunk.sequences[-1]
    connection.execute(
        _ADD_CHUNK, (first, last, category_id, day, min(times), max(times), len(times), pack(chunk))
    )


# Reading.


def _read(connection: sqlite3.Connection, *, query: RowQuery) -> RowPage:
    # One snapshot, so that a compaction in between cannot tear the page.
    connection.execute("BEGIN")
    categories = _categories(connection, query)
    rows: list[Row] = []
    if query.limit <= 0:
        return RowPage(rows=rows, after=query.after)
    until_ms = _INTEGER_MAX if query.until_ms is None else query.until_ms
    for row in _merged(connection, query, categories, until_ms):
        if len(rows) == query.limit:
            return RowPage(rows=rows, after=rows[-1].sequence)
        rows.append(row)
    return RowPage(rows=rows, after=None)


def _categories(connection: sqlite3.Connection, query: RowQuery) -> dict[int, Category]:
    condition, values = "account = ?", [query.account]
    if query.function is not None:
        condition, values = "account = ? AND function = ?", [query.account, query.function]
    found = connection.execute(f"SELECT id, body FROM categories WHERE {condition}", values)  # noqa: S608
    decoded = ((category_id, _decode_category(body)) for category_id, body in found)
    return {
        category_id: category
        for category_id, category in decoded
        if query.region in (None, category.region) and (not query.kinds or category.kind in query.kinds)
    }


def _merged(
    connection: sqlite3.Connection, query: RowQuery, categories: dict[int, Category], until_ms: int
) -> Iterator[Row]:
    """Yield rows by sequence; a chunk is opened only when its first row is due."""
    waiting: list[_Place] = []
    for first, chunk_rows in _chunk_rows(connection, query, categories, until_ms):
        while waiting and waiting[0][0] < first:
            yield from _step(waiting)
        heapq.heappush(waiting, (first, None, chunk_rows))
    while waiting:
        yield from _step(waiting)


_Place = tuple[int, Row | None, Iterator[Row]]
"""A chunk that is read: the sequence of its next row, that row once it is opened, and those after it."""


def _step(waiting: list[_Place]) -> Iterator[Row]:
    """Take the next row of the chunk whose turn it is, or open it."""
    _, row, rows = heapq.heappop(waiting)
    if row is not None:
        yield row
    following = next(rows, None)
    if following is not None:
        heapq.heappush(waiting, (following.sequence, following, rows))


def _chunk_rows(
    connection: sqlite3.Connection, query: RowQuery, categories: dict[int, Category], until_ms: int
) -> Iterator[tuple[int, Iterator[Row]]]:
    bounds = (query.after, query.since_ms, until_ms)
    columns = "SELECT first_sequence, category_id FROM chunks"
    condition = "last_sequence > ? AND last_ms >= ? AND first_ms < ?"
    if len(categories) <= _READ_CATEGORIES_MAX:
        found = heapq.merge(
            *(
                connection.execute(
                    f"{columns} WHERE category_id = ? AND {condition} ORDER BY first_sequence",
                    (category_id, *bounds),
                )
                for category_id in categories
            )
        )
    else:
        found = connection.execute(f"{columns} WHERE {condition} ORDER BY first_sequence", bounds)
    for first, category_id in found:
        category = categories.get(category_id)
        if category is not None:
            yield first, _rows_of(connection, first, category, query, until_ms)


def _rows_of(
    connection: sqlite3.Connection, first: int, category: Category, query: RowQuery, until_ms: int
) -> Iterator[Row]:
    for row in _load(connection, first, category).read():
        if row.sequence > query.after and query.since_ms <= row.at_ms < until_ms:
            yield row


def _load(connection: sqlite3.Connection, first_sequence: int, category: Category) -> Chunk:
    (body,) = connection.execute(
        "SELECT body FROM chunks WHERE first_sequence = ?", (first_sequence,)
    ).fetchone()
    return unpack(body, category)


def _usage(
    connection: sqlite3.Connection, *, account: str, first_day: int, last_day: int, by_day: bool
) -> list[Usage]:
    columns, grouping = f"day, body, {', '.join(SUMS)}", ""
    if not by_day:
        columns = f"min(day), body, {', '.join(f'sum({name})' for name in SUMS)}"
        grouping = "GROUP BY category_id"
    found = connection.execute(
        f"SELECT {columns} FROM usage JOIN categories ON categories.id = category_id "  # noqa: S608
        f"WHERE account = ? AND day BETWEEN ? AND ? {grouping} ORDER BY day, category_id",
        (account, first_day, last_day),
    )
    known: dict[bytes, Category] = {}
    usages: list[Usage] = []
    for day, body, *values in found:
        category = known.get(body)
        if category is None:
            category = known[body] = _decode_category(body)
        usages.append(Usage(day=day, category=category, sums=Sums(*values)))
    return usages


def _audit(connection: sqlite3.Connection, *, account: str, first_day: int, last_day: int) -> Audit:
    # One snapshot: rows that come meanwhile are in neither.
    connection.execute("BEGIN")
    since = _rows_since(connection)
    first_day = max(first_day, since)
    return Audit(
        kept=_usage(connection, account=account, first_day=first_day, last_day=last_day, by_day=True),
        recounted=_recounted(connection, account, first_day, last_day),
        rows_since=since,
    )


def _recounted(connection: sqlite3.Connection, account: str, first_day: int, last_day: int) -> list[Usage]:
    found = connection.execute(
        "SELECT day, category_id, categories.body, chunks.body FROM chunks "
        "JOIN categories ON categories.id = category_id "
        "WHERE account = ? AND day BETWEEN ? AND ? ORDER BY day, category_id",
        (account, first_day, last_day),
    )
    usages: list[Usage] = []
    for (day, _), chunks in groupby(found, key=itemgetter(0, 1)):
        category: Category | None = None
        some: list[Sums] = []
        for _, _, category_body, body in chunks:
            category = category or _decode_category(category_body)
            some.append(sums_of(unpack(body, category, is_for_sums=True).rows))
        assert category is not None
        usages.append(Usage(day=day, category=category, sums=sum_of(some)))
    return usages


def _rows_since(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT day FROM rows_since").fetchone()[0])


# Packing and removing.


def _compact(connection: sqlite3.Connection, *, today: int) -> int:
    """Put some small chunks of one category and day together; 0 when none are left that are worth it."""
    found = connection.execute(
        "SELECT day, category_id, body FROM (SELECT day, category_id FROM chunks WHERE row_count < ? "
        "GROUP BY day, category_id HAVING count(*) >= iif(day < ?, 2, ?) LIMIT 1) "
        "JOIN categories ON id = category_id",
        (CHUNK_ROWS_MAX, today, _COMPACT_TODAY_MIN),
    ).fetchone()
    return 0 if found is None else _compact_one(connection, *found)


def _compact_one(connection: sqlite3.Connection, day: int, category_id: int, category_body: bytes) -> int:
    """Put the first small chunks of a category and a day together, as many as fit into one; return how many."""
    category = _decode_category(category_body)
    small = connection.execute(
        "SELECT first_sequence, row_count FROM chunks WHERE day = ? AND category_id = ? AND row_count < ? "
        "ORDER BY first_sequence LIMIT ?",
        (day, category_id, CHUNK_ROWS_MAX, _COMPACT_PIECES_MAX),
    ).fetchall()
    chosen: list[int] = []
    count = 0
    for first, row_count in small:
        if len(chosen) > 1 and count + row_count > CHUNK_ROWS_MAX:
            break
        chosen.append(first)
        count += row_count
    merged = Chunk.merge([_load(connection, first, category) for first in chosen])
    connection.executemany("DELETE FROM chunks WHERE first_sequence = ?", [(first,) for first in chosen])
    for part in merged.cut(CHUNK_ROWS_MAX):
        _add_chunk(connection, category_id, day, part)
    return len(chosen)


def _expire(connection: sqlite3.Connection, *, before_day: int) -> bool:
    """Remove some chunks that are too old; False when none are left."""
    connection.execute("UPDATE rows_since SET day = max(day, ?)", (before_day,))
    removed = connection.execute(
        "DELETE FROM chunks WHERE first_sequence IN (SELECT first_sequence FROM chunks WHERE day < ? LIMIT ?)",
        (before_day, _EXPIRE_SLICE),
    ).rowcount
    return removed > 0
