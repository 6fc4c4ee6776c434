"""Promises of unpacking: the zip's content, nothing outside of its directory, and whole or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import io
import stat
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lambent.domain import limits
from lambent.node import unpack
from lambent.node.unpack import UnpackedCode, UnpackError, unpack_zip
from lambent.testing import MemoryStore
from samples import VERSION

Entry = tuple[str, str | bytes, int]
FILE, PROGRAM, LINK = stat.S_IFREG | 0o600, stat.S_IFREG | 0o700, stat.S_IFLNK | 0o777


def zipped(*entries: Entry) -> bytes:
    """A zip with these entries: name, content, mode."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Names that occur twice are among what is tested.
                package.writestr(info, text)
    return content.getvalue()


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    store = MemoryStore()
    yield store
    store.close()


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., Path]:
    """Unpacks entries into a directory of its own, beside which nothing may appear."""

    def run(*entries: Entry) -> Path:
        archive, target = tmp_path / "code.zip", tmp_path / "target"
        archive.write_bytes(zipped(*entries))
        target.mkdir()
        unpack_zip(archive, target)
        return target

    return run


def everything_in(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def test_files_come_out_as_they_went_in(unpacked: Callable[..., Path]) -> None:
    target = unpacked(("app.py", "x = 1", FILE), ("lib/größe/data.bin", b"\0\xff", FILE), ("empty/", "", 0))
    assert (target / "app.py").read_text() == "x = 1"
    assert (target / "lib/größe/data.bin").read_bytes() == b"\0\xff"
    assert (target / "empty").is_dir()


def test_everybody_may_read_and_programs_may_be_run_and_nothing_more(unpacked: Callable[..., Path]) -> None:
    """Zips made in memory often have no permissions at all; a set-user-id bit never gets through."""
    target = unpacked(("none", "", 0), ("file", "", FILE), ("run", "", PROGRAM), ("suid", "", 0o106755))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()}
    assert modes == {"none": 0o644, "file": 0o644, "run": 0o755, "suid": 0o755}


def test_links_are_links(unpacked: Callable[..., Path]) -> None:
    target = unpacked(("lib/libz.so", "libz.so.1", LINK), ("lib/libz.so.1", "content", FILE))
    assert (target / "lib/libz.so").readlink() == Path("libz.so.1")
    assert (target / "lib/libz.so").read_text() == "content"


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/etc/evil", "..", "a/..", "//evil", "a/b/../../../evil"]
)
def test_a_path_that_leads_outside_is_refused(
    unpacked: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    with pytest.raises(UnpackError, match="leads outside"):
        unpacked(("app.py", "", FILE), (name, "evil", FILE))
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "entries",
    [
        [("out", "{outside}", LINK), ("out/evil", "evil", FILE)],
        [("out/evil", "evil", FILE), ("out", "{outside}", LINK)],
        [("out", "{outside}", LINK), ("out/evil", "app.py", LINK)],
        [("a", "{outside}", LINK), ("a", "b", LINK), ("a/evil", "evil", FILE)],
        [("out", "{outside}/evil", LINK), ("out", "evil", FILE)],
        [("out", "{outside}", LINK), ("./out/evil", "evil", FILE)],
    ],
)
def test_nothing_is_written_through_a_link(
    tmp_path: Path, unpacked: Callable[..., Path], entries: Sequence[Entry]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    placed = [(name, str(text).format(outside=outside), mode) for name, text, mode in entries]
    with contextlib.suppress(UnpackError, OSError):
        unpacked(*placed)
    assert list(outside.iterdir()) == []


def test_a_bomb_is_refused_by_what_it_unpacks_to(
    unpacked: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "UNZIPPED_MAX_BYTES", 1_000)
    unpacked(("a", b"0" * 600, FILE), ("b", b"0" * 400, FILE))
    with pytest.raises(UnpackError, match="larger than 1000 bytes"):
        unpack_zip_of(("a", b"0" * 600, FILE), ("b", b"0" * 401, FILE))


def unpack_zip_of(*entries: Entry) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory, "code.zip")
        archive.write_bytes(zipped(*entries))
        unpack_zip(archive, Path(directory, "target"))


def test_a_link_cannot_be_a_bomb() -> None:
    with pytest.raises(UnpackError, match="leads nowhere"):
        unpack_zip_of(("link", b"a" * (limits.PACKAGE_PATH_MAX_BYTES + 1), LINK))


