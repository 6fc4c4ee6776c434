"""STS through boto3: who am I, and credentials of a role that the next call is signed with."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server

ACCOUNT = "000000000000"


def trust(principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def as_session(lambent: Server, service: str, credentials: Any) -> Any:
    return lambent.client(
        service,
        access_key_id=credentials["AccessKeyId"],
        secret_access_key=credentials["SecretAccessKey"],
        session_token=credentials["SessionToken"],
    )


def test_the_caller_of_an_open_server_is_the_accounts_root(lambent: Server) -> None:
    identity = lambent.client("sts", account="123456789012").get_caller_identity()
    del identity["ResponseMetadata"]
    assert identity == {
        "UserId": "123456789012",
        "Account": "123456789012",
        "Arn": "arn:aws:iam::123456789012:root",
    }


def test_an_assumed_role_is_who_calls_next(lambent: Server, name: str) -> None:
    role = lambent.client("iam").create_role(
        RoleName=name, Path="/apps/", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"})
    )["Role"]
    sts = lambent.client("sts")
    before = datetime.now(UTC)
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="deploy", DurationSeconds=900)
    assert answer["AssumedRoleUser"] == {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/deploy",
        "AssumedRoleId": f"{role['RoleId']}:deploy",
    }
    credentials = answer["Credentials"]
    lifetime = credentials["Expiration"] - before
    assert timedelta(seconds=890) < lifetime < timedelta(seconds=960)
    identity = as_session(lambent, "sts", credentials).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    assert sts.get_access_key_info(AccessKeyId=credentials["AccessKeyId"])["Account"] == ACCOUNT


def test_a_session_assumes_what_trusts_its_role_and_nothing_else(lambent: Server, name: str) -> None:
    iam = lambent.client("iam")
    first = iam.create_role(RoleName=f"{name}-1", AssumeRolePolicyDocument=trust({"AWS": "*"}))["Role"]
    second = iam.create_role(RoleName=f"{name}-2", AssumeRolePolicyDocument=trust({"AWS": first["Arn"]}))[
        "Role"
    ]
    third = iam.create_role(
        RoleName=f"{name}-3", AssumeRolePolicyDocument=trust({"Service": "lambda.amazonaws.com"})
    )["Role"]
    credentials = lambent.client("sts").assume_role(RoleArn=first["Arn"], RoleSessionName="one")[
        "Credentials"
    ]
    chained = as_session(lambent, "sts", credentials)
    assert chained.assume_role(RoleArn=second["Arn"], RoleSessionName="two")["Credentials"]
    with pytest.raises(ClientError) as raised:
        chained.assume_role(RoleArn=third["Arn"], RoleSessionName="three")
    response = answer_of(raised.value)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert response["Error"]["Code"] == "AccessDenied"
    assert response["Error"]["Message"] == (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/{name}-1/one is not authorized to perform: sts:AssumeRole on "
        f"resource: {third['Arn']}"
    )


def test_an_unknown_role_is_not_authorized(lambent: Server, name: str) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    with pytest.raises(ClientError) as raised:
        lambent.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")
    response = answer_of(raised.value)
    assert response["Error"]["Code"] == "AccessDenied"
    assert response["Error"]["Message"] == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {arn}"
    )


def test_a_duration_beyond_the_roles_is_refused(lambent: Server, name: str) -> None:
    role = lambent.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": "*"}))[
        "Role"
    ]
    with pytest.raises(ClientError) as raised:
        lambent.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="me", DurationSeconds=7200)
    response = answer_of(raised.value)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"]["Code"] == "ValidationError"
    assert "MaxSessionDuration" in response["Error"]["Message"]


def test_a_session_token_lends_the_users_identity(lambent: Server, name: str) -> None:
    iam = lambent.client("iam")
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    sts = lambent.client("sts", access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    credentials = sts.get_session_token()["Credentials"]
    session = as_session(lambent, "sts", credentials)
    assert session.get_caller_identity()["Arn"] == user["Arn"]
    with pytest.raises(ClientError, match="Cannot call GetSessionToken with session credentials"):
        session.get_session_token()


def test_a_federated_user_is_who_calls_next(lambent: Server, name: str) -> None:
    iam = lambent.client("iam")
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    sts = lambent.client("sts", access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    answer = sts.get_federation_token(Name="guest")
    identity = as_session(lambent, "sts", answer["Credentials"]).get_caller_identity()
    assert identity["Arn"] == answer["FederatedUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:federated-user/guest"
    assert identity["UserId"] == f"{ACCOUNT}:guest"


def test_a_token_of_a_provider_that_a_role_trusts_is_enough(lambent: Server, name: str) -> None:
    iam = lambent.client("iam")
    issuer = f"https://{name}.example.com"
    provider = iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["sts.amazonaws.com"])
    arn = provider["OpenIDConnectProviderArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringLike": {f"{name}.example.com:sub": "repo:me/*"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]
    sts = lambent.client("sts")

    def assume(**changes: Any) -> Any:
        claims = {
            "iss": issuer,
            "aud": "sts.amazonaws.com",
            "sub": "repo:me/app",
            "exp": datetime.now(UTC).timestamp() + 600,
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, claims | changes)]
        token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, b"signed"))
        return sts.assume_role_with_web_identity(
            RoleArn=role["Arn"], RoleSessionName="ci", WebIdentityToken=token
        )

    answer = assume()
    assert (answer["Provider"], answer["Audience"]) == (arn, "sts.amazonaws.com")
    assert answer["SubjectFromWebIdentityToken"] == "repo:me/app"
    identity = as_session(lambent, "sts", answer["Credentials"]).get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/ci"
    with pytest.raises(ClientError) as raised:
        assume(sub="repo:you/app")
    assert answer_of(raised.value)["Error"]["Code"] == "AccessDenied"
    with pytest.raises(ClientError) as raised:
        assume(exp=1)
    response = answer_of(raised.value)
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (
        "ExpiredTokenException",
        400,
    )
    with pytest.raises(ClientError) as raised:
        assume(iss="https://other.example.com")
    assert answer_of(raised.value)["Error"] == {
        "Type": "Sender",
        "Code": "InvalidIdentityToken",
        "Message": "No OpenIDConnect provider found in your account for https://other.example.com",
    }
