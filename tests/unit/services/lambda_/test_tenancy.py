"""Tenant isolation and durability: chosen when a function is created, kept, shown, and never pretended."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import InvalidParameterValueException, NotImplemented_
from unit.services.lambda_.world import ARN, NAME, World, story

ISOLATED = {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}
DURABLE = {"DurableConfig": {"ExecutionTimeout": 60}}


async def refusal(world: World, operation: str, **parameters: Any) -> str:
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.ask(operation, **parameters)
    return caught.value.message


@story
async def test_tenancy_is_shown_of_every_version(world: World) -> None:
    created = await world.create_active(Publish=True, **ISOLATED)
    assert created["TenancyConfig"] == ISOLATED["TenancyConfig"]
    for qualifier in ("$LATEST", "1"):
        shown = await world.ask("get_function_configuration", FunctionName=NAME, Qualifier=qualifier)
        assert shown["TenancyConfig"] == ISOLATED["TenancyConfig"]
    await world.create_active("ordinary")
    assert "TenancyConfig" not in await world.ask("get_function_configuration", FunctionName="ordinary")


@story
async def test_an_invocation_names_its_tenant(world: World) -> None:
    await world.create_active(**ISOLATED)
    assert await refusal(world, "invoke", FunctionName=NAME) == (
        "The invoked function is enabled with tenancy configuration. Add a valid tenant ID in your request and "
        "try again."
    )
    assert world.echo.invocations == []
    for tenant in ("blue", "green"):
        await world.ask("invoke", FunctionName=NAME, TenantId=tenant)
    assert [invocation.tenant_id for invocation in world.echo.invocations] == ["blue", "green"]


@story
async def test_what_does_not_go_with_tenancy_is_refused(world: World) -> None:
    snap_start = {"SnapStart": {"ApplyOn": "PublishedVersions"}}
    words = "not supported for functions with tenant isolation mode enabled."
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.create(**ISOLATED, **snap_start)
    assert caught.value.message == f"SnapStart is {words}"
    await world.create_active(Publish=True, **ISOLATED)
    assert (
        await refusal(world, "create_function_url_config", FunctionName=NAME, AuthType="NONE")
        == f"Function URLs are {words}"
    )
    assert (
        await refusal(
            world,
            "put_provisioned_concurrency_config",
            FunctionName=NAME,
            Qualifier="1",
            ProvisionedConcurrentExecutions=1,
        )
        == f"Provisioned concurrency is {words}"
    )


@story
async def test_no_source_invokes_a_function_whose_tenants_are_isolated(world: World) -> None:
    await world.create_active(**ISOLATED)
    queue = "arn:aws:sqs:us-east-1:111111111111:queue"
    message = await refusal(world, "create_event_source_mapping", FunctionName=NAME, EventSourceArn=queue)
    assert message.startswith("Event source mappings are not supported for functions with tenant isolation")


@story
async def test_a_durable_function_says_how_long_and_is_asked_for_by_version(world: World) -> None:
    with pytest.raises(InvalidParameterValueException) as caught:
        await world.create(DurableConfig={"RetentionPeriodInDays": 7})
    assert caught.value.message == (
        "You cannot create a function with a durable configuration without an executionTimeout"
    )
    await world.create_active(Publish=True, **DURABLE)
    assert await refusal(world, "invoke", FunctionName=NAME) == (
        "You cannot invoke a durable function using an unqualified ARN."
    )
    for qualifier in ("$LATEST", "1"):
        with pytest.raises(NotImplemented_, match="not run yet"):
            await world.ask("invoke", FunctionName=NAME, Qualifier=qualifier)
    assert world.echo.invocations == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("update_function_configuration", {"Description": "x"}),
        ("update_function_code", {"ZipFile": b""}),
        ("publish_version", {}),
    ],
)
@story
async def test_only_latest_is_changed_and_published(
    world: World, operation: str, parameters: dict[str, Any]
) -> None:
    await world.create_active(Publish=True)
    before = await world.stored()
    for form in (f"{NAME}:1", f"{ARN}:1"):
        assert await refusal(world, operation, FunctionName=form, **parameters) == (
            "Current operation does not support versions other than $LATEST. Please set the version to $LATEST "
            "or do not set a version in your request."
        )
    assert await world.stored() == before


@story
async def test_latest_may_be_named_to_change_it(world: World) -> None:
    await world.create_active()
    changed = await world.ask(
        "update_function_configuration", FunctionName=f"{NAME}:$LATEST", Description="changed"
    )
    assert changed["Description"] == "changed"


@story
async def test_no_way_leads_around_what_is_not_run(world: World) -> None:
    """The old operation for events has no place for a tenant."""
    await world.create_active(**ISOLATED)
    assert (await refusal(world, "invoke_async", FunctionName=NAME, InvokeArgs=b"{}")).startswith(
        "The invoked function is enabled with tenancy configuration."
    )
    await world.create_active("durable", **DURABLE)
    with pytest.raises(NotImplemented_):
        await world.ask("invoke_async", FunctionName="durable:$LATEST", InvokeArgs=b"{}")
