"""Groups of messages in SQLite: the order in which a queue's groups may be received, kept beside the messages.

A group is available from the time on at which nothing of it is in flight any more and its first message is
visible. Whoever changes messages of a group settles the group in the same transaction.
"""

from __future__ import annotations

import sqlite3
from typing import Any


def add(connection: sqlite3.Connection, queue: int, group: str, sequence: int, visible_ms: int) -> None:
    """Take note of a new message at the end of a group."""
    connection.execute(
        "INSERT OR IGNORE INTO message_groups VALUES (?, ?, ?, ?)", (queue, group, sequence, visible_ms)
    )


def settle(connection: sqlite3.Connection, queue: int, group: str) -> None:
    """Find out where a group begins now and from when on it is available."""
    head = connection.execute(
        "SELECT sequence, visible_ms FROM messages "
        "WHERE queue = ? AND group_name = ? ORDER BY sequence LIMIT 1",
        (queue, group),
    ).fetchone()
    if head is None:
        connection.execute("DELETE FROM message_groups WHERE queue = ? AND name = ?", (queue, group))
        return
    (taken_ms,) = connection.execute(
        "SELECT MAX(visible_ms) FROM messages WHERE queue = ? AND group_name = ? AND receipt IS NOT NULL",
        (queue, group),
    ).fetchone()
    connection.execute(
        "INSERT OR REPLACE INTO message_groups VALUES (?, ?, ?, ?)",
        (queue, group, head[0], max(head[1], taken_ms or 0)),
    )


def settle_all(connection: sqlite3.Connection, queue: int) -> None:
    """Settle every group of a queue."""
    for (group,) in connection.execute(
        "SELECT name FROM message_groups WHERE queue = ?", (queue,)
    ).fetchall():
        settle(connection, queue, group)


def visible(
    connection: sqlite3.Connection, queue: int, limit: int, now_ms: int, columns: str
) -> list[tuple[Any, ...]]:
    """Return the first messages of available groups: groups by age, as many of each as there is room for."""
    rows: list[tuple[Any, ...]] = []
    groups = connection.execute(
        "SELECT name FROM message_groups WHERE queue = ? AND available_ms <= ? ORDER BY head LIMIT ?",
        (queue, now_ms, limit),
    ).fetchall()
    for (group,) in groups:
        # The plus keeps the planner from another index, after which it would have to sort the whole group.
        rows += connection.execute(
            f"SELECT {columns} FROM messages WHERE queue = ? AND group_name = ? AND +visible_ms <= ? "  # noqa: S608
            "ORDER BY sequence LIMIT ?",
            (queue, group, now_ms, limit - len(rows)),
        ).fetchall()
        if len(rows) >= limit:
            break
    return rows
