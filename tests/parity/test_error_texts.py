"""The errors that AWS is known to answer, each provoked: text, status, header, type, and how its message is spelled."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, ROLE, Server, create, zip_of

HERE = f"arn:aws:lambda:{REGION}:{ACCOUNT}"
ELSEWHERE = f"arn:aws:lambda:ap-southeast-1:{ACCOUNT}"
STRANGER = "222222222222"
NOBODY = str(uuid.UUID(int=0))
CODE = {"ZipFile": zip_of({"app.py": "def handler(event, context): return event"})}
UPPER = {
    # The shapes whose body says ``Message``; the others that are met here say ``message``.
    "ResourceNotFoundException",
    "RecursiveInvocationException",
    "CodeSigningConfigNotFoundException",
    "AccessDeniedException",
}
STATUS = {
    "AccessDeniedException": 403,
    "PreconditionFailedException": 412,
    "ProvisionedConcurrencyConfigNotFoundException": 404,
    "CodeSigningConfigNotFoundException": 404,
    "RequestTooLargeException": 413,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "TooManyRequestsException": 429,
}
RESERVED = "Reserved keys used in this request: AWS_REGION"
ENVIRONMENT = (
    "Lambda was unable to configure your environment variables because the environment variables you "
    "have provided "
)
REVISION = "The Revision Id provided does not match the latest Revision Id. Call the "
MISMATCH = "The derived qualifier from the function name does not match the specified qualifier."
PARAMETER, MISSING, CONFLICT = (
    "InvalidParameterValueException",
    "ResourceNotFoundException",
    "ResourceConflictException",
)
PRECONDITION = "PreconditionFailedException"
STATEMENT = {"StatementId": "known", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
LAYER_ARN = f"{HERE}:layer:{{name}}"
ROUTE = "AdditionalVersionWeights"

# Operation, parameters, code, text. Of both, {name} is the function and its layer, {hash} its code's.
CHECKLIST: list[tuple[str, Mapping[str, Any], str, str]] = [
    ("get_function", {"FunctionName": "{name}:1", "Qualifier": "2"}, PARAMETER, MISMATCH),
    (
        "get_function",
        {"FunctionName": f"{ELSEWHERE}:function:{{name}}"},
        MISSING,
        f"Functions from 'ap-southeast-1' are not reachable in this region ('{REGION}')",
    ),
    (
        "get_function",
        {"FunctionName": f"arn:aws:lambda:{REGION}:{STRANGER}:function:{{name}}"},
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: lambda:GetFunction on resource: "
        f"arn:aws:lambda:{REGION}:{STRANGER}:function:{{name}} because no resource-based policy allows the "
        "lambda:GetFunction action",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Runtime": "python3.6"},
        PARAMETER,
        "The runtime parameter of python3.6 is no longer supported for creating or updating AWS Lambda functions. "
        "We recommend you use a supported runtime while creating or updating functions.",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}:1", "Description": "x"},
        PARAMETER,
        "Current operation does not support versions other than $LATEST. Please set the version to $LATEST or do "
        "not set a version in your request.",
    ),
    (
        "publish_version",
        {"FunctionName": "{name}", "CodeSha256": "other"},
        PARAMETER,
        "CodeSHA256 (other) is different from current CodeSHA256 in $LATEST ({hash}). Please try again with the "
        "CodeSHA256 in $LATEST.",
    ),
    (
        "publish_version",
        {"FunctionName": "{name}", "RevisionId": "old"},
        PRECONDITION,
        f"{REVISION}GetFunction/GetAlias API to retrieve the latest Revision Id",
    ),
    (
        "update_alias",
        {"FunctionName": "{name}", "Name": "live", "RevisionId": "old"},
        PRECONDITION,
        f"{REVISION}GetFunction/GetAlias API to retrieve the latest Revision Id",
    ),
    (
        "add_permission",
        {"FunctionName": "{name}", **STATEMENT, "StatementId": "new", "RevisionId": "old"},
        PRECONDITION,
        f"{REVISION}GetPolicy API to retrieve the latest Revision Id",
    ),
    (
        "delete_function",
        {"FunctionName": "{name}", "Qualifier": "$LATEST"},
        PARAMETER,
        "$LATEST version cannot be deleted without deleting the function.",
    ),
    (
        "delete_function",
        {"FunctionName": "{name}", "Qualifier": "1"},
        CONFLICT,
        "Unable to delete version because the following aliases reference it: [live]",
    ),
    (
        "create_function",
        {
            "FunctionName": "{name}",
            "Role": ROLE,
            "Runtime": "python3.12",
            "Handler": "app.handler",
            "Code": CODE,
        },
        CONFLICT,
        "Function already exist: {name}",
    ),
    (
        "create_alias",
        {"FunctionName": "{name}", "Name": "live", "FunctionVersion": "1"},
        CONFLICT,
        f"Alias already exists: {HERE}:function:{{name}}:live",
    ),
    (
        "create_alias",
        {"FunctionName": "{name}", "Name": "a", "FunctionVersion": "9"},
        MISSING,
        f"Function not found: {HERE}:function:{{name}}:9",
    ),
    (
        "create_alias",
        {
            "FunctionName": "{name}",
            "Name": "a",
            "FunctionVersion": "1",
            "RoutingConfig": {ROUTE: {"2": 0.1, "3": 0.1}},
        },
        PARAMETER,
        "Number of items in AdditionalVersionWeights cannot be greater than 1",
    ),
    (
        "create_alias",
        {
            "FunctionName": "{name}",
            "Name": "a",
            "FunctionVersion": "$LATEST",
            "RoutingConfig": {ROUTE: {"1": 0.1}},
        },
        PARAMETER,
        "$LATEST is not supported for an alias pointing to more than 1 version",
    ),
    (
        "create_alias",
        {
            "FunctionName": "{name}",
            "Name": "a",
            "FunctionVersion": "1",
            "RoutingConfig": {ROUTE: {"1": 0.1}},
        },
        PARAMETER,
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ),
    (
        "get_alias",
        {"FunctionName": "{name}", "Name": "nobody"},
        MISSING,
        f"Cannot find alias arn: {HERE}:function:{{name}}:nobody",
    ),
    (
        "update_alias",
        {"FunctionName": "{name}", "Name": "nobody"},
        MISSING,
        f"Alias not found: {HERE}:function:{{name}}:nobody",
    ),
    (
        "put_function_concurrency",
        {"FunctionName": "{name}:1", "ReservedConcurrentExecutions": 1},
        PARAMETER,
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN.",
    ),
    (
        "put_function_concurrency",
        {"FunctionName": "{name}", "ReservedConcurrentExecutions": 0},
        PARAMETER,
        " ReservedConcurrentExecutions  0 should not be lower than function's total provisioned concurrency [1].",
    ),
    (
        "put_provisioned_concurrency_config",
        {"FunctionName": "{name}", "Qualifier": "$LATEST", "ProvisionedConcurrentExecutions": 1},
        PARAMETER,
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions.",
    ),
    (
        "put_provisioned_concurrency_config",
        {"FunctionName": "{name}", "Qualifier": "live", "ProvisionedConcurrentExecutions": 2},
        PARAMETER,
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function",
    ),
    (
        "put_provisioned_concurrency_config",
        {"FunctionName": "{name}", "Qualifier": "1", "ProvisionedConcurrentExecutions": 1},
        CONFLICT,
        "Version is pointed by a Provisioned Concurrency alias",
    ),
    (
        "get_provisioned_concurrency_config",
        {"FunctionName": "{name}", "Qualifier": "1"},
        "ProvisionedConcurrencyConfigNotFoundException",
        "No Provisioned Concurrency Config found for this function",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Layers": [f"{HERE}:layer:l{n}:1" for n in range(6)]},
        PARAMETER,
        "Cannot reference more than 5 layers.",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Layers": [f"{LAYER_ARN}:9"]},
        PARAMETER,
        f"Layer version {LAYER_ARN}:9 does not exist.",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Layers": [f"{LAYER_ARN}:1", f"{LAYER_ARN}:2"]},
        PARAMETER,
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        f"{LAYER_ARN}:1 and {LAYER_ARN}:2 are versions of the same layer.",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Layers": [f"{ELSEWHERE}:layer:{{name}}:1"]},
        PARAMETER,
        f"Layers are not in the same region as the function. Layers are expected to be in region {REGION}.",
    ),
    (
        "get_layer_version_policy",
        {"LayerName": "{name}", "VersionNumber": 9},
        MISSING,
        f"Layer version {LAYER_ARN}:9 does not exist.",
    ),
    (
        "add_permission",
        {"FunctionName": "{name}", **STATEMENT},
        CONFLICT,
        "The statement id (known) provided already exists. Please provide a new statement id, or remove the existing "
        "statement.",
    ),
    (
        "add_permission",
        {"FunctionName": "{name}:$LATEST", **STATEMENT},
        PARAMETER,
        "We currently do not support adding policies for $LATEST.",
    ),
    (
        "remove_permission",
        {"FunctionName": "{name}", "StatementId": "nobody"},
        MISSING,
        "Statement nobody is not found in resource policy.",
    ),
    (
        "remove_permission",
        {"FunctionName": "{name}:1", "StatementId": "nobody"},
        MISSING,
        "No policy is associated with the given resource.",
    ),
    (
        "tag_resource",
        {"Resource": f"{HERE}:function:{{name}}:1", "Tags": {"a": "b"}},
        PARAMETER,
        "Tags on function aliases and versions are not supported. Please specify a function ARN.",
    ),
    (
        "tag_resource",
        {"Resource": f"{HERE}:function:{{name}}", "Tags": {f"key{n}": "" for n in range(51)}},
        PARAMETER,
        "Number of tags exceeds resource tag limit.",
    ),
    (
        "put_function_event_invoke_config",
        {"FunctionName": "{name}"},
        PARAMETER,
        "You must specify at least one of error handling or destination setting.",
    ),
    (
        "put_function_event_invoke_config",
        {
            "FunctionName": "{name}",
            "DestinationConfig": {"OnSuccess": {"Destination": f"{HERE}:function:{{name}}"}},
        },
        PARAMETER,
        "You can't specify the function as a destination for itself.",
    ),
    (
        "get_function_event_invoke_config",
        {"FunctionName": "{name}"},
        MISSING,
        f"The function {HERE}:function:{{name}}:$LATEST doesn't have an EventInvokeConfig",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Environment": {"Variables": {"AWS_REGION": "x"}}},
        PARAMETER,
        f"{ENVIRONMENT}contains reserved keys that are currently not supported for modification. {RESERVED}",
    ),
    (
        "update_function_configuration",
        {"FunctionName": "{name}", "Environment": {"Variables": {"KEY": "x" * 4096}}},
        PARAMETER,
        f"{ENVIRONMENT}exceeded the 4KB limit. String measured: "
        + json.dumps({"KEY": "x" * 4096}, separators=(",", ":")).replace("{", "{{").replace("}", "}}"),
    ),
    (
        "update_function_code",
        {"FunctionName": "{name}", "ImageUri": "repository:tag"},
        PARAMETER,
        "Please don't provide ImageUri when updating a function with packageType Zip.",
    ),
    (
        "update_function_code",
        {"FunctionName": "{name}", "ZipFile": b"no zip"},
        PARAMETER,
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    ),
    (
        "invoke",
        {"FunctionName": "{name}", "Payload": b"x" * 6_291_457},
        "RequestTooLargeException",
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
    ),
    (
        "invoke",
        {"FunctionName": "{name}", "Payload": b"x" * 1_048_577, "InvocationType": "Event"},
        "RequestTooLargeException",
        "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
    ),
    (
        "invoke",
        {"FunctionName": "{name}", "Qualifier": "nobody"},
        MISSING,
        f"Function not found: {HERE}:function:{{name}}:nobody",
    ),
    ("get_event_source_mapping", {"UUID": NOBODY}, MISSING, "The resource you requested does not exist."),
    (
        "get_function_url_config",
        {"FunctionName": "{name}"},
        MISSING,
        "The resource you requested does not exist.",
    ),
    (
        "put_function_code_signing_config",
        {
            "FunctionName": "{name}",
            "CodeSigningConfigArn": f"{HERE}:code-signing-config:csc-0b0a0908070605040",
        },
        "CodeSigningConfigNotFoundException",
        "The code signing configuration cannot be found. Check that the provided configuration is not deleted: "
        f"{HERE}:code-signing-config:csc-0b0a0908070605040.",
    ),
]


@pytest.fixture(scope="module")
def known(lambent: Server) -> Any:
    """A function with everything that the checklist bumps into."""
    client, name = lambent.client("lambda"), f"errors-{uuid.uuid4().hex[:8]}"
    created = create(client, name, "def handler(event, context): return event")
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    client.add_permission(FunctionName=name, **STATEMENT)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    for _ in range(2):
        client.publish_layer_version(LayerName=name, Content=CODE)
    return SimpleNamespace(client=client, name=name, hash=created["CodeSha256"])


def filled(value: Any, known: Any) -> Any:
    """Put the function's name into a parameter."""
    if isinstance(value, str):
        return value.replace("{name}", known.name)
    if isinstance(value, dict):
        return {key: filled(item, known) for key, item in value.items()}
    return [filled(item, known) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "text"),
    CHECKLIST,
    ids=[f"{n}-{c[0]}" for n, c in enumerate(CHECKLIST)],
)
def test_an_error_is_awss_to_the_letter(
    known: Any, operation: str, parameters: Mapping[str, Any], code: str, text: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(known.client, operation)(**filled(dict(parameters), known))
    answer: Any = caught.value.response
    assert answer["Error"]["Code"] == code
    assert answer["Error"]["Message"] == text.format(name=known.name, hash=known.hash)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == STATUS.get(code, 400)
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-errortype"].partition(":")[0] == code
    assert headers["x-amzn-requestid"]
    if code != "AccessDeniedException":  # Of this one, no model knows the shape.
        assert answer["Type"] == "User"
        assert ("Message" in answer, "message" in answer) == (
            (True, False) if code in UPPER else (False, True)
        )


def test_a_throttled_invocation_says_by_what(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(client, name, "def handler(event, context): return event")
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as caught:
        client.invoke(FunctionName=name)
    answer: Any = caught.value.response
    assert answer["Error"] == {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."}
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert answer["Type"] == "User"
    assert answer["message"] == "Rate Exceeded."


def test_a_role_that_does_not_trust_lambda_is_not_assumed(lambent: Server, name: str) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = lambent.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    with pytest.raises(ClientError) as caught:
        create(lambent.client("lambda"), name, "x = 1", Role=role["Role"]["Arn"])
    assert caught.value.response["Error"] == {
        "Code": PARAMETER,
        "Message": "The role defined for the function cannot be assumed by Lambda.",
    }


def test_a_queue_hides_what_it_gave_for_as_long_as_the_function_may_take(lambent: Server, name: str) -> None:
    client, sqs = lambent.client("lambda"), lambent.client("sqs")
    create(client, name, "def handler(event, context): pass", Timeout=30)
    create(client, f"{name}-slow", "def handler(event, context): pass", Timeout=31)
    sqs.create_queue(QueueName=name)  # 30 s by default.
    mapping = {"EventSourceArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}
    too_slow = {
        "Code": PARAMETER,
        "Message": "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds",
    }
    with pytest.raises(ClientError) as caught:
        client.create_event_source_mapping(FunctionName=f"{name}-slow", **mapping)
    assert caught.value.response["Error"] == too_slow
    uuid_ = client.create_event_source_mapping(FunctionName=name, Enabled=False, **mapping)["UUID"]
    while client.get_event_source_mapping(UUID=uuid_)["State"] != "Disabled":
        pass
    with pytest.raises(ClientError) as caught:
        client.update_event_source_mapping(UUID=uuid_, FunctionName=f"{name}-slow")
    assert caught.value.response["Error"] == too_slow


def test_a_url_is_not_made_public_by_accident(known: Any) -> None:
    statement = {"StatementId": "open", "Action": "lambda:InvokeFunctionUrl", "Principal": "*"}
    with pytest.raises(ClientError) as caught:
        known.client.add_permission(FunctionName=known.name, **statement)
    assert caught.value.response["Error"] == {
        "Code": PARAMETER,
        "Message": "This policy could enable public access to your lambda function as it allows all Principals (*) to "
        "perform lambda:InvokeFunctionUrl action. You must specify lambda:FunctionUrlAuthType condition if intend to "
        "enable public access",
    }
    known.client.add_permission(FunctionName=known.name, **statement, PrincipalOrgID="o-1234567890")


@pytest.mark.parametrize("action", ["lambda:InvokeFunction", "lambda:*"])
def test_an_auth_type_is_a_condition_for_function_urls_only(known: Any, action: str) -> None:
    statement = STATEMENT | {"StatementId": "url", "Action": action, "FunctionUrlAuthType": "NONE"}
    with pytest.raises(ClientError) as caught:
        known.client.add_permission(FunctionName=known.name, **statement)
    assert caught.value.response["Error"] == {
        "Code": PARAMETER,
        "Message": "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
    }
