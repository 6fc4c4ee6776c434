"""A test picture for the demo, made without any library that the machine might lack."""

from __future__ import annotations

import struct
import zlib


def png(width: int, height: int) -> bytes:
    """Return a PNG file with soft diagonal colours (https://www.w3.org/TR/png-3/)."""
    line = bytes(abs((x * factor) % 510 - 255) for x in range(width) for factor in (1, 2, 3))
    # One filter byte (0: none) before each row; each row is the one above, moved by a pixel.
    rows = b"".join(b"\0" + line[3 * (y % width) :] + line[: 3 * (y % width)] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, red green blue
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 6)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
