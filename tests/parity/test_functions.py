"""Functions through boto3, against what AWS was recorded to answer.

Expectations are AWS's answers word for word; values that differ per run are replaced by placeholders on both
sides (`recorded`).
"""

from __future__ import annotations

import io
import json
import os
import re
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, ROLE, Server, create, zip_of

SOURCE = "def handler(event, context): return event"
ZIP = zip_of({"app.py": SOURCE})
PLACEHOLDERS = {
    "RevisionId": "<uuid>",
    "CodeSha256": "<code-sha256>",
    "CodeSize": "<code-size>",
    "LastModified": "date",
}
CREATING = "The function is being created."
IN_PROGRESS = {
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": CREATING,
    "LastUpdateStatusReasonCode": "Creating",
}
ACTIVE = {"State": "Active", "LastUpdateStatus": "Successful"}
PENDING = {"State": "Pending", "StateReason": CREATING, "StateReasonCode": "Creating"}
# What AWS answered to CreateFunction; State and what else changes is added per step.
CONFIGURATION: dict[str, Any] = {
    "Architectures": ["x86_64"],
    "CodeSha256": "<code-sha256>",
    "CodeSize": "<code-size>",
    "Description": "",
    "EphemeralStorage": {"Size": 512},
    "FunctionArn": "arn:aws:lambda:<region>:<account>:function:<function-name>",
    "FunctionName": "<function-name>",
    "Handler": "app.handler",
    "LastModified": "date",
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/<function-name>"},
    "MemorySize": 128,
    "PackageType": "Zip",
    "RevisionId": "<uuid>",
    "Role": "arn:aws:iam::<account>:role/lambent-tests",
    "Runtime": "python3.12",
    "RuntimeVersionConfig": {"RuntimeVersionArn": "arn:aws:lambda:<region>::runtime:<resource>"},
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
    "Version": "$LATEST",
}


@pytest.fixture
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


def creation(name: str, **parameters: Any) -> dict[str, Any]:
    """Parameters of CreateFunction."""
    return {
        "FunctionName": name,
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Role": ROLE,
        "Code": {"ZipFile": ZIP},
    } | parameters


