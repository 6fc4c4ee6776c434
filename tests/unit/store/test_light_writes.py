"""Light changes: made on the event loop, told when they are durable, and no worse off than others when one fails."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lambent.store.sqlite import light_writes as module
from lambent.store.sqlite.light_writes import LightDatabase

PATIENCE_S = 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@contextmanager
def opened(path: Path, *, full_sync: bool = True) -> Iterator[LightDatabase]:
    with closing(LightDatabase(path, migrations="control", full_sync=full_sync)) as database:
        yield database


def with_database(path: Path, story: Callable[[LightDatabase], Coroutine[Any, Any, Any]]) -> None:
    async def run() -> None:
        with opened(path) as database:
            async with asyncio.timeout(PATIENCE_S):
                await story(database)

    asyncio.run(run())


def put(key: str, body: str = "1") -> Callable[[sqlite3.Connection], str]:
    def change(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO documents VALUES ('k', ?, ?, 1)", (key, body))
        return key

    return change


def keys(database: LightDatabase) -> list[str]:
    return database.read(
        lambda connection: [row[0] for row in connection.execute("SELECT key FROM documents ORDER BY key")]
    )


def grown(path: Path) -> None:
    """Return when a file has a megabyte."""
    while path.stat().st_size < 1_000_000:
        time.sleep(0.005)


class Disk:
    """Stands where the log is synchronized, and lets it wait or fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_asked, self.may_go_on = threading.Event(), threading.Event()
        self.failure: OSError | None = None
        monkeypatch.setattr(module.os, "fdatasync", self._synchronize)

    def _synchronize(self, _: int) -> None:
        self.is_asked.set()
        assert self.may_go_on.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure


def test_what_is_written_in_one_turn_of_the_loop_is_committed_together_and_seen_at_once(path: Path) -> None:
    async def story(database: LightDatabase) -> None:
        statements: list[str] = []
        database._writer.set_trace_callback(statements.append)  # type: ignore[attr-defined]
        names = [f"{number:03}" for number in range(100)]
        assert await asyncio.gather(*(database.write_lightly(put(name)) for name in names)) == names
        assert statements.count("COMMIT") == 1
        assert keys(database) == names

    with_database(path, story)
    with opened(path) as database:
        assert len(keys(database)) == 100


def test_a_change_is_told_when_it_is_durable_and_a_soft_one_when_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(database: LightDatabase) -> None:
        disk = Disk(monkeypatch)
        hard: list[asyncio.Task[str]] = []
        # The writer thread takes those that come while the log is written back, as at the start, by another way, and
        # may have done with them before an earlier one.
        while not disk.is_asked.is_set():
            hard.append(asyncio.create_task(database.write_lightly(put(f"hard-{len(hard)}"))))
            await asyncio.sleep(0.005)
        assert await database.write_lightly(put("soft"), is_soft=True) == "soft"
        assert not all(task.done() for task in hard)
        disk.may_go_on.set()
        assert await asyncio.gather(*hard) == [f"hard-{number}" for number in range(len(hard))]

    with_database(path, story)


def test_who_waits_for_a_disk_that_fails_hears_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(database: LightDatabase) -> None:
        disk = Disk(monkeypatch)
        disk.failure = OSError(errno.EIO, os.strerror(errno.EIO))
        disk.may_go_on.set()
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            for number in range(1_000):
                await database.write_lightly(put(f"a{number}"))
        disk.failure = None
        assert await database.write_lightly(put("b")) == "b"

    with_database(path, story)


