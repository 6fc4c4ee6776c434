"""Passwords of users, the policy that they have to meet, and the report that shows them."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import pytest

from lambent.errors import AccessDenied
from lambent.services.iam.errors import (
    CredentialReportExpiredException,
    CredentialReportNotPresentException,
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidUserTypeException,
    NoSuchEntityException,
    PasswordPolicyViolationException,
    ValidationError,
)
from unit.services.iam.asking import ACCOUNT, Iam

GOOD = "Correct-Horse-1"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"


def with_alice() -> Iam:
    iam = Iam()
    iam.ask("create_user", UserName="alice")
    return iam


def test_a_password_lives_from_create_to_delete() -> None:
    iam = with_alice()
    profile = iam.ask("create_login_profile", UserName="alice", Password=GOOD, PasswordResetRequired=True)[
        "LoginProfile"
    ]
    assert (profile["UserName"], profile["PasswordResetRequired"]) == ("alice", True)
    assert iam.ask("get_login_profile", UserName="alice")["LoginProfile"] == profile
    with pytest.raises(
        EntityAlreadyExistsException, match=r"^Login Profile for User alice already exists\.$"
    ):
        iam.ask("create_login_profile", UserName="alice", Password=GOOD)
    with pytest.raises(
        DeleteConflictException, match=r"^Cannot delete entity, must delete login profile first\.$"
    ):
        iam.ask("delete_user", UserName="alice")
    iam.ask("update_login_profile", UserName="alice", PasswordResetRequired=False)
    assert not iam.ask("get_login_profile", UserName="alice")["LoginProfile"]["PasswordResetRequired"]
    iam.ask("update_user", UserName="alice", NewUserName="eve")
    assert iam.ask("get_login_profile", UserName="eve")["LoginProfile"]["UserName"] == "eve"
    iam.ask("delete_login_profile", UserName="eve")
    for operation in ("get_login_profile", "delete_login_profile", "update_login_profile"):
        with pytest.raises(NoSuchEntityException, match=r"^Login Profile for User eve cannot be found\.$"):
            iam.ask(operation, UserName="eve")
    iam.ask("delete_user", UserName="eve")


def test_a_password_that_was_not_given_is_asked_for() -> None:
    with pytest.raises(ValidationError):
        with_alice().ask("create_login_profile", UserName="alice")


def test_a_user_changes_the_own_password_and_knows_the_old_one() -> None:
    iam = with_alice()
    iam.ask("create_login_profile", UserName="alice", Password=GOOD, PasswordResetRequired=True)
    with pytest.raises(AccessDenied):
        iam.ask("change_password", caller=ALICE, OldPassword="wrong", NewPassword=GOOD + "2")
    iam.ask("change_password", caller=ALICE, OldPassword=GOOD, NewPassword=GOOD + "2")
    assert not iam.ask("get_login_profile", UserName="alice")["LoginProfile"]["PasswordResetRequired"]
    iam.ask("change_password", caller=ALICE, OldPassword=GOOD + "2", NewPassword=GOOD + "3")
    with pytest.raises(InvalidUserTypeException):
        iam.ask("change_password", OldPassword=GOOD, NewPassword=GOOD)


def test_an_account_has_no_password_policy_until_it_gets_one() -> None:
    iam = Iam()
    none = rf"^The Password Policy with domain name {ACCOUNT} cannot be found\.$"
    for operation in ("get_account_password_policy", "delete_account_password_policy"):
        with pytest.raises(NoSuchEntityException, match=none):
            iam.ask(operation)
    iam.ask("update_account_password_policy")
    assert iam.ask("get_account_password_policy")["PasswordPolicy"] == {
        "MinimumPasswordLength": 6,
        "RequireSymbols": False,
        "RequireNumbers": False,
        "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": False,
    }
    iam.ask("update_account_password_policy", MaxPasswordAge=90, RequireNumbers=True, HardExpiry=False)
    policy = iam.ask("get_account_password_policy")["PasswordPolicy"]
    assert (policy["ExpirePasswords"], policy["MaxPasswordAge"], policy["HardExpiry"]) == (True, 90, False)
    iam.ask("delete_account_password_policy")
    with pytest.raises(NoSuchEntityException):
        iam.ask("get_account_password_policy")


@pytest.mark.parametrize(
    ("policy", "bad", "good"),
    [
        (None, "short1A", "longenough1A"),
        (None, "alllowercase", "Lower-and-upper"),
        ({"RequireSymbols": True}, "Secret12", "Secret1!"),
        ({"RequireNumbers": True}, "Secret!!", "Secret1"),
        ({"RequireUppercaseCharacters": True}, "secret12", "Secret"),
        ({"RequireLowercaseCharacters": True}, "SECRET12", "sECRET"),
        ({"MinimumPasswordLength": 12}, "elevenchars", "twelve chars"),
    ],
)
def test_a_password_has_to_meet_the_accounts_policy(
    policy: dict[str, Any] | None, bad: str, good: str
) -> None:
    iam = with_alice()
    if policy is not None:
        iam.ask("update_account_password_policy", **policy)
    with pytest.raises(
        PasswordPolicyViolationException,
        match=r"^Password does not conform to the account password policy\.$",
    ):
        iam.ask("create_login_profile", UserName="alice", Password=bad)
    iam.ask("create_login_profile", UserName="alice", Password=good)


def test_a_password_is_not_taken_again_while_the_policy_remembers_it() -> None:
    iam = with_alice()
    iam.ask("update_account_password_policy", PasswordReusePrevention=2)
    iam.ask("create_login_profile", UserName="alice", Password="first1")
    iam.ask("update_login_profile", UserName="alice", Password="second2")
    with pytest.raises(PasswordPolicyViolationException):
        iam.ask("update_login_profile", UserName="alice", Password="first1")
    iam.ask("update_login_profile", UserName="alice", Password="third3")
    iam.ask("update_login_profile", UserName="alice", Password="first1")


def test_a_credential_report_is_made_and_lasts_four_hours() -> None:
    iam = with_alice()
    with pytest.raises(CredentialReportNotPresentException):
        iam.ask("get_credential_report")
    iam.ask("create_login_profile", UserName="alice", Password=GOOD)
    iam.ask("create_access_key", UserName="alice")
    assert iam.ask("generate_credential_report")["State"] == "STARTED"
    assert iam.ask("generate_credential_report") == {"State": "COMPLETE"}
    report = iam.ask("get_credential_report")
    assert report["ReportFormat"] == "text/csv"
    root, alice = list(csv.DictReader(io.StringIO(report["Content"].decode())))
    assert (root["user"], root["arn"]) == ("<root_account>", f"arn:aws:iam::{ACCOUNT}:root")
    assert None not in root
    assert (alice["user"], alice["arn"], alice["password_enabled"]) == ("alice", ALICE, "true")
    assert (alice["access_key_1_active"], alice["access_key_2_active"]) == ("true", "false")
    assert alice["access_key_1_last_used_date"] == "N/A"
    assert alice["cert_2_last_rotated"] == "N/A"
    asyncio.run(iam.clock.advance(4 * 3600))
    with pytest.raises(CredentialReportExpiredException):
        iam.ask("get_credential_report")
    assert iam.ask("generate_credential_report")["State"] == "STARTED"
