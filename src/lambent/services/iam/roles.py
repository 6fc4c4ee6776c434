"""Roles: what a function runs as, and who may assume it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import Role, named
from lambent.domain.policy_document import check_trust_policy, size_of
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import (
    SERVICE_ROLE_PATH,
    change,
    hold_boundary,
    new_id,
    require_own_role,
    require_role,
)
from lambent.services.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidInputException,
)
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import role_details, role_members
from lambent.services.iam.tags import tag_page, with_tags, without_tags
from lambent.store.identities import Draft, Identities


class Roles:
    """Operations on roles themselves; their permissions are `RolePolicies`."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_role(self, call: Call, parameters: Members) -> Members:
        """Make a role.

        Raises:
            EntityAlreadyExistsException: the name is taken, be it in another case.
            MalformedPolicyDocumentException: the trust policy is none.
            LimitExceededException: the trust policy is too long, or there are 1,000 roles.
        """
        path = parameters.get("Path", "/")
        if path.startswith(SERVICE_ROLE_PATH):
            raise InvalidInputException(f"The path {path} is reserved for service-linked roles.")
        role = Role(
            account=call.account,
            name=parameters["RoleName"],
            path=path,
            id=new_id("AROA"),
            created_s=int(self._clock.now_s()),
            trust_policy=_checked_trust(parameters["AssumeRolePolicyDocument"]),
            description=parameters.get("Description"),
            max_session_duration_s=parameters.get("MaxSessionDuration", 3600),
            tags=with_tags({}, parameters.get("Tags")),
            permissions_boundary=parameters.get("PermissionsBoundary"),
        )

        async def decide(draft: Draft) -> None:
            await add_role(draft, self._identities, role)

        await change(self._identities, decide)
        return {"Role": role_details(role)}

    async def get_role(self, call: Call, parameters: Members) -> Members:
        """Return a role."""
        role = await require_role(self._identities, call.account, parameters["RoleName"])
        # The use of roles is not recorded; AWS answers so for a role that was never used.
        return {"Role": role_details(role) | {"RoleLastUsed": dict[str, object]()}}

    async def list_roles(self, call: Call, parameters: Members) -> Members:
        """Return the account's roles under a path, in the order of their names."""
        prefix = parameters.get("PathPrefix", "/")
        roles = [
            role for role in await self._identities.list(Role, call.account) if role.path.startswith(prefix)
        ]
        shown, more = paged(roles, parameters, key=lambda role: role.key)
        return {"Roles": [role_members(role) for role in shown], **more}

    async def update_role(self, call: Call, parameters: Members) -> Members:
        """Change description and maximum session duration, each if given."""

        def updated(role: Role) -> Role:
            return replace(
                role,
                description=parameters.get("Description", role.description),
                max_session_duration_s=parameters.get("MaxSessionDuration", role.max_session_duration_s),
            )

        await self._update(call, parameters, updated)
        return {}

    async def update_role_description(self, call: Call, parameters: Members) -> Members:
        """Change the description and return the role."""
        role = await self._update(
            call, parameters, lambda role: replace(role, description=parameters["Description"])
        )
        return {"Role": role_details(role)}

    async def update_assume_role_policy(self, call: Call, parameters: Members) -> Members:
        """Change the trust policy.

        Raises:
            MalformedPolicyDocumentException: it is none.
        """
        trust_policy = _checked_trust(parameters["PolicyDocument"])
        await self._update(call, parameters, lambda role: replace(role, trust_policy=trust_policy))
        return {}

    async def delete_role(self, call: Call, parameters: Members) -> Members:
        """Delete a role that has no policies and is in no instance profile.

        Raises:
            DeleteConflictException: it has, or is.
        """

        async def decide(draft: Draft) -> None:
            role = await require_own_role(draft, call.account, parameters["RoleName"])
            if role.instance_profiles:
                raise DeleteConflictException(
                    "Cannot delete entity, must remove roles from instance profile first."
                )
            if role.attached_policies:
                raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
            if role.inline_policies:
                raise DeleteConflictException("Cannot delete entity, must delete policies first.")
            draft.delete(role)

        await change(self._identities, decide)
        return {}

    async def put_role_permissions_boundary(self, call: Call, parameters: Members) -> Members:
        """Set the policy that bounds what the role's policies can allow."""
        arn = parameters["PermissionsBoundary"]

        async def decide(draft: Draft) -> None:
            role = await require_own_role(draft, call.account, parameters["RoleName"])
            await hold_boundary(draft, call.account, arn)
            draft.put(replace(role, permissions_boundary=arn))

        await change(self._identities, decide)
        return {}

    async def delete_role_permissions_boundary(self, call: Call, parameters: Members) -> Members:
        """Take the boundary away; a role without one stays as it is."""
        await self._update(call, parameters, lambda role: replace(role, permissions_boundary=None))
        return {}

    async def tag_role(self, call: Call, parameters: Members) -> Members:
        """Set tags."""
        given = parameters["Tags"]
        await self._update(call, parameters, lambda role: replace(role, tags=with_tags(role.tags, given)))
        return {}

    async def untag_role(self, call: Call, parameters: Members) -> Members:
        """Remove tags; keys that are not there are no error."""
        keys = parameters["TagKeys"]
        await self._update(call, parameters, lambda role: replace(role, tags=without_tags(role.tags, keys)))
        return {}

    async def list_role_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags."""
        role = await require_role(self._identities, call.account, parameters["RoleName"])
        return tag_page(role.tags, parameters)

    async def _update(self, call: Call, parameters: Members, updated: Callable[[Role], Role]) -> Role:
        async def decide(draft: Draft) -> Role:
            role = updated(await require_own_role(draft, call.account, parameters["RoleName"]))
            draft.put(role)
            return role

        return await change(self._identities, decide)


async def add_role(draft: Draft, identities: Identities, role: Role) -> None:
    """Write a new role, within the account's quota and under a free name."""
    if await draft.get(Role, named(role.account, role.name)) is not None:
        raise EntityAlreadyExistsException(f"Role with name {role.name} already exists.")
    count = await identities.count(Role, role.account, limit=quotas.ROLES)
    quotas.check_quota(count + 1, quotas.ROLES, "RolesPerAccount")
    if role.permissions_boundary is not None:
        await hold_boundary(draft, role.account, role.permissions_boundary)
    draft.put(role)


def _checked_trust(document: str) -> str:
    check_trust_policy(document)
    quotas.check_quota(size_of(document), quotas.TRUST_POLICY_CHARACTERS, "ACLSizePerRole")
    return document
