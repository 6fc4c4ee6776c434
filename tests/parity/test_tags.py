"""Tags through boto3, against what AWS was recorded to answer."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create

SOURCE = "def handler(event, context): return event"
PREFIX = f"arn:aws:lambda:{REGION}:{ACCOUNT}"


@pytest.fixture
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


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


def every_operation(client: Any, resource: str) -> list[tuple[str, str, int]]:
    return [
        refused(client.tag_resource, Resource=resource, Tags={"a": "b"}),
        refused(client.untag_resource, Resource=resource, TagKeys=["a"]),
        refused(client.list_tags, Resource=resource),
    ]


def test_tags_live_as_recorded(client: Any, name: str) -> None:
    arn = create(client, name, SOURCE, Tags={"key_a": "value_a"})["FunctionArn"]
    tagged = client.tag_resource(Resource=arn, Tags={"key_b": "value_b", "key_c": "value_c"})
    assert tagged["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.tag_resource(Resource=arn, Tags={"key_c": "value_x"})
    expected = {"key_a": "value_a", "key_b": "value_b", "key_c": "value_x"}
    assert client.list_tags(Resource=arn)["Tags"] == expected
    assert client.get_function(FunctionName=name)["Tags"] == expected
    untagged = client.untag_resource(Resource=arn, TagKeys=["key_c", "no-match"])
    assert untagged["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.untag_resource(Resource=arn, TagKeys=["key_a", "key_b"])
    assert client.list_tags(Resource=arn)["Tags"] == {}
    assert "Tags" not in client.get_function(FunctionName=name)


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ("function:doesnotexist", "Function not found"),
        ("event-source-mapping:0b0a0908-0706-0504-0302-0100aabbccdd", "Event source mapping not found"),
        ("capacity-provider:doesnotexist", "Capacity provider not found"),
    ],
)
def test_what_does_not_exist_cannot_be_tagged(client: Any, resource: str, text: str) -> None:
    expected = ("ResourceNotFoundException", f"{text}: {PREFIX}:{resource}", 404)
    assert every_operation(client, f"{PREFIX}:{resource}") == [expected] * 3


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:something",
        f"{PREFIX}:foobar:x",
        f"{PREFIX}:capacity-provider:x:alias",
        f"{PREFIX}:event-source-mapping:0b0a0908-0706-0504-0302-0100aabbccdd:alias",
    ],
)
def test_what_is_no_taggable_arn_is_refused_with_the_pattern(client: Any, resource: str) -> None:
    code, message, status = refused(client.tag_resource, Resource=resource, Tags={"a": "b"})
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith(
        f"1 validation error detected: Value '{resource}' at 'resource' failed to satisfy constraint: Member "
        "must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*):lambda:"
    )


@pytest.mark.parametrize("qualifier", ["$LATEST", "1", "alias"])
def test_versions_and_aliases_cannot_be_tagged(client: Any, name: str, qualifier: str) -> None:
    arn = create(client, name, SOURCE)["FunctionArn"]
    expected = (
        "InvalidParameterValueException",
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
        400,
    )
    assert every_operation(client, f"{arn}:{qualifier}") == [expected] * 3


def test_empty_requests_are_refused_as_recorded(client: Any, name: str) -> None:
    arn = create(client, name, SOURCE)["FunctionArn"]
    assert refused(client.tag_resource, Resource=arn, Tags={}) == (
        "InvalidParameterValueException",
        "An error occurred and the request cannot be processed.",
        400,
    )
    assert refused(client.untag_resource, Resource=arn, TagKeys=[]) == (
        "ValidationException",
        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: "
        "Member must not be null",
        400,
    )


def test_fifty_tags_are_the_most(client: Any, name: str) -> None:
    arn = create(client, name, SOURCE)["FunctionArn"]
    too_many = ("InvalidParameterValueException", "Number of tags exceeds resource tag limit.", 400)
    tags = {f"{n}_key": f"{n}_value" for n in range(51)}
    assert refused(client.tag_resource, Resource=arn, Tags=tags) == too_many
    del tags["50_key"]
    client.tag_resource(Resource=arn, Tags=tags)
    assert refused(client.tag_resource, Resource=arn, Tags={"additional": "x"}) == too_many
    assert client.list_tags(Resource=arn)["Tags"] == tags
