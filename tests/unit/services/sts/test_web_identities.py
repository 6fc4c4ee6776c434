"""Tokens of OpenID Connect providers: what is asked of them, and what of the role."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from lambent.domain.identity import OidcProvider, Role
from lambent.domain.session import Session, unseal
from lambent.errors import AccessDenied, ExpiredTokenException, NotImplemented_
from lambent.services.sts import sts_service
from lambent.services.sts.errors import InvalidIdentityTokenException, ValidationError
from lambent.store.identities import Draft
from unit.services.sts.test_sessions import ACCOUNT, SECRET, Sts

ISSUER = "https://idp.example.com/Id/1"
PROVIDER = OidcProvider(account=ACCOUNT, url="idp.example.com/Id/1", created_s=1, client_ids=("app", "other"))
NOW_S = 1_767_323_045
ACTION = "sts:AssumeRoleWithWebIdentity"
NO_JWT = "is not a valid JWT"


class Holder:
    """Somebody with a token of the provider."""

    def __init__(self) -> None:
        self.sts = Sts()

        async def decide(draft: Draft) -> None:
            await draft.get(OidcProvider, PROVIDER.key)
            draft.put(PROVIDER)

        asyncio.run(self.sts.identities.change(decide))

    def role(self, name: str = "worker", **trust: Any) -> Role:
        statement = {"Principal": {"Federated": PROVIDER.arn}, "Action": ACTION} | trust
        return self.sts.role(name, trust=statement)

    def assume(self, role: Role, token: str | None = None, claims: Any = None, **parameters: Any) -> Any:
        return self.sts.ask(
            "assume_role_with_web_identity",
            RoleArn=role.arn,
            RoleSessionName="me",
            WebIdentityToken=token or jwt(**(claims or {})),
            **parameters,
        )


def jwt(**changes: Any) -> str:
    claims: dict[str, Any] = {"iss": ISSUER, "aud": "app", "sub": "somebody", "exp": NOW_S + 60} | changes
    parts = [{"alg": "RS256"}, {name: value for name, value in claims.items() if value is not None}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2lnbmVk"])


@pytest.fixture
def holder() -> Iterator[Holder]:
    holder = Holder()
    yield holder
    holder.sts.store.close()


def session_of(answer: Any) -> Session:
    credentials = answer["Credentials"]
    found = unseal(SECRET, credentials["AccessKeyId"], credentials["SessionToken"])
    assert found is not None
    return found[0]


def test_a_token_stands_for_the_role(holder: Holder) -> None:
    answer = holder.assume(holder.role(), claims={"aud": ["unknown", "other"]}, DurationSeconds=900)
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/me"
    assert (answer["SubjectFromWebIdentityToken"], answer["Audience"]) == ("somebody", "other")
    assert answer["Provider"] == PROVIDER.arn
    assert session_of(answer).expires_s == NOW_S + 900


@pytest.mark.parametrize(
    "token",
    ["none", "a.b.c", "e30.e30.e30", "W10.W10.W10", jwt(aud=None), jwt(sub=None), jwt(exp=None), jwt(iss=1)],
)
def test_what_is_no_token_is_refused(holder: Holder, token: str) -> None:
    with pytest.raises(InvalidIdentityTokenException, match=NO_JWT):
        holder.assume(holder.role(), token)


def test_a_token_is_asked_for_its_time_its_provider_and_its_audience(holder: Holder) -> None:
    role = holder.role()
    with pytest.raises(ExpiredTokenException) as raised:
        holder.assume(role, claims={"exp": NOW_S})
    assert raised.value.message == (
        f"Token expired: current date/time {NOW_S} must be before the expiration date/time {NOW_S}"
    )
    with pytest.raises(InvalidIdentityTokenException) as unknown:
        holder.assume(role, claims={"iss": "https://idp.example.com/id/1"})
    assert unknown.value.message == (
        "No OpenIDConnect provider found in your account for https://idp.example.com/id/1"
    )
    with pytest.raises(InvalidIdentityTokenException, match=r"^Incorrect token audience$"):
        holder.assume(role, claims={"aud": "nobody"})
    with pytest.raises(ValidationError):
        holder.assume(role, DurationSeconds=7200)
    with pytest.raises(NotImplemented_):
        holder.assume(role, ProviderId="www.amazon.com")


@pytest.mark.parametrize(
    ("trust", "claims", "is_trusted"),
    [
        ({}, {}, True),
        ({"Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/other"}}, {}, False),
        ({"Principal": {"AWS": "*"}}, {}, False),
        ({"Action": "sts:AssumeRole"}, {}, False),
        ({"Condition": {"StringEquals": {"idp.example.com/Id/1:sub": "somebody"}}}, {}, True),
        ({"Condition": {"StringEquals": {"idp.example.com/Id/1:sub": "else"}}}, {}, False),
        ({"Condition": {"StringEquals": {"idp.example.com/Id/1:aud": "app"}}}, {}, True),
        ({"Condition": {"StringEquals": {"idp.example.com/Id/1:aud": "party"}}}, {"azp": "party"}, True),
        ({"Condition": {"StringEquals": {"idp.example.com/Id/1:oaud": "app"}}}, {"azp": "party"}, True),
        (
            {"Condition": {"ForAnyValue:StringEquals": {"idp.example.com/Id/1:amr": "mfa"}}},
            {"amr": ["mfa"]},
            True,
        ),
    ],
)
def test_the_roles_trust_policy_decides(
    holder: Holder, trust: dict[str, Any], claims: dict[str, Any], is_trusted: bool
) -> None:
    role = holder.role(**trust)
    if is_trusted:
        assert holder.assume(role, claims=claims)["Credentials"]
        return
    with pytest.raises(AccessDenied, match=rf"^Not authorized to perform {ACTION}$"):
        holder.assume(role, claims=claims)


def test_tags_and_source_identity_come_with_the_token_and_need_permission(holder: Holder) -> None:
    claims = {
        "https://aws.amazon.com/tags": {
            "principal_tags": {"team": ["red"]},
            "transitive_tag_keys": ["team", "none"],
        },
        "https://aws.amazon.com/source_identity": "somebody-else",
    }
    with pytest.raises(AccessDenied, match=r"^Not authorized to perform sts:TagSession$"):
        holder.assume(holder.role(), claims=claims)
    actions = [ACTION, "sts:TagSession", "sts:SetSourceIdentity"]
    answer = holder.assume(holder.role("open", Action=actions), claims=claims)
    assert answer["SourceIdentity"] == "somebody-else"
    session = session_of(answer)
    assert (session.tags, session.transitive_tag_keys) == ({"team": "red"}, ("team",))


def test_no_token_is_believed_where_signatures_count(holder: Holder) -> None:
    holder.sts.operations = sts_service(
        identities=holder.sts.identities, secret=SECRET, clock=holder.sts.clock, believes_tokens=False
    )
    with pytest.raises(NotImplemented_):
        holder.assume(holder.role())
