"""The operations on permissions, under the names that AWS gives them for roles, users and groups."""

from __future__ import annotations

from lambent.domain.call import Call
from lambent.services import Members
from lambent.services.iam.permissions import GROUP, ROLE, USER, Permissions
from lambent.store.identities import Identities


class RolePolicies:
    """Permissions of roles, see `Permissions`."""

    def __init__(self, identities: Identities) -> None:
        self._permissions = Permissions(identities, ROLE)

    async def put_role_policy(self, call: Call, parameters: Members) -> Members:
        """Write an inline policy."""
        return await self._permissions.put(call, parameters)

    async def get_role_policy(self, call: Call, parameters: Members) -> Members:
        """Return an inline policy."""
        return await self._permissions.get(call, parameters)

    async def delete_role_policy(self, call: Call, parameters: Members) -> Members:
        """Delete an inline policy."""
        return await self._permissions.delete(call, parameters)

    async def list_role_policies(self, call: Call, parameters: Members) -> Members:
        """Return the names of the inline policies."""
        return await self._permissions.list(call, parameters)

    async def attach_role_policy(self, call: Call, parameters: Members) -> Members:
        """Attach a managed policy."""
        return await self._permissions.attach(call, parameters)

    async def detach_role_policy(self, call: Call, parameters: Members) -> Members:
        """Detach a managed policy."""
        return await self._permissions.detach(call, parameters)

    async def list_attached_role_policies(self, call: Call, parameters: Members) -> Members:
        """Return the attached managed policies."""
        return await self._permissions.list_attached(call, parameters)


class UserPolicies:
    """Permissions of users, see `Permissions`."""

    def __init__(self, identities: Identities) -> None:
        self._permissions = Permissions(identities, USER)

    async def put_user_policy(self, call: Call, parameters: Members) -> Members:
        """Write an inline policy."""
        return await self._permissions.put(call, parameters)

    async def get_user_policy(self, call: Call, parameters: Members) -> Members:
        """Return an inline policy."""
        return await self._permissions.get(call, parameters)

    async def delete_user_policy(self, call: Call, parameters: Members) -> Members:
        """Delete an inline policy."""
        return await self._permissions.delete(call, parameters)

    async def list_user_policies(self, call: Call, parameters: Members) -> Members:
        """Return the names of the inline policies."""
        return await self._permissions.list(call, parameters)

    async def attach_user_policy(self, call: Call, parameters: Members) -> Members:
        """Attach a managed policy."""
        return await self._permissions.attach(call, parameters)

    async def detach_user_policy(self, call: Call, parameters: Members) -> Members:
        """Detach a managed policy."""
        return await self._permissions.detach(call, parameters)

    async def list_attached_user_policies(self, call: Call, parameters: Members) -> Members:
        """Return the attached managed policies."""
        return await self._permissions.list_attached(call, parameters)


class GroupPolicies:
    """Permissions of groups, see `Permissions`."""

    def __init__(self, identities: Identities) -> None:
        self._permissions = Permissions(identities, GROUP)

    async def put_group_policy(self, call: Call, parameters: Members) -> Members:
        """Write an inline policy."""
        return await self._permissions.put(call, parameters)

    async def get_group_policy(self, call: Call, parameters: Members) -> Members:
        """Return an inline policy."""
        return await self._permissions.get(call, parameters)

    async def delete_group_policy(self, call: Call, parameters: Members) -> Members:
        """Delete an inline policy."""
        return await self._permissions.delete(call, parameters)

    async def list_group_policies(self, call: Call, parameters: Members) -> Members:
        """Return the names of the inline policies."""
        return await self._permissions.list(call, parameters)

    async def attach_group_policy(self, call: Call, parameters: Members) -> Members:
        """Attach a managed policy."""
        return await self._permissions.attach(call, parameters)

    async def detach_group_policy(self, call: Call, parameters: Members) -> Members:
        """Detach a managed policy."""
        return await self._permissions.detach(call, parameters)

    async def list_attached_group_policies(self, call: Call, parameters: Members) -> Members:
        """Return the attached managed policies."""
        return await self._permissions.list_attached(call, parameters)