def test_an_exception_undoes_its_own_change_and_no_other(path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        put("half")(connection)
        raise ValueError("changed my mind")

    async def story(database: LightDatabase) -> None:
        changes = (put("a"), half_done, put("b"))
        one, failed, two = await asyncio.gather(
            *(database.write_lightly(change) for change in changes), return_exceptions=True
        )
        assert (one, two) == ("a", "b")
        assert isinstance(failed, ValueError)
        assert keys(database) == ["a", "b"]

    with_database(path, story)


def test_while_the_writer_is_at_work_light_changes_are_made_after_what_came_before_them(path: Path) -> None:
    async def story(database: LightDatabase) -> None:
        is_working, may_go_on = threading.Event(), threading.Event()
        order: list[str] = []

        def note(name: str) -> Callable[[sqlite3.Connection], None]:
            return lambda _: order.append(name)

        def long(_: sqlite3.Connection) -> None:
            is_working.set()
            assert may_go_on.wait(PATIENCE_S)
            order.append("long")

        writes = [asyncio.create_task(database.write(long))]
        assert await asyncio.to_thread(is_working.wait, PATIENCE_S)
        writes.append(asyncio.create_task(database.write(note("waiting"))))
        writes.append(asyncio.create_task(database.write_lightly(note("light"))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert order == []
        may_go_on.set()
        await asyncio.gather(*writes)
        assert order == ["long", "waiting", "light"]

    with_database(path, story)


def test_the_log_does_not_grow_for_as_long_as_somebody_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHECKPOINT_BYTES", 20 * module._LIGHT_COMMIT_BYTES)

    async def story(database: LightDatabase) -> None:
        for number in range(1_000):
            await database.write_lightly(put(f"{number}", "x" * 4_000), is_soft=number % 20 != 0)
        assert path.with_name("control.db-wal").stat().st_size < 3_000_000 < 1_000 * 4_000
        assert len(keys(database)) == 1_000

    with_database(path, story)


def test_a_disk_that_keeps_the_loop_waiting_is_left_to_the_writer_thread_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STALL_S", 0.01)

    def where(_: sqlite3.Connection) -> str:
        return threading.current_thread().name

    def slow(_: sqlite3.Connection) -> None:
        time.sleep(0.02)

    async def story(database: LightDatabase) -> None:
        here = threading.current_thread().name
        # The log is written back at the start: until that is done, the writer thread is who writes.
        while await database.write_lightly(where) != here:
            pass
        await database.write_lightly(slow)
        assert await database.write_lightly(where) != here
        monkeypatch.setattr(module, "_STALLED_S", 0.0)
        database._stalled_until_s = time.monotonic()  # type: ignore[attr-defined]
        while await database.write_lightly(where) != here:
            pass

    with_database(path, story)


def test_the_first_commit_of_a_log_that_begins_anew_is_made_beside_the_loop(path: Path) -> None:
    async def story(database: LightDatabase) -> None:
        threads: list[str] = []
        is_written = threading.Event()

        def trace(statement: str) -> None:
            if statement.startswith("PRAGMA user_version = "):
                threads.append(threading.current_thread().name)
                is_written.set()

        # The log is written back at the start: after two durable changes, that is over.
        for name in "xy":
            await database.write_lightly(put(name))
        database._writer.set_trace_callback(trace)  # type: ignore[attr-defined]
        database._syncer.check_point()  # type: ignore[attr-defined]
        assert await asyncio.to_thread(is_written.wait, PATIENCE_S)
        assert threads[0].startswith("syncer-")
        # Until the turn is free again, that commit may be under way.
        with database._turn:  # type: ignore[attr-defined]
            pass
        wal = path.with_name("control.db-wal")
        header = wal.read_bytes()[:32]
        await database.write_lightly(put("a"))
        # The loop's commit has added to a log whose header, which SQLite synchronizes, was there.
        assert wal.read_bytes()[:32] == header

    with_database(path, story)


def test_the_log_of_a_killed_server_is_written_back_by_the_next(path: Path) -> None:
    with opened(path):
        pass
    killed = path.with_name("killed.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        put("a", "x" * 1_000_000)(connection)
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{path}{suffix}", f"{killed}{suffix}")
    assert killed.stat().st_size < 1_000_000

    async def story(database: LightDatabase) -> None:
        await asyncio.to_thread(grown, killed)
        assert keys(database) == ["a"]

    with_database(killed, story)


def test_closing_commits_what_is_pending(path: Path) -> None:
    async def story() -> None:
        with opened(path) as database:
            writes = [asyncio.create_task(database.write_lightly(put(name))) for name in "abc"]
            await asyncio.sleep(0)
        assert await asyncio.gather(*writes) == ["a", "b", "c"]

    asyncio.run(story())
    with opened(path) as database:
        assert keys(database) == ["a", "b", "c"]


def test_a_full_disk_is_what_it_is_for_any_file_and_no_end(path: Path) -> None:
    async def story(database: LightDatabase) -> None:
        await database.write_lightly(put("before"))
        pages = database.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        await database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            await database.write_lightly(put("much", "x" * 1_000_000))
        assert keys(database) == ["before"]
        await database.write(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
        assert await database.write_lightly(put("much", "x" * 1_000_000)) == "much"

    with_database(path, story)