class Code:
    """Unpacked code over a store in memory."""

    def __init__(self, store: MemoryStore, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self.unpacked = UnpackedCode(directory, store)

    async def put(self, content: bytes) -> Path:
        blob = await self.store.put(content)
        return await self.unpacked.directory(replace(VERSION.code, blob=blob))


@pytest.fixture
def code(store: MemoryStore, tmp_path: Path) -> Code:
    return Code(store, tmp_path / "code")


def test_code_is_unpacked_once_for_everybody_who_asks_at_the_same_time(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[Path] = []
    real = unpack.unpack_zip

    def counted(archive: Path, target: Path) -> None:
        times.append(archive)
        real(archive, target)

    monkeypatch.setattr(unpack, "unpack_zip", counted)

    async def story() -> list[Path]:
        content = zipped(("app.py", "x = 1", FILE))
        return await asyncio.gather(*(code.put(content) for _ in range(10)), code.put(content))

    places = asyncio.run(story())
    assert len(times) == 1
    assert len(set(places)) == 1
    assert everything_in(code.directory) == {places[0].name, f"{places[0].name}/app.py"}


def test_a_cancelled_unpacking_does_not_spoil_the_next_one(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()
    real = unpack.unpack_zip

    def held(archive: Path, target: Path) -> None:
        started.set()
        assert go_on.wait(10)
        real(archive, target)

    monkeypatch.setattr(unpack, "unpack_zip", held)

    async def story() -> Path:
        content = zipped(("app.py", "x = 1", FILE))
        first = asyncio.create_task(code.put(content))
        await asyncio.to_thread(started.wait, 10)
        first.cancel()
        await asyncio.wait([first])
        second = asyncio.create_task(code.put(content))
        await asyncio.sleep(0)
        go_on.set()
        return await second

    place = asyncio.run(story())
    assert everything_in(code.directory) == {place.name, f"{place.name}/app.py"}


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no zip", "empty"])
def test_a_damaged_package_leaves_nothing_and_says_so(code: Code, damage: str) -> None:
    content = bytearray(zipped(("a.py", "x" * 5_000, FILE), ("b.py", bytes(range(256)) * 8, FILE)))
    if damage == "flipped":
        for at in range(40, 60):
            content[at] ^= 0xFF
    damaged = {"truncated": content[:200], "no zip": b"text", "empty": b""}.get(damage, content)
    with pytest.raises(UnpackError):
        asyncio.run(code.put(bytes(damaged)))
    assert everything_in(code.directory) == set()


def test_every_single_damaged_byte_is_an_unpack_error_or_harmless(code: Code) -> None:
    """Whatever the zip library raises for it, callers hear one kind of error."""
    whole = zipped(("a.py", "print('hello')\n" * 4, FILE), ("link", "a.py", LINK))

    async def story() -> None:
        for at in range(len(whole)):
            damaged = bytearray(whole)
            damaged[at] ^= 0x55
            try:
                await code.put(bytes(damaged))
            except UnpackError:
                continue

    asyncio.run(story())
    assert not [path for path in code.directory.iterdir() if path.name.startswith(".")]


def test_code_that_the_store_has_lost_is_an_unpack_error(code: Code) -> None:
    with pytest.raises(UnpackError, match="not in the store"):
        asyncio.run(code.unpacked.directory(VERSION.code))


def test_a_failure_can_be_followed_by_success(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk may be emptied."""

    def full(archive: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    content = zipped(("app.py", "", FILE))
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "unpack_zip", full)
        with pytest.raises(UnpackError, match="No space left"):
            asyncio.run(code.put(content))
    assert (asyncio.run(code.put(content)) / "app.py").is_file()


def test_what_a_killed_server_left_is_swept_and_what_is_stored_stays(code: Code) -> None:
    kept = asyncio.run(code.put(zipped(("app.py", "", FILE))))
    forgotten = asyncio.run(code.put(zipped(("old.py", "", FILE))))
    asyncio.run(code.store.delete(forgotten.name))
    (code.directory / ".unpack-killed").mkdir()
    code.unpacked.sweep()
    assert [path.name for path in code.directory.iterdir()] == [kept.name]


def test_sweeping_before_anything_was_unpacked_does_nothing(code: Code) -> None:
    code.unpacked.sweep()
    assert not code.directory.exists()
