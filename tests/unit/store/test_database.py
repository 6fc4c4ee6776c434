"""The SQLite file: changes in groups, each alone in its failure, and one sentence when it cannot be opened."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import stat
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lambent.store.sqlite import database as module
from lambent.store.sqlite.blobs import FileBlobs
from lambent.store.sqlite.database import Database, StoreError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.db"


@contextmanager
def opened(path: Path, *, full_sync: bool = False) -> Iterator[Database]:
    with closing(Database(path, migrations="control", full_sync=full_sync)) as database:
        yield database


def put(key: str, body: str = "1") -> Callable[[sqlite3.Connection], str]:
    def change(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO documents VALUES ('k', ?, ?, 1)", (key, body))
        return key

    return change


def keys(database: Database) -> list[str]:
    return database.read(
        lambda connection: [row[0] for row in connection.execute("SELECT key FROM documents ORDER BY key")]
    )


def with_database(path: Path, story: Callable[[Database], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        with opened(path) as database:
            return await story(database)

    return asyncio.run(run())


def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as caught, opened(path):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_change_is_seen_once_it_has_returned_and_after_reopening(path: Path) -> None:
    async def story(database: Database) -> None:
        assert await database.write(put("a")) == "a"
        assert keys(database) == ["a"]

    with_database(path, story)
    with opened(path) as database:
        assert keys(database) == ["a"]


async def in_one_group(database: Database, *changes: Callable[[sqlite3.Connection], Any]) -> list[Any]:
    """Hand in changes while the writer is busy, so that they wait for it together."""
    started, release = threading.Event(), threading.Event()

    def hold(_: sqlite3.Connection) -> None:
        started.set()
        assert release.wait(10)

    holding = asyncio.create_task(database.write(hold))
    assert await asyncio.to_thread(started.wait, 10)
    writes = [asyncio.create_task(database.write(change)) for change in changes]
    await asyncio.sleep(0)
    release.set()
    await holding
    return await asyncio.gather(*writes, return_exceptions=True)


def test_what_waits_together_is_committed_together(path: Path) -> None:
    async def story(database: Database) -> None:
        statements: list[str] = []
        # The connection belongs to the writer; looking over its shoulder is the only way to count.
        database._writer.set_trace_callback(statements.append)  # type: ignore[attr-defined]
        names = [f"{number:03}" for number in range(100)]
        assert await in_one_group(database, *map(put, names)) == names
        assert keys(database) == names
        assert statements.count("COMMIT") == 2, "one for the change that kept it busy, one for all others"

    with_database(path, story)


def test_a_group_is_limited_and_the_rest_follows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP_MAX", 3)

    async def story(database: Database) -> None:
        names = [f"{number:03}" for number in range(10)]
        assert await in_one_group(database, *map(put, names)) == names
        assert keys(database) == names

    with_database(path, story)


def test_an_exception_undoes_its_own_change_and_no_other(path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        put("half")(connection)
        raise ValueError("changed my mind")

    async def story(database: Database) -> None:
        one, failed, broken, two = await in_one_group(database, put("a"), half_done, put("a"), put("b"))
        assert (one, two) == ("a", "b")
        assert isinstance(failed, ValueError)
        assert isinstance(broken, sqlite3.IntegrityError)
        assert keys(database) == ["a", "b"]

    with_database(path, story)


def test_an_exception_undoes_a_change_that_was_alone(path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        put("half")(connection)
        raise ValueError("changed my mind")

    async def story(database: Database) -> None:
        with pytest.raises(ValueError, match="changed my mind"):
            await database.write(half_done)
        assert keys(database) == []
        assert await database.write(put("a")) == "a"

    with_database(path, story)


def test_when_the_group_cannot_be_committed_everybody_hears_of_it_and_nothing_is_kept(path: Path) -> None:
    """As when the disk is full at the end: nobody may be told that a change is safe."""

    def rolls_everything_back(connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")

    async def story(database: Database) -> None:
        outcomes = await in_one_group(database, put("a"), rolls_everything_back, put("b"))
        assert all(isinstance(outcome, sqlite3.Error) for outcome in outcomes)
        assert keys(database) == []
        assert await database.write(put("c")) == "c"

    with_database(path, story)


def test_a_caller_who_gave_up_disturbs_nobody(path: Path) -> None:
    async def story(database: Database) -> None:
        started, release = threading.Event(), threading.Event()

        def slow(connection: sqlite3.Connection) -> None:
            started.set()
            assert release.wait(10)
            put("slow")(connection)

        given_up = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(started.wait, 10)
        given_up.cancel()
        release.set()
        assert await database.write(put("next")) == "next"
        assert keys(database) == ["next", "slow"]
        assert given_up.cancelled()

    with_database(path, story)


def test_readers_do_not_wait_for_the_writer_and_cannot_write(path: Path) -> None:
    async def story(database: Database) -> None:
        await database.write(put("a"))
        seen: list[list[str]] = []

        def look(connection: sqlite3.Connection) -> None:
            put("b")(connection)
            seen.append(keys(database))

        await database.write(look)
        assert seen == [["a"]], "the last commit, not what is being written"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.read(put("c"))
        assert await database.read_long(lambda _: threading.current_thread().name) != "MainThread"

    with_database(path, story)


def test_closing_commits_what_is_pending_and_refuses_what_comes_later(path: Path) -> None:
    async def story() -> None:
        database = Database(path, migrations="control", full_sync=False)
        writes = [asyncio.create_task(database.write(put(name))) for name in "abc"]
        await asyncio.sleep(0)
        await asyncio.to_thread(database.close)
        assert await asyncio.gather(*writes) == ["a", "b", "c"]
        database.close()
        with pytest.raises(StoreError, match="is closed"):
            await database.write(put("late"))

    asyncio.run(story())
    with opened(path) as database:
        assert keys(database) == ["a", "b", "c"]


@pytest.mark.parametrize(("full_sync", "level"), [(True, 2), (False, 1)])
def test_it_is_as_durable_as_it_was_asked_to_be(path: Path, full_sync: bool, level: int) -> None:
    with opened(path, full_sync=full_sync) as database:
        assert database.read(lambda connection: connection.execute("PRAGMA synchronous").fetchone()) == (
            level,
        )
        assert database.read(lambda connection: connection.execute("PRAGMA journal_mode").fetchone()) == (
            "wal",
        )


def test_only_the_owner_can_read_it(path: Path) -> None:
    """It holds access keys and environment variables, also while they are only in the log that is not merged."""

    async def story(database: Database) -> None:
        await database.write(put("a"))
        files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert files == {"control.db": 0o600, "control.db-wal": 0o600, "control.db-shm": 0o600}

    with_database(path, story)


def test_a_file_that_is_no_database_is_refused_and_not_touched(path: Path) -> None:
    path.write_bytes(b"this is a diary, not a database, and it is long enough to look like a page\n" * 20)
    before = path.read_bytes()
    assert refusal(path) == f"The database {path} cannot be opened: file is not a database."
    assert path.read_bytes() == before


def test_a_directory_is_no_database(path: Path) -> None:
    path.mkdir()
    assert refusal(path).startswith(f"The database {path} cannot be opened: ")


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "control.db"
    assert refusal(path) == f"The database {path} cannot be opened: No such file or directory."


def test_the_data_of_a_newer_version_is_refused_and_not_touched(path: Path) -> None:
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert refusal(path).startswith(f"The data in {path.parent} was written by a newer version of Lambent")
    assert "(schema 99, this version knows " in refusal(path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


class Migrations:
    """A folder of migrations of the test's own, in the package's place."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = root / "migrations" / "control"
        self._folder.mkdir(parents=True)
        monkeypatch.setattr(module.resources, "files", lambda _: root)

    def add(self, name: str, sql: str) -> None:
        (self._folder / name).write_text(sql)

    def remove(self, name: str) -> None:
        (self._folder / name).unlink()


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Migrations:
    return Migrations(tmp_path / "package", monkeypatch)


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]


