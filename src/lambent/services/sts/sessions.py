"""Temporary credentials: for a role that is assumed, or for the caller's own identity."""

from __future__ import annotations

import math
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call, root_principal
from lambent.domain.identity import Role, named
from lambent.domain.policy import Context
from lambent.domain.policy_document import check_identity_policy
from lambent.domain.session import ASSUMED_ROLE_KEY_PREFIX, Session, seal, unseal
from lambent.errors import AccessDenied
from lambent.services import Members
from lambent.services.sts.errors import InvalidParameterValue, PackedPolicyTooLargeException, ValidationError
from lambent.services.sts.shapes import credentials_members
from lambent.services.sts.trust import Caller, is_allowed
from lambent.store.identities import Identities

ASSUME_ROLE_DURATION_S = 3600
CHAINED_DURATION_MAX_S = 3600
SESSION_TOKEN_DURATION_S = 43_200
ROOT_SESSION_TOKEN_DURATION_MAX_S = 3600
PACKED_POLICY_MAX_BYTES = 2048
POLICY_ARNS_MAX = 10


class Sessions:
    """Operations that return temporary credentials (AWS STS API Reference)."""

    def __init__(self, identities: Identities, secret: bytes, clock: Clock) -> None:
        self._identities = identities
        self._secret = secret
        self._clock = clock

    async def assume_role(self, call: Call, parameters: Members) -> Members:
        """Return credentials of a role.

        The root of the role's own account, whom open authentication takes every caller for, may assume all
        roles of the account; everybody else needs the role's trust policy.

        Raises:
            AccessDenied: the role does not exist or does not trust the caller; AWS does not say which.
            ValidationError: the session would last longer than the role, or chaining, permits.
        """
        role_arn = parameters["RoleArn"]
        check_role_arn(role_arn)
        role = await self._identities.find_role(role_arn)
        await self._check_trust(call, role, parameters)
        assert role is not None
        duration_s = _duration_s(call, role, parameters.get("DurationSeconds"))
        packed_percent = packed_percent_of(parameters)
        before = self._session_of(call)
        session = Session(
            account=role.account,
            role_arn=role.arn,
            role_id=role.id,
            name=parameters["RoleSessionName"],
            expires_s=int(self._clock.now_s()) + duration_s,
            policy=parameters.get("Policy"),
            policy_arns=tuple(entry["arn"] for entry in parameters.get("PolicyArns", ())),
            tags=_tags(parameters, before),
            transitive_tag_keys=_transitive_keys(parameters, before),
            source_identity=_source_identity(parameters, before),
        )
        answer: dict[str, Any] = {
            "Credentials": credentials_members(seal(self._secret, session), session.expires_s),
            "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        }
        if packed_percent:
            answer["PackedPolicySize"] = packed_percent
        if session.source_identity is not None:
            answer["SourceIdentity"] = session.source_identity
        return answer

    async def get_session_token(self, call: Call, parameters: Members) -> Members:
        """Return temporary credentials of the calling user or root.

        Raises:
            AccessDenied: the caller has temporary credentials already, or names a device that nobody has.
        """
        if ":assumed-role/" in call.principal.arn or call.access_key_id.startswith("ASIA"):
            raise AccessDenied("Cannot call GetSessionToken with session credentials")
        if "SerialNumber" in parameters or "TokenCode" in parameters:
            raise AccessDenied("MultiFactorAuthentication failed, unable to validate MFA code.")
        duration_s = parameters.get("DurationSeconds", SESSION_TOKEN_DURATION_S)
        if call.principal == root_principal(call.account):
            duration_s = min(duration_s, ROOT_SESSION_TOKEN_DURATION_MAX_S)
        session = Session(
            account=call.account,
            role_arn="",
            role_id="",
            name="",
            expires_s=int(self._clock.now_s()) + duration_s,
            lent_arn=call.principal.arn,
            lent_id=call.principal.user_id,
        )
        return {"Credentials": credentials_members(seal(self._secret, session), session.expires_s)}

    def _session_of(self, call: Call) -> Session | None:
        """Return the session of a role from which the call comes, if it does: what it passes on is in there."""
        if not call.access_key_id.startswith(ASSUMED_ROLE_KEY_PREFIX):
            return None
        found = unseal(self._secret, call.access_key_id, call.headers.get("x-amz-security-token", ""))
        return found[0] if found is not None else None

    async def _check_trust(self, call: Call, role: Role | None, parameters: Members) -> None:
        actions = ["sts:AssumeRole"]
        actions += ["sts:TagSession"] if parameters.get("Tags") else []
        actions += ["sts:SetSourceIdentity"] if parameters.get("SourceIdentity") else []
        if role is not None and call.principal == root_principal(role.account):
            return
        caller = await self._caller(call)
        context = _context(call, caller, parameters)
        for action in actions:
            if role is None or not is_allowed(role.trust_policy, caller, action, context):
                raise AccessDenied(
                    f"User: {call.principal.arn} is not authorized to perform: {action} on resource: "
                    f"{parameters['RoleArn']}"
                )

    async def _caller(self, call: Call) -> Caller:
        arns = {call.principal.arn}
        parts = parse_arn(call.principal.arn)
        if parts is not None and parts.resource.startswith("assumed-role/"):
            # The session's ARN leaves the role's path out; trust policies name the role with it.
            name = parts.resource.split("/")[1]
            role = await self._identities.get(Role, named(parts.account, name))
            arns |= {role.arn} if role is not None else set()
        return Caller(account=call.account, arns=frozenset(arns))


def check_role_arn(text: str) -> None:
    """Check that this is the ARN of a role.

    Raises:
        ValidationError: it is not.
    """
    arn = parse_arn(text)
    if arn is None or arn.service != "iam" or not arn.resource.startswith("role/"):
        raise ValidationError("Request ARN is invalid")


def _duration_s(call: Call, role: Role, wanted_s: int | None) -> int:
    duration_s = wanted_s or ASSUME_ROLE_DURATION_S
    if ":assumed-role/" in call.principal.arn and duration_s > CHAINED_DURATION_MAX_S:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    return duration_within(role, wanted_s)


def duration_within(role: Role, wanted_s: int | None) -> int:
    """Return how long a session of a role lasts, in seconds: an hour unless something else is wanted.

    Raises:
        ValidationError: the role does not permit it.
    """
    duration_s = wanted_s or ASSUME_ROLE_DURATION_S
    if duration_s > role.max_session_duration_s:
        raise ValidationError(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return duration_s


def _transitive_keys(parameters: Members, before: Session | None) -> tuple[str, ...]:
    inherited = before.transitive_tag_keys if before else ()
    return tuple(dict.fromkeys([*inherited, *parameters.get("TransitiveTagKeys", ())]))


def _tags(parameters: Members, before: Session | None) -> dict[str, str]:
    """Return the tags of a session: those given, and those that the session before it passes on."""
    given = {tag["Key"]: tag["Value"] for tag in parameters.get("Tags", ())}
    keys = [key.lower() for key in given]
    if len(set(keys)) < len(keys):
        raise InvalidParameterValue(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    inherited = (
        {key: before.tags[key] for key in before.transitive_tag_keys if key in before.tags} if before else {}
    )
    if any(key.lower() in keys for key in inherited):
        raise InvalidParameterValue(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session."
        )
    return inherited | given


def _source_identity(parameters: Members, before: Session | None) -> str | None:
    """Return the source identity, which stays the same all along a chain of roles."""
    given, inherited = parameters.get("SourceIdentity"), before.source_identity if before else None
    if inherited is not None and given not in (None, inherited):
        raise AccessDenied("The source identity of a session cannot be changed.")
    return given or inherited


def packed_percent_of(parameters: Members) -> int:
    """Return how much of their room session policies and tags take, in percent, at least 1 when there are any.

    Raises:
        MalformedPolicyDocumentException: a session policy is no policy.
        ValidationError, PackedPolicyTooLargeException: there are too many, or they are too large.
    """
    policy = parameters.get("Policy", "")
    if policy:
        check_identity_policy(policy)
    arns = [entry["arn"] for entry in parameters.get("PolicyArns", ())]
    if len(arns) > POLICY_ARNS_MAX:
        raise ValidationError(f"A session can have at most {POLICY_ARNS_MAX} managed session policies.")
    tags = [tag["Key"] + tag["Value"] for tag in parameters.get("Tags", ())]
    size = sum(len(text.encode()) for text in (policy, *arns, *tags))
    percent = math.ceil(100 * size / PACKED_POLICY_MAX_BYTES)
    if percent > 100:
        raise PackedPolicyTooLargeException(
            f"Packed policy consumes {percent}% of allotted space, please use smaller policy."
        )
    return percent


def _context(call: Call, caller: Caller, parameters: Members) -> Context:
    tags = {tag["Key"]: tag["Value"] for tag in parameters.get("Tags", ())}
    one = {
        "sts:externalid": parameters.get("ExternalId"),
        "sts:rolesessionname": parameters["RoleSessionName"],
        "sts:sourceidentity": parameters.get("SourceIdentity"),
        "aws:principalaccount": caller.account,
        "aws:userid": call.principal.user_id,
        # For a session, the key's value is the ARN of the role behind it.
        "aws:principalarn": next(iter(caller.arns - {call.principal.arn}), call.principal.arn),
    } | {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
    many = {
        "aws:tagkeys": tuple(tags),
        "sts:transitivetagkeys": tuple(parameters.get("TransitiveTagKeys", ())),
    }
    return {key: (value,) for key, value in one.items() if value is not None} | many
