"""SnapStart on the control plane: pending until the snapshot is there, and honest about whether there is one."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.function import ActivationError
from lambent.errors import SnapStartNotReadyException
from unit.services.lambda_.world import KEY, NAME, World, story

SNAP_START = {"ApplyOn": "PublishedVersions"}


async def published(world: World, **parameters: Any) -> dict[str, Any]:
    await world.create_active(SnapStart=SNAP_START, **parameters)
    answer = await world.ask("publish_version", FunctionName=NAME)
    await world.settled()
    return answer


async def configuration(world: World, qualifier: str = "1") -> dict[str, Any]:
    return await world.ask("get_function_configuration", FunctionName=NAME, Qualifier=qualifier)


@story
async def test_a_version_is_pending_until_its_snapshot_has_been_taken(world: World) -> None:
    await world.create_active(SnapStart=SNAP_START)
    world.gate.clear()
    answer = await world.ask("publish_version", FunctionName=NAME)
    assert (answer["State"], answer["SnapStart"]["OptimizationStatus"]) == ("Pending", "Off")
    with pytest.raises(SnapStartNotReadyException):
        await world.ask("invoke", FunctionName=NAME, Qualifier="1")
    world.gate.set()
    await world.settled()
    after = await configuration(world)
    assert (after["State"], after["SnapStart"]) == ("Active", SNAP_START | {"OptimizationStatus": "On"})
    assert after["RevisionId"] != answer["RevisionId"]
    latest = await configuration(world, "$LATEST")
    assert latest["SnapStart"]["OptimizationStatus"] == "Off"


@story
async def test_the_status_is_off_where_there_is_no_snapshot(world: World) -> None:
    world.is_copyable = False
    await published(world)
    after = await configuration(world)
    assert (after["State"], after["SnapStart"]["OptimizationStatus"]) == ("Active", "Off")


@story
async def test_a_failed_init_fails_the_version_and_not_the_function(world: World) -> None:
    await world.create_active(SnapStart=SNAP_START)
    world.prepare_error = ActivationError("The init failed.", "FunctionError.RuntimeInitError")
    await world.ask("publish_version", FunctionName=NAME)
    await world.settled()
    after = await configuration(world)
    assert (after["State"], after["StateReasonCode"]) == ("Failed", "FunctionError.RuntimeInitError")
    assert (await configuration(world, "$LATEST"))["State"] == "Active"


@story
async def test_publishing_again_without_a_change_takes_no_second_snapshot(world: World) -> None:
    first = await published(world)
    taken = len(world.prepared)
    again = await world.ask("publish_version", FunctionName=NAME)
    await world.settled()
    assert again["Version"] == first["Version"]
    assert len(world.prepared) == taken


@story
async def test_snapshots_of_an_earlier_server_are_taken_anew(world: World) -> None:
    await published(world)
    world.prepared.clear()
    await world.service.resume()
    await world.settled()
    assert [version.version for version in world.prepared] == ["1"]
    assert (await configuration(world))["State"] == "Active"


@story
async def test_snapshots_go_with_their_version_and_with_their_function(world: World) -> None:
    await published(world)
    await world.ask("delete_function", FunctionName=NAME, Qualifier="1")
    await world.ask("delete_function", FunctionName=NAME)
    assert world.forgotten == [(KEY, "1"), (KEY, None)]
