"""Users, their access keys and groups, instance profiles, and the account."""

from __future__ import annotations

import asyncio
import re

import pytest

from lambent.domain.identity import AccessKey, User, named
from lambent.errors import LimitExceededException
from lambent.services.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    NoSuchEntityException,
    ValidationError,
)
from unit.services.iam.asking import ACCOUNT, BASIC_EXECUTION, LAMBDA_TRUST, PERMISSIONS, Iam

ALICE = f"arn:aws:iam::{ACCOUNT}:user/staff/alice"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/session"


def test_a_user_is_made_read_listed_and_deleted() -> None:
    iam = Iam()
    user = iam.ask("create_user", UserName="alice", Path="/staff/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert user["Arn"] == ALICE
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", user["UserId"])
    assert iam.ask("get_user", UserName="alice")["User"] == user
    (listed,) = iam.ask("list_users", PathPrefix="/staff/")["Users"]
    assert listed == {key: value for key, value in user.items() if key != "Tags"}
    with pytest.raises(EntityAlreadyExistsException, match=r"^User with name ALICE already exists\.$"):
        iam.ask("create_user", UserName="ALICE")
    iam.ask("delete_user", UserName="alice")
    with pytest.raises(NoSuchEntityException, match=r"^The user with name alice cannot be found\.$"):
        iam.ask("get_user", UserName="alice")


def test_get_user_without_a_name_is_the_caller() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice", Path="/staff/")
    assert iam.ask("get_user", caller=ALICE)["User"]["UserName"] == "alice"
    root = iam.ask("get_user")["User"]
    assert (root["UserId"], root["Arn"]) == (ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root")
    asyncio.run(iam.clock.advance(1000))
    assert iam.ask("get_user")["User"]["CreateDate"] == root["CreateDate"]
    with pytest.raises(
        ValidationError, match=r"^Must specify userName when calling with non-User credentials$"
    ):
        iam.ask("get_user", caller=SESSION)


def test_a_user_goes_only_when_nothing_hangs_on_it() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    iam.ask("create_group", GroupName="staff")
    iam.ask("add_user_to_group", GroupName="staff", UserName="alice")
    iam.ask("attach_user_policy", UserName="alice", PolicyArn=BASIC_EXECUTION)
    iam.ask("put_user_policy", UserName="alice", PolicyName="p", PolicyDocument=PERMISSIONS)
    key_id = iam.ask("create_access_key", UserName="alice")["AccessKey"]["AccessKeyId"]
    undo = [
        ("must detach all policies first", "detach_user_policy", {"PolicyArn": BASIC_EXECUTION}),
        ("must delete policies first", "delete_user_policy", {"PolicyName": "p"}),
        ("must delete access keys first", "delete_access_key", {"AccessKeyId": key_id}),
        ("must remove users from group first", "remove_user_from_group", {"GroupName": "staff"}),
    ]
    for reason, operation, parameters in undo:
        with pytest.raises(DeleteConflictException, match=f"^Cannot delete entity, {reason}\\.$"):
            iam.ask("delete_user", UserName="alice")
        iam.ask(operation, UserName="alice", **parameters)
    iam.ask("delete_user", UserName="alice")


def test_a_renamed_user_keeps_keys_groups_and_id() -> None:
    iam = Iam()
    user = iam.ask("create_user", UserName="alice")["User"]
    iam.ask("create_user", UserName="bob")
    iam.ask("create_group", GroupName="staff")
    iam.ask("add_user_to_group", GroupName="staff", UserName="alice")
    key_id = iam.ask("create_access_key", UserName="alice")["AccessKey"]["AccessKeyId"]
    iam.ask("update_user", UserName="alice", NewUserName="Alicia", NewPath="/staff/")

    assert iam.ask("get_user", UserName="alicia")["User"]["UserId"] == user["UserId"]
    assert [found["UserName"] for found in iam.ask("get_group", GroupName="staff")["Users"]] == ["Alicia"]
    key = asyncio.run(iam.identities.find_access_key(key_id))
    assert key is not None
    assert key.user_arn == f"arn:aws:iam::{ACCOUNT}:user/staff/Alicia"
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_user", UserName="alice")
    with pytest.raises(EntityAlreadyExistsException):
        iam.ask("update_user", UserName="Alicia", NewUserName="bob")


def test_an_access_key_shows_its_secret_once() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    key = iam.ask("create_access_key", UserName="alice")["AccessKey"]
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key["AccessKeyId"])
    assert len(key["SecretAccessKey"]) == 40
    assert key["Status"] == "Active"
    (listed,) = iam.ask("list_access_keys", UserName="alice")["AccessKeyMetadata"]
    assert listed == {name: value for name, value in key.items() if name != "SecretAccessKey"}
    stored = asyncio.run(iam.identities.find_access_key(key["AccessKeyId"]))
    assert stored is not None
    assert stored.secret == key["SecretAccessKey"]
    assert stored.secret not in repr(stored)


def test_a_user_has_two_access_keys() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    for _ in range(2):
        iam.ask("create_access_key", UserName="alice")
    with pytest.raises(LimitExceededException, match=r"^Cannot exceed quota for AccessKeysPerUser: 2$"):
        iam.ask("create_access_key", UserName="alice")


def test_access_keys_without_a_user_name_are_the_callers() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice", Path="/staff/")
    key_id = iam.ask("create_access_key", caller=ALICE)["AccessKey"]["AccessKeyId"]
    iam.ask("update_access_key", caller=ALICE, AccessKeyId=key_id, Status="Inactive")
    (listed,) = iam.ask("list_access_keys", caller=ALICE)["AccessKeyMetadata"]
    assert (listed["AccessKeyId"], listed["Status"]) == (key_id, "Inactive")
    with pytest.raises(ValidationError):
        iam.ask("create_access_key", caller=SESSION)


def test_only_the_users_own_keys_can_be_deleted() -> None:
    iam = Iam()
    for name in ("alice", "bob"):
        iam.ask("create_user", UserName=name)
    key_id = iam.ask("create_access_key", UserName="alice")["AccessKey"]["AccessKeyId"]
    with pytest.raises(NoSuchEntityException, match=f"^The Access Key with id {key_id} cannot be found\\.$"):
        iam.ask("delete_access_key", UserName="bob", AccessKeyId=key_id)
    iam.ask("delete_access_key", UserName="alice", AccessKeyId=key_id)
    assert asyncio.run(iam.identities.find_access_key(key_id)) is None
    assert iam.ask("list_access_keys", UserName="alice")["AccessKeyMetadata"] == []


def test_the_last_use_of_a_key_is_known() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    key_id = iam.ask("create_access_key", UserName="alice")["AccessKey"]["AccessKeyId"]
    never = iam.ask("get_access_key_last_used", AccessKeyId=key_id)
    assert never == {"UserName": "alice", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    now_s = iam.clock.now_s()
    asyncio.run(iam.identities.note_use(key_id, at_s=now_s, service="lambda", region="eu-west-1"))
    used = iam.ask("get_access_key_last_used", AccessKeyId=key_id)["AccessKeyLastUsed"]
    assert used["LastUsedDate"].timestamp() == int(now_s)
    assert (used["ServiceName"], used["Region"]) == ("lambda", "eu-west-1")
    iam.ask("delete_access_key", UserName="alice", AccessKeyId=key_id)
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_access_key_last_used", AccessKeyId=key_id)


def test_groups_hold_users_and_users_know_their_groups() -> None:
    iam = Iam()
    group = iam.ask("create_group", GroupName="staff")["Group"]
    assert re.fullmatch(r"AGPA[A-Z2-7]{17}", group["GroupId"])
    for name in ("bob", "alice"):
        iam.ask("create_user", UserName=name)
        for _ in range(2):
            iam.ask("add_user_to_group", GroupName="staff", UserName=name)
    assert [user["UserName"] for user in iam.ask("get_group", GroupName="staff")["Users"]] == ["alice", "bob"]
    assert iam.ask("list_groups_for_user", UserName="bob")["Groups"] == [group]
    with pytest.raises(DeleteConflictException, match="must remove users from group first"):
        iam.ask("delete_group", GroupName="staff")
    for name in ("alice", "bob", "bob"):
        iam.ask("remove_user_from_group", GroupName="staff", UserName=name)
    iam.ask("delete_group", GroupName="staff")
    with pytest.raises(NoSuchEntityException, match=r"^The group with name staff cannot be found\.$"):
        iam.ask("get_group", GroupName="staff")


def test_a_user_is_in_ten_groups_at_most() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    for number in range(11):
        iam.ask("create_group", GroupName=f"g{number}")
    for number in range(10):
        iam.ask("add_user_to_group", GroupName=f"g{number}", UserName="alice")
    with pytest.raises(LimitExceededException, match=r"^Cannot exceed quota for GroupsPerUser: 10$"):
        iam.ask("add_user_to_group", GroupName="g10", UserName="alice")


def test_a_renamed_group_keeps_its_users() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    iam.ask("create_group", GroupName="staff")
    iam.ask("add_user_to_group", GroupName="staff", UserName="alice")
    iam.ask("update_group", GroupName="staff", NewGroupName="crew")
    assert [group["GroupName"] for group in iam.ask("list_groups_for_user", UserName="alice")["Groups"]] == [
        "crew"
    ]
    assert [group["GroupName"] for group in iam.ask("list_groups")["Groups"]] == ["crew"]


def test_a_users_policies_include_those_of_its_groups() -> None:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    iam.ask("create_group", GroupName="staff")
    iam.ask("add_user_to_group", GroupName="staff", UserName="alice")
    iam.ask("put_user_policy", UserName="alice", PolicyName="p", PolicyDocument=PERMISSIONS)
    iam.ask("attach_group_policy", GroupName="staff", PolicyArn=BASIC_EXECUTION)

    async def documents() -> list[str]:
        user = await iam.identities.get(User, named(ACCOUNT, "alice"))
        assert user is not None
        return await iam.identities.policies_of(user)

    own, shared = asyncio.run(documents())
    assert own == PERMISSIONS
    assert "logs:PutLogEvents" in shared


def test_an_instance_profile_holds_one_role() -> None:
    iam = Iam()
    for name in ("one", "two"):
        iam.ask("create_role", RoleName=name, AssumeRolePolicyDocument=LAMBDA_TRUST)
    profile = iam.ask("create_instance_profile", InstanceProfileName="p")["InstanceProfile"]
    assert profile["Arn"] == f"arn:aws:iam::{ACCOUNT}:instance-profile/p"
    iam.ask("add_role_to_instance_profile", InstanceProfileName="p", RoleName="one")
    with pytest.raises(
        LimitExceededException, match=r"^Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1$"
    ):
        iam.ask("add_role_to_instance_profile", InstanceProfileName="p", RoleName="two")
    held = iam.ask("get_instance_profile", InstanceProfileName="p")["InstanceProfile"]
    assert [role["RoleName"] for role in held["Roles"]] == ["one"]
    of_one = iam.ask("list_instance_profiles_for_role", RoleName="one")["InstanceProfiles"]
    assert of_one == [held]
    assert iam.ask("list_instance_profiles_for_role", RoleName="two")["InstanceProfiles"] == []
    with pytest.raises(DeleteConflictException):
        iam.ask("delete_instance_profile", InstanceProfileName="p")
    iam.ask("remove_role_from_instance_profile", InstanceProfileName="p", RoleName="one")
    with pytest.raises(NoSuchEntityException):
        iam.ask("remove_role_from_instance_profile", InstanceProfileName="p", RoleName="one")
    iam.ask("delete_instance_profile", InstanceProfileName="p")
    with pytest.raises(NoSuchEntityException, match=r"^Instance Profile p cannot be found\.$"):
        iam.ask("get_instance_profile", InstanceProfileName="p")


def test_an_account_has_one_alias_that_no_other_has() -> None:
    iam = Iam()
    iam.ask("create_account_alias", AccountAlias="acme")
    with pytest.raises(EntityAlreadyExistsException, match=r"^The account alias acme already exists\.$"):
        iam.ask("create_account_alias", account="000000000000", AccountAlias="acme")
    iam.ask("create_account_alias", AccountAlias="acme-two")
    assert iam.ask("list_account_aliases")["AccountAliases"] == ["acme-two"]
    iam.ask("create_account_alias", account="000000000000", AccountAlias="acme")
    iam.ask("delete_account_alias", AccountAlias="acme-two")
    assert iam.ask("list_account_aliases")["AccountAliases"] == []
    with pytest.raises(NoSuchEntityException):
        iam.ask("delete_account_alias", AccountAlias="acme-two")


def test_the_summary_counts_what_there_is() -> None:
    iam = Iam()
    iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
    arn = iam.ask("create_policy", PolicyName="p", PolicyDocument=PERMISSIONS)["Policy"]["Arn"]
    iam.ask("create_policy_version", PolicyArn=arn, PolicyDocument=PERMISSIONS)
    summary = iam.ask("get_account_summary")["SummaryMap"]
    assert {name: summary[name] for name in ("Roles", "Users", "Policies", "PolicyVersionsInUse")} == {
        "Roles": 1,
        "Users": 0,
        "Policies": 1,
        "PolicyVersionsInUse": 2,
    }
    assert summary["AccessKeysPerUserQuota"] == 2


def test_a_user_has_no_other_ways_to_sign_in() -> None:
    """What Terraform asks before it deletes a user by force."""
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    for operation in (
        "list_mfa_devices",
        "list_signing_certificates",
        "list_ssh_public_keys",
        "list_service_specific_credentials",
    ):
        answer = iam.ask(operation, UserName="alice")
        assert [] in answer.values()
        with pytest.raises(NoSuchEntityException):
            iam.ask(operation, UserName="nobody")
    for operation in ("get_login_profile", "delete_login_profile"):
        with pytest.raises(NoSuchEntityException, match=r"^Login Profile for User alice cannot be found\.$"):
            iam.ask(operation, UserName="alice")


def test_a_key_survives_encoding() -> None:
    """The written form of an access key, which another version of Lambent must still read."""
    iam = Iam()
    iam.ask("create_user", UserName="alice", Path="/staff/")
    key_id = iam.ask("create_access_key", UserName="alice")["AccessKey"]["AccessKeyId"]
    document = asyncio.run(iam.documents.get("iam-access-key", key_id))
    assert document is not None
    key = asyncio.run(iam.identities.get(AccessKey, key_id))
    assert key is not None
    assert {name.encode() for name in ("id", "secret", "account", "user_name", "user_id", "status")} <= set(
        re.findall(rb'"(\w+)":', document.body)
    )
    assert key.secret.encode() in document.body
