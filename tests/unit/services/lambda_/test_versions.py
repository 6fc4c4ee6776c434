"""Published versions: numbered once, never changed, the same again when nothing has changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceNotFoundException,
)
from unit.services.lambda_.world import ARN, NAME, OTHER_ZIP, World, story


async def publish(world: World, **parameters: Any) -> dict[str, Any]:
    return await world.ask("publish_version", FunctionName=NAME, **parameters)


async def reconfigure(world: World, **parameters: Any) -> None:
    await world.ask("update_function_configuration", FunctionName=NAME, **parameters)
    await world.settled()


@story
async def test_the_life_of_versions_is_as_recorded(world: World) -> None:
    await world.create_active(Description="No version :(")
    await reconfigure(world, Description="First version :)")
    before = await world.ask("get_function_configuration", FunctionName=NAME)
    first = await publish(world, Description="First version description :)")
    assert first["FunctionArn"] == f"{ARN}:1"
    assert (first["Version"], first["State"], first["LastUpdateStatus"]) == ("1", "Active", "Successful")
    assert first["Description"] == "First version description :)"
    latest = await world.ask("get_function_configuration", FunctionName=NAME)
    assert latest["Description"] == "First version :)"
    assert len({before["RevisionId"], first["RevisionId"], latest["RevisionId"]}) == 3

    await reconfigure(world, Description="Second version :))")
    second = await publish(world)
    assert (second["Version"], second["Description"]) == ("2", "Second version :))")
    third = await publish(world)
    assert third == second
    assert await world.ask("get_function_configuration", FunctionName=NAME, Qualifier="1") == first

    versions = (await world.ask("list_versions_by_function", FunctionName=NAME))["Versions"]
    assert [v["FunctionArn"] for v in versions] == [f"{ARN}:$LATEST", f"{ARN}:1", f"{ARN}:2"]
    assert "State" not in versions[0]
    assert await world.ask("delete_function", FunctionName=NAME, Qualifier="1") == {"StatusCode": 204}
    versions = (await world.ask("list_versions_by_function", FunctionName=f"{NAME}:1"))["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "2"]
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask("get_function", FunctionName=NAME, Qualifier="1")
    assert caught.value.message == f"Function not found: {ARN}:1"


@story
async def test_a_number_is_never_used_twice(world: World) -> None:
    await world.create_active()
    await publish(world)
    await world.ask("delete_function", FunctionName=NAME, Qualifier="1")
    assert (await publish(world))["Version"] == "2"


@story
async def test_creating_with_publish_answers_with_version_one(world: World) -> None:
    created = await world.create(Publish=True)
    assert (created["Version"], created["FunctionArn"], created["State"]) == ("1", ARN, "Pending")
    await world.settled()
    for qualifier in ("$LATEST", "1"):
        shown = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier=qualifier)
        assert (shown["Version"], shown["State"], shown["LastUpdateStatus"]) == (
            qualifier,
            "Active",
            "Successful",
        )


@story
async def test_updating_code_with_publish_answers_with_the_new_version(world: World) -> None:
    created = await world.create_active()
    world.gate.clear()
    updated = await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP, Publish=True)
    assert (updated["Version"], updated["FunctionArn"], updated["State"]) == ("1", f"{ARN}:1", "Pending")
    assert "LastUpdateStatus" not in updated
    assert updated["CodeSha256"] != created["CodeSha256"]
    latest = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier="$LATEST")
    assert (latest["State"], latest["LastUpdateStatus"]) == ("Active", "InProgress")
    world.gate.set()
    await world.settled()
    assert (await publish(world))["Version"] == "1"


@story
async def test_publishing_is_guarded_by_revision_and_hash(world: World) -> None:
    created = await world.create_active()
    with pytest.raises(PreconditionFailedException) as caught:
        await publish(world, RevisionId=created["RevisionId"])
    assert caught.value.message == (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
        "retrieve the latest Revision Id"
    )
    with pytest.raises(InvalidParameterValueException) as refused:
        await publish(world, CodeSha256="wrong")
    assert refused.value.message == (
        f"CodeSHA256 (wrong) is different from current CodeSHA256 in $LATEST ({created['CodeSha256']}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    await publish(world, CodeSha256=created["CodeSha256"])


@story
async def test_many_that_publish_at_once_get_the_same_version(world: World) -> None:
    await world.create_active()
    published = await asyncio.gather(*(publish(world) for _ in range(20)))
    assert {version["Version"] for version in published} == {"1"}


@story
async def test_a_version_is_invoked_with_its_own_code(world: World) -> None:
    await world.create_active(Publish=True)
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.settled()
    answer = await world.ask("invoke", FunctionName=NAME, Qualifier="1")
    assert answer["ExecutedVersion"] == "1"
    invocation = world.echo.invocations[-1]
    assert invocation.invoked_arn == f"{ARN}:1"
    assert invocation.version.version == "1"
    stored = await world.stored()
    assert stored is not None
    assert invocation.version.code != stored.latest.code
    assert invocation.version.configuration_id != stored.latest.configuration_id


@story
async def test_versions_come_in_pages(world: World) -> None:
    await world.create_active()
    for n in range(11):
        await reconfigure(world, Description=str(n))
        await publish(world)
    numbers: list[str] = []
    marker: dict[str, str] = {}
    page: dict[str, Any] = {}
    for _ in range(3):
        page = await world.ask("list_versions_by_function", FunctionName=NAME, MaxItems=5, **marker)
        numbers += [version["Version"] for version in page["Versions"]]
        marker = {"Marker": page.get("NextMarker", "")}
    assert numbers == ["$LATEST", *(str(n) for n in range(1, 12))]
    assert "NextMarker" not in page


@pytest.mark.parametrize("operation", ["publish_version", "list_versions_by_function"])
@story
async def test_what_does_not_exist_has_no_versions(world: World, operation: str) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask(operation, FunctionName=NAME)
    assert caught.value.message == f"Function not found: {ARN}"
