"""Groups: policies that several users share. Their permissions are `GroupPolicies`."""

from __future__ import annotations

from dataclasses import replace

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import Group, User, named
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import change, new_id, require_group, require_user
from lambent.services.iam.errors import DeleteConflictException, EntityAlreadyExistsException
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import group_members, user_members
from lambent.store.identities import Draft, Identities


class Groups:
    """Operations on groups and on who is in them."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_group(self, call: Call, parameters: Members) -> Members:
        """Make a group.

        Raises:
            EntityAlreadyExistsException: the name is taken, be it in another case.
        """
        group = Group(
            account=call.account,
            name=parameters["GroupName"],
            path=parameters.get("Path", "/"),
            id=new_id("AGPA"),
            created_s=int(self._clock.now_s()),
        )

        async def decide(draft: Draft) -> None:
            await _check_free(draft, call.account, group.name)
            count = await self._identities.count(Group, call.account, limit=quotas.GROUPS)
            quotas.check_quota(count + 1, quotas.GROUPS, "GroupsPerAccount")
            draft.put(group)

        await change(self._identities, decide)
        return {"Group": group_members(group)}

    async def get_group(self, call: Call, parameters: Members) -> Members:
        """Return a group and its users."""
        group = await require_group(self._identities, call.account, parameters["GroupName"])
        users = [await self._identities.get(User, named(call.account, name)) for name in group.users]
        shown, more = paged([user for user in users if user], parameters, key=lambda user: user.key)
        return {"Group": group_members(group), "Users": [user_members(user) for user in shown], **more}

    async def list_groups(self, call: Call, parameters: Members) -> Members:
        """Return the account's groups under a path, in the order of their names."""
        prefix = parameters.get("PathPrefix", "/")
        groups = await self._identities.list(Group, call.account)
        found = [group for group in groups if group.path.startswith(prefix)]
        shown, more = paged(found, parameters, key=lambda group: group.key)
        return {"Groups": [group_members(group) for group in shown], **more}

    async def list_groups_for_user(self, call: Call, parameters: Members) -> Members:
        """Return the groups that a user is in."""
        user = await require_user(self._identities, call.account, parameters["UserName"])
        groups = [await self._identities.get(Group, named(call.account, name)) for name in user.groups]
        shown, more = paged([group for group in groups if group], parameters, key=lambda group: group.key)
        return {"Groups": [group_members(group) for group in shown], **more}

    async def update_group(self, call: Call, parameters: Members) -> Members:
        """Give a group another name or path.

        Raises:
            EntityAlreadyExistsException: the new name is another group's.
        """

        async def decide(draft: Draft) -> None:
            group = await require_group(draft, call.account, parameters["GroupName"])
            renamed = replace(
                group,
                name=parameters.get("NewGroupName", group.name),
                path=parameters.get("NewPath", group.path),
            )
            if renamed.key != group.key:
                await _check_free(draft, call.account, renamed.name)
                draft.delete(group)
            draft.put(renamed)
            for user_name in group.users:
                user = await require_user(draft, call.account, user_name)
                groups = tuple(renamed.name if name == group.name else name for name in user.groups)
                draft.put(replace(user, groups=groups))

        await change(self._identities, decide)
        return {}

    async def delete_group(self, call: Call, parameters: Members) -> Members:
        """Delete a group that has no users and no policies.

        Raises:
            DeleteConflictException: it has.
        """

        async def decide(draft: Draft) -> None:
            group = await require_group(draft, call.account, parameters["GroupName"])
            if group.users:
                raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
            if group.attached_policies:
                raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
            if group.inline_policies:
                raise DeleteConflictException("Cannot delete entity, must delete policies first.")
            draft.delete(group)

        await change(self._identities, decide)
        return {}

    async def add_user_to_group(self, call: Call, parameters: Members) -> Members:
        """Put a user into a group; one who is in it already stays.

        Raises:
            LimitExceededException: the user is in ten groups.
        """

        async def decide(draft: Draft) -> None:
            group = await require_group(draft, call.account, parameters["GroupName"])
            user = await require_user(draft, call.account, parameters["UserName"])
            if user.name in group.users:
                return
            quotas.check_quota(len(user.groups) + 1, quotas.GROUPS_PER_USER, "GroupsPerUser")
            draft.put(replace(group, users=(*group.users, user.name)))
            draft.put(replace(user, groups=(*user.groups, group.name)))

        await change(self._identities, decide)
        return {}

    async def remove_user_from_group(self, call: Call, parameters: Members) -> Members:
        """Take a user out of a group; AWS does not mind one who is not in it."""

        async def decide(draft: Draft) -> None:
            group = await require_group(draft, call.account, parameters["GroupName"])
            user = await require_user(draft, call.account, parameters["UserName"])
            if user.name not in group.users:
                return
            draft.put(replace(group, users=tuple(name for name in group.users if name != user.name)))
            draft.put(replace(user, groups=tuple(name for name in user.groups if name != group.name)))

        await change(self._identities, decide)
        return {}


async def _check_free(draft: Draft, account: str, name: str) -> None:
    if await draft.get(Group, named(account, name)) is not None:
        raise EntityAlreadyExistsException(f"Group with name {name} already exists.")
