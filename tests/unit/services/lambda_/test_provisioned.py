"""Promises of provisioned concurrency: READY only when it is allocated, and allocated where it is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.concurrency import INIT_FAILURE, ProvisioningError
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_.errors import ProvisionedConcurrencyConfigNotFoundException
from unit.services.lambda_.test_aliases import create as create_alias
from unit.services.lambda_.test_aliases import split, two_versions
from unit.services.lambda_.world import ARN, NAME, World, story

DATE = "2026-01-02T03:04:05+0000"


def shown(requested: int, allocated: int | None = None, status: str = "READY", **more: str) -> dict[str, Any]:
    """What is shown of provisioned concurrency."""
    now = requested if allocated is None else allocated
    return {
        "RequestedProvisionedConcurrentExecutions": requested,
        "AvailableProvisionedConcurrentExecutions": now,
        "AllocatedProvisionedConcurrentExecutions": now,
        "Status": status,
        "LastModified": DATE,
    } | more


async def put(world: World, count: int, qualifier: str = "1") -> dict[str, Any]:
    return await world.ask(
        "put_provisioned_concurrency_config",
        FunctionName=NAME,
        Qualifier=qualifier,
        ProvisionedConcurrentExecutions=count,
    )


async def get(world: World, qualifier: str = "1") -> dict[str, Any]:
    return await world.ask("get_provisioned_concurrency_config", FunctionName=NAME, Qualifier=qualifier)


async def listed(world: World, **options: Any) -> dict[str, Any]:
    return await world.ask("list_provisioned_concurrency_configs", FunctionName=NAME, **options)


async def refused(
    error: type[ServiceError], world: World, operation: str = "put", qualifier: str = "1"
) -> str:
    with pytest.raises(error) as caught:
        await world.ask(
            f"{operation}_provisioned_concurrency_config",
            FunctionName=NAME,
            Qualifier=qualifier,
            ProvisionedConcurrentExecutions=1,
        )
    return caught.value.message


@story
async def test_it_is_ready_when_it_is_allocated_and_not_before(world: World) -> None:
    await two_versions(world)
    world.echo.provision_gate.clear()
    assert await put(world, 5) == shown(5, 0, "IN_PROGRESS")
    assert await get(world) == shown(5, 0, "IN_PROGRESS")
    world.echo.provision_gate.set()
    await world.settled()
    assert await get(world) == shown(5)


@story
async def test_a_function_that_cannot_be_initialized_fails_it(world: World) -> None:
    await two_versions(world)
    world.echo.provision_error = ProvisioningError(INIT_FAILURE)
    assert await put(world, 1) == shown(1, 0, "IN_PROGRESS")
    await world.settled()
    assert await get(world) == shown(1, 0, "FAILED", StatusReason="FUNCTION_ERROR_INIT_FAILURE")
    world.echo.provision_error = None
    await put(world, 1)
    await world.settled()
    assert await get(world) == shown(1)


@story
async def test_trouble_of_ours_is_not_put_down_to_the_function(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await two_versions(world)
    world.echo.provision_error = OSError("no space left on device")
    await put(world, 1)
    await world.settled()
    assert await get(world) == shown(1, 0, "FAILED", StatusReason="INTERNAL_ERROR")
    assert "no space left on device" in caplog.text


@story
async def test_an_alias_takes_it_along_to_the_version_that_it_is_moved_to(world: World) -> None:
    await two_versions(world)
    await create_alias(world)
    await put(world, 3, "live")
    await world.settled()
    world.echo.provision_gate.clear()
    await world.ask("update_alias", FunctionName=NAME, Name="live", FunctionVersion="2")
    # Until the new version is ready, the environments of the old one are still there.
    assert await get(world, "live") == shown(3, 3, "IN_PROGRESS")
    world.echo.provision_gate.set()
    await world.settled()
    assert await get(world, "live") == shown(3)
    stored = await world.stored()
    assert stored is not None
    kept = {number: world.echo.kept[v.configuration_id] for number, v in stored.versions.items()}
    assert kept == {"1": 0, "2": 3}


@story
async def test_what_is_deleted_is_released(world: World) -> None:
    await two_versions(world)
    await put(world, 3)
    await world.settled()
    await world.ask("delete_provisioned_concurrency_config", FunctionName=NAME, Qualifier="1")
    await world.settled()
    assert set(world.echo.kept.values()) == {0}
    assert await refused(ProvisionedConcurrencyConfigNotFoundException, world, "get") == (
        "No Provisioned Concurrency Config found for this function"
    )
    assert (await listed(world))["ProvisionedConcurrencyConfigs"] == []
    # Deleting what is not there is no error.
    await world.ask("delete_provisioned_concurrency_config", FunctionName=NAME, Qualifier="1")


@pytest.mark.parametrize("gone", ["function", "version", "alias"])
@story
async def test_it_goes_with_what_it_belongs_to(world: World, gone: str) -> None:
    await two_versions(world)
    await create_alias(world)
    await put(world, 3, "live" if gone == "alias" else "2")
    await world.settled()
    if gone == "alias":
        await world.ask("delete_alias", FunctionName=NAME, Name="live")
        assert await refused(ResourceNotFoundException, world, "get", "live") == (
            f"Cannot find alias arn: {ARN}:live"
        )
    else:
        qualifier = {"Qualifier": "2"} if gone == "version" else {}
        await world.ask("delete_function", FunctionName=NAME, **qualifier)
        assert await refused(ResourceNotFoundException, world, "get", "2") == f"Function not found: {ARN}:2"
    await world.settled()
    assert set(world.echo.kept.values()) == {0}


@story
async def test_a_request_that_is_superseded_does_not_hold_up_the_next(world: World) -> None:
    await two_versions(world)
    world.echo.provision_gate.clear()
    await put(world, 100)
    await put(world, 2)
    await put(world, 1)
    world.echo.provision_gate.set()
    await world.settled()
    assert await get(world) == shown(1)
    assert max(world.echo.kept.values()) == 1


@story
async def test_after_a_restart_it_is_allocated_again(world: World) -> None:
    await two_versions(world)
    await put(world, 4)
    await world.settled()
    world.echo.provision_gate.clear()
    await world.restart()
    assert await get(world) == shown(4, 0, "IN_PROGRESS")
    world.echo.provision_gate.set()
    await world.settled()
    assert await get(world) == shown(4)


@story
async def test_an_alias_and_its_version_cannot_both_have_some(world: World) -> None:
    await two_versions(world)
    await create_alias(world)
    await put(world, 1)
    assert await refused(ResourceConflictException, world, qualifier="live") == (
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    )
    await world.ask("delete_provisioned_concurrency_config", FunctionName=NAME, Qualifier="1")
    await put(world, 1, "live")
    assert await refused(ResourceConflictException, world) == (
        "Version is pointed by a Provisioned Concurrency alias"
    )
    await put(world, 1, "2")
    with pytest.raises(ResourceConflictException):
        await world.ask("update_alias", FunctionName=NAME, Name="live", FunctionVersion="2")


@story
async def test_what_is_not_one_published_version_can_have_none(world: World) -> None:
    await two_versions(world)
    await create_alias(world, "split", RoutingConfig=split(v2=0.5))
    await create_alias(world, "newest", "$LATEST")
    unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    error = InvalidParameterValueException
    assert await refused(error, world, qualifier="$LATEST") == unpublished
    assert await refused(error, world, qualifier="newest") == unpublished
    assert await refused(error, world, qualifier="split") == (
        "Alias with weights can not be used with Provisioned Concurrency"
    )
    for operation in ("get", "delete"):
        assert await refused(error, world, operation, "$LATEST") == (
            "The function resource provided must be an alias or a published version."
        )


@story
async def test_a_version_with_snap_start_can_have_none(world: World) -> None:
    await two_versions(world, SnapStart={"ApplyOn": "PublishedVersions"})
    assert "SnapStart" in await refused(InvalidParameterValueException, world, qualifier="2")


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
@story
async def test_what_does_not_exist_can_have_none(world: World, operation: str) -> None:
    error = ResourceNotFoundException
    assert await refused(error, world, operation) == f"Function not found: {ARN}:1"
    await world.create_active()
    assert await refused(error, world, operation) == f"Function not found: {ARN}:1"
    assert await refused(error, world, operation, "live") == f"Cannot find alias arn: {ARN}:live"


@story
async def test_the_list_shows_all_of_a_function_in_pages(world: World) -> None:
    await two_versions(world)
    await put(world, 1)
    await put(world, 2, "2")
    await world.settled()
    first = await listed(world, MaxItems=1)
    assert first["ProvisionedConcurrencyConfigs"] == [{"FunctionArn": f"{ARN}:1", **shown(1)}]
    second = await listed(world, MaxItems=1, Marker=first["NextMarker"])
    assert second == {"ProvisionedConcurrencyConfigs": [{"FunctionArn": f"{ARN}:2", **shown(2)}]}


@story
async def test_a_version_gets_a_new_revision_id_with_it(world: World) -> None:
    await two_versions(world)
    before = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier="1")
    await put(world, 1)
    after = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier="1")
    assert after == before | {"RevisionId": after["RevisionId"]}
    assert after["RevisionId"] != before["RevisionId"]
