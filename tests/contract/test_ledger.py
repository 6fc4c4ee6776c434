"""What every ledger promises: rows are kept as they were written, and their sums with them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.domain.ledger import DAY_MS, INVOCATION, SUMS, Category, Rare, Rows, Sums, flat
from lambent.store.ledger import Ledger, RowQuery
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase

T = TypeVar("T")
ACCOUNT = "000000000000"
DAY = 20_000
NOW_MS = DAY * DAY_MS + 3_600_000


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def category(**changes: Any) -> Category:
    values: dict[str, Any] = {
        "kind": INVOCATION,
        "account": ACCOUNT,
        "region": "us-east-1",
        "function": "f",
        "version": "$LATEST",
    }
    return Category(**values | changes)


def rows(count: int = 1, *, of: Category | None = None, at_ms: int = NOW_MS, **columns: Any) -> Rows:
    """Return so many rows, a millisecond apart."""
    values: dict[str, Any] = {
        "at_ms": [at_ms + index for index in range(count)],
        "request_ids": [str(uuid.uuid4()) for _ in range(count)],
        "trace_ids": ["1-6b092771-333ba18511bf677315ee6783"] * count,
        "duration_us": [1500 + index for index in range(count)],
        "billed_ms": [2 + index for index in range(count)],
        "max_memory_mb": [40] * count,
        "request_bytes": [11] * count,
        "response_bytes": [7 + index % 3 for index in range(count)],
    }
    return Rows(category=of or category(), **values | columns)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = LightDatabase(tmp_path / "ledger.db", migrations="ledger", full_sync=False)
    yield SqliteLedger(database)
    database.close()


def all_rows(ledger: Ledger, **query: Any) -> list[dict[str, Any]]:
    """Read page by page, and return every row without its place."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = run(ledger.read(RowQuery(account=ACCOUNT, after=after, **{"limit": 7, **query})))
        found += [flat(row) for row in page.rows]
        after = page.after
    assert [row["sequence"] for row in found] == sorted({row["sequence"] for row in found})
    return [{name: value for name, value in row.items() if name != "sequence"} for row in found]


def usage(ledger: Ledger, *, first_day: int = 0, last_day: int = DAY + 100) -> Any:
    return run(ledger.usage(ACCOUNT, first_day=first_day, last_day=last_day))


def recount(ledger: Ledger, *, first_day: int = 0, last_day: int = DAY + 100) -> Any:
    audit = run(ledger.audit(ACCOUNT, first_day=first_day, last_day=last_day))
    assert audit.kept == [
        one for one in usage(ledger) if first_day <= one.day and one.day >= audit.rows_since
    ]
    return audit.recounted


def compact(ledger: Ledger, *, today: int = DAY + 1) -> None:
    while run(ledger.compact(today=today)):
        pass


def test_a_row_is_read_as_it_was_written(ledger: Ledger) -> None:
    rare = Rare(
        status="error",
        error_type="KeyError",
        cold_start_reason="first",
        init_us=12_345,
        billed_init_ms=13,
        streamed_bytes=5,
        attempt=3,
    )
    of = category(alias="live", tenant="blue", tags=(("team", "red"),), runtime="python3.12", source="sqs")
    written = rows(2, of=of, rare={1: rare})
    run(ledger.append([written]))
    plain, other = all_rows(ledger)
    assert plain["status"] == "success"
    assert plain["request_id"] == written.request_ids[0]
    assert other == plain | {
        "at": "2024-10-04T01:00:00.001Z",
        "request_id": written.request_ids[1],
        "duration_ms": 1.501,
        "billed_ms": 3,
        "billed_init_ms": 13,
        "init_ms": 12.345,
        "response_bytes": 8,
        "status": "error",
        "error_type": "KeyError",
        "cold_start_reason": "first",
        "streamed_bytes": 5,
        "attempt": 3,
    }
    assert (other["alias"], other["tenant"], other["tags"]) == ("live", "blue", {"team": "red"})


def test_rows_of_several_functions_come_in_the_order_in_which_they_were_written(ledger: Ledger) -> None:
    names: list[str] = []
    for _ in range(5):
        for name in "abc":
            run(ledger.append([rows(2, of=category(function=name))]))
            names += [name] * 2
    assert [row["function"] for row in all_rows(ledger)] == names
    compact(ledger)
    assert [row["function"] for row in all_rows(ledger)] == names


def test_a_function_a_kind_a_region_or_a_while_can_be_asked_for(ledger: Ledger) -> None:
    run(
        ledger.append(
            [
                rows(3, of=category(function="a")),
                rows(3, of=category(function="b"), at_ms=NOW_MS + 1000),
                rows(1, of=category(function="a", kind="restore")),
                rows(1, of=category(function="a", region="eu-west-1")),
                rows(1, of=category(account="111111111111")),
            ]
        )
    )
    assert len(all_rows(ledger)) == 8
    assert len(all_rows(ledger, function="a")) == 5
    assert len(all_rows(ledger, function="nobody")) == 0
    assert len(all_rows(ledger, kinds=["restore"])) == 1
    assert len(all_rows(ledger, region="eu-west-1")) == 1
    assert len(all_rows(ledger, since_ms=NOW_MS + 1001)) == 2
    assert len(all_rows(ledger, until_ms=NOW_MS + 1)) == 3
    assert len(all_rows(ledger, since_ms=NOW_MS + 1, until_ms=NOW_MS + 2)) == 1


def test_many_categories_are_read_as_well_as_few(ledger: Ledger) -> None:
    run(ledger.append([rows(of=category(function=f"f{number}")) for number in range(600)]))
    assert len(all_rows(ledger, limit=100)) == 600


