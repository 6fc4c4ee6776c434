"""Who sends, and whether the policy of what it is sent to lets it in."""

from __future__ import annotations

from lambent.delivery import Undeliverable
from lambent.domain.parcel import Parcel, Sender
from lambent.domain.policy import Decision, decide_for_account, decide_for_sender


def check_sender(
    parcel: Parcel, policy: str | None, *, action: str, whose: str, is_strict: bool = True, hint: str = ""
) -> None:
    """Refuse a parcel that the policy of its target does not let in.

    Args:
        parcel: what is sent; nothing is asked when a function's own role sends it.
        policy: of the target, as JSON.
        action: what sending it is called, for instance ``sqs:SendMessage``.
        whose: the target, for the message.
        is_strict: whether the policy has to let the sender in; else it may only keep it out.
        hint: what the message adds.

    Raises:
        Undeliverable: it is not let in.
    """
    sender = parcel.sender
    if sender is None:
        return
    decision = _decision(sender, policy, action=action, resource=parcel.arn)
    if decision.outcome == "explicitDeny" or (is_strict and not decision.is_allowed):
        raise Undeliverable(
            f"{whose} policy does not allow {action} to {sender.role_arn or sender.service} for "
            f"{sender.source_arn}{hint}",
            is_forbidden=True,
        )


def _decision(sender: Sender, policy: str | None, *, action: str, resource: str) -> Decision:
    if sender.role_arn is not None:
        return decide_for_account(
            policy,
            account=sender.source_account,
            role_arn=sender.role_arn,
            action=action,
            resource=resource,
            context={"aws:sourcearn": (sender.source_arn,), "aws:sourceaccount": (sender.source_account,)},
        )
    return decide_for_sender(policy, sender, action=action, resource=resource)
