"""Finding entities, or saying in IAM's words that there is none; making their ids; changing several at once."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lambent.domain.call import Call
from lambent.domain.identity import AWS_MANAGED, Group, InstanceProfile, Policy, Role, User, named
from lambent.services.iam.errors import (
    ConcurrentModificationException,
    InvalidInputException,
    NoSuchEntityException,
    PolicyNotAttachableException,
    UnmodifiableEntityException,
    ValidationError,
)
from lambent.store import RevisionConflict
from lambent.store.identities import Draft, Identities, Readable, find_policy

SERVICE_ROLE_PATH = "/aws-service-role/"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

T = TypeVar("T")


async def change(identities: Identities, decide: Callable[[Draft], Awaitable[T]]) -> T:
    """Make a change, see `Identities.change`; losing against others too often becomes IAM's answer."""
    try:
        return await identities.change(decide)
    except RevisionConflict as conflict:
        raise ConcurrentModificationException(
            "The request was rejected because multiple requests to change this object were submitted "
            "simultaneously. Wait a few minutes and submit your request again."
        ) from conflict


def new_id(prefix: str) -> str:
    """Return a unique id: ``AROA``, ``AIDA``, ``AGPA``, ``ANPA`` or ``AIPA`` and 17 characters of base32."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(17))


async def require_role(entities: Readable, account: str, name: str) -> Role:
    """Return the role of this name."""
    role = await entities.get(Role, named(account, name))
    if role is None:
        raise NoSuchEntityException(f"The role with name {name} cannot be found.")
    return role


async def require_own_role(entities: Readable, account: str, name: str) -> Role:
    """Return the role of this name, which must not be a service's own."""
    role = await require_role(entities, account, name)
    if role.linked_service is not None:
        raise UnmodifiableEntityException(
            f"Cannot perform the operation on the protected role '{role.name}' - this role is only "
            "modifiable by AWS"
        )
    return role


async def require_user(entities: Readable, account: str, name: str) -> User:
    """Return the user of this name."""
    user = await entities.get(User, named(account, name))
    if user is None:
        raise NoSuchEntityException(f"The user with name {name} cannot be found.")
    return user


async def require_group(entities: Readable, account: str, name: str) -> Group:
    """Return the group of this name."""
    group = await entities.get(Group, named(account, name))
    if group is None:
        raise NoSuchEntityException(f"The group with name {name} cannot be found.")
    return group


async def require_instance_profile(entities: Readable, account: str, name: str) -> InstanceProfile:
    """Return the instance profile of this name."""
    profile = await entities.get(InstanceProfile, named(account, name))
    if profile is None:
        raise NoSuchEntityException(f"Instance Profile {name} cannot be found.")
    return profile


async def require_policy(entities: Readable, account: str, arn: str) -> Policy:
    """Return the managed policy of this ARN, the account's own or one of AWS's."""
    policy = await _visible_policy(entities, account, arn)
    if policy is None:
        raise NoSuchEntityException(f"Policy {arn} was not found.")
    return policy


async def hold_policy(draft: Draft, account: str, arn: str) -> None:
    """Make sure that a policy to be attached exists and that it still does when the change is applied."""
    policy = await _visible_policy(draft, account, arn)
    if policy is None:
        raise NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.")
    if policy.path.startswith(SERVICE_ROLE_PATH):
        raise PolicyNotAttachableException("Cannot attach a Service Role Policy to a Customer Role.")
    touch(draft, policy)


async def hold_boundary(draft: Draft, account: str, arn: str) -> None:
    """Do the same for a policy that becomes a permissions boundary."""
    policy = await _visible_policy(draft, account, arn)
    if policy is None:
        raise NoSuchEntityException(f"Scope ARN: {arn} does not exist or is not attachable.")
    touch(draft, policy)


def touch(draft: Draft, policy: Policy) -> None:
    """Write a policy as it is, so that its deletion at the same time and this change exclude each other."""
    if policy.account != AWS_MANAGED:
        draft.put(policy)


def calling_user(call: Call) -> str:
    """Return the name of the user who calls.

    Raises:
        ValidationError: no user calls but a role or the account's root.
    """
    resource = call.principal.arn.rsplit(":", 1)[-1]
    if not resource.startswith("user/"):
        raise ValidationError("Must specify userName when calling with non-User credentials")
    return resource.rsplit("/", 1)[-1]


async def _visible_policy(entities: Readable, account: str, arn: str) -> Policy | None:
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise InvalidInputException(f"ARN {arn} is not valid.")
    policy = await find_policy(entities, arn)
    # Policies are attached within their account only.
    return policy if policy and policy.account in (account, AWS_MANAGED) else None