def recorded(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return an answer with placeholders for what differs per run, as recordings have them."""
    shown = {key: value for key, value in answer.items() if key != "ResponseMetadata"}
    for key, placeholder in PLACEHOLDERS.items():
        if key in shown:
            shown[key] = placeholder
    text = json.dumps(shown).replace(name, "<function-name>").replace(ACCOUNT, "<account>")
    text = re.sub(r"runtime:[0-9a-f]{64}", "runtime:<resource>", text.replace(REGION, "<region>"))
    return json.loads(text)


def status(answer: Mapping[str, Any]) -> int:
    return answer["ResponseMetadata"]["HTTPStatusCode"]


def settled(client: Any, name: str) -> None:
    client.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )
    client.get_waiter("function_updated_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def refused(operation: Any, **parameters: Any) -> tuple[str, str, int, str | None]:
    """Return code, message, HTTP status and type of the error that AWS would answer."""
    with pytest.raises(ClientError) as caught:
        operation(**parameters)
    response = answer_of(caught.value)
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response.get("Type"),
    )


def arn(name: str, suffix: str = "") -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}{suffix}"


def test_a_function_is_created_and_becomes_active(client: Any, name: str) -> None:
    created = client.create_function(**creation(name))
    assert status(created) == 201
    assert recorded(created, name) == {**CONFIGURATION, **PENDING}
    settled(client, name)
    found = client.get_function(FunctionName=name)
    assert recorded(found["Configuration"], name) == {**CONFIGURATION, **ACTIVE}
    assert found["Configuration"]["RevisionId"] != created["RevisionId"]
    assert found["Code"]["RepositoryType"] == "S3"
    assert "Tags" not in found
    assert recorded(client.get_function_configuration(FunctionName=name), name) == {**CONFIGURATION, **ACTIVE}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", created["LastModified"])


def test_the_link_to_the_code_gives_back_the_upload(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    location = client.get_function(FunctionName=name)["Code"]["Location"]
    with urllib.request.urlopen(location) as response:
        package = zipfile.ZipFile(io.BytesIO(response.read()))
    assert package.read("app.py").decode() == SOURCE
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(location[:-1])
    assert caught.value.code == 403
    caught.value.close()


def test_functions_are_created_by_name_and_by_both_kinds_of_arn(client: Any, name: str) -> None:
    for suffix, form in (("a", "{}"), ("b", f"{ACCOUNT}:function:{{}}"), ("c", arn("{}"))):
        created = client.create_function(**creation(form.format(name + suffix)))
        assert created["FunctionName"] == name + suffix
        assert created["FunctionArn"] == arn(name + suffix)


def test_names_that_cannot_be_are_refused_as_recorded(client: Any) -> None:
    foreign_region = "arn:aws:lambda:ap-southeast-1:000000000000:function:f"
    assert refused(client.create_function, **creation(foreign_region)) == (
        "ResourceNotFoundException",
        "Functions from 'ap-southeast-1' are not reachable in this region ('us-east-1')",
        404,
        "User",
    )
    foreign_account = "arn:aws:lambda:us-east-1:123456789012:function:f"
    code, _, http_status, _ = refused(client.create_function, **creation(foreign_account))
    assert (code, http_status) == ("AccessDeniedException", 403)
    assert refused(client.create_function, **creation("invalid:function:name"))[:3] == (
        "ValidationException",
        "1 validation error detected: Value 'invalid:function:name' at 'functionName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?"
        r"[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)"
        r"(:(\$LATEST|[a-zA-Z0-9-_]+))?",
        400,
    )
    assert refused(client.create_function, **creation("a" * 65)) == (
        "InvalidParameterValueException",
        f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64",
        400,
        "User",
    )
    long_arn = arn("a" * 100)
    assert refused(client.create_function, **creation(long_arn))[:3] == (
        "ValidationException",
        f"1 validation error detected: Value '{long_arn}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 140",
        400,
    )


def test_what_does_not_exist_is_not_found(client: Any, name: str) -> None:
    gone = ("ResourceNotFoundException", f"Function not found: {arn(name)}", 404, "User")
    for operation in (
        client.get_function,
        client.get_function_configuration,
        client.delete_function,
        client.list_versions_by_function,
        client.publish_version,
        client.invoke,
    ):
        assert refused(operation, FunctionName=name) == gone
    assert refused(client.update_function_code, FunctionName=name, ZipFile=ZIP) == gone
    assert refused(client.update_function_configuration, FunctionName=name, Timeout=5) == gone
    assert refused(client.delete_function, FunctionName=name, Qualifier="1") == gone
    create(client, name, SOURCE)
    assert refused(client.get_function, FunctionName=name, Qualifier="live") == (
        "ResourceNotFoundException",
        f"Function not found: {arn(name, ':live')}",
        404,
        "User",
    )
    assert refused(client.get_function, FunctionName=f"{name}:1", Qualifier="2") == (
        "InvalidParameterValueException",
        "The derived qualifier from the function name does not match the specified qualifier.",
        400,
        "User",
    )


def test_a_name_is_taken_once(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    code, message, http_status, _ = refused(client.create_function, **creation(name))
    assert (code, message, http_status) == (
        "ResourceConflictException",
        f"Function already exist: {name}",
        409,
    )


def test_a_deleted_function_is_gone(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    deleted = client.delete_function(FunctionName=name)
    assert status(deleted) == 204
    assert deleted["StatusCode"] == 204
    assert refused(client.get_function, FunctionName=name)[0] == "ResourceNotFoundException"
    create(client, name, SOURCE)


def test_of_concurrent_code_updates_one_wins(client: Any, name: str) -> None:
    create(client, name, SOURCE)

    def update(number: int) -> Any:
        try:
            return client.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": str(number)}))
        except ClientError as error:
            return answer_of(error)["Error"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(update, range(8)))
    won = [answer for answer in answers if "CodeSha256" in answer]
    assert won
    for error in (answer for answer in answers if "CodeSha256" not in answer):
        assert error["Code"] == "ResourceConflictException"
        assert error["Message"] == (
            f"The operation cannot be performed at this time. An update is in progress for resource: {arn(name)}"
        )
    settled(client, name)
    current = client.get_function_configuration(FunctionName=name)
    assert current["LastUpdateStatus"] == "Successful"
    assert current["CodeSha256"] in {answer["CodeSha256"] for answer in won}


def test_updates_are_in_progress_as_recorded(client: Any, name: str) -> None:
    create(client, name, SOURCE, Timeout=3, MemorySize=128)
    expected = {**CONFIGURATION, "State": "Active", **IN_PROGRESS}
    changed = client.update_function_configuration(FunctionName=name, Environment={"Variables": {}})
    assert recorded(changed, name) == {**expected, "Environment": {"Variables": {}}}
    settled(client, name)
    changed = client.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": "x = 1"}))
    assert recorded(changed, name) == {**expected, "Environment": {"Variables": {}}}
    settled(client, name)
    changed = client.update_function_configuration(FunctionName=name, Description="x", RevisionId=None)
    settled(client, name)
    assert refused(
        client.update_function_configuration, FunctionName=name, RevisionId=changed["RevisionId"]
    ) == (
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
        "retrieve the latest Revision Id",
        412,
        "User",
    )


def test_a_vpc_configuration_is_kept_changed_and_removed(client: Any, name: str) -> None:
    subnets = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    created = create(client, name, SOURCE, VpcConfig=subnets)["VpcConfig"]
    vpc_id = created.pop("VpcId")
    assert created == {**subnets, "Ipv6AllowedForDualStack": False}
    other = {"SubnetIds": ["subnet-2"], "SecurityGroupIds": ["sg-2"]}
    changed = client.update_function_configuration(FunctionName=name, VpcConfig=other)
    assert changed["VpcConfig"] == {**other, "VpcId": vpc_id, "Ipv6AllowedForDualStack": False}
    settled(client, name)
    nothing: dict[str, Any] = {"SubnetIds": [], "SecurityGroupIds": []}
    changed = client.update_function_configuration(FunctionName=name, VpcConfig=nothing)
    assert changed["VpcConfig"] == {**nothing, "VpcId": "", "Ipv6AllowedForDualStack": False}


def test_the_environment_ends_at_four_kilobytes_of_json(client: Any, name: str) -> None:
    fits = {"LARGE_VAR": "x" * (4096 - len('{"LARGE_VAR":""}'))}
    created = client.create_function(**creation(name, Environment={"Variables": fits}))
    assert created["Environment"] == {"Variables": fits}
    too_large = {"SMALL_VAR": "ok", "LARGE_VAR": "x" * 4069}
    assert refused(client.create_function, **creation(name + "2", Environment={"Variables": too_large})) == (
        "InvalidParameterValueException",
        "Lambda was unable to configure your environment variables because the environment variables you have "
        "provided exceeded the 4KB limit. String measured: " + json.dumps(too_large, separators=(",", ":")),
        400,
        "User",
    )


def test_reserved_environment_variables_are_refused(client: Any, name: str) -> None:
    variables = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x"}
    code, message, _, _ = refused(
        client.create_function, **creation(name, Environment={"Variables": variables})
    )
    assert code == "InvalidParameterValueException"
    assert message.endswith("Reserved keys used in this request: AWS_REGION, AWS_ACCESS_KEY_ID")


def random_zip(size_bytes: int) -> bytes:
    """A zip of about this size, of what cannot be compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as package:
        package.writestr("app.py", SOURCE)
        package.writestr("random", os.urandom(size_bytes))
    return content.getvalue()


def test_a_large_package_is_accepted_and_a_larger_one_is_not(client: Any, name: str) -> None:
    created = client.create_function(**creation(name, Code={"ZipFile": random_zip(49_000_000)}))
    assert created["CodeSize"] > 49_000_000
    code, message, http_status, _ = refused(
        client.create_function, **creation(name + "2", Code={"ZipFile": random_zip(52_428_801)})
    )
    assert (code, message, http_status) == (
        "RequestEntityTooLargeException",
        "Zipped size must be smaller than 52428800 bytes",
        413,
    )
    assert refused(client.get_function, FunctionName=name + "2")[0] == "ResourceNotFoundException"


def test_an_oversized_request_is_refused_as_recorded(client: Any, name: str) -> None:
    code, message, http_status, _ = refused(
        client.create_function, **creation(name, Code={"ZipFile": os.urandom(53_000_000)})
    )
    assert (code, message, http_status) == (
        "RequestEntityTooLargeException",
        "Request must be smaller than 70167211 bytes for the CreateFunction operation",
        413,
    )


def links_out() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        entry = zipfile.ZipInfo("x")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        package.writestr(entry, "/etc/passwd")
    return content.getvalue()


UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"this is not a zip", UNREADABLE),
        (ZIP[:50], UNREADABLE),
        (zip_of({"../escape.py": "x"}), UNREADABLE),
        (zip_of({"/absolute.py": "x"}), UNREADABLE),
        (links_out(), UNREADABLE),
        (zip_of({}), "Uploaded file must be a non-empty zip"),
        (zip_of({"bomb": b"\0" * 262_144_001}), "Unzipped size must be smaller than 262144000 bytes"),
    ],
    ids=["text", "half", "parent", "absolute", "link", "empty", "bomb"],
)
def test_a_bad_package_is_refused_and_leaves_nothing(
    client: Any, name: str, content: bytes, message: str
) -> None:
    error = ("InvalidParameterValueException", message, 400, "User")
    assert refused(client.create_function, **creation(name, Code={"ZipFile": content})) == error
    assert refused(client.get_function, FunctionName=name)[0] == "ResourceNotFoundException"
    before = create(client, name, SOURCE)
    assert refused(client.update_function_code, FunctionName=name, ZipFile=content) == error
    assert client.get_function_configuration(FunctionName=name)["CodeSha256"] == before["CodeSha256"]


