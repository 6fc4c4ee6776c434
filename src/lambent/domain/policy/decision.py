"""The decision: all policies that concern a request, weighed against one another.

An explicit Deny anywhere wins. Within an account, either the identity's policies (as far as boundary and session
policy let them) or the resource's policy must allow; between accounts, both must (IAM User Guide, "Policy
evaluation logic" and "Cross-account policy evaluation logic").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lambent.domain.policy.condition import Context, judge
from lambent.domain.policy.principal import Named, Requester, named
from lambent.domain.policy.statement import Policy, Statement
from lambent.domain.policy.wildcard import UnknownVariable, like, like_arn

Kind = Literal["identity", "resource", "boundary", "session"]
Outcome = Literal["allowed", "explicitDeny", "implicitDeny"]

_WORDS: dict[Kind, tuple[str, str]] = {
    # As "no … allows the action", and as "an explicit deny in …".
    "identity": ("identity-based policy", "an identity-based policy"),
    "resource": ("resource-based policy", "a resource-based policy"),
    "boundary": ("permissions boundary", "a permissions boundary"),
    "session": ("session policy", "a session policy"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for."""

    requester: Requester
    action: str
    """``lambda:InvokeFunction``."""
    resource: str
    """An ARN, or ``*`` for actions on no resource in particular."""
    resource_account: str
    """Whose the resource is."""
    context: Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The policies that concern a request."""

    identity: tuple[Policy, ...] | None = ()
    """Of the identity itself and its groups; None: it may do everything (root)."""
    resource: tuple[Policy, ...] = ()
    boundary: tuple[Policy, ...] | None = None
    """None: the identity has none."""
    session: tuple[Policy, ...] | None = None
    """None: the session was not given any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A statement that concerns a request."""

    kind: Kind
    policy: Policy
    statement: Statement
    how: Named


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome, and what it rests on."""

    outcome: Outcome
    because: tuple[Match, ...]
    """The statements that decide: the denials, or else what allows, be it not enough."""
    lacking: Kind | None = None
    """For an implicit denial: the kind of policy in which no statement allows it."""
    missing: frozenset[str] = frozenset()
    """Condition keys that policies asked for and that the request does not have."""
    is_within_boundary: bool | None = None
    """None: there is no boundary."""

    @property
    def is_allowed(self) -> bool:
        """Whether the request may go on."""
        return self.outcome == "allowed"


def decide(request: Request, policies: Policies) -> Decision:
    """Weigh all policies and return the decision with its reasons."""
    missing: set[str] = set()
    groups: dict[Kind, tuple[Policy, ...] | None] = {
        "identity": policies.identity,
        "boundary": policies.boundary,
        "session": policies.session,
        "resource": policies.resource,
    }
    found: dict[Kind, list[Match]] = {
        kind: _matches(kind, group or (), request, missing) for kind, group in groups.items()
    }
    every = [match for matches in found.values() for match in matches]
    allows: dict[Kind, list[Match]] = {
        kind: [match for match in matches if not match.statement.is_denial] for kind, matches in found.items()
    }
    keys = frozenset(missing)
    is_within_boundary = None if policies.boundary is None else bool(allows["boundary"])
    if denials := tuple(match for match in every if match.statement.is_denial):
        return Decision(
            outcome="explicitDeny", because=denials, missing=keys, is_within_boundary=is_within_boundary
        )
    lacking = _lacking(request, policies, allows)
    return Decision(
        outcome="implicitDeny" if lacking else "allowed",
        because=tuple(match for match in every if match.kind in ("identity", "resource") or lacking is None),
        lacking=lacking,
        missing=keys,
        is_within_boundary=is_within_boundary,
    )


def refusal(request: Request, decision: Decision) -> str:
    """Return AWS's text for a request that is denied (IAM User Guide, "Troubleshoot access denied errors")."""
    sentence = (
        f"User: {request.requester.arn} is not authorized to perform: {request.action} "
        f"on resource: {request.resource}"
    )
    if decision.outcome == "explicitDeny":
        return f"{sentence} with an explicit deny in {_WORDS[decision.because[0].kind][1]}"
    return f"{sentence} because no {_WORDS[decision.lacking or 'identity'][0]} allows the {request.action} action"


def _lacking(request: Request, policies: Policies, allows: dict[Kind, list[Match]]) -> Kind | None:
    granted = max((match.how for match in allows["resource"]), default=Named.NOT)
    if request.requester.is_outside:
        return None if granted else "resource"
    is_foreign = request.requester.account != request.resource_account
    if granted is Named.ITSELF and not is_foreign:
        return None
    if policies.identity is not None and not allows["identity"] and (is_foreign or granted < Named.ROLE):
        return "identity"
    if policies.boundary is not None and not allows["boundary"]:
        return "boundary"
    if policies.session is not None and not allows["session"]:
        return "session"
    return "resource" if is_foreign and not granted else None


def _matches(kind: Kind, policies: Iterable[Policy], request: Request, missing: set[str]) -> list[Match]:
    matches: list[Match] = []
    for policy in policies:
        for statement in policy.statements:
            how = named(statement.members, request.requester) if kind == "resource" else Named.ITSELF
            if how and _names_action(statement, request.action) and _names_resource(statement, request):
                verdict = judge(
                    statement.members.get("Condition", {}),
                    request.context,
                    has_variables=statement.has_variables,
                )
                missing |= verdict.missing
                # What cannot be judged must not open a door: it fails an Allow and meets a Deny.
                if verdict.holds or (verdict.holds is None and statement.is_denial):
                    matches.append(Match(kind=kind, policy=policy, statement=statement, how=how))
    return matches


def _names_action(statement: Statement, action: str) -> bool:
    member = "NotAction" if "NotAction" in statement.members else "Action"
    patterns = _texts(statement.members.get(member, ()))
    is_named = any(like(action, pattern, is_case_sensitive=False) for pattern in patterns)
    return is_named != (member == "NotAction")


def _names_resource(statement: Statement, request: Request) -> bool:
    """Trust policies have no resource: they lie on it."""
    if "NotResource" in statement.members:
        return not _is_one_of(statement.members["NotResource"], statement, request)
    if "Resource" not in statement.members:
        return True
    return _is_one_of(statement.members["Resource"], statement, request)


def _is_one_of(patterns: str | list[str], statement: Statement, request: Request) -> bool:
    return any(_is_like(pattern, statement, request) for pattern in _texts(patterns))


def _is_like(pattern: str, statement: Statement, request: Request) -> bool:
    if pattern == "*":
        return True
    if not statement.has_variables:
        # Without variables a dollar is a dollar; `${$}` writes one.
        return like_arn(request.resource, pattern.replace("${", "${$}{"))
    try:
        return like_arn(request.resource, pattern, request.context)
    except UnknownVariable:
        return False


def _texts(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
