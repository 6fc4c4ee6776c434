"""What a deployment package must be: a zip that can be unpacked safely and is not too large.

Pure but slow for large packages (every byte is inflated once, so that sizes are those that will really be
written, not those that the archive claims): call it in a thread. Used for function code and layers.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator

from lambent.domain.limits import (
    PACKAGE_ENTRIES_MAX,
    PACKAGE_NAME_MAX_BYTES,
    PACKAGE_PATH_MAX_BYTES,
    UNZIPPED_MAX_BYTES,
)
from lambent.errors import InvalidParameterValueException

_CHUNK_BYTES = 1 << 18
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Where links may lead besides the package itself: the other places that a function has.
_LINK_ROOTS = ("tmp", "opt", "var/task", "var/runtime", "var/lang")
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    UnicodeError,
    ValueError,
)


def check_package(content: bytes) -> int:
    """Refuse a package that could not be deployed, and return the bytes that its files take unzipped.

    How large the zip itself may be depends on the way that it came (`code_sources`).

    Raises:
        InvalidParameterValueException: it is no zip, is damaged or empty, unpacks to more than 250 MB, or
            holds an entry that would leave its directory or replace another one.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _check_archive(archive)
    except _UNREADABLE as error:
        raise _unreadable() from error


def _check_archive(archive: zipfile.ZipFile) -> int:
    entries = archive.infolist()
    if not any(not entry.is_dir() for entry in entries):
        raise InvalidParameterValueException("Uploaded file must be a non-empty zip")
    if len(entries) > PACKAGE_ENTRIES_MAX:
        raise _unreadable()
    if sum(entry.file_size for entry in entries) > UNZIPPED_MAX_BYTES:
        raise _too_large()
    _check_paths(entries)
    return _check_contents(archive, entries)


def _check_paths(entries: list[zipfile.ZipInfo]) -> None:
    directories: set[str] = set()
    files: set[str] = set()
    for entry in entries:
        if entry.flag_bits & 0x1 or entry.compress_type not in _METHODS:
            raise _unreadable()
        parts = _safe_parts(entry.filename)
        path = "/".join(parts)
        # A link's name may not be the parent of anything: writing there would follow the link.
        directories.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        if entry.is_dir():
            directories.add(path)
        elif not parts or path in files:
            raise _unreadable()
        else:
            files.add(path)
    if not files.isdisjoint(directories):
        raise _unreadable()


def _safe_parts(name: str) -> list[str]:
    encoded = name.encode("utf-8")
    if name.startswith("/") or "\0" in name or len(encoded) > PACKAGE_PATH_MAX_BYTES:
        raise _unreadable()
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or any(len(part.encode()) > PACKAGE_NAME_MAX_BYTES for part in parts):
        raise _unreadable()
    return parts


def _check_contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> int:
    total_bytes = 0
    for entry in entries:
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            raise _unreadable()
        if stat.S_ISLNK(mode):
            if entry.file_size > PACKAGE_PATH_MAX_BYTES:
                raise _unreadable()
            _check_link(entry.filename, archive.read(entry).decode("utf-8"))
        for chunk in _chunks(archive, entry):
            total_bytes += len(chunk)
            if total_bytes > UNZIPPED_MAX_BYTES:
                raise _too_large()
    return total_bytes


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    if entry.is_dir():
        return
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _check_link(name: str, target: str) -> None:
    if not target or "\0" in target:
        raise _unreadable()
    is_absolute = target.startswith("/")
    depth = [] if is_absolute else _safe_parts(name)[:-1]
    for part in target.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            depth.append(part)
        elif not depth:
            raise _unreadable()
        else:
            depth.pop()
    path = "/".join(depth)
    if is_absolute and not any(path == root or path.startswith(f"{root}/") for root in _LINK_ROOTS):
        raise _unreadable()


def _unreadable() -> InvalidParameterValueException:
    return InvalidParameterValueException(
        "Could not unzip uploaded file. Please check your file, then try to upload again."
    )


def _too_large() -> InvalidParameterValueException:
    return InvalidParameterValueException(f"Unzipped size must be smaller than {UNZIPPED_MAX_BYTES} bytes")
