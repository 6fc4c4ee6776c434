"""AssumeRoleWithWebIdentity: who has a token of an OpenID Connect provider takes on a role that trusts it.

Where requests need no signature, tokens are believed, too: what they say is checked against the provider that the
account has registered and the role's trust policy, and who has signed them is not. Else they are refused, as
nobody fetches the providers' keys.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import OidcProvider, Role
from lambent.domain.policy import Context
from lambent.domain.session import Session, seal
from lambent.errors import AccessDenied, ExpiredTokenException, NotImplemented_
from lambent.services import Members
from lambent.services.sts.errors import InvalidIdentityTokenException
from lambent.services.sts.sessions import check_role_arn, duration_within, packed_percent_of
from lambent.services.sts.shapes import credentials_members
from lambent.services.sts.trust import lets_federated
from lambent.store.identities import Identities

_ACTION = "sts:AssumeRoleWithWebIdentity"
_SCHEME = "https://"
_TAGS = "https://aws.amazon.com/tags"
_SOURCE_IDENTITY = "https://aws.amazon.com/source_identity"
_NO_JWT = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"

Claims = Mapping[str, Any]


class WebIdentities:
    """The operation for holders of tokens (AWS STS API Reference; OpenID Connect Core, "ID Token")."""

    def __init__(self, identities: Identities, secret: bytes, clock: Clock, *, believes_tokens: bool) -> None:
        self._identities = identities
        self._secret = secret
        self._clock = clock
        self._believes_tokens = believes_tokens

    async def assume_role_with_web_identity(self, call: Call, parameters: Members) -> Members:
        """Return credentials of a role.

        Raises:
            InvalidIdentityTokenException: the token is none, or of a provider or for an audience that the account
                does not know.
            ExpiredTokenException: it has expired.
            AccessDenied: the role does not exist or does not trust the token's holder; AWS does not say which.
            ValidationError: the session would last longer than the role permits.
            NotImplemented_: a signature would have to be verified.
        """
        if not self._believes_tokens:
            raise NotImplemented_("Signatures of tokens are not verified yet, so that none is accepted.")
        if "ProviderId" in parameters:
            raise NotImplemented_("Access tokens of OAuth 2.0 are not served; use an OpenID Connect token.")
        role_arn: str = parameters["RoleArn"]
        check_role_arn(role_arn)
        claims = _claims_of(parameters["WebIdentityToken"])
        self._check_time(claims)
        provider = await self._provider(role_arn, claims)
        audience = _audience(provider, claims)
        role = await self._trusting(role_arn, provider, claims, parameters)
        packed_percent = packed_percent_of(parameters)
        tags, transitive = _tags_in(claims)
        session = Session(
            account=role.account,
            role_arn=role.arn,
            role_id=role.id,
            name=parameters["RoleSessionName"],
            expires_s=int(self._clock.now_s()) + duration_within(role, parameters.get("DurationSeconds")),
            policy=parameters.get("Policy"),
            policy_arns=tuple(entry["arn"] for entry in parameters.get("PolicyArns", ())),
            tags=tags,
            transitive_tag_keys=transitive,
            source_identity=claims.get(_SOURCE_IDENTITY),
        )
        answer: dict[str, Any] = {
            "Credentials": credentials_members(seal(self._secret, session), session.expires_s),
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
            "SubjectFromWebIdentityToken": claims["sub"],
            "Provider": provider.arn,
            "Audience": audience,
        }
        if packed_percent:
            answer["PackedPolicySize"] = packed_percent
        if session.source_identity is not None:
            answer["SourceIdentity"] = session.source_identity
        return answer

    def _check_time(self, claims: Claims) -> None:
        now_s, expires_s = int(self._clock.now_s()), claims["exp"]
        if expires_s <= now_s:
            raise ExpiredTokenException(
                f"Token expired: current date/time {now_s} must be before the expiration date/time "
                f"{int(expires_s)}"
            )

    async def _provider(self, role_arn: str, claims: Claims) -> OidcProvider:
        arn = parse_arn(role_arn)
        account = arn.account if arn is not None else ""
        issuer: str = claims["iss"]
        provider = await self._identities.get(OidcProvider, f"{account}/{issuer.removeprefix(_SCHEME)}")
        if provider is None:
            raise InvalidIdentityTokenException(
                f"No OpenIDConnect provider found in your account for {issuer}"
            )
        return provider

    async def _trusting(
        self, role_arn: str, provider: OidcProvider, claims: Claims, parameters: Members
    ) -> Role:
        role = await self._identities.find_role(role_arn)
        context = _context(provider, claims, parameters)
        actions = [_ACTION]
        actions += ["sts:TagSession"] if _TAGS in claims else []
        actions += ["sts:SetSourceIdentity"] if _SOURCE_IDENTITY in claims else []
        for action in actions:
            if role is None or not lets_federated(role.trust_policy, provider.arn, action, context):
                raise AccessDenied(f"Not authorized to perform {action}")
        assert role is not None
        return role


def _claims_of(token: str) -> Claims:
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidIdentityTokenException(_NO_JWT)
    header, claims = _part(parts[0]), _part(parts[1])
    has_all = (
        isinstance(claims.get("iss"), str)
        and isinstance(claims.get("sub"), str)
        and isinstance(claims.get("exp"), int | float)
        and bool(_texts(claims.get("aud")))
    )
    if "alg" not in header or not has_all:
        raise InvalidIdentityTokenException(_NO_JWT)
    return claims


def _part(text: str) -> dict[str, Any]:
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        part = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidIdentityTokenException(_NO_JWT) from error
    if not isinstance(part, dict):
        raise InvalidIdentityTokenException(_NO_JWT)
    return cast("dict[str, Any]", part)


def _audience(provider: OidcProvider, claims: Claims) -> str:
    """Return the audience for which the token was made and which the provider may have."""
    for audience in _texts(claims["aud"]):
        if audience in provider.client_ids:
            return audience
    raise InvalidIdentityTokenException("Incorrect token audience")


def _context(provider: OidcProvider, claims: Claims, parameters: Members) -> Context:
    """Return what conditions can ask (IAM User Guide, "Available keys for AWS web identity federation")."""
    found: dict[str, tuple[str, ...]] = {
        f"{provider.url}:{name}".lower(): values
        for name, value in claims.items()
        if (values := _texts(value))
    }
    if isinstance(claims.get("azp"), str):
        # The party that was authorized takes the audience's place.
        found[f"{provider.url}:aud".lower()] = (claims["azp"],)
        found[f"{provider.url}:oaud".lower()] = _texts(claims["aud"])
    tags, transitive = _tags_in(claims)
    found |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    found |= {"aws:tagkeys": tuple(tags), "sts:transitivetagkeys": transitive}
    found["sts:rolesessionname"] = (parameters["RoleSessionName"],)
    found["aws:federatedprovider"] = (provider.arn,)
    if isinstance(claims.get(_SOURCE_IDENTITY), str):
        found["sts:sourceidentity"] = (claims[_SOURCE_IDENTITY],)
    return found


def _tags_in(claims: Claims) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return session tags that a token carries, and the keys of those that are passed on."""
    nested = claims.get(_TAGS)
    if not isinstance(nested, dict):
        return {}, ()
    members = cast("dict[str, Any]", nested)
    principal_tags = members.get("principal_tags")
    if not isinstance(principal_tags, dict):
        return {}, ()
    pairs = cast("dict[str, Any]", principal_tags)
    tags = {key: values[0] for key, value in pairs.items() if (values := _texts(value))}
    return tags, tuple(key for key in _texts(members.get("transitive_tag_keys")) if key in tags)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(one for one in cast("list[Any]", value) if isinstance(one, str))
    return ()
