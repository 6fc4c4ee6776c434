"""Promises of runtime management: a mode per version, and no other runtime while one is held."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.function import runtime_version_arn
from lambent.errors import InvalidParameterValueException, ResourceNotFoundException
from unit.services.lambda_.test_aliases import create as create_alias
from unit.services.lambda_.world import ARN, NAME, REGION, World, story

HELD = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": runtime_version_arn(REGION, "python3.12")}


async def put(world: World, **parameters: Any) -> dict[str, Any]:
    return await world.ask("put_runtime_management_config", FunctionName=NAME, **parameters)


async def get(world: World, **parameters: Any) -> dict[str, Any]:
    return await world.ask("get_runtime_management_config", FunctionName=NAME, **parameters)


async def refused(world: World, **parameters: Any) -> str:
    with pytest.raises(InvalidParameterValueException) as caught:
        await put(world, **parameters)
    return caught.value.message


@story
async def test_updates_are_automatic_until_something_else_is_chosen(world: World) -> None:
    await world.create_active()
    assert await get(world) == {"UpdateRuntimeOn": "Auto", "FunctionArn": ARN}
    chosen = await put(world, UpdateRuntimeOn="FunctionUpdate")
    assert chosen == {"UpdateRuntimeOn": "FunctionUpdate", "FunctionArn": ARN}
    await world.restart()
    assert await get(world) == chosen
    assert await get(world, Qualifier="$LATEST") == chosen | {"FunctionArn": f"{ARN}:$LATEST"}


@story
async def test_a_held_runtime_cannot_be_changed(world: World) -> None:
    await world.create_active()
    assert await put(world, **HELD) == {"FunctionArn": ARN, **HELD}
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.ask("update_function_configuration", FunctionName=NAME, Runtime="python3.13")
    assert caught.value.message == (
        "Cannot change runtime identifier when runtime management configuration is set to 'Manual'. Change the "
        "runtime management configuration to 'Auto' or 'FunctionUpdate', then retry."
    )
    await world.ask("update_function_configuration", FunctionName=NAME, Runtime="python3.12", Timeout=9)
    await world.settled()
    await put(world, UpdateRuntimeOn="Auto")
    changed = await world.ask("update_function_configuration", FunctionName=NAME, Runtime="python3.13")
    assert changed["Runtime"] == "python3.13"


@story
async def test_a_version_keeps_what_was_chosen_when_it_was_published(world: World) -> None:
    await world.create_active()
    await put(world, **HELD)
    await world.ask("publish_version", FunctionName=NAME)
    await put(world, UpdateRuntimeOn="Auto")
    assert await get(world, Qualifier="1") == {"FunctionArn": f"{ARN}:1", **HELD}
    assert (await get(world))["UpdateRuntimeOn"] == "Auto"


@story
async def test_mode_and_runtime_version_must_fit(world: World) -> None:
    await world.create_active()
    assert "is required" in await refused(world, UpdateRuntimeOn="Manual")
    assert "only be given" in await refused(world, **HELD | {"UpdateRuntimeOn": "Auto"})
    other = runtime_version_arn(REGION, "python3.9")
    assert f"{other} is not available" in await refused(world, **HELD | {"RuntimeVersionArn": other})


@story
async def test_only_versions_that_exist_have_a_mode(world: World) -> None:
    await world.create_active(Publish=True)
    await create_alias(world)
    assert await refused(world, UpdateRuntimeOn="Auto", Qualifier="live") == (
        f"The provided function name {ARN}:live is invalid. Aliases are not allowed."
    )
    for ask in (get(world, Qualifier="7"), put(world, UpdateRuntimeOn="Auto", Qualifier="7")):
        with pytest.raises(ResourceNotFoundException) as caught:
            await ask
        assert caught.value.message == f"Function not found: {ARN}:7"
