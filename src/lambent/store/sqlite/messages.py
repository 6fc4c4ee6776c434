"""`Messages` in SQLite, in a file of its own.

Sending waits for the disk, once per commit group; receiving and deleting do not, because what a power cut undoes
of them only makes messages come again. Everything that is asked often is answered from the front of an index,
so that it costs the same at a hundred messages and at a million. Groups are in `message_groups`.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lambent.store.messages import (
    DEDUPLICATION_MS,
    Counts,
    DeadLetters,
    Message,
    NewMessage,
    Postponement,
    Receipt,
    Sent,
    Take,
    Taken,
    Validity,
)
from lambent.store.sqlite import message_groups
from lambent.store.sqlite.light_writes import LightDatabase

_ROWS_PER_ROUND = 500
_ROUNDS_MAX = 20
"""Bounds what one receive or move clears away of expired and dead messages: the rest is for the next one."""
_REMOVED_AT_ONCE = 2_000
_LIGHT_MAX_BYTES = 65_536
"""Of messages that are written on the event loop."""
_FORGOTTEN_AT_ONCE = 100
"""Deduplication ids that have expired: more than one send adds, and no more than a light change may take away."""
_COLUMNS = (
    "sequence, message_id, body, attributes, group_name, sent_ms, first_received_ms, receive_count, source"
)


class SqliteMessages:
    """See `lambent.store.messages.Messages` for the contract."""

    def __init__(self, database: LightDatabase) -> None:
        self._database = database
        self._hopeful: set[str] = set()
        """Queues that had something to receive when somebody looked last, or were sent something since."""

    async def send(self, queue: str, messages: Sequence[NewMessage], *, now_ms: int) -> list[Sent]:
        def change(connection: sqlite3.Connection) -> list[Sent]:
            number = _number_of(connection, queue)
            sent = [_send_one(connection, number, message, now_ms) for message in messages]
            _count(connection, number, sum(not one.is_duplicate for one in sent))
            return sent

        size_bytes = sum(len(message.body) + len(message.attributes) for message in messages)
        is_light = size_bytes <= _LIGHT_MAX_BYTES
        write = self._database.write_lightly if is_light else self._database.write
        sent = await write(change)
        self._hopeful.add(queue)
        return sent

    async def receive(self, queue: str, take: Take, *, now_ms: int) -> Taken:
        if queue not in self._hopeful or take.limit == 0:
            # Whoever finds nothing has not disturbed a writer.
            next_ms = self._database.read(
                lambda connection: _next_visible(connection, queue, is_fifo=take.is_fifo)
            )
            if next_ms is None or next_ms > now_ms or take.limit == 0:
                return Taken(next_ms=next_ms)
        taken = await self._database.write_lightly(
            lambda connection: _Receive(connection, queue, take, now_ms).run_lightly(), is_soft=True
        )
        if taken is None:
            taken = await self._database.write(
                lambda connection: _Receive(connection, queue, take, now_ms).run(), is_soft=True
            )
        if taken.messages:
            self._hopeful.add(queue)
        else:
            self._hopeful.discard(queue)
        return taken

    async def delete(self, queue: str, receipts: Sequence[Receipt]) -> list[bool]:
        def change(connection: sqlite3.Connection) -> list[bool]:
            number = _find(connection, queue)
            deleted = [_delete_one(connection, number, receipt) for receipt in receipts]
            _count(connection, number, -sum(deleted))
            return deleted

        return await self._database.write_lightly(change, is_soft=True)

    async def validities(self, queue: str, receipts: Sequence[Receipt], *, now_ms: int) -> list[Validity]:
        def ask(connection: sqlite3.Connection) -> list[Validity]:
            number = _find(connection, queue)
            return [_validity(connection, number, receipt, now_ms) for receipt in receipts]

        return self._database.read(ask)

    async def postpone(self, queue: str, postponements: Sequence[Postponement], *, now_ms: int) -> list[bool]:
        def change(connection: sqlite3.Connection) -> list[bool]:
            number = _find(connection, queue)
            return [_postpone_one(connection, number, one, now_ms) for one in postponements]

        return await self._database.write_lightly(change, is_soft=True)

    async def counts(self, queue: str, *, now_ms: int) -> Counts:
        def ask(connection: sqlite3.Connection) -> Counts:
            row = connection.execute("SELECT id, messages FROM queues WHERE name = ?", (queue,)).fetchone()
            if row is None:
                return Counts(total=0, in_flight=0, delayed=0)
            later, taken = connection.execute(
                "SELECT COUNT(*), COUNT(receipt) FROM messages WHERE queue = ? AND visible_ms > ?",
                (row[0], now_ms),
            ).fetchone()
            return Counts(total=row[1], in_flight=taken, delayed=later - taken)

        return await self._database.read_long(ask)

    async def clear(self, queue: str) -> None:
        number = await self._database.write(
            lambda connection: connection.execute(
                "UPDATE queues SET name = NULL WHERE name = ? RETURNING id", (queue,)
            ).fetchone()
        )
        self._hopeful.discard(queue)
        if number is not None:
            await self._remove(number[0])

    async def _remove(self, number: int) -> None:
        """Remove what a nameless queue holds, in slices between which others get to write."""

        def slice_of(connection: sqlite3.Connection) -> bool:
            removed = connection.execute(
                "DELETE FROM messages WHERE sequence IN (SELECT sequence FROM messages WHERE queue = ? LIMIT ?)",
                (number, _REMOVED_AT_ONCE),
            ).rowcount
            if removed < _REMOVED_AT_ONCE:
                for table in ("message_groups", "deduplications"):
                    connection.execute(f"DELETE FROM {table} WHERE queue = ?", (number,))  # noqa: S608
                connection.execute("DELETE FROM queues WHERE id = ?", (number,))
            return removed == _REMOVED_AT_ONCE

        while await self._database.write(slice_of, is_soft=True):
            pass

    async def sources(self, queue: str) -> set[str]:
        def ask(connection: sqlite3.Connection) -> set[str]:
            rows = connection.execute(
                "SELECT DISTINCT source FROM messages WHERE queue = ? AND source IS NOT NULL",
                (_find(connection, queue),),
            )
            return {row[0] for row in rows}

        return await self._database.read_long(ask)

    async def move(self, queue: str, destination: str | None, *, limit: int, now_ms: int) -> dict[str, int]:
        def change(connection: sqlite3.Connection) -> dict[str, int]:
            return _move(connection, queue, destination, limit, now_ms)

        return await self._database.write(change)

    async def resume(self, prefix: str, *, now_ms: int) -> list[str]:
        def nameless(connection: sqlite3.Connection) -> list[int]:
            return [row[0] for row in connection.execute("SELECT id FROM queues WHERE name IS NULL")]

        for number in self._database.read(nameless):
            await self._remove(number)

        def change(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "SELECT id, name FROM queues WHERE messages > 0 AND substr(name, 1, ?) = ? ORDER BY name",
                (len(prefix), prefix),
            ).fetchall()
            for number, _ in rows:
                connection.execute(
                    "UPDATE messages SET visible_ms = ?, receipt = NULL "
                    "WHERE queue = ? AND visible_ms > ? AND receipt IS NOT NULL",
                    (now_ms, number, now_ms),
                )
                message_groups.settle_all(connection, number)
            return [name for _, name in rows]

        return await self._database.write(change)


class _Receive:
    """One receive, inside the transaction."""

    def __init__(self, connection: sqlite3.Connection, queue: str, take: Take, now_ms: int) -> None:
        self._connection = connection
        self._queue = queue
        self._number = _find(connection, queue)
        self._take = take
        self._now_ms = now_ms
        self._messages: dict[int, Message] = {}
        self._groups: set[str] = set()
        self._dead = 0

    def run_lightly(self) -> Taken | None:
        """Receive if that changes nothing but what is received; None: there is something to clear away first."""
        rows = list(self._visible(self._take.limit))
        if any(self._is_expired(row) or self._is_dead(row) for row in rows):
            return None
        return self._received(rows)

    def run(self) -> Taken:
        """Receive, and clear away what has expired or is dead, within bounds."""
        rows_max = self._take.limit
        for _ in range(_ROUNDS_MAX):
            rows = self._visible(rows_max)
            dropped = [row for row in rows if not self._accept(row)]
            if not dropped or len(self._messages) == self._take.limit:
                break
            rows_max = _ROWS_PER_ROUND
        return self._received(())

    def _received(self, rows: Iterable[tuple[Any, ...]]) -> Taken:
        for row in rows:
            self._accept(row)
        for group in self._groups:
            message_groups.settle(self._connection, self._number, group)
        if self._messages:
            return Taken(messages=tuple(self._messages.values()), dead=self._dead)
        next_ms = _next_visible(self._connection, self._queue, is_fifo=self._take.is_fifo)
        return Taken(dead=self._dead, next_ms=next_ms)

    def _visible(self, rows_max: int) -> Iterable[tuple[Any, ...]]:
        if self._take.is_fifo:
            return message_groups.visible(self._connection, self._number, rows_max, self._now_ms, _COLUMNS)
        return self._connection.execute(
            f"SELECT {_COLUMNS} FROM messages WHERE queue = ? AND visible_ms <= ? "  # noqa: S608
            "ORDER BY visible_ms, sequence LIMIT ?",
            (self._number, self._now_ms, rows_max),
        ).fetchall()

    def _accept(self, row: tuple[Any, ...]) -> bool:
        """Put a message in flight, if there is room; False when it was cleared away instead."""
        sequence, group = row[0], row[4]
        if sequence in self._messages:
            return True
        if group is not None:
            self._groups.add(group)
        if self._is_expired(row):
            self._connection.execute("DELETE FROM messages WHERE sequence = ?", (sequence,))
            _count(self._connection, self._number, -1)
            return False
        if (dead_letters := self._take.dead_letters) is not None and self._is_dead(row):
            self._bury(sequence, group, dead_letters)
            return False
        if len(self._messages) < self._take.limit:
            self._messages[sequence] = self._put_in_flight(row)
        return True

    def _is_expired(self, row: tuple[Any, ...]) -> bool:
        retention_ms: int | None = self._take.retention_ms
        return retention_ms is not None and row[5] + retention_ms <= self._now_ms

    def _is_dead(self, row: tuple[Any, ...]) -> bool:
        dead_letters = self._take.dead_letters
        return dead_letters is not None and row[7] >= dead_letters.max_receive_count

    def _put_in_flight(self, row: tuple[Any, ...]) -> Message:
        token = random.getrandbits(62)
        first_received_ms: int = row[6] if row[6] is not None else self._now_ms
        self._connection.execute(
            "UPDATE messages SET visible_ms = ?, receipt = ?, receive_count = receive_count + 1, "
            "first_received_ms = ? WHERE sequence = ?",
            (self._now_ms + self._take.visibility_ms, token, first_received_ms, row[0]),
        )
        return Message(
            receipt=Receipt(row[0], token),
            message_id=row[1],
            body=row[2],
            attributes=row[3],
            group=row[4],
            sent_ms=row[5],
            first_received_ms=first_received_ms,
            received_ms=self._now_ms,
            receive_count=row[7] + 1,
            source=row[8],
        )

    def _bury(self, sequence: int, group: str | None, dead_letters: DeadLetters) -> None:
        number = _number_of(self._connection, dead_letters.queue)
        self._connection.execute(
            "UPDATE messages SET queue = ?, source = ?, visible_ms = ?, receipt = NULL WHERE sequence = ?",
            (number, self._queue, self._now_ms, sequence),
        )
        _count(self._connection, self._number, -1)
        _count(self._connection, number, 1)
        if group is not None:
            message_groups.settle(self._connection, number, group)
        self._dead += 1


def _find(connection: sqlite3.Connection, queue: str) -> int:
    """Return the number of a queue; 0, which none has, when nothing was ever sent to it."""
    row = connection.execute("SELECT id FROM queues WHERE name = ?", (queue,)).fetchone()
    return 0 if row is None else row[0]


def _number_of(connection: sqlite3.Connection, queue: str) -> int:
    if number := _find(connection, queue):
        return number
    number = connection.execute("INSERT INTO queues (name) VALUES (?)", (queue,)).lastrowid
    assert number is not None
    return number


def _count(connection: sqlite3.Connection, number: int, difference: int) -> None:
    if difference:
        connection.execute("UPDATE queues SET messages = messages + ? WHERE id = ?", (difference, number))


def _send_one(connection: sqlite3.Connection, number: int, message: NewMessage, now_ms: int) -> Sent:
    if message.deduplication_id is not None:
        known = connection.execute(
            "SELECT message_id, sequence FROM deduplications "
            "WHERE queue = ? AND deduplication_id = ? AND until_ms > ?",
            (number, message.deduplication_id, now_ms),
        ).fetchone()
        if known is not None:
            return Sent(message_id=known[0], sequence=known[1], is_duplicate=True)
    sequence = connection.execute(
        "INSERT INTO messages (queue, visible_ms, sent_ms, message_id, group_name, attributes, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            now_ms + message.delay_ms,
            now_ms,
            message.message_id,
            message.group,
            message.attributes,
            message.body,
        ),
    ).lastrowid
    assert sequence is not None
    if message.group is not None:
        message_groups.add(connection, number, message.group, sequence, now_ms + message.delay_ms)
    if message.deduplication_id is not None:
        connection.execute(
            "DELETE FROM deduplications WHERE (queue, deduplication_id) IN "
            "(SELECT queue, deduplication_id FROM deduplications WHERE until_ms <= ? LIMIT ?)",
            (now_ms, _FORGOTTEN_AT_ONCE),
        )
        connection.execute(
            "INSERT OR REPLACE INTO deduplications VALUES (?, ?, ?, ?, ?)",
            (number, message.deduplication_id, message.message_id, sequence, now_ms + DEDUPLICATION_MS),
        )
    return Sent(message_id=message.message_id, sequence=sequence)


def _next_visible(connection: sqlite3.Connection, queue: str, *, is_fifo: bool) -> int | None:
    """Return when something may be received: now or earlier, later, or None for never."""
    column, table = ("available_ms", "message_groups") if is_fifo else ("visible_ms", "messages")
    return connection.execute(
        f"SELECT MIN({column}) FROM {table} WHERE queue = (SELECT id FROM queues WHERE name = ?)",  # noqa: S608
        (queue,),
    ).fetchone()[0]


def _delete_one(connection: sqlite3.Connection, number: int, receipt: Receipt) -> bool:
    row = connection.execute(
        "DELETE FROM messages WHERE sequence = ? AND queue = ? AND receipt = ? RETURNING group_name",
        (receipt.sequence, number, receipt.token),
    ).fetchone()
    if row is None:
        return False
    if row[0] is not None:
        message_groups.settle(connection, number, row[0])
    return True


def _validity(connection: sqlite3.Connection, number: int, receipt: Receipt, now_ms: int) -> Validity:
    row = connection.execute(
        "SELECT receipt, visible_ms FROM messages WHERE sequence = ? AND queue = ?",
        (receipt.sequence, number),
    ).fetchone()
    if row is None:
        return "gone"
    return "valid" if row[0] == receipt.token and row[1] > now_ms else "expired"


def _postpone_one(connection: sqlite3.Connection, number: int, one: Postponement, now_ms: int) -> bool:
    row = connection.execute(
        "UPDATE messages SET visible_ms = ?, attributes = COALESCE(?, attributes), "
        "receipt = CASE WHEN ? THEN NULL ELSE receipt END "
        "WHERE sequence = ? AND queue = ? AND receipt = ? AND visible_ms > ? RETURNING group_name",
        (
            one.visible_ms,
            one.attributes,
            one.is_released,
            one.receipt.sequence,
            number,
            one.receipt.token,
            now_ms,
        ),
    ).fetchone()
    if row is None:
        return False
    if row[0] is not None:
        message_groups.settle(connection, number, row[0])
    return True


def _move(
    connection: sqlite3.Connection, queue: str, destination: str | None, limit: int, now_ms: int
) -> dict[str, int]:
    number = _find(connection, queue)
    rows = connection.execute(
        "SELECT sequence, group_name, source FROM messages WHERE queue = ? AND visible_ms <= ? "
        "AND (? OR source IS NOT NULL) ORDER BY visible_ms, sequence LIMIT ?",
        (number, now_ms, destination is not None, limit),
    ).fetchall()
    moved: Counter[str] = Counter()
    for sequence, group, source in rows:
        target = source if destination is None else destination
        target_number = _number_of(connection, target)
        connection.execute(
            "UPDATE messages SET queue = ?, visible_ms = ?, receipt = NULL, receive_count = 0, "
            "first_received_ms = NULL, source = NULL WHERE sequence = ?",
            (target_number, now_ms, sequence),
        )
        if group is not None:
            message_groups.settle(connection, number, group)
            message_groups.settle(connection, target_number, group)
        _count(connection, target_number, 1)
        moved[target] += 1
    _count(connection, number, -len(rows))
    return dict(moved)
