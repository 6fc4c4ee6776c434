"""Aliases through boto3: answers as AWS was recorded to give them, and invocations that are really split."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create, invoke

SOURCE = """
import os

def handler(event, context):
    return {
        "invoked_arn": context.invoked_function_arn,
        "version_from_ctx": context.function_version,
        "version_id": os.environ["VERSION_ID"],
    }
"""


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def refused(operation: Any, **parameters: Any) -> tuple[str, str, int]:
    """Return code, message and HTTP status of what AWS would refuse."""
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    response = answer_of(caught.value)
    error = response["Error"]
    return error["Code"], error["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def two_versions(client: Any, name: str, **options: Any) -> str:
    """Create a function with versions 1 and 2, and return its ARN."""

    def variables(number: int) -> dict[str, Any]:
        return {"Variables": {"VERSION_ID": f"version{number}"}}

    create(client, name, SOURCE, Environment=variables(1), Publish=True, **options)
    client.update_function_configuration(FunctionName=name, Environment=variables(2))
    waiter = client.get_waiter("function_updated_v2")
    waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    assert client.publish_version(FunctionName=name)["Version"] == "2"
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def test_invocations_of_an_alias_are_split_between_its_versions(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    arn = two_versions(client, name)
    client.create_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    executed: Counter[str] = Counter()
    for _ in range(100):
        answer = invoke(client, name, Qualifier="live")
        assert answer.payload == {
            "invoked_arn": f"{arn}:live",
            "version_from_ctx": answer.version,
            "version_id": f"version{answer.version}",
        }
        assert answer.headers["x-amz-executed-version"] == answer.version
        executed[answer.version] += 1
    # A fair coin shows one side less than 15 times in 100 throws once in 10^13 runs.
    assert executed.total() == 100
    assert min(executed["1"], executed["2"]) > 15


def test_an_alias_moves_while_its_callers_need_not_know(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    arn = two_versions(client, name)
    created = client.create_alias(FunctionName=name, Name="alias1", FunctionVersion="1")
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    for qualified in ({"FunctionName": name, "Qualifier": "alias1"}, {"FunctionName": f"{arn}:alias1"}):
        payload = client.invoke(**qualified)["Payload"].read()
        assert payload.startswith(b'{"invoked_arn": "%s:alias1", "version_from_ctx": "1"' % arn.encode())
    updated = client.update_alias(FunctionName=name, Name="alias1", FunctionVersion="2")
    assert updated["RevisionId"] != created["RevisionId"]
    assert invoke(client, name, Qualifier="alias1").payload["version_id"] == "version2"
    assert refused(client.invoke, FunctionName=name, Qualifier="non-existent-alias") == (
        "ResourceNotFoundException",
        f"Function not found: {arn}:non-existent-alias",
        404,
    )


def test_aliases_and_their_routing_survive_a_kill(new_server: Any, name: str) -> None:
    server: Server = new_server()
    client = server.client("lambda")
    two_versions(client, name)
    created = client.create_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}},
    )
    server.kill()
    server.start()
    client = server.client("lambda")
    found = client.get_alias(FunctionName=name, Name="live")
    assert {**found, "ResponseMetadata": 0} == {**created, "ResponseMetadata": 0}
    assert invoke(client, name, Qualifier="live").version == "2"
    assert refused(client.delete_function, FunctionName=name, Qualifier="2") == (
        "ResourceConflictException",
        "Unable to delete version because the following aliases reference it: [live]",
        409,
    )
