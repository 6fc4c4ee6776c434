"""Resource-based policies of functions and layer versions: their statements, their texts, what they allow. Pure.

The operations are in `permissions` and `layer_permissions`; this file knows how a policy is put together, when
a change to it is refused, and whether it opens the resource to somebody.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.limits import RESOURCE_POLICY_MAX_BYTES
from lambent.domain.policy import Policies, Request, Requester, decide, parse_policy, refusal
from lambent.domain.resource_policy import ResourcePolicy
from lambent.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.services.lambda_.errors import PolicyLengthExceededException

_SERVICE = re.compile(r"[a-z0-9][a-z0-9.-]*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)")
_ACCOUNT = re.compile(r"\d{12}")
_IDENTITY = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/.+)")


def statement_of(sid: str, principal: Any, action: str, resource: str, condition: Any) -> dict[str, Any]:
    """Return a statement that allows an action, in the order in which AWS writes its members."""
    statement = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": resource,
    }
    return statement | ({"Condition": condition} if condition else {})


def principal_of(text: str) -> Any:
    """Return the ``Principal`` element for the Principal parameter: everybody, an account, an identity, a service.

    Raises:
        InvalidParameterValueException: it is none of these.
    """
    if text == "*":
        return "*"
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if _IDENTITY.fullmatch(text):
        return {"AWS": text}
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    raise InvalidParameterValueException(
        "The provided principal was invalid. Please check the principal and try again."
    )


def with_statement(policy: ResourcePolicy | None, statement: Mapping[str, Any]) -> ResourcePolicy:
    """Return the policy with a further statement.

    Raises:
        ResourceConflictException: it has a statement of that id.
        PolicyLengthExceededException: it would be over 20 KB.
    """
    document = _document(policy)
    sid = statement["Sid"]
    if any(known.get("Sid") == sid for known in document["Statement"]):
        raise ResourceConflictException(
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, or remove "
            "the existing statement."
        )
    return new_policy(dumped({**document, "Statement": [*document["Statement"], statement]}))


def without_statement(policy: ResourcePolicy | None, sid: str) -> ResourcePolicy | None:
    """Return the policy without a statement, or None when it was the last one.

    Raises:
        ResourceNotFoundException: there is no policy, or no statement of that id in it.
    """
    if policy is None:
        raise ResourceNotFoundException("No policy is associated with the given resource.")
    document = _document(policy)
    kept = [statement for statement in document["Statement"] if statement.get("Sid") != sid]
    if len(kept) == len(document["Statement"]):
        raise ResourceNotFoundException(f"Statement {sid} is not found in resource policy.")
    return new_policy(dumped({**document, "Statement": kept})) if kept else None


def new_policy(text: str) -> ResourcePolicy:
    """Return a policy under a new revision id.

    Raises:
        PolicyLengthExceededException: it is over 20 KB.
    """
    size = len(text.encode())
    if size > RESOURCE_POLICY_MAX_BYTES:
        raise PolicyLengthExceededException(
            f"The final policy size ({size}) is bigger than the limit ({RESOURCE_POLICY_MAX_BYTES})."
        )
    return ResourcePolicy(text=text, revision_id=str(uuid.uuid4()))


def check_revision(given: str | None, current: str, *, operation: str = "GetPolicy") -> None:
    """Refuse a change by a caller whose view is old.

    Raises:
        PreconditionFailedException: the revision id is not the current one.
    """
    if given and given != current:
        raise PreconditionFailedException(
            f"The Revision Id provided does not match the latest Revision Id. Call the {operation} API to "
            "retrieve the latest Revision Id"
        )


def dumped(value: Any) -> str:
    """Return JSON as AWS writes policies: without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def refusal_of(call: Call, action: str, resource: str, policy: ResourcePolicy | None) -> str | None:
    """Return why a resource's policy does not let a caller of another account in; None when it does.

    Whether the caller's own policies allow it is the front door's to judge.
    """
    owner = parse_arn(resource)
    request = Request(
        requester=Requester(
            account=call.account, arn=call.principal.arn, user_id=call.principal.user_id, role_arn=None
        ),
        action=action,
        resource=resource,
        resource_account=owner.account if owner else "",
        context={
            "aws:principalarn": (call.principal.arn,),
            "aws:principalaccount": (call.account,),
            "aws:requestedregion": (call.region,),
        },
    )
    decision = decide(request, Policies(identity=None, resource=_policies(policy)))
    return None if decision.is_allowed else refusal(request, decision)


def _policies(policy: ResourcePolicy | None) -> tuple[Any, ...]:
    return (parse_policy(policy.text, name="default", type="resource"),) if policy else ()


def _document(policy: ResourcePolicy | None) -> dict[str, Any]:
    if policy is None:
        return {"Version": "2012-10-17", "Id": "default", "Statement": []}
    document: dict[str, Any] = json.loads(policy.text)
    # A document that was put as a whole may have one statement without a list.
    if isinstance(document["Statement"], dict):
        document["Statement"] = [document["Statement"]]
    return document