def test_migrations_are_applied_once_each_in_the_order_of_their_numbers(
    path: Path, migrations: Migrations
) -> None:
    migrations.add("0002_b.sql", "ALTER TABLE a ADD COLUMN y;")
    migrations.add("0001_a.sql", "CREATE TABLE a (x);")
    migrations.add("README.md", "not a migration")
    with opened(path):
        pass
    migrations.add("0003_c.sql", "CREATE TABLE c (x); INSERT INTO c SELECT y FROM a;")
    for _ in range(2):
        with opened(path) as database:
            assert database.read(lambda c: c.execute("PRAGMA user_version").fetchone()) == (3,)
    assert tables(path) == ["a", "c"]


def test_a_migration_that_fails_is_undone_whole_and_can_be_tried_again(
    path: Path, migrations: Migrations
) -> None:
    migrations.add("0001_a.sql", "CREATE TABLE a (x);")
    migrations.add("0002_b.sql", "CREATE TABLE b (x); CREATE TABLE a (x);")
    assert refusal(path) == f"The database {path} cannot be opened: table a already exists."
    assert tables(path) == ["a"]
    migrations.add("0002_b.sql", "CREATE TABLE b (x);")
    with opened(path):
        pass
    assert tables(path) == ["a", "b"]


def test_a_blob_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails in the middle, as on a full disk, leaves no blob and no draft."""
    blobs = FileBlobs(tmp_path / "blobs")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            asyncio.run(blobs.put(b"content"))
    assert [entry for entry in (tmp_path / "blobs").rglob("*") if entry.is_file()] == []
    name = asyncio.run(blobs.put(b"content"))
    assert stat.S_IMODE(blobs.path(name).parent.stat().st_mode) == 0o700


def test_a_full_disk_is_what_it_is_for_any_file_and_no_end(path: Path) -> None:
    async def story(database: Database) -> None:
        await database.write(put("before"))
        pages = database.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
        await database.write(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
        )
        with pytest.raises(OSError, match="No space left") as failed:
            await database.write(put("much", "x" * 1_000_000))
        assert failed.value.errno == errno.ENOSPC
        assert keys(database) == ["before"]
        await database.write(
            lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone()
        )
        await database.write(put("much", "x" * 1_000_000))
        assert keys(database) == ["before", "much"]

    with_database(path, story)
