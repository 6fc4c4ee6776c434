"""Temporary credentials: who gets them, for how long, and what they say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.call import Call, Principal, root_principal
from lambent.domain.identity import Role, access_key_id
from lambent.domain.session import unseal
from lambent.errors import AccessDenied, MalformedPolicyDocumentException
from lambent.services.sts import sts_service
from lambent.services.sts.errors import (
    InvalidAuthorizationMessageException,
    InvalidParameterValue,
    PackedPolicyTooLargeException,
    ValidationError,
)
from lambent.store.identities import Draft, Identities
from lambent.testing import ManualClock, MemoryStore

ACCOUNT = "123456789012"
OTHER = "000000000000"
SECRET = b"secret"
ROOT = root_principal(ACCOUNT)
ALICE = Principal(arn=f"arn:aws:iam::{ACCOUNT}:user/alice", user_id="AIDAALICE")
CHAINED = Principal(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/first/s", user_id="AROAFIRST:s")
SESSION_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}'


class Sts:
    """STS over a store in memory, with roles put there directly."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.identities = Identities(self.store)
        self.clock = ManualClock(now_s=1_767_323_045.9)
        self.operations = sts_service(identities=self.identities, secret=SECRET, clock=self.clock)

    def role(self, name: str = "worker", trust: Any = None, **members: Any) -> Role:
        statement: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole"} | (trust or {})
        statement.setdefault("Principal", {"Service": "lambda.amazonaws.com"})
        role = Role(
            account=ACCOUNT,
            name=name,
            id=f"AROA{name.upper()}",
            created_s=1,
            trust_policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            **members,
        )

        async def decide(draft: Draft) -> None:
            await draft.get(Role, role.key)
            draft.put(role)

        asyncio.run(self.identities.change(decide))
        return role

    def ask(
        self, operation: str, caller: Principal = ROOT, key_id: str = "", token: str = "", **parameters: Any
    ) -> Any:
        account = caller.arn.split(":")[4]
        call = Call(
            account=account,
            region="us-east-1",
            request_id="request",
            access_key_id=key_id,
            principal=caller,
            endpoint_url="",
            at_s=0,
            headers={"x-amz-security-token": token},
        )
        return asyncio.run(_awaited(self.operations[operation](call, parameters)))

    def assume(self, role: Role, caller: Principal = ROOT, **parameters: Any) -> Any:
        return self.ask("assume_role", caller, RoleArn=role.arn, RoleSessionName="me", **parameters)


async def _awaited(answer: Any) -> Any:
    return await answer


@pytest.fixture
def sts() -> Iterator[Sts]:
    sts = Sts()
    yield sts
    sts.store.close()


def trusting(*principals: str, **members: Any) -> dict[str, Any]:
    return {"Principal": {"AWS": list(principals)}} | members


def test_credentials_of_a_role_carry_its_session(sts: Sts) -> None:
    answer = sts.assume(sts.role(path="/apps/"))
    assert answer["AssumedRoleUser"] == {
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/me",
        "AssumedRoleId": "AROAWORKER:me",
    }
    assert "PackedPolicySize" not in answer
    credentials = answer["Credentials"]
    found = unseal(SECRET, credentials["AccessKeyId"], credentials["SessionToken"])
    assert found is not None
    session, sealed = found
    assert sealed.secret_access_key == credentials["SecretAccessKey"]
    assert session.role_arn == f"arn:aws:iam::{ACCOUNT}:role/apps/worker"
    assert session.expires_s == 1_767_323_045 + 3600
    assert credentials["Expiration"].timestamp() == session.expires_s


def test_an_unknown_role_is_refused_as_one_that_does_not_trust(sts: Sts) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/none"
    with pytest.raises(AccessDenied) as raised:
        sts.ask("assume_role", RoleArn=arn, RoleSessionName="me")
    assert raised.value.message == (
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {arn}"
    )
    with pytest.raises(
        AccessDenied, match=f"^User: {ALICE.arn} is not authorized to perform: sts:AssumeRole"
    ):
        sts.assume(sts.role(), ALICE)


@pytest.mark.parametrize(
    "arn", ["arn:aws:iam::123456789012:user/alice", "role/worker-of-mine", "arn:aws:s3:::bucket"]
)
def test_only_roles_are_assumed(sts: Sts, arn: str) -> None:
    with pytest.raises(ValidationError, match=r"^Request ARN is invalid$"):
        sts.ask("assume_role", RoleArn=arn, RoleSessionName="me")


def test_the_root_of_the_account_assumes_all_its_roles_and_no_others(sts: Sts) -> None:
    role = sts.role()
    assert sts.assume(role)["Credentials"]
    with pytest.raises(AccessDenied):
        sts.assume(role, root_principal(OTHER))


