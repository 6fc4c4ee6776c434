"""`Documents` in SQLite."""

from __future__ import annotations

import sqlite3

from lambent.store import Delete, Document, Put, RevisionConflict
from lambent.store.sqlite.database import Database

_LAST_CHARACTER = "\U0010ffff"


class SqliteDocuments:
    """See `lambent.store.Documents` for the contract."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, kind: str, key: str) -> Document | None:
        row = self._database.read(
            lambda connection: connection.execute(
                "SELECT body, revision FROM documents WHERE kind = ? AND key = ?", (kind, key)
            ).fetchone()
        )
        return None if row is None else Document(kind=kind, key=key, body=row[0], revision=row[1])

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[Document]:
        conditions, values = "kind = ? AND key > ? AND key >= ?", [kind, after, prefix]
        if (end := _end_of(prefix)) is not None:
            conditions, values = f"{conditions} AND key < ?", [*values, end]
        statement = f"SELECT key, body, revision FROM documents WHERE {conditions} ORDER BY key LIMIT ?"  # noqa: S608
        rows = self._database.read(
            lambda connection: connection.execute(statement, (*values, limit)).fetchall()
        )
        return [Document(kind=kind, key=key, body=body, revision=revision) for key, body, revision in rows]

    async def apply(self, *changes: Put | Delete) -> tuple[int, ...]:
        def change_all(connection: sqlite3.Connection) -> tuple[int, ...]:
            return tuple(_apply_one(connection, change) for change in changes)

        return await self._database.write(change_all)


def _end_of(prefix: str) -> str | None:
    """Return the first text behind all that begin with the prefix; None when there is none."""
    stem = prefix.rstrip(_LAST_CHARACTER)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    # Surrogates are no characters of their own and cannot be stored.
    return stem[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def _apply_one(connection: sqlite3.Connection, change: Put | Delete) -> int:
    row = connection.execute(
        "SELECT revision FROM documents WHERE kind = ? AND key = ?", (change.kind, change.key)
    ).fetchone()
    current = 0 if row is None else int(row[0])
    if change.expect_revision is not None and change.expect_revision != current:
        raise RevisionConflict(
            f"{change.kind} {change.key} is at revision {current}, not {change.expect_revision}"
        )
    if isinstance(change, Delete):
        connection.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (change.kind, change.key))
        return 0
    connection.execute(
        "INSERT INTO documents (kind, key, body, revision) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (kind, key) DO UPDATE SET body = excluded.body, revision = excluded.revision",
        (change.kind, change.key, change.body, current + 1),
    )
    return current + 1
