"""Everything at once: GetAccountAuthorizationDetails, in pages."""

from __future__ import annotations

from typing import Any

from lambent.domain.call import Call
from lambent.domain.identity import AWS_MANAGED, Group, InstanceProfile, Policy, Role, User, named
from lambent.services import Members
from lambent.services.iam.pages import paged
from lambent.services.iam.policies import BOUNDARY, PERMISSIONS, Uses, uses_of
from lambent.services.iam.shapes import (
    encoded,
    group_members,
    instance_profile_members,
    policy_details,
    role_details,
    user_details,
    version_members,
)
from lambent.store.identities import Identities
from lambent.store.managed_policies import aws_managed_policies

_Detailed = User | Group | Role | Policy


class AuthorizationDetails:
    """The operation that returns all identities of an account with all their policies."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def get_account_authorization_details(self, call: Call, parameters: Members) -> Members:
        """Return users, groups, roles and policies, or by ``Filter`` some of them, one page of all together."""
        wanted = parameters.get("Filter") or None
        found: list[_Detailed] = []
        if wanted is None or "User" in wanted:
            found += await self._identities.list(User, call.account)
        if wanted is None or "Group" in wanted:
            found += await self._identities.list(Group, call.account)
        if wanted is None or "Role" in wanted:
            found += await self._identities.list(Role, call.account)
        if wanted is None or "LocalManagedPolicy" in wanted:
            found += await self._identities.list(Policy, call.account)
        if wanted is None or "AWSManagedPolicy" in wanted:
            found += aws_managed_policies().values()
        shown, more = paged(found, parameters, key=_place)
        uses = await uses_of(self._identities, call.account)
        return {
            "UserDetailList": [_user(entity) for entity in shown if isinstance(entity, User)],
            "GroupDetailList": [_group(entity) for entity in shown if isinstance(entity, Group)],
            "RoleDetailList": [await self._role(entity) for entity in shown if isinstance(entity, Role)],
            "Policies": [_policy(entity, uses) for entity in shown if isinstance(entity, Policy)],
            **more,
        }

    async def _role(self, role: Role) -> dict[str, Any]:
        profiles = [
            await self._identities.get(InstanceProfile, named(role.account, name))
            for name in role.instance_profiles
        ]
        members = role_details(role)
        # What this operation's shape has not.
        members.pop("MaxSessionDuration")
        members.pop("Description", None)
        return members | {
            "InstanceProfileList": [
                instance_profile_members(profile, [role]) for profile in profiles if profile
            ],
            "RolePolicyList": _inline(role),
            "AttachedManagedPolicies": _attached(role),
            "RoleLastUsed": dict[str, object](),
        }


def _place(entity: _Detailed) -> str:
    order = ("User", "Group", "Role", "Policy").index(type(entity).__name__)
    return f"{order} {entity.key}"


def _user(user: User) -> dict[str, Any]:
    details: dict[str, Any] = {
        "GroupList": list(user.groups),
        "AttachedManagedPolicies": _attached(user),
    }
    if user.inline_policies:
        details["UserPolicyList"] = _inline(user)
    return user_details(user) | details


def _group(group: Group) -> dict[str, Any]:
    return group_members(group) | {
        "GroupPolicyList": _inline(group),
        "AttachedManagedPolicies": _attached(group),
    }


def _policy(policy: Policy, uses: Uses) -> dict[str, Any]:
    details = policy_details(
        policy, attachments=uses[PERMISSIONS, policy.arn], boundaries=uses[BOUNDARY, policy.arn]
    )
    details.pop("Tags", None)
    if policy.account == AWS_MANAGED:
        details.pop("Description", None)
    versions = [
        version_members(policy, version) | {"Document": encoded(version.document)}
        for version in reversed(policy.versions)
    ]
    return details | {"PolicyVersionList": versions}


def _inline(holder: User | Group | Role) -> list[dict[str, str]]:
    return [
        {"PolicyName": name, "PolicyDocument": encoded(document)}
        for name, document in sorted(holder.inline_policies.items())
    ]


def _attached(holder: User | Group | Role) -> list[dict[str, str]]:
    return [
        {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in sorted(holder.attached_policies)
    ]
