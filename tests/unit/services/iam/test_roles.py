"""Roles: made, read, changed and deleted as AWS does it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from lambent.errors import LimitExceededException, MalformedPolicyDocumentException
from lambent.services.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidInputException,
    NoSuchEntityException,
    UnmodifiableEntityException,
)
from unit.services.iam.asking import ACCOUNT, BASIC_EXECUTION, LAMBDA_TRUST, PERMISSIONS, Iam


def test_a_role_has_arn_id_date_and_encoded_trust_policy() -> None:
    role = Iam().ask(
        "create_role", RoleName="worker", Path="/apps/", AssumeRolePolicyDocument=LAMBDA_TRUST, Description=""
    )["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/apps/worker"
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", role["RoleId"])
    assert role["CreateDate"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert role["MaxSessionDuration"] == 3600
    assert role["Description"] == ""
    assert "{" not in role["AssumeRolePolicyDocument"]
    assert " " not in role["AssumeRolePolicyDocument"]
    assert unquote(role["AssumeRolePolicyDocument"]) == LAMBDA_TRUST


def test_what_create_returns_get_returns_with_last_use() -> None:
    iam = Iam()
    tags = [{"Key": "team", "Value": "a"}]
    created = iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST, Tags=tags)[
        "Role"
    ]
    assert created["Tags"] == tags
    assert iam.ask("get_role", RoleName="WORKER")["Role"] == created | {"RoleLastUsed": {}}


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(NoSuchEntityException, match=r"^The role with name nobody cannot be found\.$"):
        Iam().ask("get_role", RoleName="nobody")


def test_role_names_are_unique_regardless_of_case() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    with pytest.raises(EntityAlreadyExistsException, match=r"^Role with name Worker already exists\.$"):
        iam.ask("create_role", RoleName="Worker", AssumeRolePolicyDocument=LAMBDA_TRUST)


def test_accounts_do_not_see_each_others_roles() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    assert iam.ask("list_roles", account="000000000000")["Roles"] == []
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_role", account="000000000000", RoleName="worker")


def test_roles_are_listed_by_path_in_pages_without_tags() -> None:
    iam = Iam()
    for name in "dBcAe":
        iam.ask(
            "create_role",
            RoleName=name,
            Path="/x/" if name != "c" else "/y/",
            AssumeRolePolicyDocument=LAMBDA_TRUST,
            Tags=[{"Key": "k", "Value": "v"}],
        )
    first = iam.ask("list_roles", PathPrefix="/x", MaxItems=3)
    assert [role["RoleName"] for role in first["Roles"]] == ["A", "B", "d"]
    assert first["IsTruncated"] is True
    second = iam.ask("list_roles", PathPrefix="/x", MaxItems=3, Marker=first["Marker"])
    assert [role["RoleName"] for role in second["Roles"]] == ["e"]
    assert second["IsTruncated"] is False
    assert "Marker" not in second
    assert "Tags" not in second["Roles"][0]


def test_update_role_changes_what_is_given() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST, Description="old")
    iam.ask("update_role", RoleName="worker", MaxSessionDuration=7200)
    role = iam.ask("get_role", RoleName="worker")["Role"]
    assert (role["MaxSessionDuration"], role["Description"]) == (7200, "old")
    updated = iam.ask("update_role_description", RoleName="worker", Description="new")["Role"]
    assert (updated["MaxSessionDuration"], updated["Description"]) == (7200, "new")


def test_a_trust_policy_is_replaced_whole() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    other = LAMBDA_TRUST.replace("lambda", "ec2")
    iam.ask("update_assume_role_policy", RoleName="worker", PolicyDocument=other)
    document = iam.ask("get_role", RoleName="worker")["Role"]["AssumeRolePolicyDocument"]
    assert unquote(document) == other
    with pytest.raises(MalformedPolicyDocumentException, match=r"^This policy contains invalid Json$"):
        iam.ask("update_assume_role_policy", RoleName="worker", PolicyDocument="{")


def test_white_space_does_not_count_against_the_trust_policys_size() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="a", AssumeRolePolicyDocument=LAMBDA_TRUST + " " * 4000)
    statement = json.loads(LAMBDA_TRUST)["Statement"][0]
    long = json.dumps({"Version": "2012-10-17", "Statement": [statement | {"Sid": "x" * 2048}]})
    with pytest.raises(LimitExceededException, match=r"^Cannot exceed quota for ACLSizePerRole: 2048$"):
        iam.ask("create_role", RoleName="b", AssumeRolePolicyDocument=long)


def test_an_account_has_a_thousand_roles_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambent.services.iam.quotas.ROLES", 2)
    iam = Iam()
    for name in "ab":
        iam.ask("create_role", RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)
    with pytest.raises(LimitExceededException, match=r"^Cannot exceed quota for RolesPerAccount: 2$"):
        iam.ask("create_role", RoleName="c", AssumeRolePolicyDocument=LAMBDA_TRUST)


def test_a_role_goes_only_when_nothing_hangs_on_it() -> None:
    """The three conflicts, in the order in which Terraform resolves them."""
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    iam.ask("attach_role_policy", RoleName="worker", PolicyArn=BASIC_EXECUTION)
    iam.ask("put_role_policy", RoleName="worker", PolicyName="inline", PolicyDocument=PERMISSIONS)
    iam.ask("create_instance_profile", InstanceProfileName="profile")
    iam.ask("add_role_to_instance_profile", InstanceProfileName="profile", RoleName="worker")

    with pytest.raises(DeleteConflictException, match="must remove roles from instance profile first"):
        iam.ask("delete_role", RoleName="worker")
    iam.ask("remove_role_from_instance_profile", InstanceProfileName="profile", RoleName="worker")
    with pytest.raises(
        DeleteConflictException, match=r"^Cannot delete entity, must detach all policies first\.$"
    ):
        iam.ask("delete_role", RoleName="worker")
    iam.ask("detach_role_policy", RoleName="worker", PolicyArn=BASIC_EXECUTION)
    with pytest.raises(
        DeleteConflictException, match=r"^Cannot delete entity, must delete policies first\.$"
    ):
        iam.ask("delete_role", RoleName="worker")
    iam.ask("delete_role_policy", RoleName="worker", PolicyName="inline")
    iam.ask("delete_role", RoleName="worker")
    with pytest.raises(NoSuchEntityException):
        iam.ask("delete_role", RoleName="worker")


def test_a_role_made_again_has_another_id() -> None:
    iam = Iam()
    first = iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)["Role"]
    iam.ask("delete_role", RoleName="worker")
    second = iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)["Role"]
    assert first["Arn"] == second["Arn"]
    assert first["RoleId"] != second["RoleId"]


def test_tag_keys_differ_only_regardless_of_case() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    iam.ask("tag_role", RoleName="worker", Tags=[{"Key": "Team", "Value": "a"}, {"Key": "x", "Value": "1"}])
    iam.ask("tag_role", RoleName="worker", Tags=[{"Key": "team", "Value": "b"}])
    tags = iam.ask("list_role_tags", RoleName="worker")
    assert tags == {
        "Tags": [{"Key": "team", "Value": "b"}, {"Key": "x", "Value": "1"}],
        "IsTruncated": False,
    }
    iam.ask("untag_role", RoleName="worker", TagKeys=["TEAM", "absent"])
    assert [tag["Key"] for tag in iam.ask("list_role_tags", RoleName="worker")["Tags"]] == ["x"]


def test_tags_have_limits() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    fifty = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    iam.ask("tag_role", RoleName="worker", Tags=fifty)
    with pytest.raises(LimitExceededException, match="maximum limit"):
        iam.ask("tag_role", RoleName="worker", Tags=[{"Key": "one more", "Value": ""}])
    with pytest.raises(InvalidInputException, match="Duplicate tag keys found"):
        iam.ask("tag_role", RoleName="worker", Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])
    with pytest.raises(InvalidInputException, match=r"^aws: prefixed tag key names are not allowed"):
        iam.ask("tag_role", RoleName="worker", Tags=[{"Key": "aws:x", "Value": ""}])


def test_a_boundary_is_shown_and_counts_as_use_of_the_policy() -> None:
    iam = Iam()
    arn = iam.ask("create_policy", PolicyName="bound", PolicyDocument=PERMISSIONS)["Policy"]["Arn"]
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    iam.ask("put_role_permissions_boundary", RoleName="worker", PermissionsBoundary=arn)
    assert iam.ask("get_role", RoleName="worker")["Role"]["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": arn,
    }
    assert iam.ask("get_policy", PolicyArn=arn)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    with pytest.raises(DeleteConflictException):
        iam.ask("delete_policy", PolicyArn=arn)
    iam.ask("delete_role_permissions_boundary", RoleName="worker")
    assert "PermissionsBoundary" not in iam.ask("get_role", RoleName="worker")["Role"]
    iam.ask("delete_policy", PolicyArn=arn)


def test_a_boundary_must_exist() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"
    with pytest.raises(
        NoSuchEntityException, match=rf"^Scope ARN: {arn} does not exist or is not attachable\.$"
    ):
        Iam().ask(
            "create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST, PermissionsBoundary=arn
        )


def test_a_service_linked_role_is_its_services_alone() -> None:
    iam = Iam()
    service = "replicator.lambda.amazonaws.com"
    role = iam.ask("create_service_linked_role", AWSServiceName=service)["Role"]
    assert role["Arn"] == (
        f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/AWSServiceRoleForLambdaReplicator"
    )
    assert service in unquote(role["AssumeRolePolicyDocument"])
    with pytest.raises(InvalidInputException, match="has been taken in this account"):
        iam.ask("create_service_linked_role", AWSServiceName=service)
    name = role["RoleName"]
    refused: list[tuple[str, dict[str, Any]]] = [
        ("delete_role", {}),
        ("attach_role_policy", {"PolicyArn": BASIC_EXECUTION}),
        ("put_role_policy", {"PolicyName": "p", "PolicyDocument": PERMISSIONS}),
        ("tag_role", {"Tags": [{"Key": "a", "Value": "b"}]}),
    ]
    for operation, parameters in refused:
        with pytest.raises(UnmodifiableEntityException, match=f"protected role '{name}'"):
            iam.ask(operation, RoleName=name, **parameters)


def test_a_service_linked_role_is_deleted_by_a_task_that_can_be_asked_about() -> None:
    iam = Iam()
    role = iam.ask("create_service_linked_role", AWSServiceName="ecs.amazonaws.com", CustomSuffix="two")[
        "Role"
    ]
    assert role["RoleName"] == "AWSServiceRoleForECS_two"
    task_id = iam.ask("delete_service_linked_role", RoleName=role["RoleName"])["DeletionTaskId"]
    assert task_id.startswith("task/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS_two/")
    status = iam.ask("get_service_linked_role_deletion_status", DeletionTaskId=task_id)
    assert status == {"Status": "SUCCEEDED"}
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_role", RoleName=role["RoleName"])
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_service_linked_role_deletion_status", DeletionTaskId=task_id + "x")
