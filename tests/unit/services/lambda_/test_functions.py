"""Functions as a whole: created, shown, listed, reconfigured and deleted as AWS does it."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.code_link import verify_code_link
from lambent.domain.function import runtime_version_arn
from lambent.domain.identity import Role
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_ import background
from lambent.services.lambda_.roles import trusts_lambda
from lambent.store.identities import Draft
from unit.services.lambda_.world import (
    ACCOUNT,
    ARN,
    NAME,
    OTHER_ZIP,
    REGION,
    ROLE,
    SECRET,
    ZIP,
    PausingStore,
    World,
    a_call,
    no_space,
    story,
    zip_of,
)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What AWS answered to CreateFunction with no optional member, with the values of these tests.
CREATED = {
    "FunctionName": NAME,
    "FunctionArn": ARN,
    "Runtime": "python3.12",
    "Role": ROLE,
    "Handler": "app.handler",
    "CodeSize": len(ZIP),
    "Description": "",
    "Timeout": 3,
    "MemorySize": 128,
    "LastModified": "2026-01-02T03:04:05.678+0000",
    "Version": "$LATEST",
    "TracingConfig": {"Mode": "PassThrough"},
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
    "PackageType": "Zip",
    "Architectures": ["x86_64"],
    "EphemeralStorage": {"Size": 512},
    "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
    "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_version_arn(REGION, "python3.12")},
    "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{NAME}"},
}
IN_PROGRESS = {
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}


def without_ids(configuration: dict[str, Any]) -> dict[str, Any]:
    assert UUID.fullmatch(configuration["RevisionId"])
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", configuration["CodeSha256"])
    return {name: v for name, v in configuration.items() if name not in ("RevisionId", "CodeSha256")}


async def refused(asked: Any, error: type[ServiceError]) -> str:
    with pytest.raises(error) as caught:
        await asked
    return caught.value.message


@story
async def test_a_created_function_is_pending_with_awss_defaults(world: World) -> None:
    created = await world.create()
    assert without_ids(created) == CREATED


@story
async def test_a_created_function_soon_becomes_active_under_a_new_revision(world: World) -> None:
    created = await world.create_active()
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    expected = {**CREATED, "State": "Active", "LastUpdateStatus": "Successful"}
    del expected["StateReason"], expected["StateReasonCode"]
    assert without_ids(shown) == expected
    assert shown["RevisionId"] != created["RevisionId"]
    assert shown["CodeSha256"] == created["CodeSha256"]


@story
async def test_everything_that_is_given_is_kept_and_shown(world: World) -> None:
    given: dict[str, Any] = {
        "Description": "does things",
        "Timeout": 30,
        "MemorySize": 1024,
        "Environment": {"Variables": {"A1": "b"}},
        "EphemeralStorage": {"Size": 1024},
        "Architectures": ["arm64"],
        "TracingConfig": {"Mode": "Active"},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:111111111111:dead"},
        "KMSKeyArn": "arn:aws:kms:us-east-1:111111111111:key/x",
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "shared", "SystemLogLevel": "WARN"},
        "FileSystemConfigs": [{"Arn": "arn:aws:elasticfilesystem:x", "LocalMountPath": "/mnt/a"}],
    }
    await world.create_active(
        **given,
        VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        DurableConfig={"ExecutionTimeout": 60},
    )
    await world.restart()
    shown = await world.ask("get_function_configuration", FunctionName=NAME)
    given["LoggingConfig"] = {**given["LoggingConfig"], "ApplicationLogLevel": "INFO"}
    assert {name: shown[name] for name in given} == given
    assert shown["DurableConfig"] == {"RetentionPeriodInDays": 14, "ExecutionTimeout": 60}
    assert shown["VpcConfig"].pop("VpcId").startswith("vpc-")
    assert shown["VpcConfig"] == {
        "SubnetIds": ["subnet-1"],
        "SecurityGroupIds": ["sg-1"],
        "Ipv6AllowedForDualStack": False,
    }


@story
async def test_a_name_is_taken_once(world: World) -> None:
    await world.create()
    message = await refused(world.create(), ResourceConflictException)
    assert message == "Function already exist: echo"


@story
async def test_of_many_that_create_one_name_one_wins_and_nothing_is_left_behind(world: World) -> None:
    zips = [zip_of({"app.py": str(n)}) for n in range(10)]
    results = await asyncio.gather(
        *(world.create(Code={"ZipFile": content}) for content in zips), return_exceptions=True
    )
    created = [result for result in results if isinstance(result, dict)]
    assert len(created) == 1
    assert all(isinstance(r, ResourceConflictException) for r in results if not isinstance(r, dict))
    assert [world.has_blob(content) for content in zips].count(True) == 1
    assert world.has_blob(zips[results.index(created[0])])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Code": {}}, "Please provide a source for function code."),
        ({"Code": {"ZipFile": b""}}, "Uploaded file must be a non-empty zip"),
        (
            {"Code": {"ZipFile": ZIP, "S3Bucket": "bucket", "S3Key": "key"}},
            "Please do not provide other FunctionCode parameters when providing a ZipFile.",
        ),
        (
            {"Code": {"ZipFile": b"no zip"}},
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ),
        ({"Tags": {f"{n}": "" for n in range(51)}}, "Number of tags exceeds resource tag limit."),
        (
            {"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "INFO"}},
            'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or '
            'change the LogFormat to "JSON" and try again.',
        ),
        (
            {"LoggingConfig": {"ApplicationLogLevel": "DEBUG"}},
            'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or '
            'change the LogFormat to "JSON" and try again.',
        ),
        (
            {"SnapStart": {"ApplyOn": "PublishedVersions"}, "Runtime": "nodejs22.x"},
            "nodejs22.x is not supported for SnapStart enabled functions.",
        ),
        (
            {"FileSystemConfigs": [{"Arn": "arn:fs", "LocalMountPath": "/mnt/a"}]},
            "Function must be configured to execute in a VPC to reference access point arn:fs. Please update the "
            "function configuration to include VPC subnets and security groups.",
        ),
        (
            {"ImageConfig": {"Command": ["x"]}},
            "ImageConfig is not supported for functions with packageType Zip.",
        ),
    ],
)
@story
async def test_a_refused_creation_leaves_nothing(
    world: World, parameters: dict[str, Any], message: str
) -> None:
    assert await refused(world.create(**parameters), InvalidParameterValueException) == message
    assert await world.stored() is None
    assert not world.has_blob(ZIP)


@story
async def test_a_handler_without_a_dot_is_accepted_as_aws_does(world: World) -> None:
    """It fails when the function is invoked, with Runtime.MalformedHandlerName."""
    assert (await world.create(Handler="handler"))["Handler"] == "handler"


@story
async def test_a_link_to_the_code_works_for_ten_minutes(world: World) -> None:
    await world.create_active(Tags={"team": "a"})
    found = await world.ask("get_function", FunctionName=NAME)
    assert found["Tags"] == {"team": "a"}
    assert "Concurrency" not in found
    assert found["Code"]["RepositoryType"] == "S3"
    match = re.fullmatch(
        r"http://127\.0\.0\.1:4566/_lambent/code/([0-9a-f]{64})\?Expires=(\d+)&Signature=([0-9a-f]+)",
        found["Code"]["Location"],
    )
    assert match is not None
    assert world.store.path(match[1]).read_bytes() == ZIP
    now_s = world.clock.now_s()
    assert verify_code_link(SECRET, match[1], match[2], match[3], now_s + 599)
    assert not verify_code_link(SECRET, match[1], match[2], match[3], now_s + 601)


@story
async def test_a_qualified_read_shows_the_qualified_arn(world: World) -> None:
    await world.create_active()
    for asked in ({"FunctionName": f"{NAME}:$LATEST"}, {"FunctionName": NAME, "Qualifier": "$LATEST"}):
        found = await world.ask("get_function", **asked)
        assert found["Configuration"]["FunctionArn"] == f"{ARN}:$LATEST"
        assert (await world.ask("get_function_configuration", **asked))["FunctionArn"] == f"{ARN}:$LATEST"


@pytest.mark.parametrize("operation", ["get_function", "get_function_configuration"])
@story
async def test_what_does_not_exist_is_named_by_its_arn(world: World, operation: str) -> None:
    for asked, arn in (
        ({"FunctionName": "gone"}, f"{ARN[:-4]}gone"),
        ({"FunctionName": "gone", "Qualifier": "1"}, f"{ARN[:-4]}gone:1"),
    ):
        message = await refused(world.ask(operation, **asked), ResourceNotFoundException)
        assert message == f"Function not found: {arn}"
    await world.create_active()
    for qualifier in ("1", "live"):
        asked = world.ask(operation, FunctionName=NAME, Qualifier=qualifier)
        assert await refused(asked, ResourceNotFoundException) == f"Function not found: {ARN}:{qualifier}"


@story
async def test_lists_come_in_pages_without_states(world: World) -> None:
    for n in range(7):
        await world.create(f"f{n}")
    await world.settled()
    names: list[str] = []
    marker: dict[str, str] = {}
    page: dict[str, Any] = {}
    for _ in range(4):
        page = await world.ask("list_functions", MaxItems=2, **marker)
        names += [function["FunctionName"] for function in page["Functions"]]
        marker = {"Marker": page.get("NextMarker", "")}
    assert names == [f"f{n}" for n in range(7)]
    assert "NextMarker" not in page
    everything = (await world.ask("list_functions"))["Functions"]
    assert len(everything) == 7
    assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & everything[0].keys()
    assert everything[0]["FunctionArn"] == f"{ARN[:-4]}f0"


@story
async def test_a_page_of_functions_is_never_longer_than_fifty(world: World) -> None:
    await asyncio.gather(*(world.create(f"f{n:02}") for n in range(52)))
    page = await world.ask("list_functions", MaxItems=10_000)
    assert len(page["Functions"]) == 50
    rest = await world.ask("list_functions", Marker=page["NextMarker"])
    assert [function["FunctionName"] for function in rest["Functions"]] == ["f50", "f51"]


@story
async def test_all_versions_are_listed_with_qualified_arns_across_pages(world: World) -> None:
    for name in ("a", "b"):
        await world.create(name, Publish=True)
        await world.settled()
    arns: list[str] = []
    marker: dict[str, str] = {}
    page: dict[str, Any] = {}
    for _ in range(4):
        page = await world.ask("list_functions", FunctionVersion="ALL", MaxItems=1, **marker)
        arns += [function["FunctionArn"] for function in page["Functions"]]
        marker = {"Marker": page.get("NextMarker", "")}
    assert [arn.removeprefix(ARN[:-4]) for arn in arns] == ["a:$LATEST", "a:1", "b:$LATEST", "b:1"]
    assert "NextMarker" not in page


@story
async def test_lists_show_only_the_callers_account_and_region(world: World) -> None:
    await world.create()
    for call in (a_call(account="222222222222"), a_call(region="eu-west-1")):
        assert (await world.ask("list_functions", call))["Functions"] == []
    assert (await world.ask("list_functions", MasterRegion="us-east-1"))["Functions"] == []


@story
async def test_a_marker_of_somebody_else_is_refused(world: World) -> None:
    for marker in ("x", "AAAA", "é", "LTE6Zg=="):
        await refused(world.ask("list_functions", Marker=marker), InvalidParameterValueException)


@story
async def test_a_changed_configuration_is_in_progress_then_successful(world: World) -> None:
    await world.create_active(Environment={"Variables": {"A1": "b"}})
    before = await world.ask("get_function_configuration", FunctionName=NAME)
    await world.pass_time(10)
    changed = await world.ask(
        "update_function_configuration", FunctionName=NAME, MemorySize=256, Description="new", Timeout=9
    )
    assert without_ids(changed) == {
        **without_ids(before),
        **IN_PROGRESS,
        "MemorySize": 256,
        "Description": "new",
        "Timeout": 9,
        "LastModified": "2026-01-02T03:04:15.678+0000",
    }
    await world.settled()
    after = await world.ask("get_function_configuration", FunctionName=NAME)
    assert after["LastUpdateStatus"] == "Successful"
    assert "LastUpdateStatusReason" not in after
    assert len({before["RevisionId"], changed["RevisionId"], after["RevisionId"]}) == 3
    assert after["Environment"] == {"Variables": {"A1": "b"}}


@story
async def test_what_is_emptied_is_gone(world: World) -> None:
    await world.create_active(
        Environment={"Variables": {"A1": "b"}},
        DeadLetterConfig={"TargetArn": "arn:aws:sqs:us-east-1:111111111111:dead"},
        VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        KMSKeyArn="arn:aws:kms:us-east-1:111111111111:key/x",
    )
    changed = await world.ask(
        "update_function_configuration",
        FunctionName=NAME,
        Environment={"Variables": {}},
        DeadLetterConfig={"TargetArn": ""},
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        KMSKeyArn="",
    )
    assert changed["Environment"] == {"Variables": {}}
    assert "DeadLetterConfig" not in changed
    assert "KMSKeyArn" not in changed
    assert changed["VpcConfig"] == {
        "SubnetIds": [],
        "SecurityGroupIds": [],
        "VpcId": "",
        "Ipv6AllowedForDualStack": False,
    }


@story
async def test_the_log_format_can_be_switched_there_and_back(world: World) -> None:
    await world.create_active()
    shown: list[Any] = []
    for given in ({"LogFormat": "JSON"}, {"LogGroup": "cool_lambda"}, {"LogFormat": "Text"}):
        changed = await world.ask("update_function_configuration", FunctionName=NAME, LoggingConfig=given)
        shown.append(changed["LoggingConfig"])
        await world.settled()
    levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    assert shown == [
        {"LogFormat": "JSON", "LogGroup": f"/aws/lambda/{NAME}", **levels},
        {"LogFormat": "JSON", "LogGroup": "cool_lambda", **levels},
        {"LogFormat": "Text", "LogGroup": "cool_lambda"},
    ]


@pytest.mark.parametrize("runtime", ["python3.12", "python3.13", "java21", "dotnet8"])
@story
async def test_snapstart_is_kept_where_aws_offers_it(world: World, runtime: str) -> None:
    await world.create_active(Runtime=runtime)
    changed = await world.ask(
        "update_function_configuration", FunctionName=NAME, SnapStart={"ApplyOn": "PublishedVersions"}
    )
    assert changed["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}


@story
async def test_a_change_needs_the_current_revision_when_one_is_given(world: World) -> None:
    created = await world.create_active()
    asked = world.ask(
        "update_function_configuration", FunctionName=NAME, RevisionId=created["RevisionId"], Timeout=5
    )
    assert await refused(asked, PreconditionFailedException) == (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
        "retrieve the latest Revision Id"
    )
    current = await world.ask("get_function_configuration", FunctionName=NAME)
    await world.ask(
        "update_function_configuration", FunctionName=NAME, RevisionId=current["RevisionId"], Timeout=5
    )


@story
async def test_a_refused_change_changes_nothing(world: World) -> None:
    await world.create_active()
    before = await world.stored()
    for parameters in (
        {"MemorySize": 20_000},
        {"Runtime": "cobol"},
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        {"LoggingConfig": {"SystemLogLevel": "INFO"}},
        {"DeadLetterConfig": {"TargetArn": "arn:aws:iam::111111111111:role/x"}},
        {"DurableConfig": {"ExecutionTimeout": 1}},
    ):
        asked = world.ask("update_function_configuration", FunctionName=NAME, **parameters)
        await refused(asked, InvalidParameterValueException)
    assert await world.stored() == before


@pytest.mark.parametrize("operation", ["update_function_configuration", "delete_function"])
@story
async def test_what_is_not_there_cannot_be_changed_or_deleted(world: World, operation: str) -> None:
    message = await refused(world.ask(operation, FunctionName=NAME), ResourceNotFoundException)
    assert message == f"Function not found: {ARN}"


@story
async def test_a_deleted_function_is_gone_with_its_code_and_environments(world: World) -> None:
    await world.create_active(Publish=True)
    assert await world.ask("delete_function", FunctionName=ARN) == {"StatusCode": 204}
    assert await world.stored() is None
    assert [key.name for key in world.retired][-1] == NAME
    await world.pass_time(901)
    assert not world.has_blob(ZIP)
    await world.create(Code={"ZipFile": OTHER_ZIP})


@story
async def test_latest_is_not_deleted_alone(world: World) -> None:
    await world.create_active()
    asked = world.ask("delete_function", FunctionName=NAME, Qualifier="$LATEST")
    assert await refused(asked, InvalidParameterValueException) == (
        "$LATEST version cannot be deleted without deleting the function."
    )
    asked = world.ask("delete_function", FunctionName=NAME, Qualifier="live")
    assert await refused(asked, InvalidParameterValueException) == (
        "Deletion of aliases is not currently supported."
    )


@story
async def test_deleting_a_function_whose_activation_is_under_way_leaves_nothing(world: World) -> None:
    world.gate.clear()
    await world.create()
    await world.ask("delete_function", FunctionName=NAME)
    world.gate.set()
    await world.settled()
    assert await world.stored() is None


TRUST = (
    '{{"Statement": [{{"Effect": "Allow", "Principal": {{"Service": "{}"}}, "Action": "sts:AssumeRole"}}]}}'
)


async def keep_role(world: World, service: str) -> None:
    role = Role(account=ACCOUNT, name="worker", id="AROA", created_s=0, trust_policy=TRUST.format(service))

    async def write(draft: Draft) -> None:
        await draft.get(Role, role.key)
        draft.put(role)

    await world.identities.change(write)


@story
async def test_a_role_that_does_not_trust_lambda_is_refused(world: World) -> None:
    await keep_role(world, "ec2.amazonaws.com")
    cannot = "The role defined for the function cannot be assumed by Lambda."
    assert await refused(world.create(), InvalidParameterValueException) == cannot
    await world.create_active(Role=ROLE + "-unknown")
    asked = world.ask("update_function_configuration", FunctionName=NAME, Role=ROLE)
    assert await refused(asked, InvalidParameterValueException) == cannot
    await keep_role(world, "lambda.amazonaws.com")
    changed = await world.ask("update_function_configuration", FunctionName=NAME, Role=ROLE)
    assert changed["Role"] == ROLE


def test_with_strict_roles_a_role_must_exist_in_the_account() -> None:
    async def tell() -> None:
        world = World(strict_roles=True)
        await world.service.resume()
        try:
            await refused(world.create(), InvalidParameterValueException)
            foreign = ROLE.replace(ACCOUNT, "222222222222")
            message = await refused(world.create(Role=foreign), AccessDeniedException)
            assert message == "Cross-account pass role is not allowed."
            await keep_role(world, "lambda.amazonaws.com")
            await world.create()
        finally:
            await world.service.close()
            world.store.close()

    asyncio.run(tell())


@pytest.mark.parametrize(
    ("statement", "trusted"),
    [
        (
            '{"Effect": "Allow", "Principal": {"Service": ["a", "lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"}',
            True,
        ),
        ('{"Effect": "Allow", "Principal": "*", "Action": ["sts:*"]}', True),
        ('{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}', False),
        (
            '{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:TagSession"}',
            False,
        ),
        (
            '{"Effect": "Deny", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}',
            False,
        ),
    ],
)
def test_trust_is_read_from_the_policy(statement: str, *, trusted: bool) -> None:
    assert trusts_lambda(f'{{"Statement": {statement}}}') is trusted


@story
async def test_the_account_settings_tell_the_true_usage(world: World) -> None:
    await world.create("a", Publish=True)
    await world.create("b", Code={"ZipFile": OTHER_ZIP})
    await world.settled()
    stored = await world.stored("b")
    assert stored is not None
    await world.service.records.change(stored.key, lambda f: replace(f, reserved_concurrency=100))
    expected = {
        "AccountLimit": {
            "TotalCodeSize": 322_122_547_200,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 900,
        },
        "AccountUsage": {"TotalCodeSize": 2 * len(ZIP) + len(OTHER_ZIP), "FunctionCount": 2},
    }
    assert await world.ask("get_account_settings") == expected
    await world.restart()
    assert await world.ask("get_account_settings") == expected
    await world.ask("delete_function", FunctionName="a")
    usage = (await world.ask("get_account_settings"))["AccountUsage"]
    assert usage == {"TotalCodeSize": len(OTHER_ZIP), "FunctionCount": 1}


@pytest.mark.parametrize("vpc", [{"SubnetIds": ["subnet-1"]}, {"SecurityGroupIds": ["sg-1"]}])
@story
async def test_subnets_and_security_groups_come_together(world: World, vpc: dict[str, Any]) -> None:
    message = await refused(world.create(VpcConfig=vpc), InvalidParameterValueException)
    assert message == "SubnetIds and SecurityIds must coexist or be both empty list."
    both = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    await world.create_active(VpcConfig=both)
    changed = await world.ask("update_function_configuration", FunctionName=NAME, VpcConfig=vpc)
    assert {member: changed["VpcConfig"][member] for member in both} == both


@story
async def test_a_function_becomes_active_once_the_disk_has_space_for_saying_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0)
    assert isinstance(world.store, PausingStore)
    world.gate.clear()
    await world.create()
    world.store.is_full = True
    world.gate.set()
    for _ in range(100):
        await asyncio.sleep(0)
    assert (await world.ask("get_function_configuration", FunctionName=NAME))["State"] == "Pending"
    world.store.is_full = False
    await world.settled()
    assert (await world.ask("get_function_configuration", FunctionName=NAME))["State"] == "Active"


@story
async def test_a_function_becomes_active_once_the_disk_has_space_for_its_code(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "AGAIN_S", 0)
    world.prepare_error = no_space()
    await world.create()
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(world.prepared) > 1
    assert (await world.ask("get_function_configuration", FunctionName=NAME))["State"] == "Pending"
    world.prepare_error = None
    await world.settled()
    assert (await world.ask("get_function_configuration", FunctionName=NAME))["State"] == "Active"
