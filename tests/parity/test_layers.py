"""Layers through boto3, against what AWS was recorded to answer."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create, zip_of

ZIP = zip_of({"python/tools.py": "NAME = 'tools'"})
ARN_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
    r"[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
)


@pytest.fixture
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


@pytest.fixture
def arn(name: str) -> str:
    """The ARN of the test's own layer."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}"


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


def recorded(answer: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return status and members, with placeholders for what differs per run, as recordings have them."""
    shown = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    shown["CreatedDate"] = "date"
    shown["Content"] = {**shown["Content"], "CodeSha256": "<code-sha256>", "Location": "<location>"}
    return answer["ResponseMetadata"]["HTTPStatusCode"], shown


def test_a_layers_life(client: Any, lambent: Server, name: str, arn: str) -> None:
    published = client.publish_layer_version(
        LayerName=name,
        Content={"ZipFile": ZIP},
        CompatibleRuntimes=["python3.12"],
        CompatibleArchitectures=["x86_64"],
        Description="description",
        LicenseInfo="license",
    )
    summary = {
        "CompatibleArchitectures": ["x86_64"],
        "CompatibleRuntimes": ["python3.12"],
        "CreatedDate": published["CreatedDate"],
        "Description": "description",
        "LayerVersionArn": f"{arn}:1",
        "LicenseInfo": "license",
        "Version": 1,
    }
    content = {"CodeSha256": "<code-sha256>", "CodeSize": len(ZIP), "Location": "<location>"}
    expected = {**summary, "CreatedDate": "date", "LayerArn": arn, "Content": content}
    assert recorded(published) == (201, expected)
    assert recorded(client.get_layer_version(LayerName=name, VersionNumber=1)) == (200, expected)
    assert recorded(client.get_layer_version_by_arn(Arn=f"{arn}:1")) == (200, expected)
    with urllib.request.urlopen(published["Content"]["Location"]) as response:
        assert response.read() == ZIP
    assert client.list_layer_versions(LayerName=name)["LayerVersions"] == [summary]
    layers = {layer["LayerName"]: layer for layer in client.list_layers()["Layers"]}
    assert layers[name] == {"LayerName": name, "LayerArn": arn, "LatestMatchingVersion": summary}
    created = create(client, name, "def handler(event, context): return 1", Layers=[f"{arn}:1"])
    assert created["Layers"] == [{"Arn": f"{arn}:1", "CodeSize": len(ZIP)}]
    for _ in range(2):
        deleted = client.delete_layer_version(LayerName=name, VersionNumber=1)
        assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_layer_versions(LayerName=name)["LayerVersions"] == []
    shown = client.get_function_configuration(FunctionName=name)
    assert shown["Layers"] == created["Layers"]


def test_a_layer_of_which_nothing_is_said(client: Any, name: str, arn: str) -> None:
    status, members = recorded(client.publish_layer_version(LayerName=name, Content={"ZipFile": ZIP}))
    assert status == 201
    assert members == {
        "CompatibleArchitectures": [],
        "CompatibleRuntimes": [],
        "Content": {"CodeSha256": "<code-sha256>", "CodeSize": len(ZIP), "Location": "<location>"},
        "CreatedDate": "date",
        "Description": "",
        "LayerArn": arn,
        "LayerVersionArn": f"{arn}:1",
        "Version": 1,
    }


def test_what_layers_refuse(client: Any, name: str, arn: str) -> None:
    missing = ("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    too_small = ("InvalidParameterValueException", "Layer Version Cannot be less than 1", 400)
    assert refused(client.get_layer_version, LayerName=name, VersionNumber=1) == missing
    assert refused(client.get_layer_version_by_arn, Arn=f"{arn}:1") == missing
    for number in (0, -1):
        assert refused(client.get_layer_version, LayerName=name, VersionNumber=number) == too_small
        assert refused(client.delete_layer_version, LayerName=name, VersionNumber=number) == too_small
    assert refused(client.get_layer_version_by_arn, Arn=arn) == (
        "ValidationException",
        f"1 validation error detected: Value '{arn}' at 'arn' failed to satisfy constraint: Member must satisfy "
        f"regular expression pattern: {ARN_PATTERN}",
        400,
    )
    assert refused(client.list_layers, CompatibleArchitecture="archdoesnotexist") == (
        "ValidationException",
        "1 validation error detected: Value 'archdoesnotexist' at 'compatibleArchitecture' failed to satisfy "
        "constraint: Member must satisfy enum value set: [x86_64, arm64]",
        400,
    )
    in_s3 = {"S3Bucket": "nothing-here", "S3Key": "key"}
    code, text, status = refused(client.publish_layer_version, LayerName=name, Content=in_s3)
    assert (code, status) == ("InvalidParameterValueException", 400)
    assert "NoSuchBucket" in text


def test_what_functions_refuse_of_layers(client: Any, name: str, arn: str) -> None:
    for _ in range(2):
        client.publish_layer_version(LayerName=name, Content={"ZipFile": ZIP})
    create(client, name, "def handler(event, context): return 1")

    def refusal(*layers: str) -> tuple[str, str]:
        code, text, status = refused(
            client.update_function_configuration, FunctionName=name, Layers=list(layers)
        )
        assert status == 400
        return code, text

    invalid = "InvalidParameterValueException"
    assert refusal(f"{arn}:9") == (invalid, f"Layer version {arn}:9 does not exist.")
    assert refusal(f"{arn}:1", f"{arn}:2") == (
        invalid,
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        f"{arn}:1 and {arn}:2 are versions of the same layer.",
    )
    assert refusal(*(f"{arn}-{number}:1" for number in range(6))) == (
        invalid,
        "Cannot reference more than 5 layers.",
    )
    assert refusal(f"{arn}:1".replace(REGION, "eu-west-1")) == (
        invalid,
        f"Layers are not in the same region as the function. Layers are expected to be in region {REGION}.",
    )
    code, text = refusal(arn)
    assert code == "ValidationException"
    assert text == (
        f"1 validation error detected: Value '[{arn}]' at 'layers' failed to satisfy constraint: Member must "
        "satisfy constraint: [Member must have length less than or equal to 2048, Member must have length greater "
        f"than or equal to 1, Member must satisfy regular expression pattern: {ARN_PATTERN}, Member must not be "
        "null]"
    )


def test_layer_policies(client: Any, name: str, arn: str) -> None:
    client.publish_layer_version(LayerName=name, Content={"ZipFile": ZIP})
    named = {"LayerName": name, "VersionNumber": 1}
    grant = {"StatementId": "s1", "Action": "lambda:GetLayerVersion", "Principal": "*", **named}
    added = client.add_layer_version_permission(**grant)
    statement = {
        "Action": "lambda:GetLayerVersion",
        "Effect": "Allow",
        "Principal": "*",
        "Resource": f"{arn}:1",
        "Sid": "s1",
    }
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert json.loads(added["Statement"]) == statement
    policy = client.get_layer_version_policy(**named)
    assert policy["RevisionId"] == added["RevisionId"]
    assert json.loads(policy["Policy"]) == {
        "Id": "default",
        "Statement": [statement],
        "Version": "2012-10-17",
    }
    assert refused(client.add_layer_version_permission, **grant | {"Action": "*"}) == (
        "ValidationException",
        "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: lambda:GetLayerVersion",
        400,
    )
    assert refused(client.add_layer_version_permission, **grant)[::2] == ("ResourceConflictException", 409)
    stale = refused(
        client.add_layer_version_permission, **grant | {"StatementId": "s2", "RevisionId": "wrong"}
    )
    assert stale == (
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve "
        "the latest Revision Id",
        412,
    )
    removed = client.remove_layer_version_permission(StatementId="s1", **named)
    assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(client.get_layer_version_policy, **named) == (
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
        404,
    )
