"""Functions on capacity providers: what they are given, what of them can be invoked, how they are published."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
    ValidationException,
)
from lambent.services.lambda_.errors import NoPublishedVersionException
from unit.services.lambda_.test_capacity_providers import PROVIDER_ARN
from unit.services.lambda_.test_capacity_providers import create as create_provider
from unit.services.lambda_.world import ARN, NAME, OTHER_ZIP, World, story

INSTANCES = "LambdaManagedInstancesCapacityProviderConfig"
MANAGED: dict[str, Any] = {
    "Runtime": "python3.13",
    "CapacityProviderConfig": {INSTANCES: {"CapacityProviderArn": PROVIDER_ARN}},
}
LATEST_PUBLISHED = "$LATEST.PUBLISHED"


async def managed(world: World, **parameters: Any) -> dict[str, Any]:
    await create_provider(world)
    created = await world.create(**(MANAGED | parameters))
    await world.settled()
    return created


async def refusal(world: World, error: type[ServiceError], operation: str, **parameters: Any) -> str:
    with pytest.raises(error) as caught:
        await world.ask(operation, **parameters)
    return caught.value.message


async def publish(world: World, **parameters: Any) -> dict[str, Any]:
    shown = await world.ask("publish_version", FunctionName=NAME, **parameters)
    await world.settled()
    return shown


async def state(world: World, qualifier: str) -> tuple[str, str]:
    shown = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier=qualifier)
    return shown["State"], shown["LastUpdateStatus"]


@story
async def test_it_has_other_defaults_than_an_ordinary_function(world: World) -> None:
    created = await managed(world)
    assert created["State"] == "Pending"
    assert created["MemorySize"] == 2048
    assert created["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "INFO",
        "SystemLogLevel": "INFO",
        "LogGroup": f"/aws/lambda/{NAME}",
    }
    assert created["CapacityProviderConfig"] == {
        INSTANCES: {
            "CapacityProviderArn": PROVIDER_ARN,
            "ExecutionEnvironmentMemoryGiBPerVCpu": 2.0,
            "PerExecutionEnvironmentMaxConcurrency": 16,
        }
    }
    assert "SnapStart" not in created
    assert await state(world, "$LATEST") == ("ActiveNonInvocable", "Successful")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"Runtime": "python3.12"}, "does not support specified feature"),
        ({"Runtime": "nodejs20.x"}, "does not support specified feature"),
        ({"Runtime": "ruby3.3"}, "does not support specified feature"),
        ({"Runtime": "provided.al2"}, "does not support specified feature"),
        ({"MemorySize": 1024}, "at least 2048 MB"),
        ({"LoggingConfig": {"LogFormat": "Text"}}, 'LogFormat is set to "Text"'),
        ({"SnapStart": {"ApplyOn": "PublishedVersions"}}, "SnapStart is not supported"),
    ],
)
@story
async def test_what_it_cannot_have_is_refused(world: World, parameters: dict[str, Any], words: str) -> None:
    await create_provider(world)
    with pytest.raises(InvalidParameterValueException, match=words):
        await world.create(**(MANAGED | parameters))
    assert (await world.ask("list_functions"))["Functions"] == []


@story
async def test_its_capacity_provider_must_exist_and_be_named(world: World) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.create(**MANAGED)
    assert caught.value.message == f"Capacity provider not found: {PROVIDER_ARN}"
    with pytest.raises(ValidationException, match="Member must not be null"):
        await world.create(**(MANAGED | {"CapacityProviderConfig": {}}))


@story
async def test_an_accelerator_is_kept_for_it_and_for_no_ordinary_function(world: World) -> None:
    accelerator = {"AcceleratorConfig": {"AcceleratorMemorySize": 16}}
    created = await managed(world, **accelerator)
    assert created["AcceleratorConfig"] == accelerator["AcceleratorConfig"]
    with pytest.raises(InvalidParameterValueException, match="isn't supported for Lambda Default functions"):
        await world.create("ordinary", **accelerator)


@pytest.mark.parametrize("runtime", ["python3.14", "nodejs22.x", "java21", "dotnet8", "provided.al2023"])
@story
async def test_recent_runtimes_run_on_instances(world: World, runtime: str) -> None:
    assert (await managed(world, Runtime=runtime))["Runtime"] == runtime


@story
async def test_an_unqualified_invocation_runs_what_was_published_last(world: World) -> None:
    await managed(world)
    await refusal(world, NoPublishedVersionException, "invoke", FunctionName=NAME)
    await refusal(world, ResourceConflictException, "invoke", FunctionName=NAME, Qualifier="$LATEST")
    shown = await publish(world, PublishTo="LATEST_PUBLISHED", Description="first")
    assert (shown["Version"], shown["FunctionArn"]) == (LATEST_PUBLISHED, f"{ARN}:{LATEST_PUBLISHED}")
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Pending", "InProgress")
    assert await state(world, LATEST_PUBLISHED) == ("Active", "Successful")
    answer = await world.ask("invoke", FunctionName=NAME)
    assert answer["ExecutedVersion"] == LATEST_PUBLISHED
    first = await publish(world)
    assert first["Version"] == "1"
    answer = await world.ask("invoke", FunctionName=NAME, Qualifier="1")
    assert answer["ExecutedVersion"] == "1"


@story
async def test_publishing_again_replaces_it_and_keeps_its_place_in_lists(world: World) -> None:
    await managed(world, Publish=True, PublishTo="LATEST_PUBLISHED")
    before = await publish(world, PublishTo="LATEST_PUBLISHED")
    assert before["LastUpdateStatus"] == "Successful"  # Nothing has changed since.
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.settled()
    after = await publish(world, PublishTo="LATEST_PUBLISHED")
    assert after["State"] == "Active"
    assert after["CodeSha256"] != before["CodeSha256"]
    await publish(world)
    names: list[str] = []
    marker: dict[str, Any] = {}
    while marker is not None:
        page = await world.ask("list_versions_by_function", FunctionName=NAME, MaxItems=1, **marker)
        names += [version["Version"] for version in page["Versions"]]
        if "NextMarker" not in page:
            break
        marker = {"Marker": page["NextMarker"]}
    assert names == ["$LATEST", "1", LATEST_PUBLISHED]


@story
async def test_an_alias_may_point_to_it_and_it_can_be_deleted(world: World) -> None:
    await managed(world, Publish=True, PublishTo="LATEST_PUBLISHED")
    await world.ask("create_alias", FunctionName=NAME, Name="live", FunctionVersion=LATEST_PUBLISHED)
    answer = await world.ask("invoke", FunctionName=NAME, Qualifier="live")
    assert answer["ExecutedVersion"] == LATEST_PUBLISHED
    await refusal(
        world, ResourceConflictException, "delete_function", FunctionName=NAME, Qualifier=LATEST_PUBLISHED
    )
    await world.ask("delete_alias", FunctionName=NAME, Name="live")
    await world.ask("delete_function", FunctionName=NAME, Qualifier=LATEST_PUBLISHED)
    await refusal(world, NoPublishedVersionException, "invoke", FunctionName=NAME)


@story
async def test_a_provider_shows_what_runs_on_it_and_stays_as_long(world: World) -> None:
    await managed(world, Publish=True)
    arguments = {"CapacityProviderName": "big"}
    found: list[str] = []
    marker: dict[str, Any] = {}
    for _ in range(2):
        page = await world.ask(
            "list_function_versions_by_capacity_provider", MaxItems=1, **arguments, **marker
        )
        found += [f"{it['FunctionArn']} {it['State']}" for it in page["FunctionVersions"]]
        marker = {"Marker": page.get("NextMarker")}
    assert found == [f"{ARN}:$LATEST ActiveNonInvocable", f"{ARN}:1 Active"]
    assert marker == {"Marker": None}
    await refusal(world, ResourceConflictException, "delete_capacity_provider", **arguments)
    await world.ask("delete_function", FunctionName=NAME)
    await world.ask("delete_capacity_provider", **arguments)


@story
async def test_its_provider_and_bounds_can_be_changed_and_those_of_an_ordinary_function_not(
    world: World,
) -> None:
    await managed(world)
    config = {INSTANCES: {"CapacityProviderArn": PROVIDER_ARN, "PerExecutionEnvironmentMaxConcurrency": 4}}
    changed = await world.ask(
        "update_function_configuration", FunctionName=NAME, CapacityProviderConfig=config
    )
    assert changed["CapacityProviderConfig"][INSTANCES]["PerExecutionEnvironmentMaxConcurrency"] == 4
    await world.create_active("ordinary")
    message = await refusal(
        world,
        InvalidParameterValueException,
        "update_function_configuration",
        FunctionName="ordinary",
        CapacityProviderConfig=config,
    )
    assert message == "CapacityProviderConfig isn't supported for Lambda Default functions."


@story
async def test_a_version_that_is_scaled_to_nothing_is_deactivated(world: World) -> None:
    await managed(world, Publish=True)
    asked = {"FunctionName": NAME, "Qualifier": "1"}
    shown = await world.ask("get_function_scaling_config", **asked)
    assert shown["AppliedFunctionScalingConfig"]["MinExecutionEnvironments"] == 3
    for bad in (
        {"MinExecutionEnvironments": 5, "MaxExecutionEnvironments": 4},
        {"MinExecutionEnvironments": 0},
    ):
        await refusal(
            world,
            InvalidParameterValueException,
            "put_function_scaling_config",
            **asked,
            FunctionScalingConfig=bad,
        )
    nothing = {"MinExecutionEnvironments": 0, "MaxExecutionEnvironments": 0}
    answer = await world.ask("put_function_scaling_config", **asked, FunctionScalingConfig=nothing)
    assert answer == {"FunctionState": "Deactivated"}
    await refusal(world, ResourceConflictException, "invoke", **asked)
    shown = await world.ask("get_function_scaling_config", **asked)
    assert shown["RequestedFunctionScalingConfig"] == nothing
    some = {"MinExecutionEnvironments": 1, "MaxExecutionEnvironments": 2}
    await world.ask("put_function_scaling_config", **asked, FunctionScalingConfig=some)
    assert (await world.ask("invoke", **asked))["ExecutedVersion"] == "1"
