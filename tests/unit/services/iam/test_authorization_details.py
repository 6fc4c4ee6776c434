"""GetAccountAuthorizationDetails: all identities with all their policies, in pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from lambent.services.iam.errors import ValidationError
from unit.services.iam.asking import ACCOUNT, BASIC_EXECUTION, LAMBDA_TRUST, PERMISSIONS, Iam

POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/p"
OWN = ["User", "Group", "Role", "LocalManagedPolicy"]


def account() -> Iam:
    """An account with one of everything."""
    iam = Iam()
    iam.ask("create_policy", PolicyName="p", PolicyDocument=PERMISSIONS, Description="what p does")
    iam.ask("create_user", UserName="alice", PermissionsBoundary=POLICY_ARN)
    iam.ask("put_user_policy", UserName="alice", PolicyName="inline", PolicyDocument=PERMISSIONS)
    iam.ask("create_group", GroupName="staff")
    iam.ask("add_user_to_group", GroupName="staff", UserName="alice")
    iam.ask("attach_group_policy", GroupName="staff", PolicyArn=POLICY_ARN)
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    iam.ask("attach_role_policy", RoleName="worker", PolicyArn=BASIC_EXECUTION)
    iam.ask("create_instance_profile", InstanceProfileName="machine")
    iam.ask("add_role_to_instance_profile", InstanceProfileName="machine", RoleName="worker")
    return iam


def test_identities_come_with_their_policies() -> None:
    details = account().ask("get_account_authorization_details", Filter=OWN)
    (user,), (group,), (role,) = (details[f"{kind}DetailList"] for kind in ("User", "Group", "Role"))
    (policy,) = details["Policies"]
    assert user["GroupList"] == ["staff"]
    assert unquote(user["UserPolicyList"][0]["PolicyDocument"]) == PERMISSIONS
    assert user["PermissionsBoundary"]["PermissionsBoundaryArn"] == POLICY_ARN
    assert group["AttachedManagedPolicies"] == [{"PolicyName": "p", "PolicyArn": POLICY_ARN}]
    assert unquote(role["AssumeRolePolicyDocument"]) == LAMBDA_TRUST
    assert role["AttachedManagedPolicies"][0]["PolicyArn"] == BASIC_EXECUTION
    assert role["InstanceProfileList"][0]["InstanceProfileName"] == "machine"
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (1, 1)
    (version,) = policy["PolicyVersionList"]
    assert (unquote(version["Document"]), version["IsDefaultVersion"]) == (PERMISSIONS, True)
    assert not details["IsTruncated"]


def test_a_filter_chooses_and_pages_go_on_over_all_kinds() -> None:
    iam = account()
    chosen = iam.ask("get_account_authorization_details", Filter=["Role"])
    assert [len(chosen[f"{kind}DetailList"]) for kind in ("User", "Group", "Role")] == [0, 0, 1]
    of_aws = iam.ask("get_account_authorization_details", Filter=["AWSManagedPolicy"])["Policies"]
    assert any(policy["Arn"] == BASIC_EXECUTION and policy["AttachmentCount"] == 1 for policy in of_aws)
    seen: list[str] = []
    marker: dict[str, Any] = {}
    while True:
        page = iam.ask("get_account_authorization_details", Filter=OWN, MaxItems=1, **marker)
        seen += [
            entity["Arn"]
            for kind in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
            for entity in page[kind]
        ]
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["Marker"]}
    assert [arn.split(":")[5].split("/")[0] for arn in seen] == ["user", "group", "role", "policy"]
    with pytest.raises(ValidationError):
        iam.ask("get_account_authorization_details", Marker="never")
