"""Writing zips of files whose compressed forms may be known from before, as they are when little has changed.

The bytes are those that `zipfile` writes; that module has no way to be given what is compressed already. The form is
PKWARE's .ZIP File Format Specification (APPNOTE.TXT), sections 4.3 and 4.4.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

_FILES_MAX = 0xFFFF
"""More need another form of the directory."""
_REMEMBERED_MAX_BYTES = 256 * 1024 * 1024
_CENTRAL = "<4s4B4HL2L5H2L"
_END = "<4s4H2LH"
_UTF_8 = 0x800
_DEFLATED_VERSION = 20


class Deflated:
    """Compressed files, remembered until they change."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int], tuple[int, int, bytes]] = {}
        self._size_bytes = 0

    def of(self, path: Path) -> tuple[int, int, bytes]:
        """Return a file's checksum, its size and its compressed form."""
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        if key not in self._known:
            content = path.read_bytes()
            compressor = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -15)
            found = (zlib.crc32(content), len(content), compressor.compress(content) + compressor.flush())
            self._remember(key, found)
            return found
        return self._known[key]

    def _remember(self, key: tuple[str, int, int], found: tuple[int, int, bytes]) -> None:
        if self._size_bytes > _REMEMBERED_MAX_BYTES:
            self._known.clear()
            self._size_bytes = 0
        self._known[key] = found
        self._size_bytes += len(found[2])


def write(
    files: Sequence[tuple[zipfile.ZipInfo, Path]],
    deflated: Deflated,
    advance: Callable[[int], None] = lambda _: None,
) -> bytes:
    """Return the zip of files, in this order.

    Args:
        files: what stands about each in the zip, and where it is.
        deflated: has what is known of them, and remembers the rest.
        advance: told the size of each once it is in.

    Raises:
        UnicodeEncodeError: a name cannot be written.
        OSError: a file cannot be read.
    """
    if len(files) > _FILES_MAX:
        return _write_many(files, advance)
    buffer, directory = io.BytesIO(), io.BytesIO()
    for info, path in files:
        info.CRC, info.file_size, compressed = deflated.of(path)
        info.compress_size = len(compressed)
        info.header_offset = buffer.tell()
        buffer.write(info.FileHeader(zip64=False))
        buffer.write(compressed)
        directory.write(_central_header(info))
        advance(info.file_size)
    start, index, count = buffer.tell(), directory.getvalue(), len(files)
    buffer.write(index)
    buffer.write(struct.pack(_END, b"PK\5\6", 0, 0, count, count, len(index), start, 0))
    return buffer.getvalue()


def _write_many(files: Sequence[tuple[zipfile.ZipInfo, Path]], advance: Callable[[int], None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, path in files:
            archive.writestr(info, path.read_bytes())
            advance(info.file_size)
    return buffer.getvalue()


def _central_header(info: zipfile.ZipInfo) -> bytes:
    try:
        name, flags = info.filename.encode("ascii"), 0
    except UnicodeEncodeError:
        name, flags = info.filename.encode("utf-8"), _UTF_8
    year, month, day, hour, minute, second = info.date_time
    return (
        struct.pack(
            _CENTRAL,
            b"PK\1\2",
            _DEFLATED_VERSION,
            info.create_system,
            _DEFLATED_VERSION,
            0,
            flags,
            info.compress_type,
            hour << 11 | minute << 5 | second // 2,
            (year - 1980) << 9 | month << 5 | day,
            info.CRC,
            info.compress_size,
            info.file_size,
            len(name),
            0,
            0,
            0,
            info.internal_attr,
            info.external_attr,
            info.header_offset,
        )
        + name
    )
