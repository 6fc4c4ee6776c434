"""States: what can happen while a version is made ready, and what becomes of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from lambent.domain.function import ActivationError
from lambent.errors import ResourceConflictException
from unit.services.lambda_.world import ARN, NAME, OTHER_ZIP, World, story

PENDING = (
    f"The operation cannot be performed at this time. The resource {ARN} is currently in the following state: "
    "'Pending'. StateReasonCode: 'Creating'"
)
IN_PROGRESS = f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}"
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("update_function_code", {"ZipFile": OTHER_ZIP}),
    ("update_function_configuration", {"Timeout": 5}),
    ("publish_version", {}),
]


@pytest.mark.parametrize(("operation", "parameters"), CHANGES)
@story
async def test_while_pending_nothing_is_changed(
    world: World, operation: str, parameters: dict[str, Any]
) -> None:
    world.gate.clear()
    await world.create()
    with pytest.raises(ResourceConflictException) as caught:
        await world.ask(operation, FunctionName=NAME, **parameters)
    assert caught.value.message == PENDING
    world.gate.set()
    await world.settled()
    await world.ask(operation, FunctionName=NAME, **parameters)


@pytest.mark.parametrize(("operation", "parameters"), CHANGES)
@story
async def test_while_an_update_is_in_progress_no_other_begins(
    world: World, operation: str, parameters: dict[str, Any]
) -> None:
    await world.create_active()
    world.gate.clear()
    await world.ask("update_function_configuration", FunctionName=NAME, MemorySize=256)
    with pytest.raises(ResourceConflictException) as caught:
        await world.ask(operation, FunctionName=NAME, **parameters)
    assert caught.value.message == IN_PROGRESS
    world.gate.set()


@story
async def test_while_pending_nothing_is_invoked(world: World) -> None:
    world.gate.clear()
    await world.create()
    with pytest.raises(ResourceConflictException) as caught:
        await world.ask("invoke", FunctionName=NAME)
    assert caught.value.message == (
        "The operation cannot be performed at this time. The function is currently in the following state: "
        "Pending"
    )
    assert world.echo.invocations == []
    world.gate.set()


@story
async def test_a_creation_that_fails_says_why_and_can_be_mended(world: World) -> None:
    world.prepare_error = ActivationError("There is no python3.12 on this machine.", "InvalidRuntime")
    await world.create_active()
    failed = await world.ask("get_function_configuration", FunctionName=NAME)
    assert failed["State"] == "Failed"
    assert failed["StateReason"] == "There is no python3.12 on this machine."
    assert failed["StateReasonCode"] == "InvalidRuntime"
    with pytest.raises(ResourceConflictException, match="following state: Failed"):
        await world.ask("invoke", FunctionName=NAME)
    world.prepare_error = None
    await world.ask("update_function_configuration", FunctionName=NAME, Runtime="python3.13")
    await world.settled()
    mended = await world.ask("get_function_configuration", FunctionName=NAME)
    assert (mended["State"], mended["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in mended
    await world.ask("invoke", FunctionName=NAME)


@story
async def test_an_update_that_fails_leaves_the_version_before_serving(world: World) -> None:
    await world.create_active()
    before = await world.stored()
    assert before is not None
    world.prepare_error = ActivationError("There is no ruby3.4 on this machine.", "InvalidRuntime")
    await world.ask("update_function_configuration", FunctionName=NAME, Runtime="ruby3.4")
    await world.settled()
    failed = await world.ask("get_function_configuration", FunctionName=NAME)
    assert (failed["State"], failed["LastUpdateStatus"]) == ("Active", "Failed")
    assert failed["LastUpdateStatusReason"] == "There is no ruby3.4 on this machine."
    assert failed["LastUpdateStatusReasonCode"] == "InvalidRuntime"
    await world.ask("invoke", FunctionName=NAME)
    assert world.echo.invocations[-1].version == before.latest
    world.prepare_error = None
    await world.ask("update_function_configuration", FunctionName=NAME, Runtime="python3.12")
    await world.settled()
    await world.ask("invoke", FunctionName=NAME)
    after = await world.stored()
    assert after is not None
    assert after.serving is None
    assert world.echo.invocations[-1].version == after.latest


@story
async def test_a_bug_while_preparing_fails_the_function_and_is_logged(world: World) -> None:
    logging.disable()
    try:
        world.prepare_error = RuntimeError("secret detail")
        await world.create_active()
    finally:
        logging.disable(logging.NOTSET)
    failed = await world.ask("get_function_configuration", FunctionName=NAME)
    assert (failed["State"], failed["StateReasonCode"]) == ("Failed", "InternalError")
    assert "secret" not in failed["StateReason"]


@story
async def test_a_pending_function_is_completed_after_a_restart(world: World) -> None:
    world.gate.clear()
    await world.create("new", Publish=True)
    await world.restart()
    stored = await world.stored("new")
    assert stored is not None
    assert (stored.latest.state, stored.versions["1"].state) == ("Pending", "Pending")
    world.gate.set()
    await world.settled()
    stored = await world.stored("new")
    assert stored is not None
    assert (stored.latest.state, stored.versions["1"].state) == ("Active", "Active")


@story
async def test_an_update_in_progress_is_completed_after_a_restart(world: World) -> None:
    await world.create_active()
    world.gate.clear()
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.restart()
    world.gate.set()
    await world.settled()
    after = await world.ask("get_function_configuration", FunctionName=NAME)
    assert after["LastUpdateStatus"] == "Successful"
    assert after["CodeSize"] == len(OTHER_ZIP)


@story
async def test_tags_set_during_an_activation_are_not_lost(world: World) -> None:
    world.gate.clear()
    await world.create()
    await world.ask("tag_resource", Resource=ARN, Tags={"a": "b"})
    world.gate.set()
    await world.settled()
    found = await world.ask("get_function", FunctionName=NAME)
    assert found["Tags"] == {"a": "b"}
    assert found["Configuration"]["State"] == "Active"
