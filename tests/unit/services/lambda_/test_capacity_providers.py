"""Capacity providers and durable executions: the control side of what is not run here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.services.lambda_ import capacity_providers
from lambent.services.lambda_.errors import CapacityProviderLimitExceededException
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, REGION, ROLE, World, story

VPC = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
PERMISSIONS = {"CapacityProviderOperatorRoleArn": ROLE}
PROVIDER_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:capacity-provider:big"
EXECUTION = f"{ARN}:1/durable-execution/order-1/0b0a0908-0706-0504-0302-010000000000"


async def create(world: World, name: str = "big", **parameters: Any) -> dict[str, Any]:
    return await world.ask(
        "create_capacity_provider",
        CapacityProviderName=name,
        VpcConfig=VPC,
        PermissionsConfig=PERMISSIONS,
        **parameters,
    )


async def get(world: World, name: str = "big") -> dict[str, Any]:
    return (await world.ask("get_capacity_provider", CapacityProviderName=name))["CapacityProvider"]


@story
async def test_a_capacity_provider_is_pending_when_acknowledged_and_then_active(world: World) -> None:
    created = (await create(world))["CapacityProvider"]
    assert created == {
        "CapacityProviderArn": PROVIDER_ARN,
        "State": "Pending",
        "VpcConfig": VPC,
        "PermissionsConfig": PERMISSIONS,
        "InstanceRequirements": {"Architectures": ["x86_64"]},
        "CapacityProviderScalingConfig": {"MaxVCpuCount": 400, "ScalingMode": "Auto"},
        "LastModified": created["LastModified"],
    }
    assert await get(world, PROVIDER_ARN) == created | {"State": "Active"}


@story
async def test_an_update_changes_what_is_given(world: World) -> None:
    await create(world)
    updated = await world.ask(
        "update_capacity_provider",
        CapacityProviderName="big",
        CapacityProviderScalingConfig={"MaxVCpuCount": 8},
        TelemetryConfig={"LoggingConfig": {"SystemLogLevel": "WARN"}},
    )
    assert updated["CapacityProvider"]["CapacityProviderScalingConfig"] == {
        "MaxVCpuCount": 8,
        "ScalingMode": "Auto",
    }
    assert updated["CapacityProvider"] == await get(world)


@story
async def test_names_are_taken_once_and_free_after_deletion(world: World) -> None:
    await create(world)
    with pytest.raises(ResourceConflictException):
        await create(world)
    deleted = await world.ask("delete_capacity_provider", CapacityProviderName="big")
    assert deleted["CapacityProvider"]["State"] == "Deleting"
    with pytest.raises(ResourceNotFoundException) as caught:
        await get(world)
    assert caught.value.message == f"Capacity provider not found: {PROVIDER_ARN}"
    await create(world)


@story
async def test_of_many_who_create_one_at_once_one_succeeds(world: World) -> None:
    outcomes = await asyncio.gather(*(create(world) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1


@story
async def test_lists_are_paged_and_filtered_by_state(world: World) -> None:
    for name in ("a", "b", "c"):
        await create(world, name)
    first = await world.ask("list_capacity_providers", MaxItems=2)
    second = await world.ask("list_capacity_providers", MaxItems=2, Marker=first["NextMarker"])
    arns = [p["CapacityProviderArn"][-1] for p in first["CapacityProviders"] + second["CapacityProviders"]]
    assert arns == ["a", "b", "c"]
    assert "NextMarker" not in second
    assert await world.ask("list_capacity_providers", State="Failed") == {"CapacityProviders": []}


def test_an_account_has_a_limit_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity_providers, "PROVIDERS_MAX", 2)

    @story
    async def tell(world: World) -> None:
        await create(world, "a")
        await create(world, "b")
        with pytest.raises(CapacityProviderLimitExceededException):
            await create(world, "c")

    tell()


@story
async def test_no_function_version_is_on_one(world: World) -> None:
    await create(world)
    listed = await world.ask("list_function_versions_by_capacity_provider", CapacityProviderName="big")
    assert listed == {"CapacityProviderArn": PROVIDER_ARN, "FunctionVersions": []}
    for name in ("gone", PROVIDER_ARN.replace(REGION, "eu-west-1")):
        with pytest.raises(ResourceNotFoundException):
            await world.ask("list_function_versions_by_capacity_provider", CapacityProviderName=name)


@story
async def test_a_capacity_provider_is_tagged_by_its_arn(world: World) -> None:
    await create(world, Tags={"a": "1"})
    await world.ask("tag_resource", Resource=PROVIDER_ARN, Tags={"b": "2"})
    await world.ask("untag_resource", Resource=PROVIDER_ARN, TagKeys=["a"])
    assert (await world.ask("list_tags", Resource=PROVIDER_ARN))["Tags"] == {"b": "2"}


@story
async def test_there_are_no_durable_executions(world: World) -> None:
    with pytest.raises(ResourceNotFoundException):
        await world.ask("list_durable_executions_by_function", FunctionName=NAME)
    await world.create_active()
    listed = await world.ask("list_durable_executions_by_function", FunctionName=NAME)
    assert listed == {"DurableExecutions": []}
    for operation in ("get", "stop", "pause", "resume", "delete"):
        with pytest.raises(ResourceNotFoundException) as caught:
            await world.ask(f"{operation}_durable_execution", DurableExecutionArn=EXECUTION)
        assert EXECUTION in caught.value.message
    with pytest.raises(ResourceNotFoundException):
        await world.ask("get_durable_execution_history", DurableExecutionArn=EXECUTION)
    for operation in ("success", "failure", "heartbeat"):
        with pytest.raises(ResourceNotFoundException, match="Callback not found: some-callback"):
            await world.ask(f"send_durable_execution_callback_{operation}", CallbackId="some-callback")
    for operation in ("checkpoint_durable_execution", "get_durable_execution_state"):
        with pytest.raises(InvalidParameterValueException, match="Invalid Checkpoint Token"):
            await world.ask(operation, DurableExecutionArn=EXECUTION, CheckpointToken="token")


@story
async def test_a_policy_is_for_providers_that_do_not_scale_by_themselves(world: World) -> None:
    policy = {"ScalingPolicies": [{"PredefinedMetricType": "x", "TargetValue": 50.0}]}
    text = "A scaling policy can't be specified when the scalingMode is set to Auto"
    with pytest.raises(InvalidParameterValueException) as caught:
        await create(world, CapacityProviderScalingConfig=policy)
    assert caught.value.message == text
    await create(world, CapacityProviderScalingConfig={"ScalingMode": "Manual", **policy})
    with pytest.raises(InvalidParameterValueException):
        await world.ask(
            "update_capacity_provider",
            CapacityProviderName="big",
            CapacityProviderScalingConfig={"ScalingMode": "Auto"},
        )
