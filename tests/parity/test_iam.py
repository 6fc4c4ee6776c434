"""IAM through boto3: the calls that deploy tools make before and after they make a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server

BASIC_EXECUTION = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
PERMISSIONS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}],
}


@pytest.fixture(scope="module")
def iam(lambent: Server) -> Any:
    return lambent.client("iam")


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def error_of(ask: Callable[[], Any]) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as raised:
        ask()
    response = answer_of(raised.value)
    return (
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Code"],
        response["Error"]["Message"],
    )


def test_terraforms_life_of_a_role(iam: Any, name: str) -> None:
    """aws_iam_role, aws_iam_role_policy and aws_iam_role_policy_attachment: create, read, destroy."""
    made = iam.create_role(
        RoleName=name,
        Path="/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        MaxSessionDuration=3600,
        Tags=[{"Key": "project", "Value": "x"}],
    )["Role"]
    iam.get_waiter("role_exists").wait(RoleName=name)
    read = iam.get_role(RoleName=name)["Role"]
    assert read["AssumeRolePolicyDocument"] == TRUST
    assert read["RoleId"] == made["RoleId"]
    assert read["Tags"] == [{"Key": "project", "Value": "x"}]
    iam.attach_role_policy(RoleName=name, PolicyArn=BASIC_EXECUTION)
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(PERMISSIONS))
    assert iam.get_role_policy(RoleName=name, PolicyName="inline")["PolicyDocument"] == PERMISSIONS
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["inline"]
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached["PolicyArn"] == BASIC_EXECUTION

    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    iam.detach_role_policy(RoleName=name, PolicyArn=BASIC_EXECUTION)
    iam.delete_role_policy(RoleName=name, PolicyName="inline")
    iam.delete_role(RoleName=name)
    assert error_of(lambda: iam.get_role(RoleName=name)) == (
        404,
        "NoSuchEntity",
        f"The role with name {name} cannot be found.",
    )


def test_sams_role_with_everything_in_one_template(iam: Any, name: str) -> None:
    """What CloudFormation does for AWS::IAM::Role with ManagedPolicyArns, Policies, Tags and a boundary."""
    boundary = iam.create_policy(PolicyName=f"{name}-bound", PolicyDocument=json.dumps(PERMISSIONS))[
        "Policy"
    ]["Arn"]
    role = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=json.dumps(TRUST),
        PermissionsBoundary=boundary,
        Description="sam",
    )["Role"]
    assert role["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "Policy",
        "PermissionsBoundaryArn": boundary,
    }
    for arn in (BASIC_EXECUTION, "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess"):
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(PERMISSIONS))
    iam.tag_role(RoleName=name, Tags=[{"Key": "lambda:createdBy", "Value": "SAM"}])
    found = iam.get_role(RoleName=name)["Role"]
    assert (found["Description"], found["Tags"]) == ("sam", [{"Key": "lambda:createdBy", "Value": "SAM"}])
    users = iam.list_entities_for_policy(PolicyArn=boundary, PolicyUsageFilter="PermissionsBoundary")
    assert [entity["RoleName"] for entity in users["PolicyRoles"]] == [name]


def test_terraforms_life_of_a_policy(iam: Any, name: str) -> None:
    """aws_iam_policy: create, read, update by a new version, destroy with all versions."""
    arn = iam.create_policy(
        PolicyName=name, Path="/apps/", PolicyDocument=json.dumps(PERMISSIONS), Description="d", Tags=[]
    )["Policy"]["Arn"]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Description"] == "d"
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert version["Document"] == PERMISSIONS
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(PERMISSIONS), SetAsDefault=True)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    for version in versions:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)
    assert error_of(lambda: iam.get_policy(PolicyArn=arn)) == (
        404,
        "NoSuchEntity",
        f"Policy {arn} was not found.",
    )


def test_errors_have_awss_codes_and_statuses(iam: Any, name: str) -> None:
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    again = error_of(lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)))
    assert again == (409, "EntityAlreadyExists", f"Role with name {name} already exists.")
    malformed = error_of(lambda: iam.create_role(RoleName=f"{name}2", AssumeRolePolicyDocument="{}"))
    assert malformed == (400, "MalformedPolicyDocument", "Syntax errors in policy.")
    iam.attach_role_policy(RoleName=name, PolicyArn=BASIC_EXECUTION)
    conflict = error_of(lambda: iam.delete_role(RoleName=name))
    assert conflict == (409, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
    missing = "arn:aws:iam::aws:policy/NoSuchPolicyOfAws"
    unknown = error_of(lambda: iam.attach_role_policy(RoleName=name, PolicyArn=missing))
    assert unknown == (404, "NoSuchEntity", f"Policy {missing} does not exist or is not attachable.")
    denied = error_of(lambda: iam.delete_policy(PolicyArn=BASIC_EXECUTION))
    assert denied[:2] == (403, "AccessDenied")
    marker = error_of(lambda: iam.list_roles(Marker="bogus!"))
    assert marker == (400, "ValidationError", "Invalid Marker.")


def test_paginators_see_every_role_once(lambent: Server) -> None:
    iam = lambent.client("iam", account="111122223333")
    names = [f"role-{number:03d}" for number in range(23)]
    for role_name in names:
        iam.create_role(RoleName=role_name, Path="/many/", AssumeRolePolicyDocument=json.dumps(TRUST))
    paginator = iam.get_paginator("list_roles")
    pages = list(paginator.paginate(PathPrefix="/many/", PaginationConfig={"PageSize": 10}))
    assert [len(page["Roles"]) for page in pages] == [10, 10, 3]
    assert [role["RoleName"] for page in pages for role in page["Roles"]] == names


def test_parallel_changes_of_one_role_all_arrive(iam: Any, name: str) -> None:
    """As `terraform apply -parallelism=20` makes them."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    arns = [
        iam.create_policy(PolicyName=f"{name}-{n}", PolicyDocument=json.dumps(PERMISSIONS))["Policy"]["Arn"]
        for n in range(10)
    ]
    with ThreadPoolExecutor(max_workers=20) as threads:
        attached = [threads.submit(iam.attach_role_policy, RoleName=name, PolicyArn=arn) for arn in arns]
        tagged = [
            threads.submit(iam.tag_role, RoleName=name, Tags=[{"Key": f"k{n}", "Value": "v"}])
            for n in range(10)
        ]
        for future in attached + tagged:
            future.result()
    assert len(iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]) == 10
    assert len(iam.list_role_tags(RoleName=name)["Tags"]) == 10


