"""Promises of code signing: a configuration holds for the functions that have it, and stays while one has it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from lambent.domain.limits import CODE_SIGNING_CONFIGS_MAX
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_.errors import (
    CodeSigningConfigNotFoundException,
    CodeVerificationFailedException,
)
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, OTHER_ZIP, REGION, World, story

PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/test"
MISSING = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-00000000000000000"
NOT_VERIFIED = (
    "Lambda cannot deploy the function. The function or layer might be signed using a signature that the client "
    f"is not configured to accept. Check the provided signature for {NAME}."
)


async def create(world: World, **parameters: Any) -> dict[str, Any]:
    """Create a configuration and return it."""
    given = {"AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]}} | parameters
    return (await world.ask("create_code_signing_config", **given))["CodeSigningConfig"]


def policy(name: str) -> dict[str, Any]:
    return {"CodeSigningPolicies": {"UntrustedArtifactOnDeployment": name}}


async def attach(world: World, arn: str) -> dict[str, Any]:
    return await world.ask("put_function_code_signing_config", FunctionName=NAME, CodeSigningConfigArn=arn)


async def message_of(error: type[ServiceError], world: World, operation: str, **parameters: Any) -> str:
    with pytest.raises(error) as caught:
        await world.ask(operation, **parameters)
    return caught.value.message


@story
async def test_a_configuration_is_shown_as_it_was_created(world: World) -> None:
    created = await create(world, Description="ours", **policy("Enforce"))
    assert re.fullmatch(r"csc-[a-z0-9]{17}", created["CodeSigningConfigId"])
    assert created == {
        "CodeSigningConfigId": created["CodeSigningConfigId"],
        "CodeSigningConfigArn": (
            f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:{created['CodeSigningConfigId']}"
        ),
        "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Enforce"},
        "LastModified": "2026-01-02T03:04:05.678+0000",
        "Description": "ours",
    }
    arn = created["CodeSigningConfigArn"]
    assert await world.ask("get_code_signing_config", CodeSigningConfigArn=arn) == {
        "CodeSigningConfig": created
    }
    plain = await create(world)
    assert plain["CodeSigningPolicies"] == {"UntrustedArtifactOnDeployment": "Warn"}
    assert "Description" not in plain


@story
async def test_an_update_changes_what_is_given(world: World) -> None:
    created = await create(world, Description="ours", **policy("Enforce"))
    named = {"CodeSigningConfigArn": created["CodeSigningConfigArn"]}
    await world.clock.advance(60)
    same = await world.ask("update_code_signing_config", **named)
    assert same["CodeSigningConfig"] == created
    other = {"SigningProfileVersionArns": [f"{PROFILE}/2"]}
    updated = await world.ask(
        "update_code_signing_config", **named, AllowedPublishers=other, **policy("Warn")
    )
    assert updated["CodeSigningConfig"] == created | {
        "AllowedPublishers": other,
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
        "LastModified": "2026-01-02T03:05:05.678+0000",
    }


@pytest.mark.parametrize(
    "operation",
    [
        "get_code_signing_config",
        "update_code_signing_config",
        "delete_code_signing_config",
        "list_functions_by_code_signing_config",
    ],
)
@pytest.mark.parametrize(
    "arn", [MISSING, MISSING.replace(ACCOUNT, "2" * 12), MISSING.replace(REGION, "eu-west-1")]
)
@story
async def test_what_does_not_exist_cannot_be_found(world: World, operation: str, arn: str) -> None:
    with pytest.raises(ResourceNotFoundException) as caught:
        await world.ask(operation, CodeSigningConfigArn=arn)
    assert caught.value.message == f"The Lambda code signing configuration {arn} can not be found."
    assert caught.value.members == {"Type": None}


@story
async def test_configurations_come_in_pages(world: World) -> None:
    created = sorted([(await create(world))["CodeSigningConfigId"] for _ in range(3)])
    first = await world.ask("list_code_signing_configs", MaxItems=2)
    second = await world.ask("list_code_signing_configs", MaxItems=2, Marker=first["NextMarker"])
    listed = [*first["CodeSigningConfigs"], *second["CodeSigningConfigs"]]
    assert [config["CodeSigningConfigId"] for config in listed] == created
    assert "NextMarker" not in second


@story
async def test_an_account_has_so_many_configurations_and_no_more(world: World) -> None:
    for _ in range(CODE_SIGNING_CONFIGS_MAX):
        await create(world)
    with pytest.raises(InvalidParameterValueException, match="limit of 100"):
        await create(world)


@story
async def test_a_function_has_the_configuration_that_it_was_given(world: World) -> None:
    await world.create_active()
    arn = (await create(world))["CodeSigningConfigArn"]
    get = "get_function_code_signing_config"
    assert await world.ask(get, FunctionName=NAME) == {}
    assert await attach(world, arn) == {"CodeSigningConfigArn": arn, "FunctionName": NAME}
    await world.restart()
    assert await world.ask(get, FunctionName=ARN) == {"CodeSigningConfigArn": arn, "FunctionName": NAME}
    listed = await world.ask("list_functions_by_code_signing_config", CodeSigningConfigArn=arn)
    assert listed == {"FunctionArns": [ARN]}
    await world.ask("delete_function_code_signing_config", FunctionName=NAME)
    assert await world.ask(get, FunctionName=NAME) == {}
    listed = await world.ask("list_functions_by_code_signing_config", CodeSigningConfigArn=arn)
    assert listed == {"FunctionArns": []}


@story
async def test_a_configuration_that_a_function_has_cannot_be_deleted(world: World) -> None:
    arn = (await create(world))["CodeSigningConfigArn"]
    await world.create_active(CodeSigningConfigArn=arn)
    delete = "delete_code_signing_config"
    assert "in use" in await message_of(ResourceConflictException, world, delete, CodeSigningConfigArn=arn)
    await world.ask("delete_function", FunctionName=NAME)
    await world.ask(delete, CodeSigningConfigArn=arn)
    assert await world.ask("list_code_signing_configs") == {"CodeSigningConfigs": []}


@story
async def test_a_function_is_never_left_with_a_configuration_that_is_gone(world: World) -> None:
    await world.create_active()
    arn = (await create(world))["CodeSigningConfigArn"]
    answers = await asyncio.gather(
        attach(world, arn),
        world.ask("delete_code_signing_config", CodeSigningConfigArn=arn),
        return_exceptions=True,
    )
    assert [isinstance(answer, ServiceError) for answer in answers] in ([False, True], [True, False])


@story
async def test_a_configuration_must_exist_to_be_given(world: World) -> None:
    message = (
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
        f"{MISSING}."
    )
    with pytest.raises(CodeSigningConfigNotFoundException) as caught:
        await attach(world, MISSING)
    assert caught.value.message == message
    with pytest.raises(CodeSigningConfigNotFoundException) as caught:
        await world.create(CodeSigningConfigArn=MISSING)
    assert caught.value.message == message
    assert await world.stored() is None


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
@story
async def test_a_function_must_exist_to_have_one(world: World, operation: str) -> None:
    arn = (await create(world))["CodeSigningConfigArn"]
    assert await message_of(
        ResourceNotFoundException,
        world,
        f"{operation}_function_code_signing_config",
        FunctionName=NAME,
        CodeSigningConfigArn=arn,
    ) == (f"Function not found: {ARN}")


@story
async def test_unsigned_code_is_not_deployed_where_signatures_are_enforced(world: World) -> None:
    created = await world.create_active()
    await attach(world, (await create(world, **policy("Enforce")))["CodeSigningConfigArn"])
    update = {"FunctionName": NAME, "ZipFile": OTHER_ZIP}
    error = CodeVerificationFailedException
    assert await message_of(error, world, "update_function_code", **update) == NOT_VERIFIED
    assert await message_of(error, world, "update_function_code", **update, DryRun=True) == NOT_VERIFIED
    # What was deployed before keeps running.
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    assert shown["CodeSha256"] == created["CodeSha256"]


@story
async def test_a_function_is_not_created_with_code_that_is_not_trusted(world: World) -> None:
    arn = (await create(world, **policy("Enforce")))["CodeSigningConfigArn"]
    with pytest.raises(CodeVerificationFailedException) as caught:
        await world.create(CodeSigningConfigArn=arn)
    assert caught.value.message == NOT_VERIFIED
    assert await world.stored() is None


@story
async def test_unsigned_code_is_deployed_where_signatures_are_only_missed(world: World) -> None:
    arn = (await create(world))["CodeSigningConfigArn"]
    await world.create_active(CodeSigningConfigArn=arn)
    updated = await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    assert updated["LastUpdateStatus"] == "InProgress"


@story
async def test_configurations_have_tags(world: World) -> None:
    arn = (await create(world, Tags={"team": "a"}))["CodeSigningConfigArn"]
    await world.ask("tag_resource", Resource=arn, Tags={"stage": "dev"})
    await world.ask("untag_resource", Resource=arn, TagKeys=["team"])
    assert await world.ask("list_tags", Resource=arn) == {"Tags": {"stage": "dev"}}
    assert await message_of(ResourceNotFoundException, world, "list_tags", Resource=MISSING) == (
        f"Code signing config not found: {MISSING}"
    )
