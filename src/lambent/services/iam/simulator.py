"""The policy simulator: what policies would decide, and which of their statements, without doing anything.

It asks the engine that judges real calls. A resource of another account is only judged as such when a resource
policy is given; without one the simulation is about the identity's side (API pages SimulatePrincipalPolicy and
SimulateCustomPolicy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.identity import Group, Role, User, named
from lambent.domain.policy import (
    Context,
    Decision,
    Match,
    Policies,
    Policy,
    Request,
    Requester,
    decide,
    parse_policy,
)
from lambent.domain.policy_document import check_identity_policy, check_resource_policy
from lambent.errors import MalformedPolicyDocumentException
from lambent.services import Members
from lambent.services.iam.errors import InvalidInputException, NoSuchEntityException
from lambent.services.iam.pages import paged
from lambent.store.identities import HeldPolicy, Identities

_ACTION = re.compile(r"[a-zA-Z0-9-]+:[a-zA-Z0-9]+")
_VARIABLE = re.compile(r"\$\{\s*([^},\s]+:[^},\s]+)\s*(?:,[^}]*)?\}")
_SESSION_NAME = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Simulated:
    """Whose request is simulated, and with which policies."""

    requester: Requester
    policies: Policies
    context: Context


class Simulator:
    """Operations that ask what policies would decide."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def simulate_custom_policy(self, call: Call, parameters: Members) -> Members:
        """Say what policies given as texts decide.

        Raises:
            InvalidInputException: a text is no policy, or an action none.
        """
        caller = parse_arn(parameters.get("CallerArn", ""))
        account = caller.account if caller else call.account
        simulated = _Simulated(
            requester=Requester(account=account, arn=parameters.get("CallerArn", "")),
            policies=Policies(
                identity=_given(parameters, "PolicyInputList"), boundary=_given_boundary(parameters)
            ),
            context={},
        )
        return _results(simulated, parameters)

    async def simulate_principal_policy(self, call: Call, parameters: Members) -> Members:
        """Say what the policies of a user, group or role decide, with further ones if some are given.

        Raises:
            NoSuchEntityException: there is no such user, group or role.
            InvalidInputException: a text is no policy, or an action none.
        """
        identity = await self._identity(call, parameters["PolicySourceArn"])
        held = await self._identities.held_policies_of(identity)
        excluded: Sequence[Mapping[str, Any]] = parameters.get("PolicyExclusionList", ())
        kept = [one for one in held if not any(_is_excluded(one, entry) for entry in excluded)]
        boundary = await self._identities.boundary_of(identity)
        own_boundary = _parsed([boundary]) if boundary else None
        simulated = _Simulated(
            requester=_requester(identity, parameters.get("CallerArn")),
            policies=Policies(
                identity=(*_parsed(kept), *_given(parameters, "PolicyInputList")),
                boundary=_given_boundary(parameters) or own_boundary,
            ),
            context=_context_of(identity),
        )
        return _results(simulated, parameters)

    async def get_context_keys_for_custom_policy(self, call: Call, parameters: Members) -> Members:
        """Return the condition keys that policies given as texts ask for.

        Raises:
            InvalidInputException: a text is no policy.
        """
        return {"ContextKeyNames": _context_keys(parameters["PolicyInputList"])}

    async def get_context_keys_for_principal_policy(self, call: Call, parameters: Members) -> Members:
        """Return the condition keys that the policies of a user, group or role ask for.

        Raises:
            NoSuchEntityException: there is no such user, group or role.
            InvalidInputException: a further text is no policy.
        """
        identity = await self._identity(call, parameters["PolicySourceArn"])
        held = [one.document for one in await self._identities.held_policies_of(identity)]
        return {"ContextKeyNames": _context_keys([*held, *parameters.get("PolicyInputList", ())])}

    async def _identity(self, call: Call, arn: str) -> Role | User | Group:
        parsed = parse_arn(arn)
        kind, _, path = parsed.resource.partition("/") if parsed else ("", "", "")
        if parsed is None or parsed.service != "iam" or kind not in ("user", "group", "role"):
            raise InvalidInputException(
                f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
            )
        found: Role | User | Group | None
        if kind == "role":
            found = await self._identities.find_role(arn)
        elif kind == "user":
            found = await self._identities.find_user(arn)
        else:
            group = await self._identities.get(Group, named(parsed.account, path.rsplit("/", 1)[-1]))
            found = group if group and group.arn == arn else None
        if found is None or parsed.account != call.account:
            raise NoSuchEntityException(f"The {kind} with name {path.rsplit('/', 1)[-1]} cannot be found.")
        return found


