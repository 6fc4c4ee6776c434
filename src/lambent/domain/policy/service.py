"""A resource's policy, asked about an AWS service that acts on behalf of another resource or as a role. Pure."""

from __future__ import annotations

from lambent.arn import parse_arn
from lambent.domain.parcel import Sender
from lambent.domain.policy.condition import Context
from lambent.domain.policy.decision import Decision, Policies, Request, decide
from lambent.domain.policy.principal import Requester
from lambent.domain.policy.statement import Policy, parse_policy


def decide_for_service(
    policy: str | None,
    *,
    service: str,
    action: str,
    resource: str,
    source_arn: str | None = None,
    source_account: str | None = None,
) -> Decision:
    """Return whether a resource's policy lets an AWS service use it.

    Args:
        policy: the policy as JSON; one that cannot be read lets nobody in.
        service: the service's principal, for instance ``sns.amazonaws.com``.
        action: for instance ``lambda:InvokeFunction``.
        resource: the ARN as the service was given it, a function's with its qualifier.
        source_arn: on behalf of which resource the service asks (``aws:SourceArn``).
        source_account: whose that resource is (``aws:SourceAccount``).
    """
    sources = {
        "aws:sourcearn": source_arn,
        "aws:sourceaccount": source_account,
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
    }
    request = Request(
        requester=Requester(account="", service=service),
        action=action,
        resource=resource,
        resource_account="",
        context={key: (value,) for key, value in sources.items() if value is not None},
    )
    return decide(request, Policies(resource=_parsed(policy)))


def decide_for_account(
    policy: str | None,
    *,
    account: str,
    role_arn: str | None = None,
    action: str,
    resource: str,
    context: Context,
) -> Decision:
    """Return whether a resource's policy lets an account use it, or keeps it from its own.

    Whether the role itself may is not asked: its owner has given it to whoever sends as it.

    Args:
        policy: the policy as JSON; one that cannot be read lets nobody in.
        account: who asks.
        role_arn: as which of its roles; None: the account itself.
        action: for instance ``events:PutEvents``.
        resource: the ARN.
        context: what conditions can ask about beyond who asks.
    """
    arn = role_arn or f"arn:aws:iam::{account}:root"
    parsed = parse_arn(resource)
    request = Request(
        requester=Requester(account=account, arn=arn, role_arn=role_arn),
        action=action,
        resource=resource,
        resource_account=parsed.account if parsed else "",
        context={**context, "aws:principalarn": (arn,), "aws:principalaccount": (account,)},
    )
    return decide(request, Policies(identity=None, resource=_parsed(policy)))


def decide_for_sender(policy: str | None, sender: Sender, *, action: str, resource: str) -> Decision:
    """Return whether a resource's policy lets whoever sends a parcel in, under one of the service's names.

    A denial of either name counts.
    """
    names = [sender.service] + ([sender.regional_service] if sender.regional_service else [])
    decisions = [
        decide_for_service(
            policy,
            service=name,
            action=action,
            resource=resource,
            source_arn=sender.source_arn,
            source_account=sender.source_account,
        )
        for name in names
    ]
    denied = [decision for decision in decisions if decision.outcome == "explicitDeny"]
    allowed = [decision for decision in decisions if decision.is_allowed]
    return (denied or allowed or decisions)[0]


def _parsed(policy: str | None) -> tuple[Policy, ...]:
    if not policy:
        return ()
    try:
        return (parse_policy(policy, name="default", type="resource"),)
    except (ValueError, IndexError, RecursionError):
        return ()
