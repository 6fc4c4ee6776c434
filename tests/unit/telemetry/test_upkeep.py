"""Provisioned concurrency and snapshots become rows as their time passes, once, whatever happens to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lambent.domain.function import FunctionKey, FunctionVersion
from lambent.domain.ledger import PROVISIONED, SNAPSHOT, flat
from lambent.domain.upkeep import Upkeep
from lambent.store.ledger import RowQuery
from lambent.store.sqlite.ledger import SqliteLedger
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.telemetry.upkeep import UpkeepMeter
from lambent.testing import ManualClock
from samples import KEY, VERSION, replace

ONE = replace(VERSION, version="1", memory_mb=1024)
SNAPPED = replace(ONE, passive={"SnapStart": {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}})


class Place:
    """A ledger, a clock, and meters that come and go."""

    def __init__(self, directory: Path) -> None:
        self.database = LightDatabase(directory / "ledger.db", migrations="ledger", full_sync=False)
        self.ledger = SqliteLedger(self.database)
        self.clock = ManualClock()
        self.meter = self.new_meter()

    def new_meter(self) -> UpkeepMeter:
        async def tags_of(key: FunctionKey) -> Mapping[str, str]:
            return {"team": "red"}

        return UpkeepMeter(ledger=self.ledger, tags_of=tags_of, clock=self.clock, price_list="p")

    async def rows(self) -> list[dict[str, Any]]:
        await self.meter.settled()
        page = await self.ledger.read(RowQuery(account=KEY.account))
        return [flat(row) for row in page.rows]

    async def seconds(self) -> int:
        return sum(row["billed_ms"] * row["count"] for row in await self.rows()) // 1000

    async def pass_(self, seconds: float) -> None:
        """Let time pass, a minute at a time."""
        await self.meter.settled()
        end_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < end_s:
            await self.clock.advance(min(60.0, end_s - self.clock.monotonic_s()))
            await self.meter.tick()


def allocation(count: int = 2, *, id: str = "a", version: FunctionVersion = ONE, alias: str = "") -> Upkeep:
    return Upkeep(id=id, kind=PROVISIONED, version=version, alias=alias, count=count)


def scenario(tmp_path: Path, story: Callable[[Place], Awaitable[None]]) -> None:
    place = Place(tmp_path)
    try:
        asyncio.run(story(place))  # type: ignore[arg-type]  # stories are coroutines
    finally:
        place.database.close()


def test_provisioned_concurrency_is_put_down_at_once_and_every_five_minutes(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        place.meter.provisioned(KEY, [allocation(3, alias="live")])
        (row,) = await place.rows()
        assert row["kind"] == "provisioned-concurrency"
        assert (row["billed_ms"], row["count"], row["alias"], row["version"]) == (300_000, 3, "live", "1")
        assert (row["tags"], row["memory_mb"]) == ({"team": "red"}, 1024)
        await place.pass_(299)
        assert await place.seconds() == 900
        await place.pass_(62)
        assert await place.seconds() == 1800

    scenario(tmp_path, story)


def test_it_ends_when_it_is_given_up_and_begins_anew_with_another_number(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        place.meter.provisioned(KEY, [allocation(1)])
        await place.pass_(10)
        place.meter.provisioned(KEY, [allocation(5, id="b")])
        await place.pass_(10)
        place.meter.provisioned(KEY, [])
        await place.pass_(10_000)
        assert await place.seconds() == 300 + 5 * 300

    scenario(tmp_path, story)


def test_the_same_told_again_is_the_same(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        for _ in range(3):
            place.meter.provisioned(KEY, [allocation(1)])
        assert await place.seconds() == 300

    scenario(tmp_path, story)


def test_a_restarted_server_goes_on_where_the_last_one_was_killed(tmp_path: Path) -> None:
    """Five minutes that are paid for are not paid for again."""

    async def story(place: Place) -> None:
        place.meter.provisioned(KEY, [allocation(1)])
        await place.pass_(100)
        await place.meter.settled()
        place.meter = place.new_meter()
        place.meter.provisioned(KEY, [allocation(1)])
        assert await place.seconds() == 300 + 100, "five minutes from the restart on, of which 200 s are paid"
        await place.clock.advance(5000)
        place.meter = place.new_meter()
        place.meter.provisioned(KEY, [allocation(1)])
        assert await place.seconds() == 400 + 300, "the time without a server is not charged"

    scenario(tmp_path, story)


def test_a_published_snapshot_is_put_down_for_three_hours_and_then_as_it_is_kept(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        assert await place.meter.watching(took(True))(ONE)
        (row,) = await place.rows()
        assert (row["kind"], row["billed_ms"], row["initialization_type"]) == (
            SNAPSHOT,
            10_800_000,
            "snap-start",
        )
        await place.pass_(4 * 3600)
        assert await place.seconds() == 4 * 3600
        await place.pass_(100)
        place.meter.forgetting(lambda key, version: None)(KEY, "1")
        assert await place.seconds() == 4 * 3600 + 100
        await place.pass_(9000)
        assert await place.seconds() == 4 * 3600 + 100

    scenario(tmp_path, story)


def test_a_version_without_a_snapshot_costs_nothing(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        assert not await place.meter.watching(took(False))(ONE)
        assert await place.rows() == []

    scenario(tmp_path, story)


def test_a_snapshot_that_is_taken_anew_at_a_start_is_not_published_again(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await place.meter.watching(took(True))(ONE)
        await place.pass_(3600)
        place.meter = place.new_meter()
        await place.meter.watching(took(True))(SNAPPED)
        await place.pass_(2 * 3600)
        assert await place.seconds() == 10_800, "what was paid for in advance covers it"
        await place.pass_(3600)
        assert await place.seconds() == 4 * 3600

    scenario(tmp_path, story)


def test_a_stopping_server_puts_down_the_rest(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        async with place.meter:
            await place.meter.watching(took(True))(SNAPPED)
            await place.meter.settled()
            await place.clock.advance(77)
        assert await place.seconds() == 77

    scenario(tmp_path, story)


def test_deleting_a_function_ends_all_its_snapshots(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        for number in ("1", "2"):
            version = replace(SNAPPED, version=number, configuration_id=number)
            await place.meter.watching(took(True))(version)
        await place.pass_(60)
        place.meter.forgetting(lambda key, version: None)(KEY, None)
        await place.pass_(5000)
        assert await place.seconds() == 120

    scenario(tmp_path, story)


def test_rows_lie_where_their_time_began(tmp_path: Path) -> None:
    """The seconds before midnight of a month's end are of that month, though they are put down later."""

    async def story(place: Place) -> None:
        place.meter.provisioned(KEY, [allocation(1)])
        began = (await place.rows())[0]["at"]
        await place.clock.advance(700)
        await place.meter.tick()
        first, second = await place.rows()
        assert (first["at"], second["billed_ms"]) == (began, 600_000)
        assert began == "2026-01-02T03:04:05.678Z"
        assert second["at"] == "2026-01-02T03:09:05.678Z"

    scenario(tmp_path, story)


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_the_wall_clock_may_jump(tmp_path: Path, jump_s: float) -> None:
    """What is charged follows the clock that never goes back."""

    async def story(place: Place) -> None:
        wall = place.clock.now_s
        place.meter.provisioned(KEY, [allocation(1)])
        await place.meter.settled()
        place.clock.now_s = lambda: wall() + jump_s  # type: ignore[method-assign]
        await place.pass_(60)
        assert await place.seconds() == 300

    scenario(tmp_path, story)


def took(has_snapshot: bool) -> Callable[[FunctionVersion], Awaitable[bool]]:
    async def prepare(version: FunctionVersion) -> bool:
        return has_snapshot

    return prepare
