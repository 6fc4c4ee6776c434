"""Deployment packages and layers, unpacked once per content and shared by every environment that runs them."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from lambent.domain.function import Code
from lambent.domain.limits import PACKAGE_PATH_MAX_BYTES, UNZIPPED_MAX_BYTES
from lambent.node.layers import merge
from lambent.store import Blobs

_COPY_BYTES = 1024 * 1024
_DRAFT_PREFIX = ".unpack-"
# What reading a damaged or hostile zip, or writing its paths, may raise.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


class UnpackError(Exception):
    """The package cannot be unpacked; the message says why."""


class UnpackedCode:
    """Directories of unpacked code by the hash of the zip, and of merged layers by the list of theirs."""

    def __init__(self, directory: Path, blobs: Blobs) -> None:
        self._directory = directory
        self._blobs = blobs
        self._locks: dict[str, asyncio.Lock] = {}

    def sweep(self) -> None:
        """Remove what a killed server left half unpacked, and code that the store has forgotten since.

        Only while nothing runs: environments are made from these directories.
        """
        if not self._directory.is_dir():
            return
        for place in list(self._directory.iterdir()):
            if place.name.startswith(_DRAFT_PREFIX) or not self._is_stored(place.name):
                shutil.rmtree(place, ignore_errors=True)

    def _is_stored(self, blob: str) -> bool:
        try:
            self._blobs.path(blob)
        except KeyError:
            return False
        return True

    async def directory(self, code: Code) -> Path:
        """Return the directory that holds the code, unpacking it if that has not been done.

        Raises:
            UnpackError: the package is damaged, or the store has lost it.
        """
        return await self._made(code.blob, lambda draft: self._unpack(code, draft))

    async def layers_directory(self, layers: Sequence[Code]) -> Path | None:
        """Return the directory that holds all files of the layers, or None when there are no layers.

        Args:
            layers: in the order in which they are merged: of two files with one name, the later one's is there.

        Raises:
            UnpackError: a layer is damaged, or the store has lost it.
        """
        directories = [await self.directory(layer) for layer in layers]
        if len(directories) < 2:
            return directories[0] if directories else None
        name = hashlib.sha256("/".join(layer.blob for layer in layers).encode()).hexdigest()
        # No blob's name: a start of the server sweeps it away, and the next environment makes it anew.
        return await self._made(f"layers-{name}", lambda draft: merge(directories, draft))

    async def _made(self, name: str, fill: Callable[[Path], None]) -> Path:
        """Return the directory of this name, filled once, whoever asks for it meanwhile."""
        place = self._directory / name
        if place.is_dir():
            return place
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            if not place.is_dir():
                await asyncio.to_thread(self._make, place, fill)
        self._locks.pop(name, None)
        return place

    def _unpack(self, code: Code, draft: Path) -> None:
        try:
            archive = self._blobs.path(code.blob)
        except KeyError as error:
            raise UnpackError(f"the code {code.blob} is not in the store") from error
        unpack_zip(archive, draft)

    def _make(self, place: Path, fill: Callable[[Path], None]) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT_PREFIX, dir=self._directory))
        try:
            fill(draft)
            draft.chmod(0o755)
            _rename(draft, place)
        except _DAMAGED as error:
            raise UnpackError(str(error)) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _rename(draft: Path, place: Path) -> None:
    try:
        draft.rename(place)
    except OSError:
        # A cancelled call's thread goes on: whichever is first, the content is the same.
        if not place.is_dir():
            raise


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
                if entry.file_size > PACKAGE_PATH_MAX_BYTES:
                    raise UnpackError(f"the link {entry.filename!r} leads nowhere")
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