@pytest.mark.parametrize(
    ("parameters", "code", "message"),
    [
        (
            {"Runtime": "python2.7"},
            "InvalidParameterValueException",
            "The runtime parameter of python2.7 is no longer supported for creating or updating AWS Lambda "
            "functions. We recommend you use a supported runtime while creating or updating functions.",
        ),
        (
            {"Layers": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:l{n}:1" for n in range(6)]},
            "InvalidParameterValueException",
            "Cannot reference more than 5 layers.",
        ),
        (
            {"Layers": [f"arn:aws:lambda:us-east-1:{ACCOUNT}:layer:doesnotexist:1"]},
            "InvalidParameterValueException",
            f"Layer version arn:aws:lambda:us-east-1:{ACCOUNT}:layer:doesnotexist:1 does not exist.",
        ),
        (
            {"Tags": {f"{n}_key": f"{n}_value" for n in range(51)}},
            "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.",
        ),
        (
            {"Role": "r1"},
            "ValidationException",
            "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy "
            r"regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
        ),
        (
            {"VpcConfig": {"SubnetIds": ["bad-format"], "SecurityGroupIds": []}},
            "ValidationException",
            "1 validation error detected: Value '[bad-format]' at 'vpcConfig.subnetIds' failed to satisfy "
            "constraint: Member must satisfy constraint: [Member must have length less than or equal to 1024, "
            "Member must have length greater than or equal to 0, Member must satisfy regular expression "
            "pattern: subnet-[0-9a-z]*]",
        ),
        (
            {"MemorySize": 12_000},
            "InvalidParameterValueException",
            "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 10240",
        ),
    ],
)
def test_a_bad_parameter_is_refused_in_awss_words(
    client: Any, name: str, parameters: dict[str, Any], code: str, message: str
) -> None:
    assert refused(client.create_function, **creation(name, **parameters))[:3] == (code, message, 400)
    assert refused(client.get_function, FunctionName=name)[0] == "ResourceNotFoundException"


def test_an_unknown_runtime_is_answered_with_the_known_ones(client: Any, name: str) -> None:
    for runtime in ("non-existent-runtime", "PYTHON3.12"):
        code, message, http_status, _ = refused(client.create_function, **creation(name, Runtime=runtime))
        assert (code, http_status) == ("InvalidParameterValueException", 400)
        assert message.startswith(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["
        )
        assert message.endswith("] or be a valid ARN")


def test_without_an_s3_there_is_no_bucket(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    assert refused(client.update_function_code, FunctionName=name, S3Bucket="bucket", S3Key="key")[1] == (
        "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket "
        "does not exist (no S3 is configured: see the setting s3_endpoint_url)"
    )


def test_an_image_is_kept_and_shown_and_says_that_it_is_not_run_yet(client: Any, name: str) -> None:
    settings = creation(name, PackageType="Image", Code={"ImageUri": "repo/app:latest"})
    client.create_function(**{key: settings[key] for key in settings if key not in ("Runtime", "Handler")})
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05})
    assert refused(client.invoke, FunctionName=name)[::2] == ("NotImplemented", 501)


def test_the_logging_configuration_switches_as_recorded(client: Any, name: str) -> None:
    levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    group = f"/aws/lambda/{name}"
    created = create(client, name, SOURCE, LoggingConfig={"LogFormat": "JSON"})
    assert created["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": group, **levels}
    for given, expected in (
        ({"LogGroup": "cool_lambda"}, {"LogFormat": "JSON", "LogGroup": "cool_lambda", **levels}),
        ({"LogFormat": "Text"}, {"LogFormat": "Text", "LogGroup": "cool_lambda"}),
    ):
        changed = client.update_function_configuration(FunctionName=name, LoggingConfig=given)
        assert changed["LoggingConfig"] == expected
        settled(client, name)
    code, message, _, _ = refused(
        client.update_function_configuration, FunctionName=name, LoggingConfig={"SystemLogLevel": "WARN"}
    )
    assert code == "InvalidParameterValueException"
    assert message.startswith('LogLevel is not supported when LogFormat is set to "Text".')


def test_snapstart_is_kept_as_recorded(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    changed = client.update_function_configuration(
        FunctionName=name, SnapStart={"ApplyOn": "PublishedVersions"}
    )
    assert changed["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}


def test_versions_live_as_recorded(client: Any, name: str) -> None:
    create(client, name, SOURCE, Timeout=3, MemorySize=128, Description="No version :(")
    client.update_function_configuration(FunctionName=name, Description="First version :)")
    settled(client, name)
    first = client.publish_version(FunctionName=name, Description="First version description :)")
    assert status(first) == 201
    assert recorded(first, name) == {
        **CONFIGURATION,
        **ACTIVE,
        "Description": "First version description :)",
        "FunctionArn": CONFIGURATION["FunctionArn"] + ":1",
        "Version": "1",
    }
    client.update_function_configuration(FunctionName=name, Description="Second version :))")
    settled(client, name)
    assert client.publish_version(FunctionName=name)["Version"] == "2"
    assert client.publish_version(FunctionName=name)["Version"] == "2"
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]
    expected = {
        **CONFIGURATION,
        "Description": "Second version :))",
        "FunctionArn": CONFIGURATION["FunctionArn"] + ":$LATEST",
    }
    del expected["RuntimeVersionConfig"]
    assert recorded(listed[0], name) == expected
    assert status(client.delete_function(FunctionName=name, Qualifier="1")) == 204
    listed = client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "2"]
    wrong = refused(client.publish_version, FunctionName=name, RevisionId="wrong")
    assert (wrong[0], wrong[2]) == ("PreconditionFailedException", 412)


def test_publishing_with_an_update_answers_with_the_version(client: Any, name: str) -> None:
    create(client, name, SOURCE, Timeout=3, MemorySize=128)
    updated = client.update_function_code(
        FunctionName=name, ZipFile=zip_of({"app.py": "x = 2"}), Publish=True
    )
    assert recorded(updated, name) == {
        **CONFIGURATION,
        **PENDING,
        "FunctionArn": CONFIGURATION["FunctionArn"] + ":1",
        "Version": "1",
    }
    client.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )


