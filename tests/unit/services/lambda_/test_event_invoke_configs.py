"""Promises of event invoke configs: Put replaces, Update merges, and destinations are possible ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lambent.errors import InvalidParameterValueException, ResourceNotFoundException, ServiceError
from unit.services.lambda_.test_aliases import create as create_alias
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, World, story

NONE: dict[str, Any] = {"OnSuccess": {}, "OnFailure": {}}
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:done"
NO_FUNCTION = "The function doesn't exist."


async def ask(world: World, operation: str = "put", **parameters: Any) -> dict[str, Any]:
    given = {"FunctionName": NAME} | parameters
    return await world.ask(f"{operation}_function_event_invoke_config", **given)


async def refused(error: type[ServiceError], world: World, operation: str = "put", **parameters: Any) -> str:
    with pytest.raises(error) as caught:
        await ask(world, operation, **parameters)
    return caught.value.message


def to(arn: str, side: str = "OnSuccess") -> dict[str, Any]:
    return {"DestinationConfig": {side: {"Destination": arn}}}


@story
async def test_put_replaces_what_was_there(world: World) -> None:
    await world.create_active()
    both = await ask(world, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60, **to(QUEUE, "OnFailure"))
    assert both == {
        "LastModified": datetime.fromtimestamp(world.clock.now_s(), UTC),
        "FunctionArn": f"{ARN}:$LATEST",
        "MaximumRetryAttempts": 2,
        "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}},
    }
    assert await ask(world, "get") == both
    one = await ask(world, MaximumRetryAttempts=0)
    assert one == {
        "LastModified": both["LastModified"],
        "FunctionArn": f"{ARN}:$LATEST",
        "MaximumRetryAttempts": 0,
        "DestinationConfig": NONE,
    }
    assert await ask(world, "get", Qualifier="$LATEST") == one


@story
async def test_update_keeps_what_is_not_given(world: World) -> None:
    await world.create_active()
    before = await ask(world, MaximumEventAgeInSeconds=60, **to(QUEUE))
    after = await ask(world, "update", MaximumRetryAttempts=0)
    assert after == before | {"MaximumRetryAttempts": 0}
    cleared = await ask(world, "update", **to(""))
    assert cleared["DestinationConfig"] == NONE
    assert cleared["MaximumEventAgeInSeconds"] == 60


@story
async def test_each_qualifier_has_its_own_in_every_form_of_the_name(world: World) -> None:
    await world.create_active(Publish=True)
    await create_alias(world)
    await ask(world, MaximumRetryAttempts=0)
    for name in (f"{NAME}:1", f"{ARN}:1", f"{ACCOUNT}:function:{NAME}:1"):
        shown = await ask(world, FunctionName=name, Qualifier="1", MaximumRetryAttempts=1)
        assert shown["FunctionArn"] == f"{ARN}:1"
    await ask(world, Qualifier="live", MaximumRetryAttempts=2)
    listed = await world.ask("list_function_event_invoke_configs", FunctionName=NAME)
    found = [
        (config["FunctionArn"], config["MaximumRetryAttempts"])
        for config in listed["FunctionEventInvokeConfigs"]
    ]
    assert found == [(f"{ARN}:$LATEST", 0), (f"{ARN}:1", 1), (f"{ARN}:live", 2)]
    for qualifier in ("$LATEST", "1", "live"):
        await ask(world, "delete", Qualifier=qualifier)
    listed = await world.ask("list_function_event_invoke_configs", FunctionName=NAME)
    assert listed == {"FunctionEventInvokeConfigs": []}


@story
async def test_the_list_comes_in_pages(world: World) -> None:
    await world.create_active(Publish=True)
    for qualifier in ("$LATEST", "1"):
        await ask(world, Qualifier=qualifier, MaximumRetryAttempts=0)
    operation = "list_function_event_invoke_configs"
    first = await world.ask(operation, FunctionName=NAME, MaxItems=1)
    second = await world.ask(operation, FunctionName=NAME, MaxItems=1, Marker=first["NextMarker"])
    assert [page["FunctionEventInvokeConfigs"][0]["FunctionArn"] for page in (first, second)] == [
        f"{ARN}:$LATEST",
        f"{ARN}:1",
    ]
    assert "NextMarker" not in second


@pytest.mark.parametrize("operation", ["put", "update"])
@story
async def test_something_must_be_set(world: World, operation: str) -> None:
    await world.create_active()
    assert await refused(InvalidParameterValueException, world, operation) == (
        "You must specify at least one of error handling or destination setting."
    )


@story
async def test_what_does_not_exist_has_none(world: World) -> None:
    error = ResourceNotFoundException
    settings: dict[str, Any] = {"MaximumRetryAttempts": 1}
    no_config = "The function {}:{} doesn't have an EventInvokeConfig"
    for operation in ("get", "delete"):
        assert await refused(error, world, operation) == no_config.format(ARN, "$LATEST")
    for operation in ("put", "update"):
        assert await refused(error, world, operation, **settings) == NO_FUNCTION
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask("list_function_event_invoke_configs", FunctionName=NAME)
    assert caught.value.message == NO_FUNCTION
    await world.create_active()
    assert await refused(error, world, Qualifier="live", **settings) == NO_FUNCTION
    assert await refused(error, world, "update", **settings) == no_config.format(ARN, "$LATEST")
    for operation in ("get", "delete"):
        assert await refused(error, world, operation, Qualifier="live") == no_config.format(ARN, "live")


@story
async def test_destinations_that_cannot_be_are_refused(world: World) -> None:
    await world.create_active(Publish=True)
    error = InvalidParameterValueException
    for own in (ARN, f"{ARN}:1"):
        assert await refused(error, world, **to(own)) == (
            "You can't specify the function as a destination for itself."
        )
    missing = ARN.replace(NAME, "missing")
    assert await refused(error, world, **to(missing)) == f"The destination ARN {missing} is invalid."
    role = f"arn:aws:iam::{ACCOUNT}:role/worker"
    assert await refused(error, world, **to(role)) == (
        f"The provided destination config DestinationConfig(onSuccess=OnSuccess(destination={role}), "
        "onFailure=null) is invalid."
    )
    bucket = "arn:aws:s3:::outcomes"
    assert "is invalid" in await refused(error, world, **to(bucket))
    assert (await ask(world, **to(bucket, "OnFailure")))["DestinationConfig"]["OnFailure"] == {
        "Destination": bucket
    }


@story
async def test_another_function_or_a_version_of_it_is_a_destination(world: World) -> None:
    await world.create_active()
    await world.create_active("other", Publish=True)
    other = ARN.replace(NAME, "other")
    for arn in (other, f"{other}:1"):
        shown = await ask(world, **to(arn))
        assert shown["DestinationConfig"] == {"OnSuccess": {"Destination": arn}, "OnFailure": {}}
    assert await refused(InvalidParameterValueException, world, **to(f"{other}:2")) == (
        f"The destination ARN {other}:2 is invalid."
    )


@story
async def test_they_go_with_their_alias_and_outlive_the_server(world: World) -> None:
    await world.create_active(Publish=True)
    await create_alias(world)
    kept = await ask(world, MaximumRetryAttempts=1)
    await ask(world, Qualifier="live", MaximumRetryAttempts=1)
    await world.ask("delete_alias", FunctionName=NAME, Name="live")
    await world.restart()
    listed = await world.ask("list_function_event_invoke_configs", FunctionName=NAME)
    assert listed["FunctionEventInvokeConfigs"] == [kept]
