"""Trust policies at work: may this caller do this to this role? Pure; the policy engine judges.

A role's trust policy is the policy of the resource (IAM User Guide, "Policy evaluation logic"). Whether the
caller's own policies allow it too is the front door's to ask. Principals of type ``Service``
are nobody who calls AssumeRole here; those of type ``Federated`` come with a token.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent.domain.policy import Context, Policies, Request, Requester, decide, parse_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who wants to assume a role."""

    account: str
    arns: frozenset[str]
    """The principal's ARN and, for an assumed role, that of the role behind the session."""


def lets_federated(trust_policy: str, provider_arn: str, action: str, context: Context) -> bool:
    """Return whether a role's trust policy lets somebody do something whom an identity provider vouches for."""
    policy = parse_policy(trust_policy, name="trust policy", type="resource")
    request = Request(
        requester=Requester(account="", federated=provider_arn),
        action=action,
        resource="*",
        resource_account="",
        context=context,
    )
    return decide(request, Policies(resource=(policy,))).is_allowed


def is_allowed(trust_policy: str, caller: Caller, action: str, context: Context) -> bool:
    """Return whether a role's trust policy lets a caller do something, for instance ``sts:AssumeRole``."""
    policy = parse_policy(trust_policy, name="trust policy", type="resource")
    role_arn = next((arn for arn in caller.arns if ":role/" in arn), None)
    arn = next((arn for arn in caller.arns if arn != role_arn), role_arn or "")
    decision = decide(
        Request(
            requester=Requester(account=caller.account, arn=arn, role_arn=role_arn),
            action=action,
            resource="*",
            resource_account=caller.account,
            context=context,
        ),
        Policies(identity=None, resource=(policy,)),
    )
    # Being in the role's own account is not enough: the trust policy itself has to say it.
    return decision.is_allowed and bool(decision.because)
