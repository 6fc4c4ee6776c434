"""Code: replaced in one piece, kept while it is needed, and no longer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.domain.limits import CODE_STORAGE_MAX_BYTES
from lambent.errors import (
    CodeStorageExceededException,
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from unit.services.lambda_.world import ARN, NAME, OTHER_ZIP, ZIP, World, story, zip_of


@story
async def test_new_code_is_in_progress_then_successful(world: World) -> None:
    await world.create_active()
    before = await world.ask("get_function_configuration", FunctionName=NAME)
    changed = await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    assert changed["FunctionArn"] == ARN
    assert changed["CodeSize"] == len(OTHER_ZIP)
    assert changed["CodeSha256"] != before["CodeSha256"]
    assert (changed["State"], changed["LastUpdateStatus"]) == ("Active", "InProgress")
    assert changed["LastUpdateStatusReason"] == "The function is being created."
    assert changed["LastUpdateStatusReasonCode"] == "Creating"
    await world.settled()
    after = await world.ask("get_function_configuration", FunctionName=NAME)
    assert after["LastUpdateStatus"] == "Successful"
    assert after["CodeSha256"] == changed["CodeSha256"]
    assert len({before["RevisionId"], changed["RevisionId"], after["RevisionId"]}) == 3
    assert [key.name for key in world.retired] == [NAME, NAME]


@story
async def test_the_architecture_can_change_with_the_code(world: World) -> None:
    await world.create_active()
    changed = await world.ask(
        "update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP, Architectures=["arm64"]
    )
    assert changed["Architectures"] == ["arm64"]
    await world.settled()
    assert (await world.ask("update_function_code", FunctionName=NAME, ZipFile=ZIP))["Architectures"] == [
        "arm64"
    ]


@story
async def test_a_dry_run_checks_and_changes_nothing(world: World) -> None:
    await world.create_active()
    before = await world.stored()
    would_be = await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP, DryRun=True)
    assert would_be["CodeSize"] == len(OTHER_ZIP)
    assert await world.stored() == before
    assert not world.has_blob(OTHER_ZIP)
    with pytest.raises(InvalidParameterValueException):
        await world.ask("update_function_code", FunctionName=NAME, ZipFile=b"no zip", DryRun=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "Please provide a source for function code."),
        (
            {"ZipFile": b"no zip"},
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        (
            {"ImageUri": "repo:latest"},
            "Please don't provide ImageUri when updating a function with packageType Zip.",
        ),
    ],
)
@story
async def test_a_refused_update_loses_nothing(world: World, parameters: dict[str, Any], message: str) -> None:
    await world.create_active()
    before = await world.stored()
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.ask("update_function_code", FunctionName=NAME, **parameters)
    assert caught.value.message == message
    assert await world.stored() == before
    assert world.has_blob(ZIP)


@story
async def test_latest_published_is_for_managed_instances_only(world: World) -> None:
    await world.create_active()
    with pytest.raises(InvalidParameterValueException, match="isn't supported for Lambda Default functions"):
        await world.ask(
            "update_function_code",
            FunctionName=NAME,
            ZipFile=OTHER_ZIP,
            Publish=True,
            PublishTo="LATEST_PUBLISHED",
        )


@story
async def test_code_of_what_does_not_exist_cannot_be_updated(world: World) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask("update_function_code", FunctionName=NAME, ZipFile=ZIP)
    assert caught.value.message == f"Function not found: {ARN}"
    assert not world.has_blob(ZIP)


@story
async def test_an_old_revision_does_not_replace_code(world: World) -> None:
    created = await world.create_active()
    with pytest.raises(PreconditionFailedException):
        await world.ask(
            "update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP, RevisionId=created["RevisionId"]
        )
    assert not world.has_blob(OTHER_ZIP)


@story
async def test_of_many_updates_at_once_one_wins_and_the_rest_are_told(world: World) -> None:
    await world.create_active()
    revision = (await world.ask("get_function_configuration", FunctionName=NAME))["RevisionId"]
    zips = [zip_of({"app.py": str(n)}) for n in range(12)]
    world.gate.clear()
    results = await asyncio.gather(
        *(
            world.ask("update_function_code", FunctionName=NAME, ZipFile=content, RevisionId=revision)
            for content in zips
        ),
        return_exceptions=True,
    )
    won = [result for result in results if isinstance(result, dict)]
    assert len(won) == 1
    told = [result for result in results if not isinstance(result, dict)]
    assert all(isinstance(error, ResourceConflictException | PreconditionFailedException) for error in told)
    assert (
        f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}"
        in {str(error) for error in told}
    )
    world.gate.set()
    await world.settled()
    stored = await world.stored()
    assert stored is not None
    assert stored.latest.code.sha256 == won[0]["CodeSha256"]
    await world.pass_time(901)
    assert [world.has_blob(content) for content in zips].count(True) == 1


@story
async def test_the_code_before_is_served_until_the_new_one_is_ready(world: World) -> None:
    await world.create_active()
    old = await world.stored()
    assert old is not None
    world.gate.clear()
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.ask("invoke", FunctionName=NAME)
    assert world.echo.invocations[-1].version == old.latest
    world.gate.set()
    await world.settled()
    await world.ask("invoke", FunctionName=NAME)
    assert world.echo.invocations[-1].version.code != old.latest.code
    assert world.echo.invocations[-1].version.configuration_id != old.latest.configuration_id


@story
async def test_replaced_code_is_kept_as_long_as_an_invocation_may_need_it(world: World) -> None:
    await world.create_active()
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    assert world.has_blob(ZIP)
    await world.settled()
    await world.pass_time(899)
    assert world.has_blob(ZIP)
    await world.pass_time(2)
    assert not world.has_blob(ZIP)
    assert world.has_blob(OTHER_ZIP)


@story
async def test_code_that_several_functions_share_stays_until_the_last_lets_go(world: World) -> None:
    for name in ("a", "b"):
        await world.create_active(name)
    await world.ask("delete_function", FunctionName="a")
    await world.pass_time(901)
    assert world.has_blob(ZIP)
    await world.ask("delete_function", FunctionName="b")
    await world.create_active("c")
    await world.pass_time(901)
    assert world.has_blob(ZIP)
    await world.ask("delete_function", FunctionName="c")
    await world.pass_time(901)
    assert not world.has_blob(ZIP)


@story
async def test_a_published_version_keeps_its_code(world: World) -> None:
    await world.create_active(Publish=True)
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.settled()
    await world.pass_time(901)
    assert world.has_blob(ZIP)
    await world.ask("delete_function", FunctionName=NAME, Qualifier="1")
    await world.pass_time(901)
    assert not world.has_blob(ZIP)


@story
async def test_a_server_that_ends_leaves_no_code_that_nothing_needs(world: World) -> None:
    await world.create_active()
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.settled()
    await world.restart()
    assert not world.has_blob(ZIP)
    assert world.has_blob(OTHER_ZIP)


@story
async def test_code_storage_has_a_limit(world: World) -> None:
    world.service.code_storage.check_room("a", "r", CODE_STORAGE_MAX_BYTES)
    await world.create_active()
    with pytest.raises(CodeStorageExceededException) as caught:
        world.service.code_storage.check_room("111111111111", "us-east-1", CODE_STORAGE_MAX_BYTES)
    assert caught.value.message == "Code storage limit exceeded."
