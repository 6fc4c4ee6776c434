"""One SQLite file: migrations, one writer thread with group commit, and readers that never wait for it.

All writes go through `Database.write`: the writer thread takes whatever has queued up, runs each in a savepoint
of one transaction, commits once and only then answers, so that durability costs one disk write per group, not
per change. Reads see the last commit (WAL) on a connection of their own.
"""

from __future__ import annotations

import asyncio
import errno
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_GROUP_MAX = 512
"""Writes in one transaction; bounds how long the first of a group waits."""
_QUEUE_MAX = 100_000
_BUSY_TIMEOUT_S = 5.0


class StoreError(Exception):
    """The store cannot be opened. The message is one sentence for the user."""


class Write:
    """A change that is to be made, and whoever waits for it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        change: Callable[[sqlite3.Connection], Any],
        *,
        is_soft: bool,
        size_bytes: int = 0,
    ) -> None:
        self.loop = loop
        self.change = change
        self.is_soft = is_soft
        self.size_bytes = size_bytes
        self.future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        """What the change returned, until that may be told."""

    def settle(self, result: Any, error: BaseException | None) -> None:
        """Tell whoever waits; on the event loop only."""
        if self.future.cancelled():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Database:
    """A SQLite file with its writer thread."""

    def __init__(self, path: Path, *, migrations: str, full_sync: bool) -> None:
        """Open or create the file and bring its schema up to date.

        Args:
            path: the database file.
            migrations: folder of numbered ``.sql`` files beside this module.
            full_sync: also survive a power cut (an fsync per commit group), not only the death of the process.

        Raises:
            StoreError: not writable, not a database, in use, or written by a newer version.
        """
        self._path = path
        self._synchronous = "FULL" if full_sync else "NORMAL"
        self._writer_synchronous = self._synchronous
        self._pending: queue.Queue[Write | None] = queue.Queue(_QUEUE_MAX)
        self._turn = threading.Lock()
        """Whoever has it may use the writing connection."""
        self._is_closed = False
        try:
            # Keys and environment variables lie here; SQLite gives its other files the same permissions.
            path.touch(mode=0o600)
            self._writer = self._connect()
            try:
                _migrate(self._writer, path, migrations)
                self._reader = self._connect()
            except BaseException:
                self._writer.close()
                raise
            self._reader.execute("PRAGMA query_only = ON")
        except (sqlite3.Error, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"The database {path} cannot be opened: {reason}.") from error
        self._thread = threading.Thread(target=self._run, name=f"writer-{path.stem}", daemon=True)
        self._thread.start()

    async def write(self, change: Callable[[sqlite3.Connection], T], *, is_soft: bool = False) -> T:
        """Run a change in the writer thread and return its result once it is committed.

        An exception from the change undoes that change alone and is raised here; a full disk is the OSError that it
        would be in any other file.

        Args:
            change: what to do with the connection.
            is_soft: a power cut may undo it, though not the death of the process: a group of nothing else
                costs no fsync.

        Raises:
            StoreError: the database is closed.
        """
        if self._is_closed:
            raise StoreError(f"The database {self._path} is closed.")
        write = Write(asyncio.get_running_loop(), change, is_soft=is_soft)
        self._pending.put_nowait(write)
        return await write.future

    def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question on the calling thread; for look-ups of microseconds."""
        return question(self._reader)

    async def read_long(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Answer a question in a thread of its own; for scans."""

        def ask() -> T:
            connection = self._connect()
            try:
                return question(connection)
            finally:
                connection.close()

        return await asyncio.to_thread(ask)

    def close(self) -> None:
        """Commit what is pending and close the file. May be repeated."""
        if self._is_closed:
            return
        self._is_closed = True
        self._end_writing()
        self._reader.close()
        self._writer.close()

    def _end_writing(self) -> None:
        """Let the writer thread do what is pending and end."""
        self._pending.put(None)
        self._thread.join()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=_BUSY_TIMEOUT_S
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _run(self) -> None:
        while True:
            group, stop = self._next_group()
            if group:
                with self._turn:
                    self._commit(group)
                for _ in group:
                    self._pending.task_done()
            if stop:
                return

    def _next_group(self) -> tuple[list[Write], bool]:
        first = self._pending.get()
        if first is None:
            return [], True
        group = [first]
        while len(group) < _GROUP_MAX:
            try:
                write = self._pending.get_nowait()
            except queue.Empty:
                break
            if write is None:
                return group, True
            group.append(write)
        return group, False

    def _commit(self, group: list[Write]) -> None:
        outcomes: list[tuple[Any, BaseException | None]] = []
        try:
            self._synchronize(is_soft=all(write.is_soft for write in group))
            self._writer.execute("BEGIN IMMEDIATE")
            if len(group) == 1:
                # What undoes it alone undoes the whole transaction.
                outcomes.append((group[0].change(self._writer), None))
            else:
                outcomes += [self._attempt(write) for write in group]
            self._writer.execute("COMMIT")
        except BaseException as error:  # whatever it was, every waiting caller must hear of it
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            outcomes = [(None, error)] * len(group)
        for write, (result, failure) in zip(group, outcomes, strict=True):
            try:
                write.loop.call_soon_threadsafe(write.settle, result, as_everywhere(failure))
            except RuntimeError:
                # The caller's event loop is closed: nobody is waiting any more.
                continue

    def _synchronize(self, *, is_soft: bool) -> None:
        """Choose what the next commit survives. A later commit that is synced takes earlier ones with it."""
        wanted = "NORMAL" if is_soft else self._synchronous
        if wanted != self._writer_synchronous:
            self._writer.execute(f"PRAGMA synchronous = {wanted}")
            self._writer_synchronous = wanted

    def _attempt(self, write: Write) -> tuple[Any, BaseException | None]:
        self._writer.execute("SAVEPOINT change")
        try:
            result = write.change(self._writer)
        except Exception as error:
            if not self._writer.in_transaction:
                raise  # Without space SQLite may have undone the whole group.
            self._writer.execute("ROLLBACK TO change")
            self._writer.execute("RELEASE change")
            return None, error
        self._writer.execute("RELEASE change")
        return result, None


def as_everywhere(failure: BaseException | None) -> BaseException | None:
    """Return a failure in the words of any file, where SQLite has words of its own."""
    if isinstance(failure, sqlite3.OperationalError) and failure.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return failure


def _migrate(connection: sqlite3.Connection, path: Path, folder: str) -> None:
    """Apply the migrations that the file has not seen, each in a transaction of its own."""
    files = sorted(
        (
            file
            for file in resources.files("lambent.store.sqlite").joinpath("migrations", folder).iterdir()
            if file.name.endswith(".sql")
        ),
        key=lambda file: file.name,
    )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(files):
        raise StoreError(
            f"The data in {path.parent} was written by a newer version of Lambent (schema {version}, "
            f"this version knows {len(files)}): upgrade Lambent or use another data directory."
        )
    for number, file in enumerate(files[version:], start=version + 1):
        script = (
            f"BEGIN IMMEDIATE;\n{file.read_text(encoding='utf-8')}\nPRAGMA user_version = {number};\nCOMMIT;"
        )
        connection.executescript(script)
