"""Managed policies and permissions: versions, attachments, inline policies and their limits."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from lambent.errors import AccessDenied, LimitExceededException, MalformedPolicyDocumentException
from lambent.services.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidInputException,
    NoSuchEntityException,
    PolicyNotAttachableException,
    ValidationError,
)
from unit.services.iam.asking import ACCOUNT, BASIC_EXECUTION, LAMBDA_TRUST, PERMISSIONS, Iam


def policy(iam: Iam, name: str = "mine", **parameters: Any) -> str:
    return iam.ask("create_policy", PolicyName=name, PolicyDocument=PERMISSIONS, **parameters)["Policy"][
        "Arn"
    ]


def holder(iam: Iam, kind: str) -> dict[str, str]:
    """Make a role, user or group and return the parameter that names it."""
    trust = {"AssumeRolePolicyDocument": LAMBDA_TRUST} if kind == "role" else {}
    name = {f"{kind.title()}Name": f"the-{kind}"}
    iam.ask(f"create_{kind}", **name, **trust)
    return name


def test_a_policy_starts_with_version_one_in_force() -> None:
    iam = Iam()
    created = iam.ask(
        "create_policy", PolicyName="mine", Path="/apps/", PolicyDocument=PERMISSIONS, Description="what for"
    )["Policy"]
    assert created["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/apps/mine"
    assert created["PolicyId"].startswith("ANPA")
    assert len(created["PolicyId"]) == 21
    assert (created["DefaultVersionId"], created["AttachmentCount"], created["IsAttachable"]) == (
        "v1",
        0,
        True,
    )
    assert iam.ask("get_policy", PolicyArn=created["Arn"])["Policy"] == created
    version = iam.ask("get_policy_version", PolicyArn=created["Arn"], VersionId="v1")["PolicyVersion"]
    assert unquote(version["Document"]) == PERMISSIONS
    assert version["IsDefaultVersion"] is True


def test_policy_names_are_unique_whatever_the_path() -> None:
    iam = Iam()
    policy(iam, "mine")
    with pytest.raises(
        EntityAlreadyExistsException,
        match=r"^A policy called Mine already exists\. Duplicate names are not allowed\.$",
    ):
        policy(iam, "Mine", Path="/other/")


def test_an_unknown_policy_is_named() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"
    with pytest.raises(NoSuchEntityException, match=f"^Policy {arn} was not found\\.$"):
        Iam().ask("get_policy", PolicyArn=arn)
    with pytest.raises(InvalidInputException, match=r"^ARN a-policy-of-mine is not valid\.$"):
        Iam().ask("get_policy", PolicyArn="a-policy-of-mine")


def test_the_policies_of_another_account_are_unknown() -> None:
    iam = Iam()
    arn = policy(iam)
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_policy", account="000000000000", PolicyArn=arn)


def test_a_policy_has_five_versions_and_never_uses_a_number_twice() -> None:
    iam = Iam()
    arn = policy(iam)
    for _ in range(4):
        iam.ask("create_policy_version", PolicyArn=arn, PolicyDocument=PERMISSIONS)
    with pytest.raises(LimitExceededException, match=r"^A managed policy can have up to 5 versions\."):
        iam.ask("create_policy_version", PolicyArn=arn, PolicyDocument=PERMISSIONS)
    iam.ask("delete_policy_version", PolicyArn=arn, VersionId="v5")
    made = iam.ask("create_policy_version", PolicyArn=arn, PolicyDocument=PERMISSIONS, SetAsDefault=True)
    assert made["PolicyVersion"]["VersionId"] == "v6"
    assert made["PolicyVersion"]["IsDefaultVersion"] is True
    listed = iam.ask("list_policy_versions", PolicyArn=arn)["Versions"]
    assert [version["VersionId"] for version in listed] == ["v6", "v4", "v3", "v2", "v1"]
    assert [version["IsDefaultVersion"] for version in listed] == [True, False, False, False, False]


def test_the_version_in_force_can_be_set_back_and_not_be_deleted() -> None:
    iam = Iam()
    arn = policy(iam)
    iam.ask("create_policy_version", PolicyArn=arn, PolicyDocument=PERMISSIONS, SetAsDefault=True)
    iam.ask("set_default_policy_version", PolicyArn=arn, VersionId="v1")
    assert iam.ask("get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"
    with pytest.raises(DeleteConflictException, match=r"^Cannot delete the default version of a policy\.$"):
        iam.ask("delete_policy_version", PolicyArn=arn, VersionId="v1")
    with pytest.raises(
        NoSuchEntityException, match=f"^Policy {arn} version v9 does not exist or is not attachable\\.$"
    ):
        iam.ask("set_default_policy_version", PolicyArn=arn, VersionId="v9")


def test_a_policy_goes_when_nobody_has_it_and_one_version_is_left() -> None:
    iam = Iam()
    arn = policy(iam)
    name = holder(iam, "role")
    iam.ask("attach_role_policy", **name, PolicyArn=arn)
    iam.ask("create_policy_version", PolicyArn=arn, PolicyDocument=PERMISSIONS)
    with pytest.raises(DeleteConflictException, match=r"^Cannot delete a policy attached to entities\.$"):
        iam.ask("delete_policy", PolicyArn=arn)
    iam.ask("detach_role_policy", **name, PolicyArn=arn)
    with pytest.raises(DeleteConflictException, match=r"^This policy has more than one version\."):
        iam.ask("delete_policy", PolicyArn=arn)
    iam.ask("delete_policy_version", PolicyArn=arn, VersionId="v2")
    iam.ask("delete_policy", PolicyArn=arn)
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_policy", PolicyArn=arn)


def test_a_managed_policys_size_is_limited_without_white_space() -> None:
    def document(characters: int) -> str:
        body = json.dumps(json.loads(PERMISSIONS), separators=(",", ":"))
        return body.replace('"Effect"', f'"Sid":"{"x" * (characters - len(body) - 9)}","Effect"')

    iam = Iam()
    iam.ask("create_policy", PolicyName="a", PolicyDocument=document(6144) + "\n" * 100)
    with pytest.raises(LimitExceededException, match=r"^Cannot exceed quota for PolicySize: 6144$"):
        iam.ask("create_policy", PolicyName="b", PolicyDocument=document(6145))


@pytest.mark.parametrize(
    "name",
    [
        "service-role/AWSLambdaBasicExecutionRole",
        "service-role/AWSLambdaVPCAccessExecutionRole",
        "service-role/AWSLambdaSQSQueueExecutionRole",
        "service-role/AWSLambdaKinesisExecutionRole",
        "service-role/AWSLambdaDynamoDBExecutionRole",
        "AWSXRayDaemonWriteAccess",
        "AdministratorAccess",
        "PowerUserAccess",
        "ReadOnlyAccess",
        "AmazonS3ReadOnlyAccess",
        "AmazonS3FullAccess",
        "AmazonDynamoDBFullAccess",
        "AmazonSQSFullAccess",
        "AmazonSNSFullAccess",
        "CloudWatchLogsFullAccess",
        "AWSLambda_FullAccess",
        "AWSLambda_ReadOnlyAccess",
        "CloudWatchFullAccess",
    ],
)
def test_policies_of_aws_can_be_read_and_attached(name: str) -> None:
    iam = Iam()
    arn = f"arn:aws:iam::aws:policy/{name}"
    found = iam.ask("get_policy", PolicyArn=arn)["Policy"]
    assert (found["Arn"], found["PolicyName"]) == (arn, name.rsplit("/", 1)[-1])
    version = iam.ask("get_policy_version", PolicyArn=arn, VersionId=found["DefaultVersionId"])
    assert json.loads(unquote(version["PolicyVersion"]["Document"]))["Statement"]
    iam.ask("attach_role_policy", **holder(iam, "role"), PolicyArn=arn)
    assert iam.ask("get_policy", PolicyArn=arn)["Policy"]["AttachmentCount"] == 1


def test_the_basic_execution_role_may_write_logs_and_nothing_else() -> None:
    version = Iam().ask("get_policy_version", PolicyArn=BASIC_EXECUTION, VersionId="v1")["PolicyVersion"]
    (statement,) = json.loads(unquote(version["Document"]))["Statement"]
    assert set(statement["Action"]) == {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}


def test_policies_of_aws_are_changed_by_aws_only() -> None:
    iam = Iam()
    with pytest.raises(
        AccessDenied,
        match=rf"^User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: iam:DeletePolicy on resource: "
        rf"policy {BASIC_EXECUTION}$",
    ):
        iam.ask("delete_policy", PolicyArn=BASIC_EXECUTION)
    with pytest.raises(AccessDenied):
        iam.ask("create_policy_version", PolicyArn=BASIC_EXECUTION, PolicyDocument=PERMISSIONS)


def test_a_policy_of_a_service_linked_role_cannot_be_attached() -> None:
    iam = Iam()
    arn = "arn:aws:iam::aws:policy/aws-service-role/AWSLambdaReplicator"
    with pytest.raises(
        PolicyNotAttachableException, match=r"^Cannot attach a Service Role Policy to a Customer Role\.$"
    ):
        iam.ask("attach_role_policy", **holder(iam, "role"), PolicyArn=arn)


def test_policies_are_listed_by_scope_path_and_use() -> None:
    iam = Iam()
    arn = policy(iam, "zebra", Path="/mine/")
    policy(iam, "aardvark")
    assert [found["PolicyName"] for found in iam.ask("list_policies", Scope="Local")["Policies"]] == [
        "aardvark",
        "zebra",
    ]
    assert iam.ask("list_policies", Scope="Local", PathPrefix="/mine/")["Policies"][0]["Arn"] == arn
    assert all(":aws:policy/" in found["Arn"] for found in iam.ask("list_policies", Scope="AWS")["Policies"])
    iam.ask("attach_role_policy", **holder(iam, "role"), PolicyArn=BASIC_EXECUTION)
    iam.ask("attach_user_policy", **holder(iam, "user"), PolicyArn=arn)
    attached = iam.ask("list_policies", OnlyAttached=True)["Policies"]
    assert [(found["PolicyName"], found["AttachmentCount"]) for found in attached] == [
        ("AWSLambdaBasicExecutionRole", 1),
        ("zebra", 1),
    ]


def test_pages_of_all_policies_show_each_once() -> None:
    iam = Iam()
    whole = iam.ask("list_policies", MaxItems=1000)
    assert whole["IsTruncated"] is False
    seen: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = iam.ask("list_policies", MaxItems=17, **marker)
        seen += [found["Arn"] for found in page["Policies"]]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert seen == [found["Arn"] for found in whole["Policies"]]


@pytest.mark.parametrize("marker", ["x", "!", "YWJj"])
def test_a_marker_of_somebody_else_is_refused(marker: str) -> None:
    with pytest.raises(ValidationError, match=r"^Invalid Marker\.$"):
        Iam().ask("list_policies", Marker=marker)


def test_who_has_a_policy_is_listed_by_kind_path_and_usage() -> None:
    iam = Iam()
    arn = policy(iam)
    for kind in ("role", "user", "group"):
        iam.ask(f"attach_{kind}_policy", **holder(iam, kind), PolicyArn=arn)
    iam.ask("create_user", UserName="bounded", PermissionsBoundary=arn)
    found = iam.ask("list_entities_for_policy", PolicyArn=arn)
    assert [entity["RoleName"] for entity in found["PolicyRoles"]] == ["the-role"]
    assert [entity["GroupName"] for entity in found["PolicyGroups"]] == ["the-group"]
    assert [entity["UserName"] for entity in found["PolicyUsers"]] == ["bounded", "the-user"]
    bounded = iam.ask("list_entities_for_policy", PolicyArn=arn, PolicyUsageFilter="PermissionsBoundary")
    assert [entity["UserName"] for entity in bounded["PolicyUsers"]] == ["bounded"]
    assert bounded["PolicyRoles"] == []
    roles = iam.ask("list_entities_for_policy", PolicyArn=arn, EntityFilter="Role")
    assert (len(roles["PolicyRoles"]), roles["PolicyUsers"]) == (1, [])


@pytest.mark.parametrize("kind", ["role", "user", "group"])
def test_attaching_twice_is_once_and_detaching_twice_is_an_error(kind: str) -> None:
    iam = Iam()
    name = holder(iam, kind)
    for _ in range(2):
        iam.ask(f"attach_{kind}_policy", **name, PolicyArn=BASIC_EXECUTION)
    listed = iam.ask(f"list_attached_{kind}_policies", **name)
    assert listed["AttachedPolicies"] == [
        {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC_EXECUTION}
    ]
    assert iam.ask(f"list_attached_{kind}_policies", **name, PathPrefix="/other/")["AttachedPolicies"] == []
    iam.ask(f"detach_{kind}_policy", **name, PolicyArn=BASIC_EXECUTION)
    with pytest.raises(NoSuchEntityException, match=f"^Policy {BASIC_EXECUTION} was not found\\.$"):
        iam.ask(f"detach_{kind}_policy", **name, PolicyArn=BASIC_EXECUTION)


@pytest.mark.parametrize("kind", ["role", "user", "group"])
def test_ten_policies_can_be_attached(kind: str) -> None:
    iam = Iam()
    name = holder(iam, kind)
    for number in range(10):
        iam.ask(f"attach_{kind}_policy", **name, PolicyArn=policy(iam, f"p{number}"))
    with pytest.raises(
        LimitExceededException, match=f"^Cannot exceed quota for PoliciesPer{kind.title()}: 10$"
    ):
        iam.ask(f"attach_{kind}_policy", **name, PolicyArn=BASIC_EXECUTION)


def test_a_policy_that_does_not_exist_cannot_be_attached() -> None:
    iam = Iam()
    arn = "arn:aws:iam::aws:policy/AWSLambdaBasicExecutionRole"  # AWS's has the path /service-role/.
    with pytest.raises(NoSuchEntityException, match=f"^Policy {arn} does not exist or is not attachable\\.$"):
        iam.ask("attach_role_policy", **holder(iam, "role"), PolicyArn=arn)


@pytest.mark.parametrize("kind", ["role", "user", "group"])
def test_inline_policies_are_written_read_listed_and_deleted(kind: str) -> None:
    iam = Iam()
    name = holder(iam, kind)
    for policy_name in ("two", "one", "two"):
        iam.ask(f"put_{kind}_policy", **name, PolicyName=policy_name, PolicyDocument=PERMISSIONS)
    assert iam.ask(f"list_{kind}_policies", **name) == {"PolicyNames": ["one", "two"], "IsTruncated": False}
    found = iam.ask(f"get_{kind}_policy", **name, PolicyName="one")
    assert unquote(found["PolicyDocument"]) == PERMISSIONS
    assert name.items() <= found.items()
    iam.ask(f"delete_{kind}_policy", **name, PolicyName="one")
    for operation in ("get", "delete"):
        with pytest.raises(
            NoSuchEntityException, match=f"^The {kind} policy with name one cannot be found\\.$"
        ):
            iam.ask(f"{operation}_{kind}_policy", **name, PolicyName="one")


@pytest.mark.parametrize(("kind", "limit"), [("role", 10_240), ("user", 2048), ("group", 5120)])
def test_inline_policies_are_limited_together(kind: str, limit: int) -> None:
    iam = Iam()
    name = holder(iam, kind)
    half = PERMISSIONS.replace('"Effect"', f'"Sid": "{"x" * (limit // 2)}", "Effect"')
    iam.ask(f"put_{kind}_policy", **name, PolicyName="a", PolicyDocument=half)
    with pytest.raises(
        LimitExceededException, match=f"^Maximum policy size of {limit} bytes exceeded for {kind} the-{kind}$"
    ):
        iam.ask(f"put_{kind}_policy", **name, PolicyName="b", PolicyDocument=half)
    iam.ask(f"put_{kind}_policy", **name, PolicyName="a", PolicyDocument=half)


def test_an_inline_policy_must_be_a_policy() -> None:
    iam = Iam()
    name = holder(iam, "role")
    with pytest.raises(MalformedPolicyDocumentException, match=r"^Syntax errors in policy\.$"):
        iam.ask("put_role_policy", **name, PolicyName="p", PolicyDocument="not json")
    assert iam.ask("list_role_policies", **name)["PolicyNames"] == []


def test_policies_carry_tags() -> None:
    iam = Iam()
    arn = policy(iam, Tags=[{"Key": "a", "Value": "1"}])
    iam.ask("tag_policy", PolicyArn=arn, Tags=[{"Key": "b", "Value": "2"}])
    iam.ask("untag_policy", PolicyArn=arn, TagKeys=["a"])
    assert iam.ask("list_policy_tags", PolicyArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert iam.ask("get_policy", PolicyArn=arn)["Policy"]["Tags"] == [{"Key": "b", "Value": "2"}]