def test_functions_are_listed_in_pages_by_boto3s_own_paginator(lambent: Server, name: str) -> None:
    client = lambent.client("lambda", account="222222222222")
    names = [f"{name}-{n}" for n in range(5)]
    for each in names:
        client.create_function(**creation(each))
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["Functions"]) for page in pages] == [2, 2, 1]
    assert [function["FunctionName"] for page in pages for function in page["Functions"]] == names
    every = client.list_functions(FunctionVersion="ALL")["Functions"]
    assert every[0]["FunctionArn"].endswith(f":{names[0]}:$LATEST")
    assert refused(client.list_functions, Marker="nonsense")[0] == "InvalidParameterValueException"


def test_the_account_settings_follow_the_code(lambent: Server, name: str) -> None:
    client = lambent.client("lambda", account="333333333333")
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": 0, "FunctionCount": 0}
    create(client, name, SOURCE)
    size = client.get_function_configuration(FunctionName=name)["CodeSize"]
    client.update_function_configuration(FunctionName=name, Timeout=9)
    settled(client, name)
    assert client.get_account_settings()["AccountUsage"] == {"TotalCodeSize": size, "FunctionCount": 1}
    client.publish_version(FunctionName=name)
    settings = client.get_account_settings()
    assert settings["AccountUsage"] == {"TotalCodeSize": 2 * size, "FunctionCount": 1}
    assert settings["AccountLimit"]["CodeSizeZipped"] == 52_428_800
    assert settings["AccountLimit"]["UnreservedConcurrentExecutions"] == 1000


def test_a_runtime_that_is_not_on_this_machine_fails_the_function(client: Any, name: str) -> None:
    client.create_function(**creation(name, Runtime="dotnet8", Handler="A::B::C"))
    deadline_s = time.monotonic() + 30
    while (shown := client.get_function_configuration(FunctionName=name))["State"] == "Pending":
        assert time.monotonic() < deadline_s
    assert shown["State"] == "Failed"
    assert shown["StateReason"]
    assert refused(client.invoke, FunctionName=name) == (
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Failed",
        409,
        "User",
    )
