"""Layers, and functions that have some, over a store in memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lambent.domain.function import AttachedLayer, Code
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_.code_storage import GRACE_S
from lambent.services.lambda_.rules import check_unzipped_size
from unit.services.lambda_.world import ACCOUNT, NAME, REGION, ZIP, World, a_call, story, zip_of

LAYER = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:tools"
FIRST, SECOND = zip_of({"python/one.py": "x = 1"}), zip_of({"python/two.py": "x = 2"})
OTHER = "222222222222"


async def publish(world: World, content: bytes = FIRST, name: str = "tools", **parameters: Any) -> Any:
    return await world.ask(
        "publish_layer_version", LayerName=name, Content={"ZipFile": content}, **parameters
    )


async def refused(error: type[ServiceError], coroutine: Any) -> str:
    with pytest.raises(error) as caught:
        await coroutine
    return caught.value.message


@story
async def test_a_published_version_is_told_with_all_that_was_said_of_it(world: World) -> None:
    published = await publish(
        world,
        Description="d",
        LicenseInfo="MIT",
        CompatibleRuntimes=["python3.12"],
        CompatibleArchitectures=["x86_64"],
    )
    location = published["Content"].pop("Location")
    assert location.startswith("http://127.0.0.1:4566/_lambent/code/")
    assert published == {
        "Content": {"CodeSha256": published["Content"]["CodeSha256"], "CodeSize": len(FIRST)},
        "LayerArn": LAYER,
        "LayerVersionArn": f"{LAYER}:1",
        "Version": 1,
        "Description": "d",
        "CreatedDate": "2026-01-02T03:04:05.678+0000",
        "CompatibleArchitectures": ["x86_64"],
        "CompatibleRuntimes": ["python3.12"],
        "LicenseInfo": "MIT",
    }
    for found in (
        await world.ask("get_layer_version", LayerName="tools", VersionNumber=1),
        await world.ask("get_layer_version", LayerName=LAYER, VersionNumber=1),
        await world.ask("get_layer_version_by_arn", Arn=f"{LAYER}:1"),
    ):
        del found["Content"]["Location"]
        assert found == published


@story
async def test_numbers_are_not_used_twice_even_when_all_versions_are_gone(world: World) -> None:
    for number in (1, 2):
        assert (await publish(world))["Version"] == number
        await world.ask("delete_layer_version", LayerName="tools", VersionNumber=number)
    assert (await world.ask("list_layers"))["Layers"] == []
    assert (await publish(world))["Version"] == 3


@story
async def test_concurrent_publishers_get_a_number_each(world: World) -> None:
    published = await asyncio.gather(*(publish(world) for _ in range(8)))
    assert sorted(one["Version"] for one in published) == list(range(1, 9))


@story
async def test_lists_show_the_newest_versions_that_are_compatible(world: World) -> None:
    await publish(world, CompatibleRuntimes=["python3.12"], CompatibleArchitectures=["x86_64"])
    await publish(world, CompatibleRuntimes=["nodejs22.x"])
    await publish(world, name="another")
    layers = (await world.ask("list_layers"))["Layers"]
    assert [(one["LayerName"], one["LatestMatchingVersion"]["Version"]) for one in layers] == [
        ("another", 1),
        ("tools", 2),
    ]
    (only,) = (await world.ask("list_layers", CompatibleRuntime="python3.12"))["Layers"]
    assert only["LatestMatchingVersion"]["LayerVersionArn"] == f"{LAYER}:1"
    versions = (await world.ask("list_layer_versions", LayerName="tools"))["LayerVersions"]
    assert [one["Version"] for one in versions] == [2, 1]
    versions = await world.ask(
        "list_layer_versions",
        LayerName="tools",
        CompatibleArchitecture="x86_64",
        CompatibleRuntime="python3.12",
    )
    assert [one["Version"] for one in versions["LayerVersions"]] == [1]
    assert (await world.ask("list_layer_versions", LayerName="nothing"))["LayerVersions"] == []


@story
async def test_lists_come_in_pages(world: World) -> None:
    for _ in range(3):
        await publish(world)
    seen: list[int] = []
    marker: dict[str, str] = {}
    while True:
        page = await world.ask("list_layer_versions", LayerName="tools", MaxItems=2, **marker)
        seen += [one["Version"] for one in page["LayerVersions"]]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert seen == [3, 2, 1]
    for name in ("a", "b"):
        await publish(world, name=name)
    page = await world.ask("list_layers", MaxItems=2)
    rest = await world.ask("list_layers", MaxItems=2, Marker=page["NextMarker"])
    assert [one["LayerName"] for one in (*page["Layers"], *rest["Layers"])] == ["a", "b", "tools"]


@story
async def test_what_is_not_there_is_refused_in_awss_words(world: World) -> None:
    missing = "The resource you requested does not exist."
    asked = world.ask("get_layer_version", LayerName="tools", VersionNumber=1)
    assert await refused(ResourceNotFoundException, asked) == missing
    asked = world.ask("get_layer_version_by_arn", Arn=f"{LAYER}:9")
    assert await refused(ResourceNotFoundException, asked) == missing
    for operation in ("get_layer_version", "delete_layer_version"):
        asked = world.ask(operation, LayerName="tools", VersionNumber=0)
        assert await refused(InvalidParameterValueException, asked) == "Layer Version Cannot be less than 1"
    assert await world.ask("delete_layer_version", LayerName="tools", VersionNumber=7) == {}


@story
async def test_a_layer_must_be_a_zip(world: World) -> None:
    text = await refused(InvalidParameterValueException, publish(world, b"no zip"))
    assert text == "Could not unzip uploaded file. Please check your file, then try to upload again."
    assert (await world.ask("list_layers"))["Layers"] == []


@story
async def test_a_function_shows_its_layers_and_invocations_carry_them(world: World) -> None:
    await publish(world)
    await publish(world, SECOND, name="more")
    arns = [f"{LAYER}:1", LAYER.replace("tools", "more:1")]
    created = await world.create_active(Layers=arns)
    assert created["Layers"] == [
        {"Arn": arns[0], "CodeSize": len(FIRST)},
        {"Arn": arns[1], "CodeSize": len(SECOND)},
    ]
    updated = await world.ask("update_function_configuration", FunctionName=NAME, Layers=arns[1:])
    assert [layer["Arn"] for layer in updated["Layers"]] == arns[1:]
    await world.settled()
    updated = await world.ask("update_function_configuration", FunctionName=NAME, Description="stays")
    assert [layer["Arn"] for layer in updated["Layers"]] == arns[1:]
    await world.settled()
    assert "Layers" not in await world.ask("update_function_configuration", FunctionName=NAME, Layers=[])


@story
async def test_a_version_keeps_the_layers_it_was_published_with(world: World) -> None:
    await publish(world)
    await world.create_active(Layers=[f"{LAYER}:1"])
    await world.ask("publish_version", FunctionName=NAME)
    await world.ask("update_function_configuration", FunctionName=NAME, Layers=[])
    await world.settled()
    assert (await world.ask("publish_version", FunctionName=NAME))["Version"] == "2"
    shown = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier="1")
    assert [layer["Arn"] for layer in shown["Layers"]] == [f"{LAYER}:1"]


@story
async def test_layers_that_do_not_exist_are_refused_and_nothing_changes(world: World) -> None:
    await publish(world)
    for arn in (f"{LAYER}:9", f"{LAYER}x:1"):
        text = await refused(InvalidParameterValueException, world.create(Layers=[arn]))
        assert text == f"Layer version {arn} does not exist."
    assert await world.stored() is None
    await world.create_active()
    asked = world.ask("update_function_configuration", FunctionName=NAME, Layers=[f"{LAYER}:9"])
    await refused(InvalidParameterValueException, asked)
    assert "Layers" not in await world.ask("get_function_configuration", FunctionName=NAME)


@story
async def test_a_deleted_layer_version_stays_with_functions_that_have_it(world: World) -> None:
    await publish(world)
    await world.create_active(Layers=[f"{LAYER}:1"])
    await world.ask("delete_layer_version", LayerName="tools", VersionNumber=1)
    await world.pass_time(GRACE_S + 1)
    assert world.has_blob(FIRST)
    await world.restart()
    assert world.has_blob(FIRST)
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    assert [layer["Arn"] for layer in shown["Layers"]] == [f"{LAYER}:1"]
    await world.ask("delete_function", FunctionName=NAME)
    await world.pass_time(GRACE_S + 1)
    assert not world.has_blob(FIRST)


@story
async def test_an_archive_stays_while_one_layer_or_function_needs_it(world: World) -> None:
    await publish(world, ZIP)
    await world.create_active()
    await world.ask("delete_function", FunctionName=NAME)
    await world.pass_time(GRACE_S + 1)
    assert world.has_blob(ZIP)
    await world.restart()
    await world.ask("delete_layer_version", LayerName="tools", VersionNumber=1)
    await world.pass_time(GRACE_S + 1)
    assert not world.has_blob(ZIP)


@story
async def test_layers_count_as_code_storage(world: World) -> None:
    await publish(world)
    usage = (await world.ask("get_account_settings"))["AccountUsage"]
    assert usage["TotalCodeSize"] == len(FIRST)
    await world.ask("delete_layer_version", LayerName="tools", VersionNumber=1)
    assert (await world.ask("get_account_settings"))["AccountUsage"]["TotalCodeSize"] == 0


def test_code_and_layers_share_250_mb() -> None:
    def code(unzipped_bytes: int) -> Code:
        return Code(blob="", sha256="", size_bytes=1, unzipped_bytes=unzipped_bytes)

    def layers(*sizes: int) -> list[AttachedLayer]:
        return [AttachedLayer(arn="", code=code(size)) for size in sizes]

    check_unzipped_size(code(262_144_000 - 2), layers(1, 1))
    with pytest.raises(InvalidParameterValueException) as caught:
        check_unzipped_size(code(262_144_000), layers(1))
    assert caught.value.message == (
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. "
        "The actual size is 262144001 bytes."
    )
    with pytest.raises(InvalidParameterValueException) as caught:
        check_unzipped_size(code(1), layers(262_144_000, 1))
    assert caught.value.message == "Layers consume more than the available size of 262144000 bytes"


@story
async def test_another_account_gets_a_layer_only_when_its_policy_says_so(world: World) -> None:
    foreign = LAYER.replace(ACCOUNT, OTHER) + ":1"
    stranger = a_call(account=OTHER)
    await world.ask("publish_layer_version", stranger, LayerName="tools", Content={"ZipFile": FIRST})
    text = await refused(AccessDeniedException, world.create(Layers=[foreign]))
    assert text == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: lambda:GetLayerVersion on resource: "
        f"{foreign} because no resource-based policy allows the lambda:GetLayerVersion action"
    )
    await world.ask(
        "add_layer_version_permission",
        stranger,
        LayerName="tools",
        VersionNumber=1,
        StatementId="s",
        Action="lambda:GetLayerVersion",
        Principal=ACCOUNT,
    )
    assert (await world.create(Layers=[foreign]))["Layers"][0]["Arn"] == foreign
    await refused(AccessDeniedException, world.create("x", Layers=[foreign.replace(OTHER, "3" * 12)]))


def permission(sid: str = "s1", **parameters: Any) -> dict[str, Any]:
    return {
        "LayerName": "tools",
        "VersionNumber": 1,
        "StatementId": sid,
        "Action": "lambda:GetLayerVersion",
        "Principal": "*",
    } | parameters


@story
async def test_a_layer_versions_policy_is_built_and_taken_apart(world: World) -> None:
    await publish(world)
    added = await world.ask("add_layer_version_permission", **permission())
    statement = {
        "Sid": "s1",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": f"{LAYER}:1",
    }
    assert json.loads(added["Statement"]) == statement
    again = await world.ask(
        "add_layer_version_permission",
        **permission("s2", Principal=OTHER, OrganizationId="o-1234567890", RevisionId=added["RevisionId"]),
    )
    policy = await world.ask("get_layer_version_policy", LayerName="tools", VersionNumber=1)
    assert policy["RevisionId"] == again["RevisionId"] != added["RevisionId"]
    assert json.loads(policy["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [
            statement,
            {
                "Sid": "s2",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
                "Action": "lambda:GetLayerVersion",
                "Resource": f"{LAYER}:1",
                "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
            },
        ],
    }
    for sid in ("s2", "s1"):
        removed = {"LayerName": "tools", "VersionNumber": 1, "StatementId": sid}
        assert await world.ask("remove_layer_version_permission", **removed) == {}
    asked = world.ask("get_layer_version_policy", LayerName="tools", VersionNumber=1)
    assert (
        await refused(ResourceNotFoundException, asked) == "No policy is associated with the given resource."
    )


@story
async def test_layer_permissions_are_refused_in_awss_words(world: World) -> None:
    await publish(world)
    await world.ask("add_layer_version_permission", **permission())
    asked = world.ask("add_layer_version_permission", **permission())
    assert await refused(ResourceConflictException, asked) == (
        "The statement id (s1) provided already exists. Please provide a new statement id, or remove the "
        "existing statement."
    )
    stale = {"RevisionId": "wrong"}
    old = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve "
        "the latest Revision Id"
    )
    asked = world.ask("add_layer_version_permission", **permission("s2", **stale))
    assert await refused(PreconditionFailedException, asked) == old
    named = {"LayerName": "tools", "VersionNumber": 1}
    asked = world.ask("remove_layer_version_permission", StatementId="s1", **named, **stale)
    assert await refused(PreconditionFailedException, asked) == old
    asked = world.ask("remove_layer_version_permission", StatementId="nope", **named)
    assert (
        await refused(ResourceNotFoundException, asked) == "Statement nope is not found in resource policy."
    )
    for asked in (
        world.ask("add_layer_version_permission", **permission(VersionNumber=2)),
        world.ask("remove_layer_version_permission", LayerName="tools", VersionNumber=2, StatementId="s1"),
        world.ask("get_layer_version_policy", LayerName="tools", VersionNumber=2),
    ):
        text = await refused(ResourceNotFoundException, asked)
        assert text == f"Layer version {LAYER}:2 does not exist."


@story
async def test_a_deleted_layer_versions_policy_is_gone_with_it(world: World) -> None:
    await publish(world)
    await world.ask("add_layer_version_permission", **permission())
    await world.ask("delete_layer_version", LayerName="tools", VersionNumber=1)
    asked = world.ask("get_layer_version_policy", LayerName="tools", VersionNumber=1)
    assert await refused(ResourceNotFoundException, asked) == f"Layer version {LAYER}:1 does not exist."
