"""Deployment packages, unpacked once per content and shared by every environment that runs them."""

from __future__ import annotations

import asyncio
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from lambent.domain.function import Code
from lambent.domain.limits import UNZIPPED_MAX_BYTES
from lambent.store import Blobs

_COPY_BYTES = 1024 * 1024


class UnpackError(Exception):
    """The package cannot be unpacked; the message says why."""


class UnpackedCode:
    """Directories of unpacked code, by the hash of the zip."""

    def __init__(self, directory: Path, blobs: Blobs) -> None:
        self._directory = directory
        self._blobs = blobs
        self._locks: dict[str, asyncio.Lock] = {}

    async def directory(self, code: Code) -> Path:
        """Return the directory that holds the code, unpacking it if that has not been done.

        Raises:
            UnpackError: the package is damaged, or the store has lost it.
        """
        place = self._directory / code.blob
        if place.is_dir():
            return place
        lock = self._locks.setdefault(code.blob, asyncio.Lock())
        async with lock:
            if not place.is_dir():
                await asyncio.to_thread(self._unpack, code, place)
        self._locks.pop(code.blob, None)
        return place

    def _unpack(self, code: Code, place: Path) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".unpack-", dir=self._directory))
        try:
            unpack_zip(self._blobs.path(code.blob), draft)
            draft.chmod(0o755)
            draft.rename(place)
        except KeyError as error:
            raise UnpackError(f"the code {code.blob} is not in the store") from error
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise UnpackError(str(error)) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def unpack_zip(archive: Path, target: Path) -> None:
    """Unpack a zip so that everybody may read it and nothing lands outside the target.

    Every file is made readable: AWS keeps the permissions of the zip and fails on unreadable files, which
    people meet when they zip in memory; the code they run is the same.

    Raises:
        UnpackError: a path leads outside, or the content is larger than Lambda allows.
    """
    links: list[tuple[Path, str]] = []
    size = 0
    with zipfile.ZipFile(archive) as package:
        for entry in package.infolist():
            path = target / _safe(entry.filename)
            mode = entry.external_attr >> 16
            if entry.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISLNK(mode):
                links.append((path, package.read(entry).decode("utf-8", "surrogateescape")))
                continue
            size += _write_file(package, entry, path, UNZIPPED_MAX_BYTES - size)
            path.chmod(0o755 if mode & 0o111 else 0o644)
    # Links come last: no file can be written through one. Where they point matters only inside the walls.
    for path, destination in links:
        path.unlink(missing_ok=True)
        path.symlink_to(destination)


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise UnpackError(f"the path {name!r} leads outside the package")
    return path


def _write_file(package: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, allowed_bytes: int) -> int:
    written = 0
    with package.open(entry) as source, path.open("wb") as target:
        while chunk := source.read(_COPY_BYTES):
            written += len(chunk)
            if written > allowed_bytes:
                raise UnpackError(f"the unpacked code is larger than {UNZIPPED_MAX_BYTES} bytes")
            target.write(chunk)
    return written
