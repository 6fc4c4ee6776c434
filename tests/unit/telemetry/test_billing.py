"""Facts become rows of the ledger: nothing that ran is missing, and nothing is there twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lambent.domain.facts import Fact, InitReport, LogLine, Output, Report, RestoreReport
from lambent.domain.function import FunctionKey
from lambent.domain.ledger import Row, Rows, flat
from lambent.domain.pricing import price_of
from lambent.domain.pricing.components import row_price
from lambent.domain.pricing.price_list import AWS
from lambent.store.sqlite.ledger_chunks import Chunk
from lambent.telemetry import billing
from lambent.telemetry.billing import BillingListener
from lambent.telemetry.stream import FactStream
from samples import KEY, ORIGIN, invocation, replace, report


class Kept:
    """A ledger that remembers what it was given; its disk may be full for a while."""

    def __init__(self) -> None:
        self.batches: list[Rows] = []
        self.failures = 0

    async def append(self, batches: Sequence[Rows]) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(28, "No space left on device")
        self.batches += batches

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.batches for row in Chunk(sequences=range(len(rows)), rows=rows).read()]


class Tags:
    """The tags of the one function that there is, until it is deleted."""

    def __init__(self) -> None:
        self.tags: Mapping[str, str] | None = {"team": "red", "cost": "1"}

    async def of(self, key: FunctionKey) -> Mapping[str, str] | None:
        return self.tags if key == KEY else None


def heard(*facts: Fact, kept: Kept | None = None, tags: Tags | None = None) -> list[dict[str, Any]]:
    kept = kept or Kept()
    listener = BillingListener(
        ledger=kept,  # type: ignore[arg-type]  # it appends, which is all that is asked of it
        tags_of=(tags or Tags()).of,
        price_list=AWS.id,
    )
    asyncio.run(listener.consume(facts))
    return [flat(row) for row in kept.rows]


def reported(**changes: Any) -> Report:
    return replace(report(invocation()), **changes)


def test_an_invocation_becomes_a_row_with_all_that_is_known_of_it() -> None:
    fact = reported(
        at_s=1_767_323_045.678,
        origin=replace(ORIGIN, runtime="python3.12", ephemeral_storage_mb=1024),
        duration_ms=12.3456,
        billed_duration_ms=214,
        init_duration_ms=200.7,
        cold_start_reason="scale-out",
        status="error",
        error_type="KeyError",
        trace_id="Root=1-6b092771-333ba18511bf677315ee6783;Parent=0123456789abcdef;Sampled=0",
        invoked_arn=KEY.qualified_arn("live"),
        source="sqs",
        attempt=2,
        tenant_id="blue",
        request_bytes=17,
        response_bytes=233,
        streamed_bytes=5,
    )
    (row,) = heard(fact)
    assert row == {
        "sequence": 0,
        "kind": "invocation",
        "at": "2026-01-02T03:04:05.678Z",
        "request_id": fact.request_id,
        "account": "000000000000",
        "region": "us-east-1",
        "function": "f",
        "version": "$LATEST",
        "alias": "live",
        "tenant": "blue",
        "tags": {"cost": "1", "team": "red"},
        "runtime": "python3.12",
        "architecture": "x86_64",
        "memory_mb": 128,
        "ephemeral_storage_mb": 1024,
        "initialization_type": "on-demand",
        "is_spillover": False,
        "cold_start_reason": "scale-out",
        "duration_ms": 12.346,
        "billed_ms": 214,
        "billed_init_ms": 201,
        "init_ms": 200.7,
        "restore_ms": None,
        "max_memory_mb": 10,
        "request_bytes": 17,
        "response_bytes": 233,
        "streamed_bytes": 5,
        "status": "error",
        "error_type": "KeyError",
        "trace_id": "1-6b092771-333ba18511bf677315ee6783",
        "attempt": 2,
        "source": "sqs",
        "count": 1,
    }


@pytest.mark.parametrize(
    ("qualifier", "alias"), [("live", "live"), ("7", None), ("$LATEST", None), (None, None)]
)
def test_only_an_alias_is_one(qualifier: str | None, alias: str | None) -> None:
    arn = KEY.qualified_arn(qualifier) if qualifier else KEY.arn
    assert [row["alias"] for row in heard(reported(invoked_arn=arn))] == [alias]


def test_an_initialisation_costs_nothing_where_its_invocation_pays() -> None:
    init = InitReport(
        at_s=1.0, origin=ORIGIN, phase="init", status="success", error_type=None, duration_ms=99.5
    )
    (row,) = heard(init)
    assert (row["kind"], row["init_ms"], row["billed_ms"]) == ("initialization", 99.5, 0)


def test_a_failed_initialisation_and_a_failed_restore_are_charged_by_themselves() -> None:
    init = InitReport(
        at_s=1.0,
        origin=ORIGIN,
        phase="init",
        status="timeout",
        error_type=None,
        duration_ms=10_000.0,
        billed_duration_ms=10_000,
    )
    restore = RestoreReport(
        at_s=2.0, origin=ORIGIN, status="error", error_type="X", duration_ms=50.0, billed_duration_ms=40
    )
    first, second = heard(init, restore)
    assert (first["billed_ms"], first["billed_init_ms"], first["status"]) == (10_000, 10_000, "timeout")
    assert (second["kind"], second["billed_ms"], second["error_type"]) == ("restore", 40, "X")


def test_what_was_said_to_the_caller_is_what_the_row_costs() -> None:
    """The header of an answer and its row in the ledger agree, cold and warm, to the last digit."""
    for changes in (
        {"billed_duration_ms": 3},
        {"billed_duration_ms": 214, "init_duration_ms": 210.2, "cold_start_reason": "first"},
        {"billed_duration_ms": 20, "cold_start_reason": "scale-out", "tenant_id": "blue"},
        {"billed_duration_ms": 20, "cold_start_reason": "reset", "tenant_id": "blue"},
        {"billed_duration_ms": 60, "restore_duration_ms": 71.0, "cold_start_reason": "first"},
    ):
        kept = Kept()
        heard(reported(**changes), kept=kept)
        said = price_of(
            architecture="x86_64",
            memory_mb=128,
            billed_duration_ms=changes["billed_duration_ms"],
            is_restored="restore_duration_ms" in changes,
            is_tenants_new="tenant_id" in changes and changes["cold_start_reason"] != "reset",
        )
        assert sum(row_price(kept.rows[0], AWS).values()) == said.price_usd


def test_environments_of_one_version_share_their_batch() -> None:
    kept = Kept()
    facts = [reported(origin=replace(ORIGIN, environment_id=str(number % 3))) for number in range(9)]
    heard(*facts, kept=kept)
    assert [len(rows) for rows in kept.batches] == [9]
    assert {row.request_id for row in kept.rows} == {fact.request_id for fact in facts}


def test_the_tags_of_a_function_that_is_gone_are_those_that_it_had() -> None:
    kept, tags = Kept(), Tags()
    listener = BillingListener(ledger=kept, tags_of=tags.of, price_list="")  # type: ignore[arg-type]

    async def scenario() -> None:
        await listener.consume([reported()])
        tags.tags = None
        await listener.consume([reported()])

    asyncio.run(scenario())
    assert [row.category.tags for row in kept.rows] == [(("cost", "1"), ("team", "red"))] * 2


def test_a_full_disk_delays_rows_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(billing, "_TROUBLE_S", 0.0)
    kept = Kept()
    kept.failures = 3
    assert len(heard(reported(), kept=kept)) == 1


def test_it_hears_no_output() -> None:
    """Its lane carries no text of functions, so it can wait for a disk without growing by that."""
    kept = Kept()
    listener = BillingListener(ledger=kept, tags_of=Tags().of, price_list="")  # type: ignore[arg-type]
    seen: list[Fact] = []

    async def consume(facts: Sequence[Fact]) -> None:
        seen.extend(facts)

    listener.consume = consume  # type: ignore[method-assign]

    async def scenario() -> None:
        async with FactStream(listener, linger_s=0.0) as stream:
            line = LogLine(at_s=1.0, text="x")
            stream.emit(Output(at_s=1.0, origin=ORIGIN, request_id=None, lines=(line,)))
            stream.emit(reported())
            await stream.flush()

    asyncio.run(scenario())
    assert [type(fact) for fact in seen] == [Report]
