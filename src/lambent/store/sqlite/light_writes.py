"""A SQLite file for many small changes: made on the event loop itself, made durable by a thread for many at once.

Handing a change to another thread and its result back takes longer than making it, when it is a change of a few rows
and the two threads have one interpreter lock. So a *light* change is made on the calling thread, together with the
others of the same turn of the event loop, in one transaction. What SQLite has written then survives the death of the
process; whoever needs more waits until the log has been synchronized, which a thread does for all who wait at that
moment. Changes of many rows, and light ones while the writer thread is at work or the disk stalls, go the way of every
other database.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lambent.store.sqlite.database import Database, StoreError, Write

T = TypeVar("T")
_log = logging.getLogger(__name__)

_CHECKPOINT_BYTES = 4_000_000
"""After so much the log is written back, as by SQLite's own default."""
_LIGHT_COMMIT_BYTES, _HEAVY_COMMIT_BYTES = 13_000, 400_000
"""What a commit counts as besides what its changes say: three pages, and a guess at what the writer thread did."""
_STALL_S = 0.05
"""The disk is not to be waited for on the event loop once it took so long,"""
_STALLED_S = 10.0
"""for so long a time."""


class LightDatabase(Database):
    """A `Database` with light changes beside the others. Belongs to one event loop at a time."""

    def __init__(self, path: Path, *, migrations: str, full_sync: bool) -> None:
        """See `Database`."""
        super().__init__(path, migrations=migrations, full_sync=full_sync)
        # A checkpoint takes milliseconds, which the event loop does not have.
        self._writer.execute("PRAGMA wal_autocheckpoint = 0")
        self._light: list[Write] = []
        self._logged_bytes = 0
        self._stalled_until_s = 0.0
        self._is_synced = full_sync
        self._syncer = _Syncer(path, self._connect(), self._writer, self._turn)
        # What killed servers have left in the log: else it would grow from one to the next.
        self._syncer.check_point()

    async def write_lightly(
        self, change: Callable[[sqlite3.Connection], T], *, is_soft: bool = False, size_bytes: int = 0
    ) -> T:
        """Run a change of a few rows and return its result once it is committed; see `Database.write`.

        Args:
            change: what to do with the connection; may be run again when it has failed.
            is_soft: a power cut may undo it, though not the death of the process.
            size_bytes: what its rows take, if that is more than a page or two.

        Raises:
            StoreError: the database is closed.
        """
        if self._is_closed:
            raise StoreError(f"The database {self._path} is closed.")
        loop = asyncio.get_running_loop()
        write = Write(loop, change, is_soft=is_soft, size_bytes=size_bytes)
        self._light.append(write)
        if len(self._light) == 1:
            loop.call_soon(self._commit_light)
        return await write.future

    def _end_writing(self) -> None:
        self._commit_light()
        # The writer thread first: what it still has to do may ask for a checkpoint.
        super()._end_writing()
        self._syncer.close()

    def _commit_light(self) -> None:
        group, self._light = self._light, []
        if not group:
            return
        began_s = time.monotonic()
        is_for_thread = self._pending.unfinished_tasks or began_s < self._stalled_until_s
        if is_for_thread or not self._turn.acquire(blocking=False):
            # Whoever is at work takes these as well, after what came before them.
            self._hand_over(group)
            return
        try:
            done = self._made(group)
        finally:
            self._turn.release()
        ended_s = time.monotonic()
        if ended_s - began_s > _STALL_S:
            self._stalled_until_s = ended_s + _STALLED_S
        if not done:
            # With others it failed; alone each gets its own result or exception.
            self._hand_over(group)
            return
        self._count(_LIGHT_COMMIT_BYTES + sum([write.size_bytes for write in group]))
        waiting: list[Write] = []
        for write in group:
            if self._is_synced and not write.is_soft:
                waiting.append(write)
            else:
                write.settle(write.result, None)
        if waiting:
            self._syncer.synchronize(waiting)

    def _made(self, group: Sequence[Write]) -> bool:
        writer = self._writer
        try:
            self._synchronize(is_soft=True)
            writer.execute("BEGIN IMMEDIATE")
            for write in group:
                write.result = write.change(writer)
            writer.execute("COMMIT")
        except Exception:
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            return False
        return True

    def _hand_over(self, group: Sequence[Write]) -> None:
        for write in group:
            self._pending.put_nowait(write)

    def _commit(self, group: list[Write]) -> None:
        super()._commit(group)
        self._count(_HEAVY_COMMIT_BYTES)

    def _count(self, size_bytes: int) -> None:
        self._logged_bytes += size_bytes
        if self._logged_bytes >= _CHECKPOINT_BYTES:
            self._logged_bytes = 0
            self._syncer.check_point()


class _Syncer:
    """A thread that makes durable what is in the log, for all who wait, and writes the log back."""

    def __init__(
        self, path: Path, own: sqlite3.Connection, writer: sqlite3.Connection, turn: threading.Lock
    ) -> None:
        self._own = own
        self._writer = writer
        self._turn = turn
        # SQLite keeps this file for as long as a connection is open.
        self._own.execute("SELECT 1 FROM sqlite_schema").fetchone()
        self._wal = os.open(f"{path}-wal", os.O_RDONLY)
        _synchronize_name(path)
        self._asked: queue.SimpleQueue[Sequence[Write] | None] = queue.SimpleQueue()
        self._is_full = False
        self._thread = threading.Thread(target=self._run, name=f"syncer-{path.stem}", daemon=True)
        self._thread.start()

    def synchronize(self, writes: Sequence[Write]) -> None:
        """Settle these once what is in the log now is durable."""
        self._asked.put(writes)

    def check_point(self) -> None:
        """Write the log back, soon."""
        self._is_full = True
        self._asked.put(())

    def close(self) -> None:
        """Do what was asked for and end."""
        self._asked.put(None)
        self._thread.join()
        self._own.close()
        os.close(self._wal)

    def _run(self) -> None:
        is_open = True
        while is_open:
            asked = [self._asked.get()]
            while not self._asked.empty():
                asked.append(self._asked.get())
            is_open = None not in asked
            writes = [write for group in asked if group for write in group]
            if writes:
                self._settle(writes)
            if self._is_full:
                self._is_full = False
                self._write_back()

    def _settle(self, writes: Sequence[Write]) -> None:
        failure: OSError | None = None
        try:
            os.fdatasync(self._wal)
        except OSError as error:
            failure = error

        def settle() -> None:
            for write in writes:
                write.settle(write.result, failure)

        try:
            # All of them belong to the event loop that the database belongs to.
            writes[0].loop.call_soon_threadsafe(settle)
        except RuntimeError:
            return  # It is closed: nobody is waiting any more.

    def _write_back(self) -> None:
        """Copy the log into the database: most of it beside the writers, the rest while they stand still.

        Only a log that is copied whole begins anew; else it would grow for as long as somebody writes.
        """
        try:
            self._own.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            with self._turn:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                # The first commit of a log that begins anew waits for the disk: let it be this one.
                (version,) = self._writer.execute("PRAGMA user_version").fetchone()
                self._writer.execute(f"PRAGMA user_version = {version}")
        except sqlite3.Error as error:
            # On a full disk, for instance: the log stays as it is, and is tried again when it has grown.
            _log.warning("The log of a database could not be written back: %s.", error)


def _synchronize_name(path: Path) -> None:
    """Make durable that the files exist; SQLite synchronizes what is in them."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
