"""What every store promises for documents and blobs: one suite, run against each."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.store import Blobs, Delete, Document, Documents, Put, RevisionConflict
from lambent.store.sqlite.blobs import FileBlobs
from lambent.store.sqlite.database import Database
from lambent.store.sqlite.documents import SqliteDocuments
from lambent.testing import MemoryStore


class Bench:
    """A store under test and the loop in which it lives."""

    def __init__(self, documents: Documents, blobs: Blobs, runner: asyncio.Runner) -> None:
        self.documents = documents
        self.blobs = blobs
        self.run: Callable[[Any], Any] = runner.run

    def put(self, key: str, body: bytes = b"1", *, kind: str = "k", expect: int | None = None) -> int:
        change = Put(kind=kind, key=key, body=body, expect_revision=expect)
        (revision,) = self.run(self.documents.apply(change))
        return revision

    def get(self, key: str, kind: str = "k") -> Document | None:
        return self.run(self.documents.get(kind, key))

    def keys(self, kind: str = "k", **options: Any) -> list[str]:
        return [document.key for document in self.run(self.documents.list(kind, **options))]


@pytest.fixture(params=["memory", "sqlite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        if request.param == "memory":
            store = stack.enter_context(contextlib.closing(MemoryStore()))
            yield Bench(store, store, runner)
        else:
            database = Database(tmp_path / "control.db", migrations="control", full_sync=False)
            stack.enter_context(contextlib.closing(database))
            yield Bench(SqliteDocuments(database), FileBlobs(tmp_path / "blobs"), runner)


# Documents ---------------------------------------------------------------------------------------------------


def test_what_was_put_is_got(bench: Bench) -> None:
    body = b"\0any \xff bytes"
    assert bench.put("a", body) == 1
    assert bench.get("a") == Document(kind="k", key="a", body=body, revision=1)


def test_what_was_never_put_is_not_there(bench: Bench) -> None:
    bench.put("a")
    assert bench.get("b") is None
    assert bench.get("a", kind="other") is None
    assert bench.keys(kind="other") == []


def test_every_put_raises_the_revision_by_one(bench: Bench) -> None:
    assert [bench.put("a", str(number).encode()) for number in range(4)] == [1, 2, 3, 4]
    found = bench.get("a")
    assert found is not None
    assert (found.body, found.revision) == (b"3", 4)


def test_a_deleted_document_is_gone_and_starts_anew(bench: Bench) -> None:
    bench.put("a")
    bench.put("a")
    assert bench.run(bench.documents.apply(Delete(kind="k", key="a"))) == (0,)
    assert bench.get("a") is None
    assert bench.put("a") == 1


def test_deleting_what_is_not_there_is_no_error(bench: Bench) -> None:
    assert bench.run(bench.documents.apply(Delete(kind="k", key="a"))) == (0,)
    assert bench.run(bench.documents.apply(Delete(kind="k", key="a", expect_revision=0))) == (0,)


def test_a_put_may_expect_that_nothing_is_there(bench: Bench) -> None:
    assert bench.put("a", expect=0) == 1
    with pytest.raises(RevisionConflict):
        bench.put("a", b"2", expect=0)
    found = bench.get("a")
    assert found is not None
    assert found.body == b"1"


def test_a_change_may_expect_a_revision(bench: Bench) -> None:
    bench.put("a")
    assert bench.put("a", b"2", expect=1) == 2
    for expect in (1, 3):
        with pytest.raises(RevisionConflict):
            bench.put("a", b"3", expect=expect)
        with pytest.raises(RevisionConflict):
            bench.run(bench.documents.apply(Delete(kind="k", key="a", expect_revision=expect)))
    assert bench.run(bench.documents.apply(Delete(kind="k", key="a", expect_revision=2))) == (0,)
    with pytest.raises(RevisionConflict):
        bench.put("never", expect=1)


def test_of_several_changes_all_are_made_or_none(bench: Bench) -> None:
    bench.put("kept", b"before")
    with pytest.raises(RevisionConflict):
        bench.run(
            bench.documents.apply(
                Put(kind="k", key="kept", body=b"after"),
                Put(kind="k", key="new", body=b"1"),
                Delete(kind="k", key="kept"),
                Put(kind="k", key="new", body=b"2", expect_revision=7),
            )
        )
    assert bench.get("new") is None
    found = bench.get("kept")
    assert found is not None
    assert (found.body, found.revision) == (b"before", 1)


def test_changes_of_one_call_see_each_other(bench: Bench) -> None:
    revisions = bench.run(
        bench.documents.apply(
            Put(kind="k", key="a", body=b"1", expect_revision=0),
            Put(kind="k", key="a", body=b"2", expect_revision=1),
            Put(kind="other", key="a", body=b"3", expect_revision=0),
            Delete(kind="k", key="a", expect_revision=2),
        )
    )
    assert revisions == (1, 2, 1, 0)
    assert bench.get("a") is None


def test_no_changes_are_no_changes(bench: Bench) -> None:
    assert bench.run(bench.documents.apply()) == ()


def test_of_many_who_expect_the_same_revision_one_wins(bench: Bench) -> None:
    bench.put("a")

    async def race() -> list[object]:
        changes = [Put(kind="k", key="a", body=b"x", expect_revision=1) for _ in range(20)]
        return await asyncio.gather(
            *(bench.documents.apply(change) for change in changes), return_exceptions=True
        )

    outcomes = bench.run(race())
    assert sum(outcome == (2,) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, RevisionConflict) for outcome in outcomes) == 19


def test_lists_are_in_key_order_whatever_the_order_of_arrival(bench: Bench) -> None:
    for key in ("b", "a/2", "a", "Z", "a/10", "ä", "~"):
        bench.put(key)
    assert bench.keys() == ["Z", "a", "a/10", "a/2", "b", "~", "ä"]


def test_a_list_begins_after_a_key_which_need_not_exist(bench: Bench) -> None:
    for key in ("a", "c", "e"):
        bench.put(key)
    assert bench.keys(after="c") == ["e"]
    assert bench.keys(after="b") == ["c", "e"]
    assert bench.keys(after="e") == []


def test_a_list_may_be_of_a_prefix(bench: Bench) -> None:
    for key in ("1/a", "1/b", "1", "10/a", "2/a", "1/\U0010ffff", "1/%", "1/_"):
        bench.put(key)
    assert bench.keys(prefix="1/") == ["1/%", "1/_", "1/a", "1/b", "1/\U0010ffff"]
    assert bench.keys(prefix="1/", after="1/a", limit=1) == ["1/b"]
    assert bench.keys(prefix="1/", after="2/a") == []
    assert bench.keys(prefix="1/", after="0") == ["1/%", "1/_", "1/a", "1/b", "1/\U0010ffff"]
    assert bench.keys(prefix="3/") == []


def test_a_list_is_limited(bench: Bench) -> None:
    for number in range(5):
        bench.put(str(number))
    assert bench.keys(limit=3) == ["0", "1", "2"]
    assert bench.keys(limit=5) == ["0", "1", "2", "3", "4"]


def test_pages_give_every_document_once(bench: Bench) -> None:
    for number in range(25):
        bench.put(f"p/{number}")
    found: list[str] = []
    while page := bench.keys(prefix="p/", after=found[-1] if found else "", limit=4):
        found += page
    assert found == sorted(f"p/{number}" for number in range(25))


KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.sets(KEYS, max_size=8), prefix=st.text("ab/\U0010ffff", max_size=2))
def test_order_and_prefixes_hold_for_any_text(bench: Bench, keys: set[str], prefix: str) -> None:
    for key in keys:
        bench.put(key, kind="any")
    try:
        wanted = sorted(keys, key=lambda key: key.encode())
        assert bench.keys(kind="any") == wanted
        assert bench.keys(kind="any", prefix=prefix) == [key for key in wanted if key.startswith(prefix)]
    finally:
        bench.run(bench.documents.apply(*(Delete(kind="any", key=key) for key in keys)))


# Blobs -------------------------------------------------------------------------------------------------------


def test_a_blob_is_named_by_its_content(bench: Bench) -> None:
    content = b"\0" * 100_000
    name = bench.run(bench.blobs.put(content))
    assert name == hashlib.sha256(content).hexdigest()
    assert bench.blobs.path(name).read_bytes() == content


def test_an_empty_blob_is_a_blob(bench: Bench) -> None:
    assert bench.blobs.path(bench.run(bench.blobs.put(b""))).read_bytes() == b""


def test_the_same_content_is_kept_once_and_whoever_reads_it_is_not_disturbed(bench: Bench) -> None:
    name = bench.run(bench.blobs.put(b"content"))
    before = bench.blobs.path(name).stat()

    async def again() -> list[str]:
        return await asyncio.gather(*(bench.blobs.put(b"content") for _ in range(10)))

    assert set(bench.run(again())) == {name}
    after = bench.blobs.path(name).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_blob_that_is_not_there_is_a_key_error(bench: Bench) -> None:
    name = bench.run(bench.blobs.put(b"gone"))
    bench.run(bench.blobs.delete(name))
    for missing in (name, "0" * 64):
        with pytest.raises(KeyError):
            bench.blobs.path(missing)


def test_deleting_a_blob_twice_is_no_error_and_leaves_the_others(bench: Bench) -> None:
    gone, kept = bench.run(bench.blobs.put(b"gone")), bench.run(bench.blobs.put(b"kept"))
    bench.run(bench.blobs.delete(gone))
    bench.run(bench.blobs.delete(gone))
    assert bench.blobs.path(kept).read_bytes() == b"kept"


def test_a_deleted_blob_can_come_back(bench: Bench) -> None:
    name = bench.run(bench.blobs.put(b"back"))
    bench.run(bench.blobs.delete(name))
    assert bench.run(bench.blobs.put(b"back")) == name
    assert bench.blobs.path(name).read_bytes() == b"back"


def test_a_start_forgets_every_blob_that_nothing_needs(bench: Bench) -> None:
    kept, *others = [bench.run(bench.blobs.put(content)) for content in (b"kept", b"one", b"two")]
    bench.run(bench.blobs.keep_only({kept, "0" * 64}))
    assert bench.blobs.path(kept).read_bytes() == b"kept"
    for gone in others:
        with pytest.raises(KeyError):
            bench.blobs.path(gone)


def test_a_start_removes_what_a_killed_server_had_half_written(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    with asyncio.Runner() as runner:
        name = runner.run(blobs.put(b"kept"))
        draft = blobs.path(name).with_name(f"{'1' * 64}.0a0a0a0a.part")
        draft.write_bytes(b"hal")
        runner.run(blobs.keep_only({name}))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]
