"""Permissions of roles, users and groups: inline policies, and managed policies attached to them.

The three have the same operations under different names. `Permissions` is what they share; the families below
give it AWS's names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from lambent.domain.call import Call
from lambent.domain.identity import Group, Role, User
from lambent.domain.policy_document import check_identity_policy, size_of
from lambent.errors import LimitExceededException
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import (
    change,
    hold_policy,
    require_group,
    require_own_role,
    require_role,
    require_user,
)
from lambent.services.iam.errors import NoSuchEntityException
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import encoded
from lambent.store.identities import Draft, Identities, Readable

Holder = Role | User | Group
Require = Callable[[Readable, str, str], Awaitable[Holder]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderKind:
    """What differs between roles, users and groups."""

    word: str
    """``Role``, as in ``RoleName`` and ``PoliciesPerRole``."""
    inline_characters: int
    """Quota of all inline policies together."""
    require: Require
    require_own: Require
    """As `require`, but refuses what only AWS may change."""


ROLE = HolderKind(
    word="Role",
    inline_characters=quotas.ROLE_INLINE_CHARACTERS,
    require=require_role,
    require_own=require_own_role,
)
USER = HolderKind(
    word="User",
    inline_characters=quotas.USER_INLINE_CHARACTERS,
    require=require_user,
    require_own=require_user,
)
GROUP = HolderKind(
    word="Group",
    inline_characters=quotas.GROUP_INLINE_CHARACTERS,
    require=require_group,
    require_own=require_group,
)


class Permissions:
    """The seven operations on the policies of a kind of holder."""

    def __init__(self, identities: Identities, kind: HolderKind) -> None:
        self._identities = identities
        self._kind = kind

    async def put(self, call: Call, parameters: Members) -> Members:
        """Write an inline policy.

        Raises:
            MalformedPolicyDocumentException: the document is no policy.
            LimitExceededException: the holder's inline policies would be too long together.
        """
        name, document = parameters["PolicyName"], parameters["PolicyDocument"]
        check_identity_policy(document)

        def updated(holder: Holder) -> Holder:
            policies = {**holder.inline_policies, name: document}
            if sum(map(size_of, policies.values())) > self._kind.inline_characters:
                raise LimitExceededException(
                    f"Maximum policy size of {self._kind.inline_characters} bytes exceeded for "
                    f"{self._kind.word.lower()} {holder.name}"
                )
            return replace(holder, inline_policies=policies)

        return await self._update(call, parameters, updated)

    async def get(self, call: Call, parameters: Members) -> Members:
        """Return an inline policy."""
        holder = await self._require(call, parameters)
        name = parameters["PolicyName"]
        if name not in holder.inline_policies:
            raise self._no_such_policy(name)
        return {
            f"{self._kind.word}Name": holder.name,
            "PolicyName": name,
            "PolicyDocument": encoded(holder.inline_policies[name]),
        }

    async def delete(self, call: Call, parameters: Members) -> Members:
        """Delete an inline policy."""
        name = parameters["PolicyName"]

        def updated(holder: Holder) -> Holder:
            if name not in holder.inline_policies:
                raise self._no_such_policy(name)
            policies = {key: text for key, text in holder.inline_policies.items() if key != name}
            return replace(holder, inline_policies=policies)

        return await self._update(call, parameters, updated)

    async def list(self, call: Call, parameters: Members) -> Members:
        """Return the names of the inline policies."""
        holder = await self._require(call, parameters)
        names, more = paged(holder.inline_policies, parameters, key=lambda name: name)
        return {"PolicyNames": names, **more}

    async def attach(self, call: Call, parameters: Members) -> Members:
        """Attach a managed policy; one that is attached already stays.

        Raises:
            LimitExceededException: ten are attached.
        """
        arn = parameters["PolicyArn"]

        async def decide(draft: Draft) -> None:
            holder = await self._kind.require_own(draft, call.account, self._name(parameters))
            await hold_policy(draft, call.account, arn)
            if arn in holder.attached_policies:
                return
            policies = (*holder.attached_policies, arn)
            quotas.check_quota(len(policies), quotas.ATTACHED_POLICIES, f"PoliciesPer{self._kind.word}")
            draft.put(replace(holder, attached_policies=policies))

        await change(self._identities, decide)
        return {}

    async def detach(self, call: Call, parameters: Members) -> Members:
        """Detach a managed policy."""
        arn = parameters["PolicyArn"]

        def updated(holder: Holder) -> Holder:
            if arn not in holder.attached_policies:
                raise NoSuchEntityException(f"Policy {arn} was not found.")
            policies = tuple(other for other in holder.attached_policies if other != arn)
            return replace(holder, attached_policies=policies)

        return await self._update(call, parameters, updated)

    async def list_attached(self, call: Call, parameters: Members) -> Members:
        """Return the attached managed policies under a path."""
        holder = await self._require(call, parameters)
        prefix = parameters.get("PathPrefix", "/")
        arns = [arn for arn in holder.attached_policies if _path_of(arn).startswith(prefix)]
        shown, more = paged(arns, parameters, key=lambda arn: f"{arn.rsplit('/', 1)[-1]} {arn}")
        attached: list[dict[str, Any]] = [
            {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in shown
        ]
        return {"AttachedPolicies": attached, **more}

    async def _update(self, call: Call, parameters: Members, updated: Callable[[Holder], Holder]) -> Members:
        async def decide(draft: Draft) -> None:
            draft.put(updated(await self._kind.require_own(draft, call.account, self._name(parameters))))

        await change(self._identities, decide)
        return {}

    async def _require(self, call: Call, parameters: Members) -> Holder:
        return await self._kind.require(self._identities, call.account, self._name(parameters))

    def _name(self, parameters: Members) -> str:
        return parameters[f"{self._kind.word}Name"]

    def _no_such_policy(self, name: str) -> NoSuchEntityException:
        return NoSuchEntityException(
            f"The {self._kind.word.lower()} policy with name {name} cannot be found."
        )


def _path_of(policy_arn: str) -> str:
    path = policy_arn.split(":policy", 1)[-1]
    return path[: path.rindex("/") + 1]