@pytest.mark.parametrize(
    "principal",
    ["*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ALICE.arn],
)
def test_a_trust_policy_names_a_user_in_four_ways(sts: Sts, principal: str) -> None:
    assert sts.assume(sts.role(trust=trusting("999999999999", principal)), ALICE)["Credentials"]


def test_another_account_may_be_trusted(sts: Sts) -> None:
    role = sts.role(trust=trusting(f"arn:aws:iam::{OTHER}:root"))
    assert sts.assume(role, root_principal(OTHER))["Credentials"]
    with pytest.raises(AccessDenied):
        sts.assume(role, ALICE)


def test_a_role_is_trusted_by_its_own_arn_path_included(sts: Sts) -> None:
    first = sts.role("first", path="/apps/")
    assert sts.assume(sts.role(trust=trusting(first.arn)), CHAINED)["Credentials"]
    assert sts.assume(sts.role("by-session", trust=trusting(CHAINED.arn)), CHAINED)["Credentials"]
    with pytest.raises(AccessDenied):
        sts.assume(sts.role("two", trust=trusting(f"arn:aws:iam::{ACCOUNT}:role/first")), CHAINED)


def test_denial_wins(sts: Sts) -> None:
    role = sts.role()
    document = {
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
            {"Effect": "Deny", "Principal": {"AWS": ALICE.arn}, "Action": "sts:*"},
        ]
    }
    bob = Principal(arn=f"arn:aws:iam::{ACCOUNT}:user/bob", user_id="AIDABOB")

    async def decide(draft: Draft) -> None:
        await draft.get(Role, role.key)
        draft.put(replace(role, trust_policy=json.dumps(document)))

    asyncio.run(sts.identities.change(decide))
    assert sts.assume(role, bob)["Credentials"]
    with pytest.raises(AccessDenied):
        sts.assume(role, ALICE)


def test_an_external_id_must_be_the_one_agreed(sts: Sts) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "agreed"}}
    role = sts.role(trust=trusting("*", Condition=condition))
    assert sts.assume(role, ALICE, ExternalId="agreed")["Credentials"]
    for external_id in (None, "Agreed"):
        parameters: dict[str, Any] = {"ExternalId": external_id} if external_id else {}
        with pytest.raises(AccessDenied):
            sts.assume(role, ALICE, **parameters)