def _results(simulated: _Simulated, parameters: Members) -> Members:
    resource_policy = parameters.get("ResourcePolicy")
    if resource_policy is not None:
        _check(resource_policy, check_resource_policy)
        given = parse_policy(resource_policy, name="ResourcePolicy", type="resource")
        simulated = replace(simulated, policies=replace(simulated.policies, resource=(given,)))
    entries: Sequence[Mapping[str, Any]] = parameters.get("ContextEntries", ())
    context = {entry["ContextKeyName"].lower(): tuple(entry.get("ContextKeyValues", ())) for entry in entries}
    simulated = replace(simulated, context={**simulated.context, **context})
    results = [
        _result(simulated, action, resource, parameters)
        for action in parameters["ActionNames"]
        for resource in parameters.get("ResourceArns") or ["*"]
    ]
    page, more = paged(enumerate(results), parameters, key=lambda numbered: f"{numbered[0]:08d}")
    return {"EvaluationResults": [result for _, result in page], **more}


def _result(simulated: _Simulated, action: str, resource: str, parameters: Members) -> dict[str, Any]:
    if not _ACTION.fullmatch(action):
        raise InvalidInputException(f"Invalid Action: {action}")
    owner = parse_arn(parameters.get("ResourceOwner", ""))
    arn = parse_arn(resource)
    account = (arn.account if arn else "") or (owner.account if owner else "")
    request = Request(
        requester=simulated.requester,
        action=action,
        resource=resource,
        resource_account=(account if "ResourcePolicy" in parameters else "") or simulated.requester.account,
        context=simulated.context,
    )
    decision = decide(request, simulated.policies)
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision.outcome,
        "MatchedStatements": [_statement_members(match) for match in decision.because],
        "MissingContextValues": sorted(decision.missing),
        **_boundary_members(decision),
    }


def _statement_members(match: Match) -> dict[str, Any]:
    start, end = match.statement.start, match.statement.end
    return {
        "SourcePolicyId": match.policy.name,
        "SourcePolicyType": match.policy.type,
        "StartPosition": {"Line": start.line, "Column": start.column},
        "EndPosition": {"Line": end.line, "Column": end.column},
    }


def _boundary_members(decision: Decision) -> dict[str, Any]:
    if decision.is_within_boundary is None:
        return {}
    return {
        "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": decision.is_within_boundary}
    }


def _requester(identity: Role | User | Group, caller_arn: str | None) -> Requester:
    if caller_arn is not None:
        caller = parse_arn(caller_arn)
        return Requester(account=caller.account if caller else identity.account, arn=caller_arn)
    if isinstance(identity, Role):
        session = f"arn:aws:sts::{identity.account}:assumed-role/{identity.name}/{_SESSION_NAME}"
        return Requester(account=identity.account, arn=session, user_id=identity.id, role_arn=identity.arn)
    return Requester(account=identity.account, arn=identity.arn, user_id=identity.id)


def _context_of(identity: Role | User | Group) -> Context:
    found = {"aws:principalarn": identity.arn, "aws:principalaccount": identity.account}
    if isinstance(identity, User):
        found |= {"aws:username": identity.name, "aws:userid": identity.id, "aws:principaltype": "User"}
    if isinstance(identity, Role):
        found |= {"aws:userid": f"{identity.id}:{_SESSION_NAME}", "aws:principaltype": "AssumedRole"}
    if not isinstance(identity, Group):
        found |= {f"aws:principaltag/{key.lower()}": value for key, value in identity.tags.items()}
    return {key: (value,) for key, value in found.items()}


def _given(parameters: Members, member: str) -> tuple[Policy, ...]:
    texts: Sequence[str] = parameters.get(member, ())
    for text in texts:
        _check(text)
    return tuple(parse_policy(text, name=f"{member}.{number}") for number, text in enumerate(texts, 1))


def _given_boundary(parameters: Members) -> tuple[Policy, ...] | None:
    return _given(parameters, "PermissionsBoundaryPolicyInputList") or None


def _check(text: str, check: Callable[[str], object] = check_identity_policy) -> None:
    try:
        check(text)
    except MalformedPolicyDocumentException as error:
        raise InvalidInputException(error.message) from error


def _parsed(held: Iterable[HeldPolicy]) -> tuple[Policy, ...]:
    return tuple(parse_policy(one.document, name=one.name, type=one.type) for one in held)


def _is_excluded(held: HeldPolicy, entry: Mapping[str, Any]) -> bool:
    if inline := entry.get("InlinePolicyIdentifier"):
        kind = inline["AttachmentType"].lower()
        return held.name == f"{kind}_{inline['AttachmentName']}_{inline['PolicyName']}"
    return held.arn is not None and held.arn == entry.get("PolicyArn")


def _context_keys(texts: Iterable[str]) -> list[str]:
    keys: dict[str, str] = {}
    for text in texts:
        _check(text)
        for key in _VARIABLE.findall(text):
            keys.setdefault(key.lower(), key)
        policy = parse_policy(text, name="")
        for statement in policy.statements:
            condition: Mapping[str, Any] = statement.members.get("Condition", {})
            for block in condition.values():
                for key in cast("Mapping[str, Any]", block):
                    keys.setdefault(key.lower(), key)
    return sorted(keys.values())
