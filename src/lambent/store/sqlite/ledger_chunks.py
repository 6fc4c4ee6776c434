"""A chunk of the ledger as bytes: columns of numbers, packed and compressed.

Ids are hexadecimal digits with dashes at known places; they are kept as their bytes, which nothing makes smaller. A
column whose values are all the same is kept as that value.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from lambent.domain.ledger import COLUMNS, ORDINARY, Category, Rare, Row, Rows

_COMPRESS_LEVEL = 1
_UUID_DIGITS, _UUID_DASHES = 32, (8, 13, 18, 23)
_TRACE_DIGITS, _TRACE_DASHES = 33, (1, 10)
"""``1-5759e988-bd862e3fe1be46a994272793``; the version's digit leads, and another one makes the number even."""

_Numbers = list[int] | int
_Ids = bytes | list[str]


class _Body(msgspec.Struct, array_like=True):
    sequences: list[int]
    """Runs: first, length, first, length, …"""
    first_ms: int
    offsets_ms: _Numbers
    request_ids: _Ids
    trace_ids: _Ids
    duration_us: _Numbers
    billed_ms: _Numbers
    max_memory_mb: _Numbers
    request_bytes: _Numbers
    response_bytes: _Numbers
    rare: dict[int, Rare]


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(_Body).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows with their sequences, which rise."""

    sequences: Sequence[int]
    rows: Rows

    def read(self) -> Iterator[Row]:
        """Yield the rows one by one."""
        rows = self.rows
        columns = zip(self.sequences, *(getattr(rows, name) for name in COLUMNS), strict=True)
        for index, values in enumerate(columns):
            sequence, at_ms, request_id, trace_id, duration_us, billed_ms, memory_mb, asked, answered = values
            yield Row(
                sequence=sequence,
                category=rows.category,
                at_ms=at_ms,
                request_id=request_id,
                trace_id=trace_id,
                duration_us=duration_us,
                billed_ms=billed_ms,
                max_memory_mb=memory_mb,
                request_bytes=asked,
                response_bytes=answered,
                rare=rows.rare.get(index, ORDINARY),
            )

    def cut(self, rows_max: int) -> Iterator[Chunk]:
        """Yield it in parts of so many rows at most."""
        for begin in range(0, len(self.sequences), rows_max):
            indexes = range(begin, min(begin + rows_max, len(self.sequences)))
            yield Chunk(sequences=[self.sequences[i] for i in indexes], rows=self.rows.part(indexes))

    @staticmethod
    def merge(chunks: Sequence[Chunk]) -> Chunk:
        """Put chunks of one category together."""
        sequences = [sequence for chunk in chunks for sequence in chunk.sequences]
        columns = {name: [v for chunk in chunks for v in getattr(chunk.rows, name)] for name in COLUMNS}
        rare: dict[int, Rare] = {}
        begin = 0
        for chunk in chunks:
            rare |= {begin + index: one for index, one in chunk.rows.rare.items()}
            begin += len(chunk.rows)
        rows = Rows(category=chunks[0].rows.category, rare=rare, **columns)
        if all(a < b for a, b in pairwise(sequences)):
            return Chunk(sequences=sequences, rows=rows)
        order = sorted(range(len(sequences)), key=sequences.__getitem__)
        return Chunk(sequences=[sequences[i] for i in order], rows=rows.part(order))


def pack(chunk: Chunk) -> bytes:
    """Return a chunk as bytes."""
    rows = chunk.rows
    first_ms = rows.at_ms[0]
    body = _Body(
        sequences=_runs(chunk.sequences),
        first_ms=first_ms,
        offsets_ms=_short([at_ms - first_ms for at_ms in rows.at_ms]),
        request_ids=_digits(rows.request_ids, _UUID_DIGITS, _UUID_DASHES),
        trace_ids=_digits(rows.trace_ids, _TRACE_DIGITS, _TRACE_DASHES),
        duration_us=_short(rows.duration_us),
        billed_ms=_short(rows.billed_ms),
        max_memory_mb=_short(rows.max_memory_mb),
        request_bytes=_short(rows.request_bytes),
        response_bytes=_short(rows.response_bytes),
        rare=rows.rare,
    )
    packed = _pack(body)
    # Of a few rows nothing becomes smaller.
    return b"\1" + zlib.compress(packed, _COMPRESS_LEVEL) if len(rows) > 3 else b"\0" + packed


def unpack(packed: bytes, category: Category, *, with_ids: bool = True) -> Chunk:
    """Return the chunk that was packed; without ids in a third of the time, for sums."""
    body = _unpack(zlib.decompress(packed[1:]) if packed[0] else packed[1:])
    sequences: Sequence[int] = range(body.sequences[0], body.sequences[0] + body.sequences[1])
    if len(body.sequences) > 2:
        pairs = zip(body.sequences[::2], body.sequences[1::2], strict=True)
        sequences = [number for first, length in pairs for number in range(first, first + length)]
    count = len(sequences)
    rows = Rows(
        category=category,
        at_ms=[body.first_ms + offset for offset in _long(body.offsets_ms, count)],
        request_ids=_texts(body.request_ids, _UUID_DIGITS, _UUID_DASHES) if with_ids else [],
        trace_ids=_texts(body.trace_ids, _TRACE_DIGITS, _TRACE_DASHES) if with_ids else [],
        duration_us=_long(body.duration_us, count),
        billed_ms=_long(body.billed_ms, count),
        max_memory_mb=_long(body.max_memory_mb, count),
        request_bytes=_long(body.request_bytes, count),
        response_bytes=_long(body.response_bytes, count),
        rare=body.rare,
    )
    return Chunk(sequences=sequences, rows=rows)


def _runs(sequences: Sequence[int]) -> list[int]:
    if isinstance(sequences, range):
        return [sequences[0], len(sequences)]
    runs = [sequences[0], 1]
    for before, sequence in pairwise(sequences):
        if sequence == before + 1:
            runs[-1] += 1
        else:
            runs += [sequence, 1]
    return runs


def _short(numbers: list[int]) -> _Numbers:
    first = numbers[0]
    return first if numbers.count(first) == len(numbers) else numbers


def _long(numbers: _Numbers, count: int) -> list[int]:
    return [numbers] * count if isinstance(numbers, int) else numbers


def _digits(ids: list[str], digits: int, dashes: Sequence[int]) -> _Ids:
    """Return ids as the bytes that their digits are, or as they are if one has another form."""
    size = digits + len(dashes)
    if set(map(len, ids)) != {size}:
        return ids
    joined = "".join(ids)
    # Where all have their dashes, the number of dashes says that there are no others.
    if joined.count("-") != len(dashes) * len(ids):
        return ids
    if any(joined[place::size].count("-") != len(ids) for place in dashes):
        return ids
    bare = joined.replace("-", "")
    if not bare.isalnum() or not (bare.islower() or bare.isdigit()):
        return ids
    try:
        return bytes.fromhex(bare if len(bare) % 2 == 0 else bare + "0")
    except ValueError:
        return ids


def _texts(ids: _Ids, digits: int, dashes: Sequence[int]) -> list[str]:
    if not isinstance(ids, bytes):
        return ids
    joined = ids.hex()
    places = [0, *(dash - number for number, dash in enumerate(dashes)), digits]
    spans = list(pairwise(places))
    return [
        "-".join([joined[begin + a : begin + b] for a, b in spans])
        for begin in range(0, len(joined) - digits + 1, digits)
    ]
