"""Promises of aliases: they name versions, split invocations between two, and keep these from being deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from lambent.domain.limits import ALIASES_MAX
from lambent.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_.errors import AliasLimitExceededException
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, OTHER_ZIP, World, story


async def two_versions(world: World, **settings: Any) -> None:
    """A function with versions 1 and 2, which differ in code (and in these settings)."""
    await world.create_active(Publish=True)
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.settled()
    if settings:
        await world.ask("update_function_configuration", FunctionName=NAME, **settings)
        await world.settled()
    await world.ask("publish_version", FunctionName=NAME)


async def create(world: World, name: str = "live", version: str = "1", **options: Any) -> dict[str, Any]:
    return await world.ask("create_alias", FunctionName=NAME, Name=name, FunctionVersion=version, **options)


async def refused(
    error: type[ServiceError], world: World, operation: str = "create_alias", **parameters: Any
) -> str:
    """Ask for something that is refused, and return the message."""
    given: Mapping[str, Any] = {"FunctionName": NAME, "Name": "live", "FunctionVersion": "1"} | parameters
    with pytest.raises(error) as caught:
        await world.ask(operation, **given)
    return caught.value.message


def split(**weights: float) -> dict[str, Any]:
    return {
        "AdditionalVersionWeights": {version.removeprefix("v"): share for version, share in weights.items()}
    }


@story
async def test_an_alias_is_shown_as_it_was_created(world: World) -> None:
    await two_versions(world)
    created = await create(world, Description="canary", RoutingConfig=split(v2=0.2))
    assert created == {
        "AliasArn": f"{ARN}:live",
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "canary",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.2}},
        "RevisionId": created["RevisionId"],
    }
    assert await world.ask("get_alias", FunctionName=NAME, Name="live") == created


@story
async def test_without_weights_there_is_no_routing_config(world: World) -> None:
    await two_versions(world)
    created = await create(world, RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in created
    assert created["Description"] == ""


@story
async def test_an_update_changes_what_is_given_and_the_revision_id(world: World) -> None:
    await two_versions(world)
    created = await create(world, Description="canary", RoutingConfig=split(v2=0.2))
    updated = await world.ask("update_alias", FunctionName=NAME, Name="live", Description="new")
    assert updated == created | {"Description": "new", "RevisionId": updated["RevisionId"]}
    assert updated["RevisionId"] != created["RevisionId"]
    moved = await world.ask(
        "update_alias", FunctionName=NAME, Name="live", FunctionVersion="2", RoutingConfig={}
    )
    assert moved["FunctionVersion"] == "2"
    assert "RoutingConfig" not in moved


@story
async def test_a_name_is_given_once(world: World) -> None:
    await two_versions(world)
    await create(world)
    assert await refused(ResourceConflictException, world) == f"Alias already exists: {ARN}:live"


@story
async def test_an_alias_needs_a_version_that_exists(world: World) -> None:
    await two_versions(world)
    message = f"Function not found: {ARN}:7"
    assert await refused(ResourceNotFoundException, world, FunctionVersion="7") == message
    weights = split(v7=0.5)
    assert await refused(ResourceNotFoundException, world, RoutingConfig=weights) == message
    assert (await world.ask("list_aliases", FunctionName=NAME))["Aliases"] == []


@story
async def test_routing_that_cannot_be_is_refused(world: World) -> None:
    await two_versions(world)
    error = InvalidParameterValueException
    assert await refused(error, world, RoutingConfig=split(v1=0.1, v2=0.1)) == (
        "Number of items in AdditionalVersionWeights cannot be greater than 1"
    )
    assert await refused(error, world, FunctionVersion="$LATEST", RoutingConfig=split(v1=0.1)) == (
        "$LATEST is not supported for an alias pointing to more than 1 version"
    )
    assert await refused(error, world, RoutingConfig=split(v1=0.1)) == (
        "Invalid function version 1. Function version 1 is already included in routing configuration."
    )


@story
async def test_an_alias_cannot_be_moved_onto_its_own_additional_version(world: World) -> None:
    await two_versions(world)
    await create(world, RoutingConfig=split(v2=0.5))
    assert await refused(InvalidParameterValueException, world, "update_alias", FunctionVersion="2") == (
        "Invalid function version 2. Function version 2 is already included in routing configuration."
    )


@story
async def test_versions_with_different_roles_cannot_share_invocations(world: World) -> None:
    await two_versions(world, Role=f"arn:aws:iam::{ACCOUNT}:role/other")
    assert await refused(InvalidParameterValueException, world, RoutingConfig=split(v2=0.5)) == (
        "Specified versions must be associated with the same execution role"
    )


@story
async def test_versions_with_different_dead_letter_queues_cannot_share_invocations(world: World) -> None:
    queue = {"TargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"}
    await two_versions(world, DeadLetterConfig=queue)
    assert "dead-letter queue" in await refused(
        InvalidParameterValueException, world, RoutingConfig=split(v2=0.5)
    )


@story
async def test_an_update_is_guarded_by_the_revision_id(world: World) -> None:
    await two_versions(world)
    created = await create(world)
    await world.ask("update_alias", FunctionName=NAME, Name="live", RevisionId=created["RevisionId"])
    old = {"RevisionId": created["RevisionId"]}
    assert await refused(PreconditionFailedException, world, "update_alias", **old) == (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
        "retrieve the latest Revision Id"
    )


@story
async def test_of_many_updates_of_one_revision_one_wins(world: World) -> None:
    await two_versions(world)
    created = await create(world)
    answers = await asyncio.gather(
        *(
            world.ask(
                "update_alias",
                FunctionName=NAME,
                Name="live",
                Description=str(n),
                RevisionId=created["RevisionId"],
            )
            for n in range(10)
        ),
        return_exceptions=True,
    )
    won = [answer for answer in answers if isinstance(answer, dict)]
    assert len(won) == 1
    assert all(isinstance(answer, PreconditionFailedException) for answer in answers if answer not in won)
    assert await world.ask("get_alias", FunctionName=NAME, Name="live") == won[0]


@story
async def test_an_alias_that_does_not_exist_is_told_apart(world: World) -> None:
    await two_versions(world)
    assert (
        await refused(ResourceNotFoundException, world, "get_alias") == f"Cannot find alias arn: {ARN}:live"
    )
    assert await refused(ResourceNotFoundException, world, "update_alias") == f"Alias not found: {ARN}:live"
    assert await world.ask("delete_alias", FunctionName=NAME, Name="live") == {}


@pytest.mark.parametrize(
    ("operation", "arn"),
    [
        ("create_alias", f"{ARN}:1"),
        ("get_alias", ARN),
        ("update_alias", ARN),
        ("delete_alias", ARN),
        ("list_aliases", ARN),
    ],
)
@story
async def test_what_does_not_exist_has_no_aliases(world: World, operation: str, arn: str) -> None:
    assert await refused(ResourceNotFoundException, world, operation) == f"Function not found: {arn}"


@story
async def test_the_list_can_be_narrowed_to_a_version(world: World) -> None:
    await two_versions(world)
    await create(world, "split", RoutingConfig=split(v2=0.5))
    await create(world, "old")
    await create(world, "newest", "$LATEST")
    names = {
        version: [
            alias["Name"]
            for alias in (await world.ask("list_aliases", FunctionName=NAME, FunctionVersion=version))[
                "Aliases"
            ]
        ]
        for version in ("1", "2", "$LATEST")
    }
    assert names == {"1": ["old", "split"], "2": ["split"], "$LATEST": ["newest"]}


@story
async def test_aliases_come_in_pages_in_the_order_of_names(world: World) -> None:
    await two_versions(world)
    for name in ("c", "a", "e", "b", "d"):
        await create(world, name)
    names: list[str] = []
    marker: dict[str, str] = {}
    page: dict[str, Any] = {}
    for _ in range(3):
        page = await world.ask("list_aliases", FunctionName=NAME, MaxItems=2, **marker)
        names += [alias["Name"] for alias in page["Aliases"]]
        marker = {"Marker": page.get("NextMarker", "")}
    assert names == ["a", "b", "c", "d", "e"]
    assert "NextMarker" not in page


@story
async def test_a_version_that_an_alias_runs_cannot_be_deleted(world: World) -> None:
    await two_versions(world)
    await create(world, RoutingConfig=split(v2=0.5))
    await create(world, "canary", "2")
    with pytest.raises(ResourceConflictException) as caught:
        await world.ask("delete_function", FunctionName=NAME, Qualifier="2")
    assert caught.value.message == (
        "Unable to delete version because the following aliases reference it: [canary, live]"
    )
    for name in ("live", "canary"):
        await world.ask("delete_alias", FunctionName=NAME, Name=name)
    await world.ask("delete_function", FunctionName=NAME, Qualifier="2")
    stored = await world.stored()
    assert stored is not None
    assert set(stored.versions) == {"1"}


@story
async def test_an_alias_is_not_deleted_as_if_it_were_a_version(world: World) -> None:
    await two_versions(world)
    await create(world)
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.ask("delete_function", FunctionName=NAME, Qualifier="live")
    assert caught.value.message == "Deletion of aliases is not currently supported."


@story
async def test_a_function_is_shown_under_the_alias_that_it_was_asked_for_by(world: World) -> None:
    await two_versions(world)
    await create(world, RoutingConfig=split(v2=0.9))
    for name in (f"{NAME}:live", f"{ACCOUNT}:function:{NAME}:live", f"{ARN}:live"):
        shown = (await world.ask("get_function", FunctionName=name))["Configuration"]
        assert (shown["FunctionArn"], shown["Version"]) == (f"{ARN}:live", "1")
    shown = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier="live")
    assert (shown["FunctionArn"], shown["Version"]) == (f"{ARN}:live", "1")


@story
async def test_each_invocation_of_an_alias_with_weights_runs_one_of_its_versions(world: World) -> None:
    await two_versions(world)
    await create(world, RoutingConfig=split(v2=0.25))
    executed: list[str] = []
    for world.drawn in (0.0, 0.24, 0.25, 0.9):
        answer = await world.ask("invoke", FunctionName=NAME, Qualifier="live")
        invocation = world.echo.invocations[-1]
        assert answer["ExecutedVersion"] == invocation.version.version
        assert invocation.invoked_arn == f"{ARN}:live"
        executed.append(answer["ExecutedVersion"])
    assert executed == ["2", "2", "1", "1"]


@story
async def test_an_alias_of_latest_runs_what_serves_while_an_update_is_in_progress(world: World) -> None:
    created = await world.create_active()
    await create(world, version="$LATEST")
    world.gate.clear()
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.ask("invoke", FunctionName=NAME, Qualifier="live")
    assert world.echo.invocations[-1].version.code.sha256 == created["CodeSha256"]
    world.gate.set()


@story
async def test_an_alias_that_does_not_exist_cannot_be_invoked(world: World) -> None:
    await two_versions(world)
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask("invoke", FunctionName=NAME, Qualifier="live")
    assert caught.value.message == f"Function not found: {ARN}:live"


@story
async def test_aliases_go_with_their_function(world: World) -> None:
    await two_versions(world)
    await create(world)
    await world.ask("delete_function", FunctionName=NAME)
    await world.create_active(Publish=True)
    assert (await world.ask("list_aliases", FunctionName=NAME))["Aliases"] == []


@story
async def test_aliases_outlive_the_server(world: World) -> None:
    await two_versions(world)
    created = await create(world, RoutingConfig=split(v2=0.5))
    await world.restart()
    assert await world.ask("get_alias", FunctionName=NAME, Name="live") == created


@story
async def test_an_ordinary_function_has_no_latest_published_to_point_to(world: World) -> None:
    await two_versions(world)
    await refused(ResourceNotFoundException, world, FunctionVersion="$LATEST.PUBLISHED")


@story
async def test_a_function_has_so_many_aliases_and_no_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ALIASES_MAX == 10_000
    monkeypatch.setattr("lambent.services.lambda_.aliases.ALIASES_MAX", 2)
    await two_versions(world)
    await create(world, "a")
    await create(world, "b")
    await refused(AliasLimitExceededException, world, Name="c")
