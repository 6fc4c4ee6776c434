"""Deployment packages: what cannot be unpacked safely never gets in."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable

import pytest

from lambent.domain.limits import PACKAGE_ENTRIES_MAX, UNZIPPED_MAX_BYTES
from lambent.errors import InvalidParameterValueException
from lambent.services.lambda_.packages import check_package
from unit.services.lambda_.world import ZIP, zip_of

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE = "Unzipped size must be smaller than 262144000 bytes"


def refusal(content: bytes) -> str:
    with pytest.raises(InvalidParameterValueException) as caught:
        check_package(content)
    return caught.value.message


def archive(entries: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about duplicate names, which is what some tests are about
        for name, text in entries:
            package.writestr(name, text)
    return content.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (mode | 0o777) << 16
    return entry


def link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    return special(name, stat.S_IFLNK), target.encode()


def test_an_ordinary_package_is_accepted() -> None:
    check_package(ZIP)
    check_package(
        archive([("package/", b""), ("package/a.py", b"1"), ("./b.py", b""), ("package/é.txt", b"x")])
    )


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip",
        b"PK\x03\x04",
        ZIP[: len(ZIP) // 2],
        ZIP[:-30],
        ZIP.replace(b"app.py", b"other!", 1),
        zlib.compress(ZIP),
    ],
    ids=["text", "magic", "half", "no-end", "names-differ", "zlib"],
)
def test_a_damaged_package_cannot_be_unzipped(content: bytes) -> None:
    assert refusal(content) == UNREADABLE


def test_damaged_content_is_found_by_reading_it() -> None:
    content = bytearray(archive([("a.txt", bytes(range(256)) * 8)]))
    content[60] ^= 0xFF
    assert refusal(bytes(content)) == UNREADABLE


def test_an_empty_package_is_refused() -> None:
    assert refusal(zip_of({})) == "Uploaded file must be a non-empty zip"
    assert refusal(archive([("only-a-directory/", b"")])) == "Uploaded file must be a non-empty zip"


def test_more_than_250_mb_unzipped_is_refused_as_declared() -> None:
    zeros = b"\0" * (1 << 20)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        with package.open("zeros", "w") as stream:
            for _ in range(UNZIPPED_MAX_BYTES // len(zeros)):
                stream.write(zeros)
        package.writestr("one-byte-more", b"x")
    assert refusal(content.getvalue()) == TOO_LARGE


def test_a_bomb_that_declares_less_than_it_holds_is_refused() -> None:
    """The declared size is patched in both headers; the content inflates to far more."""
    size_bytes = 1 << 20
    honest = archive([("bomb", b"\0" * size_bytes)])
    lying = honest.replace(struct.pack("<L", size_bytes), struct.pack("<L", 10))
    assert lying != honest
    assert refusal(lying) == UNREADABLE


@pytest.mark.parametrize(
    "name",
    ["../escape.py", "a/../../escape.py", "a/..", "/etc/passwd", "a" * 256, "/".join(["a" * 200] * 6)],
    ids=["parent", "through-parent", "is-parent", "absolute", "long-name", "long-path"],
)
def test_a_path_that_leaves_its_directory_or_cannot_exist_is_refused(name: str) -> None:
    assert refusal(archive([("app.py", b""), (name, b"x")])) == UNREADABLE


@pytest.mark.parametrize(
    "names",
    [("a.py", "a.py"), ("a.py", "./a.py"), ("a", "a/b"), ("a/b", "a"), ("a//b", "a/b"), ("a", "a/")],
)
def test_an_entry_that_replaces_another_is_refused(names: tuple[str, str]) -> None:
    assert refusal(archive((name, b"x") for name in names)) == UNREADABLE


def test_a_directory_may_be_listed_twice() -> None:
    check_package(archive([("a/", b""), ("a/", b""), ("a/b.py", b"x")]))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("lib/x.so", "x.so.1"),
        ("lib/x", "../data/x"),
        ("cache", "/tmp/cache"),
        ("sdk", "/opt/python"),
        ("me", "."),
    ],
)
def test_a_link_within_a_functions_own_places_is_accepted(name: str, target: str) -> None:
    check_package(archive([("app.py", b""), link(name, target)]))


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("x", "../x"),
        ("lib/x", "../../x"),
        ("lib/x", "a/../../../x"),
        ("x", "/etc/passwd"),
        ("x", "/tmp/../etc/passwd"),
        ("x", "/"),
        ("x", ""),
        ("x", "a" * 2000),
    ],
)
def test_a_link_that_escapes_is_refused(name: str, target: str) -> None:
    assert refusal(archive([("app.py", b""), link(name, target)])) == UNREADABLE


def test_nothing_is_written_through_a_link() -> None:
    assert refusal(archive([link("dir", "/tmp/x"), ("dir/file", b"x")])) == UNREADABLE


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_a_device_is_no_file(kind: int) -> None:
    assert refusal(archive([("app.py", b""), (special("x", kind), b"")])) == UNREADABLE


def test_an_encrypted_entry_cannot_be_unzipped() -> None:
    content = bytearray(ZIP)
    content[6] |= 1
    content[ZIP.index(b"PK\x01\x02") + 8] |= 1
    assert refusal(bytes(content)) == UNREADABLE


def test_a_compression_that_lambda_does_not_know_is_refused() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_LZMA) as package:
        package.writestr("app.py", b"x")
    assert refusal(content.getvalue()) == UNREADABLE


def test_the_number_of_entries_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PACKAGE_ENTRIES_MAX == 100_000
    monkeypatch.setattr("lambent.services.lambda_.packages.PACKAGE_ENTRIES_MAX", 3)
    check_package(archive((f"{n}", b"") for n in range(3)))
    assert refusal(archive((f"{n}", b"") for n in range(4))) == UNREADABLE
