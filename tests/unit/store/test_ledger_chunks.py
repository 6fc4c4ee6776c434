"""A chunk is unpacked as it was packed, whatever its ids look like."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.domain.ledger import Category, Rare, Rows
from lambent.store.sqlite.ledger_chunks import Chunk, pack, unpack

CATEGORY = Category(kind="invocation", account="0", region="r", function="f", version="1")


def chunk(request_ids: list[str], trace_ids: list[str] | None = None, **columns: list[int]) -> Chunk:
    count = len(request_ids)
    zeros = [0] * count
    values = dict.fromkeys(
        ["at_ms", "duration_us", "billed_ms", "max_memory_mb", "request_bytes", "response_bytes"], zeros
    )
    rows = Rows(
        category=CATEGORY, request_ids=request_ids, trace_ids=trace_ids or [""] * count, **values | columns
    )
    return Chunk(sequences=range(5, 5 + count), rows=rows)


def again(packed: Chunk) -> Chunk:
    return unpack(pack(packed), CATEGORY)


@pytest.mark.parametrize(
    "ids",
    [
        [str(uuid.UUID(int=7))],
        [str(uuid.UUID(int=2**128 - 1)), str(uuid.UUID(int=0))],
        [""],
        ["", ""],
        ["not an id"],
        [str(uuid.UUID(int=2**127)).upper()],
        ["01234567-89ab cdef-0123-456789abcde-"],
        ["g" * 8 + "-0000-0000-0000-000000000000"],
        [str(uuid.UUID(int=1))[:-1], str(uuid.UUID(int=2)) + "0"],
        ["à" * 36],
        ["-" * 36],
    ],
)
def test_ids_come_back_whatever_they_look_like(ids: list[str]) -> None:
    assert again(chunk(ids)).rows.request_ids == ids


@pytest.mark.parametrize("count", [1, 2, 3])
def test_traces_have_an_odd_number_of_digits(count: int) -> None:
    traces = [f"1-6b09277{number}-333ba18511bf677315ee678{number}" for number in range(count)]
    assert again(chunk([""] * count, traces)).rows.trace_ids == traces


def test_an_id_of_the_usual_form_takes_half_its_digits() -> None:
    ids = [str(uuid.uuid4()) for _ in range(1000)]
    assert len(pack(chunk(ids))) < 1000 * 17


@given(st.lists(st.tuples(st.integers(0, 2**53), st.integers(0, 2**53)), min_size=1, max_size=30))
def test_numbers_come_back(values: list[tuple[int, int]]) -> None:
    at_ms, billed_ms = (list(column) for column in zip(*values, strict=True))
    packed = chunk([""] * len(values), at_ms=at_ms, billed_ms=billed_ms)
    assert again(packed).rows == packed.rows


def test_chunks_of_which_parts_lay_between_each_other_are_merged_by_sequence() -> None:
    first, second = chunk(["a", "b"]), chunk(["c", "d"])
    one = Chunk(sequences=[1, 4], rows=first.rows)
    other = Chunk(sequences=[2, 9], rows=second.rows)
    other.rows.rare = {1: Rare(attempt=2)}
    merged = again(Chunk.merge([one, other]))
    assert list(merged.sequences) == [1, 2, 4, 9]
    assert merged.rows.request_ids == ["a", "c", "b", "d"]
    assert merged.rows.rare == {3: Rare(attempt=2)}
    assert [row.sequence for row in merged.read()] == [1, 2, 4, 9]


def test_without_ids_the_numbers_are_there() -> None:
    packed = chunk(["a", "b"], billed_ms=[3, 4])
    assert unpack(pack(packed), CATEGORY, with_ids=False).rows.billed_ms == [3, 4]