def test_tags_and_source_identity_need_permission_too(sts: Sts) -> None:
    role = sts.role(trust=trusting("*"))
    with pytest.raises(AccessDenied, match="not authorized to perform: sts:TagSession on resource"):
        sts.assume(role, ALICE, Tags=[{"Key": "a", "Value": "b"}])
    with pytest.raises(AccessDenied, match="not authorized to perform: sts:SetSourceIdentity on resource"):
        sts.assume(role, ALICE, SourceIdentity="alice")
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    open_role = sts.role("open", trust=trusting("*", Action=actions))
    answer = sts.assume(open_role, ALICE, Tags=[{"Key": "a", "Value": "b"}], SourceIdentity="alice")
    assert answer["SourceIdentity"] == "alice"
    assert answer["PackedPolicySize"] == 1
    found = unseal(SECRET, answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"])
    assert found is not None
    assert (found[0].tags, found[0].source_identity) == ({"a": "b"}, "alice")


def test_a_session_lasts_as_long_as_its_role_permits(sts: Sts) -> None:
    role = sts.role(max_session_duration_s=7200)
    answer = sts.assume(role, DurationSeconds=7200)
    assert answer["Credentials"]["Expiration"].timestamp() == 1_767_323_045 + 7200
    with pytest.raises(ValidationError) as raised:
        sts.assume(role, DurationSeconds=7201)
    assert raised.value.message == (
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    )


def test_a_chained_session_lasts_an_hour_at_most(sts: Sts) -> None:
    role = sts.role(trust=trusting("*"), max_session_duration_s=43_200)
    assert sts.assume(role, CHAINED, DurationSeconds=3600)["Credentials"]
    with pytest.raises(ValidationError) as raised:
        sts.assume(role, CHAINED, DurationSeconds=3601)
    assert raised.value.message == (
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    )


def test_session_policies_travel_in_the_token_and_must_fit(sts: Sts) -> None:
    role = sts.role()
    arns = [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]
    answer = sts.assume(role, Policy=SESSION_POLICY, PolicyArns=arns)
    assert 1 <= answer["PackedPolicySize"] <= 10
    found = unseal(SECRET, answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"])
    assert found is not None
    assert found[0].policy == SESSION_POLICY
    assert found[0].policy_arns == ("arn:aws:iam::aws:policy/ReadOnlyAccess",)
    with pytest.raises(MalformedPolicyDocumentException):
        sts.assume(role, Policy="{}")
    long = SESSION_POLICY.replace('"Effect"', f'"Sid":"{"x" * 2048}","Effect"')
    with pytest.raises(
        PackedPolicyTooLargeException, match=r"^Packed policy consumes 1\d\d% of allotted space"
    ):
        sts.assume(role, Policy=long)


def test_a_session_token_lends_the_callers_identity(sts: Sts) -> None:
    credentials = sts.ask("get_session_token", ALICE, DurationSeconds=900)["Credentials"]
    found = unseal(SECRET, credentials["AccessKeyId"], credentials["SessionToken"])
    assert found is not None
    session = found[0]
    assert (session.arn, session.user_id, session.account) == (ALICE.arn, ALICE.user_id, ACCOUNT)
    assert session.expires_s == 1_767_323_045 + 900


@pytest.mark.parametrize(("caller", "duration_s"), [(ALICE, 43_200), (ROOT, 3600)])
def test_a_session_token_lasts_half_a_day_and_roots_an_hour(
    sts: Sts, caller: Principal, duration_s: int
) -> None:
    expires = sts.ask("get_session_token", caller)["Credentials"]["Expiration"]
    assert expires.timestamp() == 1_767_323_045 + duration_s


def test_session_credentials_get_no_session_token(sts: Sts) -> None:
    for caller, key_id in ((CHAINED, "ASIAX"), (ALICE, "ASIAX")):
        with pytest.raises(AccessDenied, match=r"^Cannot call GetSessionToken with session credentials$"):
            sts.ask("get_session_token", caller, key_id)


def test_a_device_that_nobody_has_proves_nothing(sts: Sts) -> None:
    with pytest.raises(AccessDenied, match="MultiFactorAuthentication failed"):
        sts.ask("get_session_token", ALICE, SerialNumber="arn:aws:iam::1:mfa/x", TokenCode="123456")


@pytest.mark.parametrize("caller", [ROOT, ALICE, CHAINED])
def test_everybody_may_ask_who_they_are(sts: Sts, caller: Principal) -> None:
    identity = sts.ask("get_caller_identity", caller)
    assert identity == {"Account": ACCOUNT, "Arn": caller.arn, "UserId": caller.user_id}


def test_an_access_key_id_tells_its_account(sts: Sts) -> None:
    temporary = sts.assume(sts.role())["Credentials"]["AccessKeyId"]
    unknown = access_key_id("AKIA", OTHER, b"12345")
    assert sts.ask("get_access_key_info", AccessKeyId=temporary) == {"Account": ACCOUNT}
    assert sts.ask("get_access_key_info", AccessKeyId=unknown) == {"Account": OTHER}
    with pytest.raises(ValidationError):
        sts.ask("get_access_key_info", AccessKeyId="AKIAIOSFODNN7EXAMPLE")


def test_a_chain_of_roles_passes_transitive_tags_and_the_source_identity_on(sts: Sts) -> None:
    everything = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    first = sts.role("first", trust=trusting("*", Action=everything))
    second = sts.role("second", trust=trusting("*", Action=everything))
    answer = sts.assume(
        first,
        ALICE,
        Tags=[{"Key": "team", "Value": "red"}, {"Key": "stage", "Value": "test"}],
        TransitiveTagKeys=["team"],
        SourceIdentity="alice",
    )
    key_id, token = answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"]

    def chained(**parameters: Any) -> Any:
        return sts.assume(second, CHAINED, key_id=key_id, token=token, **parameters)

    answer = chained(Tags=[{"Key": "stage", "Value": "live"}])
    assert answer["SourceIdentity"] == "alice"
    found = unseal(SECRET, answer["Credentials"]["AccessKeyId"], answer["Credentials"]["SessionToken"])
    assert found is not None
    assert found[0].tags == {"team": "red", "stage": "live"}
    assert found[0].transitive_tag_keys == ("team",)
    with pytest.raises(InvalidParameterValue, match="conflicts with a transitive tag key"):
        chained(Tags=[{"Key": "Team", "Value": "blue"}])
    with pytest.raises(AccessDenied):
        chained(SourceIdentity="eve")


def test_a_tag_key_is_given_once_regardless_of_case(sts: Sts) -> None:
    with pytest.raises(InvalidParameterValue, match="Duplicate tag keys found"):
        sts.assume(sts.role(), Tags=[{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}])


def test_a_federated_user_has_a_name_of_the_lenders_choice(sts: Sts) -> None:
    answer = sts.ask("get_federation_token", ALICE, Name="bob", Policy=SESSION_POLICY, DurationSeconds=900)
    assert answer["FederatedUser"] == {
        "FederatedUserId": f"{ACCOUNT}:bob",
        "Arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
    }
    assert answer["PackedPolicySize"] >= 1
    credentials = answer["Credentials"]
    assert credentials["Expiration"].timestamp() == 1_767_323_045 + 900
    found = unseal(SECRET, credentials["AccessKeyId"], credentials["SessionToken"])
    assert found is not None
    assert (found[0].lent_arn, found[0].policy) == (ALICE.arn, SESSION_POLICY)
    of_root = sts.ask("get_federation_token", Name="bob")["Credentials"]
    assert of_root["Expiration"].timestamp() == 1_767_323_045 + 3600
    with pytest.raises(AccessDenied, match=r"^Cannot call GetFederationToken with session credentials$"):
        sts.ask("get_federation_token", CHAINED, Name="bob")
    with pytest.raises(MalformedPolicyDocumentException):
        sts.ask("get_federation_token", ALICE, Name="bob", Policy="{}")


def test_no_encoded_message_is_valid(sts: Sts) -> None:
    with pytest.raises(InvalidAuthorizationMessageException):
        sts.ask("decode_authorization_message", EncodedMessage="abc")
