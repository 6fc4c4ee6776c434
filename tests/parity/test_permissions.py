"""Resource-based policies through boto3: recorded answers, and other accounts that come because of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create, invoke

OTHER = "222222222222"


@pytest.fixture
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


@pytest.fixture
def stranger(lambent: Server) -> Any:
    """One of another account."""
    return lambent.client("lambda", account=OTHER)


@pytest.fixture
def arn(client: Any, name: str) -> str:
    """The ARN of a function of the test's own."""
    create(client, name, "def handler(event, context): return context.invoked_function_arn")
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def refused(operation: Any, **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    response = answer_of(caught.value)
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


def test_a_policys_life(client: Any, name: str, arn: str) -> None:
    parameters = {
        "FunctionName": name,
        "StatementId": "s3",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::bucket",
    }
    added = client.add_permission(**parameters)
    statement = {
        "Action": "lambda:InvokeFunction",
        "Condition": {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}},
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Resource": arn,
        "Sid": "s3",
    }
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert json.loads(added["Statement"]) == statement
    policy = client.get_policy(FunctionName=name)
    assert json.loads(policy["Policy"]) == {
        "Id": "default",
        "Statement": [statement],
        "Version": "2012-10-17",
    }
    assert client.get_resource_policy(ResourceArn=arn)["RevisionId"] == policy["RevisionId"]
    assert refused(client.add_permission, **parameters | {"StatementId": "x", "RevisionId": "wrong"}) == (
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the "
        "latest Revision Id",
        412,
    )
    removed = client.remove_permission(FunctionName=name, StatementId="s3")
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    gone = ("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    assert refused(client.get_policy, FunctionName=name) == gone
    put = client.put_resource_policy(ResourceArn=arn, Policy=policy["Policy"])
    assert (put["ResponseMetadata"]["HTTPStatusCode"], put["Policy"]) == (200, policy["Policy"])
    deleted = client.delete_resource_policy(ResourceArn=arn)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(client.get_resource_policy, ResourceArn=arn) == gone


def test_another_account_may_do_what_the_policy_says_and_no_more(
    client: Any, stranger: Any, name: str, arn: str
) -> None:
    def refusal(action: str, resource: str = arn) -> tuple[str, str, int]:
        return (
            "AccessDeniedException",
            f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: {action} on resource: {resource} "
            f"because no resource-based policy allows the {action} action",
            403,
        )

    assert refused(stranger.invoke, FunctionName=arn) == refusal("lambda:InvokeFunction")
    assert refused(stranger.get_function, FunctionName=arn) == refusal("lambda:GetFunction")
    assert refused(stranger.get_function, FunctionName=f"{arn}x") == refusal("lambda:GetFunction", f"{arn}x")
    grant = {"FunctionName": name, "Principal": OTHER}
    client.add_permission(StatementId="call", Action="lambda:InvokeFunction", **grant)
    assert invoke(stranger, arn).payload == arn
    assert invoke(stranger, f"{ACCOUNT}:function:{name}").payload == arn
    assert refused(stranger.get_function, FunctionName=arn) == refusal("lambda:GetFunction")
    client.add_permission(StatementId="all", Action="lambda:*", **grant)
    assert stranger.get_function(FunctionName=arn)["Configuration"]["FunctionArn"] == arn
    # $LATEST is not what the policy of the function as such opens.
    latest = f"{arn}:$LATEST"
    assert refused(stranger.invoke, FunctionName=latest) == refusal("lambda:InvokeFunction", latest)
    client.remove_permission(FunctionName=name, StatementId="all")
    assert refused(stranger.delete_function, FunctionName=arn) == refusal("lambda:DeleteFunction")


def test_the_policy_of_an_alias_opens_the_alias_only(client: Any, stranger: Any, name: str, arn: str) -> None:
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    client.add_permission(
        FunctionName=name,
        Qualifier="live",
        StatementId="call",
        Action="lambda:InvokeFunction",
        Principal=OTHER,
    )
    assert invoke(stranger, f"{arn}:live").payload == f"{arn}:live"
    assert invoke(stranger, arn, Qualifier="live").payload == f"{arn}:live"
    for closed in (arn, f"{arn}:1"):
        assert refused(stranger.invoke, FunctionName=closed)[0] == "AccessDeniedException"


def test_a_function_cannot_be_made_in_another_account(
    stranger: Any, client: Any, name: str, arn: str
) -> None:
    client.add_permission(FunctionName=name, StatementId="all", Action="*", Principal="*")
    code, _, status = refused(
        stranger.create_function,
        FunctionName=f"{arn}-2",
        Role=f"arn:aws:iam::{OTHER}:role/r",
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": b"x"},
    )
    assert (code, status) == ("AccessDeniedException", 403)
