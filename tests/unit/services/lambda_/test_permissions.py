"""Resource-based policies of functions, statement by statement and as whole documents."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from lambent.domain.function import Function
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_.errors import PolicyLengthExceededException
from unit.services.lambda_.world import ACCOUNT, ARN, NAME, World, a_call, story

OTHER = "222222222222"
STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the "
    "latest Revision Id"
)
UUID = "11111111-2222-3333-4444-555555555555"


def permission(sid: str = "s3", **parameters: Any) -> dict[str, Any]:
    return {
        "FunctionName": NAME,
        "StatementId": sid,
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
    } | parameters


def statement(sid: str = "s3", **members: Any) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
    } | members


async def refused(error: type[ServiceError], coroutine: Any) -> str:
    with pytest.raises(error) as caught:
        await coroutine
    return caught.value.message


async def statements(world: World, **parameters: Any) -> list[dict[str, Any]]:
    answer = await world.ask("get_policy", FunctionName=NAME, **parameters)
    policy = json.loads(answer["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2012-10-17", "default")
    return policy["Statement"]


@pytest.mark.parametrize(
    ("parameters", "members"),
    [
        ({}, {}),
        ({"Principal": "*"}, {"Principal": "*"}),
        ({"Principal": OTHER}, {"Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}}),
        (
            {"Principal": f"arn:aws:iam::{OTHER}:user/x"},
            {"Principal": {"AWS": f"arn:aws:iam::{OTHER}:user/x"}},
        ),
        (
            {"SourceArn": "arn:aws:s3:::bucket"},
            {"Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}}},
        ),
        (
            {"Principal": "*", "EventSourceToken": "amzn1.ask.skill.x"},
            {
                "Principal": "*",
                "Condition": {"StringEquals": {"lambda:EventSourceToken": "amzn1.ask.skill.x"}},
            },
        ),
        (
            {"Principal": "alexa-appkit.amazon.com", "Action": "lambda:*"},
            {"Principal": {"Service": "alexa-appkit.amazon.com"}, "Action": "lambda:*"},
        ),
        (
            {"InvokedViaFunctionUrl": True},
            {"Condition": {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}},
        ),
        (
            {
                "Action": "lambda:InvokeFunctionUrl",
                "Principal": "*",
                "SourceArn": "arn:aws:s3:::b",
                "SourceAccount": ACCOUNT,
                "PrincipalOrgID": "o-1234567890",
                "FunctionUrlAuthType": "NONE",
            },
            {
                "Action": "lambda:InvokeFunctionUrl",
                "Principal": "*",
                "Condition": {
                    "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
                    "StringEquals": {
                        "AWS:SourceAccount": ACCOUNT,
                        "aws:PrincipalOrgID": "o-1234567890",
                        "lambda:FunctionUrlAuthType": "NONE",
                    },
                },
            },
        ),
    ],
)
def test_a_permission_becomes_a_statement(parameters: dict[str, Any], members: dict[str, Any]) -> None:
    @story
    async def tell(world: World) -> None:
        await world.create_active()
        added = await world.ask("add_permission", **permission(**parameters))
        assert json.loads(added["Statement"]) == statement(**members)
        assert await statements(world) == [statement(**members)]

    tell()


@story
async def test_each_qualifier_has_a_policy_of_its_own(world: World) -> None:
    await world.create_active()
    await world.ask("publish_version", FunctionName=NAME)
    await world.ask("create_alias", FunctionName=NAME, Name="live", FunctionVersion="1")
    await world.ask("add_permission", **permission())
    none = "The resource you requested does not exist."
    for qualifier in ("1", "live"):
        asked = world.ask("get_policy", FunctionName=NAME, Qualifier=qualifier)
        assert await refused(ResourceNotFoundException, asked) == none
        await world.ask("add_permission", **permission(Qualifier=qualifier))
        assert await statements(world, Qualifier=qualifier) == [statement(Resource=f"{ARN}:{qualifier}")]
    assert await statements(world) == [statement()]
    await world.ask("delete_alias", FunctionName=NAME, Name="live")
    await world.ask("create_alias", FunctionName=NAME, Name="live", FunctionVersion="1")
    asked = world.ask("get_policy", FunctionName=NAME, Qualifier="live")
    assert await refused(ResourceNotFoundException, asked) == none


@story
async def test_the_policy_has_a_revision_of_its_own(world: World) -> None:
    await world.create_active()
    await world.ask("add_permission", **permission())
    first = (await world.ask("get_policy", FunctionName=NAME))["RevisionId"]
    await world.ask("publish_version", FunctionName=NAME)
    assert (await world.ask("get_policy", FunctionName=NAME))["RevisionId"] == first
    asked = world.ask("add_permission", **permission("x", RevisionId="wrong"))
    assert await refused(PreconditionFailedException, asked) == STALE
    asked = world.ask("remove_permission", FunctionName=NAME, StatementId="s3", RevisionId="wrong")
    assert await refused(PreconditionFailedException, asked) == STALE
    await world.ask("add_permission", **permission("x", RevisionId=first))
    second = (await world.ask("get_policy", FunctionName=NAME))["RevisionId"]
    assert second != first
    await world.ask("remove_permission", FunctionName=NAME, StatementId="x", RevisionId=second)
    assert await statements(world) == [statement()]


@story
async def test_the_first_permission_may_be_tied_to_the_revision_of_function_or_alias(world: World) -> None:
    await world.create_active()
    await world.ask("publish_version", FunctionName=NAME)
    alias = await world.ask("create_alias", FunctionName=NAME, Name="live", FunctionVersion="1")
    asked = world.ask("add_permission", **permission(Qualifier="live", RevisionId="wrong"))
    assert await refused(PreconditionFailedException, asked) == STALE
    await world.ask("add_permission", **permission(Qualifier="live", RevisionId=alias["RevisionId"]))
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    await world.ask("add_permission", **permission(RevisionId=shown["RevisionId"]))


@story
async def test_permissions_are_refused_in_awss_words(world: World) -> None:
    asked = world.ask("add_permission", **permission())
    assert await refused(ResourceNotFoundException, asked) == f"Function not found: {ARN}"
    asked = world.ask("remove_permission", FunctionName=NAME, StatementId="s3")
    assert await refused(ResourceNotFoundException, asked) == f"No policy found for: {ARN}"
    asked = world.ask("get_policy", FunctionName=NAME)
    assert await refused(ResourceNotFoundException, asked) == f"Function not found: {ARN}"
    await world.create_active()
    asked = world.ask("add_permission", **permission(Qualifier="$LATEST"))
    assert (
        await refused(InvalidParameterValueException, asked)
        == "We currently do not support adding policies for $LATEST."
    )
    asked = world.ask("add_permission", **permission(Qualifier="7"))
    assert await refused(ResourceNotFoundException, asked) == f"Function not found: {ARN}:7"
    asked = world.ask("add_permission", **permission(Qualifier="live"))
    assert await refused(ResourceNotFoundException, asked) == f"Cannot find alias arn: {ARN}:live"
    for principal in ("nobody", "arn:aws:s3:::b", "s3.example.com"):
        asked = world.ask("add_permission", **permission(Principal=principal))
        assert (
            await refused(InvalidParameterValueException, asked)
            == "The provided principal was invalid. Please check the principal and try again."
        )
    asked = world.ask("remove_permission", FunctionName=NAME, StatementId="s3")
    assert (
        await refused(ResourceNotFoundException, asked) == "No policy is associated with the given resource."
    )
    await world.ask("add_permission", **permission())
    asked = world.ask("remove_permission", FunctionName=NAME, StatementId="nope")
    assert (
        await refused(ResourceNotFoundException, asked) == "Statement nope is not found in resource policy."
    )
    asked = world.ask("add_permission", **permission())
    assert await refused(ResourceConflictException, asked) == (
        "The statement id (s3) provided already exists. Please provide a new statement id, or remove the "
        "existing statement."
    )


@story
async def test_removing_the_last_statement_removes_the_policy(world: World) -> None:
    await world.create_active()
    await world.ask("add_permission", **permission())
    assert await world.ask("remove_permission", FunctionName=NAME, StatementId="s3") == {}
    asked = world.ask("get_policy", FunctionName=NAME)
    assert await refused(ResourceNotFoundException, asked) == "The resource you requested does not exist."


@story
async def test_concurrent_permissions_are_all_kept(world: World) -> None:
    await world.create_active()
    sids = [f"s{number}" for number in range(10)]
    await asyncio.gather(*(world.ask("add_permission", **permission(sid)) for sid in sids))
    assert sorted(one["Sid"] for one in await statements(world)) == sids


@story
async def test_a_policy_has_20_kb_and_no_more(world: World) -> None:
    await world.create_active()
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement()]})
    filled = text + " " * (20_480 - len(text))
    await world.ask("put_resource_policy", ResourceArn=ARN, Policy=filled)
    asked = world.ask("put_resource_policy", ResourceArn=ARN, Policy=filled + " ")
    assert (
        await refused(PolicyLengthExceededException, asked)
        == "The final policy size (20481) is bigger than the limit (20480)."
    )


@story
async def test_a_whole_policy_can_be_put_read_and_deleted(world: World) -> None:
    await world.create_active()
    text = json.dumps({"Version": "2012-10-17", "Statement": statement(Effect="Deny")}, indent=1)
    put = await world.ask("put_resource_policy", ResourceArn=ARN, Policy=text)
    assert put["Policy"] == text
    assert await world.ask("get_resource_policy", ResourceArn=ARN) == put
    assert await world.ask("get_policy", FunctionName=NAME) == put
    asked = world.ask("put_resource_policy", ResourceArn=ARN, Policy=text, RevisionId=UUID)
    assert await refused(PreconditionFailedException, asked) == STALE
    asked = world.ask("delete_resource_policy", ResourceArn=ARN, RevisionId=UUID)
    assert await refused(PreconditionFailedException, asked) == STALE
    await world.ask("add_permission", **permission("more"))
    policy = json.loads((await world.ask("get_policy", FunctionName=NAME))["Policy"])
    assert [one["Sid"] for one in policy["Statement"]] == ["s3", "more"]
    assert await world.ask("delete_resource_policy", ResourceArn=ARN) == {}
    for operation in ("get_resource_policy", "delete_resource_policy"):
        text = await refused(ResourceNotFoundException, world.ask(operation, ResourceArn=ARN))
        assert text == "The resource you requested does not exist."


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        "{}",
        '{"Statement": []}',
        json.dumps({"Statement": {**statement(), "Principal": "nobody"}}),
        json.dumps({"Statement": {**statement(), "Resource": f"{ARN}:1"}}),
        json.dumps({"Statement": {key: value for key, value in statement().items() if key != "Principal"}}),
        json.dumps({"Statement": [statement(), statement()]}),
    ],
)
def test_what_is_no_policy_of_this_function_is_refused(policy: str) -> None:
    @story
    async def tell(world: World) -> None:
        await world.create_active()
        asked = world.ask("put_resource_policy", ResourceArn=ARN, Policy=policy)
        assert await refused(InvalidParameterValueException, asked)
        function = await world.stored()
        assert isinstance(function, Function)
        assert function.policies == {}

    tell()


@story
async def test_another_account_is_admitted_by_the_front_door_only(world: World) -> None:
    await world.create_active()
    foreign = {"FunctionName": ARN}
    stranger = a_call(account=OTHER)
    text = await refused(AccessDeniedException, world.ask("get_function_configuration", stranger, **foreign))
    assert "because no resource-based policy allows" in text
    admitted = a_call(account=OTHER, admitted_account=ACCOUNT)
    shown = await world.ask("get_function_configuration", admitted, **foreign)
    assert shown["FunctionArn"] == ARN