def test_a_users_keys_sign_as_the_user(lambent: Server, iam: Any, name: str) -> None:
    """aws_iam_user with an access key, used by the SDK."""
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    own = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    identity = lambent.client("sts", **own).get_caller_identity()
    assert (identity["Arn"], identity["UserId"]) == (user["Arn"], user["UserId"])
    assert lambent.client("iam", **own).get_user()["User"]["UserName"] == name
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    assert iam.list_groups_for_user(UserName=name)["Groups"] == []
    assert iam.list_mfa_devices(UserName=name)["MFADevices"] == []
    iam.delete_user(UserName=name)


def test_groups_and_instance_profiles_travel_whole(iam: Any, name: str) -> None:
    iam.create_user(UserName=name)
    iam.create_group(GroupName=name)
    iam.add_user_to_group(GroupName=name, UserName=name)
    assert [user["UserName"] for user in iam.get_group(GroupName=name)["Users"]] == [name]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    assert profile["Roles"][0]["AssumeRolePolicyDocument"] == TRUST
    assert iam.get_account_summary()["SummaryMap"]["InstanceProfiles"] >= 1


def test_an_operation_that_is_not_served_says_so(iam: Any, name: str) -> None:
    status, code, _ = error_of(lambda: iam.create_virtual_mfa_device(VirtualMFADeviceName=name))
    assert (status, code) == (501, "NotImplemented")


def test_roles_survive_kill_dash_nine(new_server: Callable[..., Server], name: str) -> None:
    server = new_server()
    iam = server.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.attach_role_policy(RoleName=name, PolicyArn=BASIC_EXECUTION)
    server.kill()
    server.start()
    iam = server.client("iam")
    assert iam.get_role(RoleName=name)["Role"]["RoleId"] == role["RoleId"]
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached["PolicyName"] == "AWSLambdaBasicExecutionRole"
