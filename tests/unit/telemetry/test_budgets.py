"""The watch over budgets warns and stops, once, and lets functions go on when there is money again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lambent.domain.budget import DAILY, Budget
from lambent.domain.function import Function, FunctionKey
from lambent.domain.ledger import INVOCATION, Category, Rows
from lambent.domain.parcel import Parcel
from lambent.domain.pricing.price_list import AWS
from lambent.store.budgets import Budgets
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.telemetry.budgets import BudgetWatch
from lambent.testing import ManualClock, MemoryStore
from samples import KEY, VERSION

OTHER = msgspec.structs.replace(KEY, name="g")


class Place:
    """An account with two functions, a ledger, and a watch that can be replaced by a new server's."""

    def __init__(self, directory: Path) -> None:
        self.database = LightDatabase(directory / "ledger.db", migrations="ledger", full_sync=False)
        self.ledger = SqliteLedger(self.database)
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.told: list[Parcel] = []
        self.changed = asyncio.Event()
        self.functions = {
            KEY: Function(key=KEY, latest=VERSION, tags={"team": "red"}, reserved_concurrency=7),
            OTHER: Function(key=OTHER, latest=replace(VERSION, key=OTHER)),
        }
        self.watch = self.new_watch()

    def new_watch(self) -> BudgetWatch:
        return BudgetWatch(
            budgets=Budgets(self.store),
            ledger=self.ledger,
            functions=self,
            change=self.change,
            tell=self.tell,
            prices=AWS,
            clock=self.clock,
        )

    async def get(self, key: FunctionKey) -> Function | None:
        return self.functions.get(key)

    async def all(self) -> list[Function]:
        return list(self.functions.values())

    async def change(self, key: FunctionKey, change: Callable[[Function], Function]) -> None:
        if key in self.functions:
            self.functions[key] = change(self.functions[key])
            self.changed.set()

    async def tell(self, parcels: Sequence[Parcel]) -> None:
        self.told += parcels

    async def run(self, requests: int, *, key: FunctionKey = KEY, tags: dict[str, str] | None = None) -> None:
        """Use something, and look."""
        await self.use(requests, key=key, tags=tags)
        await self.watch.look()

    async def use(self, requests: int, *, key: FunctionKey = KEY, tags: dict[str, str] | None = None) -> None:
        """Use a microdollar's fifth for each request."""
        category = Category(
            kind=INVOCATION,
            account=key.account,
            region=key.region,
            function=key.name,
            version="1",
            tags=tuple((tags or {}).items()),
        )
        zeros = [0] * requests
        rows = Rows(
            category=category,
            at_ms=[int(self.clock.now_s() * 1000)] * requests,
            request_ids=[""] * requests,
            trace_ids=[""] * requests,
            duration_us=zeros,
            billed_ms=zeros,
            max_memory_mb=zeros,
            request_bytes=zeros,
            response_bytes=zeros,
        )
        await self.ledger.append([rows])

    def reserved(self) -> list[int | None]:
        return [self.functions[key].reserved_concurrency for key in (KEY, OTHER) if key in self.functions]


def budget(**changes: Any) -> Budget:
    """One that ten requests use up, at list price."""
    values: dict[str, Any] = {
        "name": "b",
        "account": KEY.account,
        "region": KEY.region,
        "amount": Decimal("0.000002"),
        "function": KEY.name,
        "stop_percent": Decimal(100),
    }
    return Budget(**values | changes)


def scenario(tmp_path: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    place = Place(tmp_path)
    try:
        asyncio.run(story(place))  # type: ignore[arg-type]  # stories are coroutines
    finally:
        place.database.close()
        place.store.close()


def test_a_warning_is_in_the_log_and_on_its_way_to_the_topic_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget(topic_arn="arn:aws:sns:us-east-1:000000000000:money"))
        await place.run(7)
        assert place.told == []
        await place.run(1)
        await place.run(1)
        (parcel,) = place.told
        assert parcel.arn == "arn:aws:sns:us-east-1:000000000000:money"
        body = json.loads(parcel.body)
        assert (body["threshold"], body["percent"]) == ("warn", "80")
        assert body["message"] == (
            "The budget b (function f): 0.0000016 of 0.000002 USD are spent in 2026-01, 80 % or more."
        )
        assert place.reserved() == [7, None]

    with caplog.at_level(logging.WARNING):
        scenario(tmp_path, story)
    assert len([record for record in caplog.records if "The budget b" in record.message]) == 1


def test_at_the_end_the_function_is_stopped_and_no_other(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget())
        await place.run(10)
        assert place.reserved() == [0, None]

    scenario(tmp_path, story)


def test_a_budget_of_a_tag_stops_all_that_have_it_and_that_of_an_account_all(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget(function=None, tag=("team", "red")))
        await place.run(10, key=OTHER, tags={"team": "red"})
        assert place.reserved() == [0, None]
        await place.watch.delete(budget())
        assert place.reserved() == [7, None]
        await place.watch.put(budget(function=None, period=DAILY))
        assert place.reserved() == [0, 0]

    scenario(tmp_path, story)


@pytest.mark.parametrize("how", ["period", "raised", "deleted"])
def test_what_was_stopped_gets_back_what_it_had(tmp_path: Path, how: str) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget())
        await place.run(10)
        assert place.reserved() == [0, None]
        if how == "period":
            await place.clock.advance(31 * 86_400)
            await place.watch.look()
        elif how == "raised":
            await place.watch.put(budget(amount=Decimal(1)))
        else:
            await place.watch.delete(budget())
        assert place.reserved() == [7, None]

    scenario(tmp_path, story)


def test_whoever_reserves_something_meanwhile_is_stopped_again_and_gets_that_back(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget())
        await place.run(10)
        await place.change(KEY, lambda function: replace(function, reserved_concurrency=3))
        await place.clock.advance(61)
        await place.watch.look()
        assert place.reserved() == [0, None]
        await place.watch.delete(budget())
        assert place.reserved() == [3, None]

    scenario(tmp_path, story)


def test_a_restarted_server_neither_repeats_nor_forgets(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget(topic_arn="arn:aws:sns:us-east-1:000000000000:money"))
        await place.run(10)
        assert len(place.told) == 1
        place.watch = place.new_watch()
        await place.watch.look()
        assert len(place.told) == 1
        await place.watch.delete(budget())
        assert place.reserved() == [7, None]

    scenario(tmp_path, story)


def test_a_function_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget())
        await place.run(10)
        del place.functions[KEY]
        await place.watch.look()
        await place.watch.delete(budget())
        assert place.reserved() == [None]

    scenario(tmp_path, story)


def test_a_budget_that_is_for_another_function_now_lets_the_first_one_go(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget())
        await place.run(10)
        await place.watch.put(budget(function=OTHER.name))
        assert place.reserved() == [7, None]

    scenario(tmp_path, story)


def test_it_looks_by_itself(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.watch.put(budget())
        async with place.watch, asyncio.timeout(10):
            await asyncio.sleep(0)
            await place.use(10)
            await place.clock.advance(2.1)
            await place.changed.wait()
        assert place.reserved() == [0, None]

    scenario(tmp_path, story)