def test_sums_are_kept_by_day_and_category(ledger: Ledger) -> None:
    of = category(memory_mb=256)
    run(ledger.append([rows(2), rows(3, of=of), rows(1, at_ms=NOW_MS + DAY_MS)]))
    run(ledger.append([rows(4)]))
    found = {(one.day, one.category): one.sums.rows for one in usage(ledger)}
    assert found == {(DAY, category()): 6, (DAY, of): 3, (DAY + 1, category()): 1}
    assert [one.sums.rows for one in usage(ledger, first_day=DAY + 1)] == [1]


def test_rows_on_both_sides_of_midnight_are_of_two_days(ledger: Ledger) -> None:
    run(ledger.append([rows(4, at_ms=(DAY + 1) * DAY_MS - 2)]))
    assert [(one.day, one.sums.rows) for one in usage(ledger)] == [(DAY, 2), (DAY + 1, 2)]
    assert recount(ledger) == usage(ledger)


def test_a_clock_that_jumps_back_loses_nothing(ledger: Ledger) -> None:
    run(ledger.append([rows(at_ms=NOW_MS)]))
    run(ledger.append([rows(at_ms=NOW_MS - 3 * DAY_MS)]))
    run(ledger.append([rows(at_ms=NOW_MS)]))
    compact(ledger)
    assert len(all_rows(ledger)) == 3
    assert recount(ledger) == usage(ledger)


def test_packing_changes_nothing_that_can_be_read(ledger: Ledger) -> None:
    for number in range(40):
        run(
            ledger.append(
                [rows(3), rows(2, of=category(function=f"g{number % 3}"), rare={1: Rare(attempt=2)})]
            )
        )
    before, sums = all_rows(ledger), usage(ledger)
    compact(ledger)
    assert all_rows(ledger) == before
    assert usage(ledger) == recount(ledger) == sums


def test_more_rows_than_a_chunk_holds_are_cut(ledger: Ledger) -> None:
    run(ledger.append([rows(9000)]))
    compact(ledger)
    assert len(all_rows(ledger, limit=5000)) == 9000
    assert recount(ledger) == usage(ledger)


def test_rows_go_when_they_are_too_old_and_their_sums_stay(ledger: Ledger) -> None:
    run(ledger.append([rows(3), rows(2, at_ms=NOW_MS + DAY_MS)]))
    run(ledger.expire(before_day=DAY + 1))
    assert len(all_rows(ledger)) == 2
    assert [one.sums.rows for one in usage(ledger)] == [3, 2]
    assert [one.sums.rows for one in recount(ledger)] == [2]
    assert run(ledger.rows_since()) == DAY + 1


def test_sequences_are_not_used_again_after_their_rows_have_gone(ledger: Ledger) -> None:
    run(ledger.append([rows(3)]))
    run(ledger.expire(before_day=DAY + 1))
    run(ledger.append([rows(1, at_ms=NOW_MS + 2 * DAY_MS)]))
    page = run(ledger.read(RowQuery(account=ACCOUNT)))
    assert [row.sequence for row in page.rows] == [4]


def test_a_reader_between_two_pages_notices_no_packing(ledger: Ledger) -> None:
    for _ in range(10):
        run(ledger.append([rows(3)]))
    page = run(ledger.read(RowQuery(account=ACCOUNT, limit=10)))
    compact(ledger)
    rest = run(ledger.read(RowQuery(account=ACCOUNT, limit=100, after=page.after or 0)))
    assert [row.sequence for row in (*page.rows, *rest.rows)] == list(range(1, 31))


def test_an_append_that_fails_leaves_nothing(ledger: Ledger) -> None:
    bad = rows(1)
    bad.billed_ms = [2**70]
    with pytest.raises(Exception):  # noqa: B017 - whatever the store says of it
        run(ledger.append([rows(2, of=category(function="new")), bad]))
    assert all_rows(ledger) == []
    run(ledger.append([rows(2, of=category(function="new"))]))
    assert len(all_rows(ledger, function="new")) == 2


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_sums_of_whatever_is_written_are_those_of_its_rows(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However rows are batched: the kept sums, the recount, and the sum over single rows are one."""
    database = LightDatabase(tmp_path_factory.mktemp("l") / "ledger.db", migrations="ledger", full_sync=False)
    ledger = SqliteLedger(database)
    rare = st.builds(
        Rare,
        status=st.sampled_from(["success", "error"]),
        cold_start_reason=st.sampled_from([None, "first"]),
        restore_us=st.none() | st.integers(0, 10**6),
        billed_init_ms=st.integers(0, 100),
        streamed_bytes=st.integers(0, 10**8),
        count=st.integers(1, 5),
    )
    batches = data.draw(
        st.lists(st.tuples(st.integers(1, 4), st.sampled_from("ab"), st.integers(0, 2), rare), max_size=8)
    )
    for count, name, day, one in batches:
        at_ms = NOW_MS + day * DAY_MS
        run(ledger.append([rows(count, of=category(function=name), at_ms=at_ms, rare={count - 1: one})]))
    kept = usage(ledger)
    assert kept == recount(ledger)
    total = sum((one.sums for one in kept), Sums())
    assert total.rows == sum(count for count, *_ in batches)
    singles = all_rows(ledger, limit=100)
    assert total.billed_ms == sum(row["billed_ms"] * row["count"] for row in singles)
    assert total.streamed_bytes == sum(row["streamed_bytes"] for row in singles)
    assert total.errors == sum(row["status"] != "success" for row in singles)
    assert set(SUMS) == set(Sums.__struct_fields__)
    database.close()
