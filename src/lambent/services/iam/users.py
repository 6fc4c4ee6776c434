"""Users: identities with access keys. Their permissions are `UserPolicies`, their keys `AccessKeys`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lambent.clock import Clock
from lambent.domain.call import Call, root_principal
from lambent.domain.identity import AccessKey, Group, User, named
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.accounts import Accounts
from lambent.services.iam.entities import calling_user, change, hold_boundary, new_id, require_user
from lambent.services.iam.errors import DeleteConflictException, EntityAlreadyExistsException
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import date, user_details, user_members
from lambent.services.iam.tags import tag_page, with_tags, without_tags
from lambent.store.identities import Draft, Identities


class Users:
    """Operations on users themselves."""

    def __init__(self, identities: Identities, accounts: Accounts, clock: Clock) -> None:
        self._identities = identities
        self._accounts = accounts
        self._clock = clock

    async def create_user(self, call: Call, parameters: Members) -> Members:
        """Make a user.

        Raises:
            EntityAlreadyExistsException: the name is taken, be it in another case.
        """
        user = User(
            account=call.account,
            name=parameters["UserName"],
            path=parameters.get("Path", "/"),
            id=new_id("AIDA"),
            created_s=int(self._clock.now_s()),
            tags=with_tags({}, parameters.get("Tags")),
            permissions_boundary=parameters.get("PermissionsBoundary"),
        )

        async def decide(draft: Draft) -> None:
            await _check_free(draft, call.account, user.name)
            count = await self._identities.count(User, call.account, limit=quotas.USERS)
            quotas.check_quota(count + 1, quotas.USERS, "UsersPerAccount")
            if user.permissions_boundary is not None:
                await hold_boundary(draft, call.account, user.permissions_boundary)
            draft.put(user)

        await change(self._identities, decide)
        return {"User": user_details(user)}

    async def get_user(self, call: Call, parameters: Members) -> Members:
        """Return a user, or without a name the caller, who may be the account's root.

        Raises:
            ValidationError: no name is given and the caller is a role.
        """
        name = parameters.get("UserName")
        if name is None and call.principal.arn == root_principal(call.account).arn:
            account = await self._accounts.get(call.account)
            return {
                "User": {
                    "UserId": call.account,
                    "Arn": call.principal.arn,
                    "CreateDate": date(account.created_s),
                    **({"UserName": account.alias} if account.alias else {}),
                }
            }
        user = await require_user(self._identities, call.account, name or calling_user(call))
        return {"User": user_details(user)}

    async def list_users(self, call: Call, parameters: Members) -> Members:
        """Return the account's users under a path, in the order of their names."""
        prefix = parameters.get("PathPrefix", "/")
        users = [
            user for user in await self._identities.list(User, call.account) if user.path.startswith(prefix)
        ]
        shown, more = paged(users, parameters, key=lambda user: user.key)
        return {"Users": [user_members(user) for user in shown], **more}

    async def update_user(self, call: Call, parameters: Members) -> Members:
        """Give a user another name or path; access keys and groups go along.

        Raises:
            EntityAlreadyExistsException: the new name is another user's.
        """

        async def decide(draft: Draft) -> None:
            user = await require_user(draft, call.account, parameters["UserName"])
            renamed = replace(
                user,
                name=parameters.get("NewUserName", user.name),
                path=parameters.get("NewPath", user.path),
            )
            if renamed.key != user.key:
                await _check_free(draft, call.account, renamed.name)
                draft.delete(user)
            draft.put(renamed)
            await _rename_in_keys(draft, renamed)
            await _rename_in_groups(draft, user, renamed)

        await change(self._identities, decide)
        return {}

    async def delete_user(self, call: Call, parameters: Members) -> Members:
        """Delete a user that has no policies, no access keys, no password and no groups.

        Raises:
            DeleteConflictException: it has.
        """

        async def decide(draft: Draft) -> None:
            user = await require_user(draft, call.account, parameters["UserName"])
            if user.attached_policies:
                raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
            if user.inline_policies:
                raise DeleteConflictException("Cannot delete entity, must delete policies first.")
            if user.access_keys:
                raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
            if user.login_profile is not None:
                raise DeleteConflictException("Cannot delete entity, must delete login profile first.")
            if user.groups:
                raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
            draft.delete(user)

        await change(self._identities, decide)
        return {}

    async def put_user_permissions_boundary(self, call: Call, parameters: Members) -> Members:
        """Set the policy that bounds what the user's policies can allow."""
        arn = parameters["PermissionsBoundary"]

        async def decide(draft: Draft) -> None:
            user = await require_user(draft, call.account, parameters["UserName"])
            await hold_boundary(draft, call.account, arn)
            draft.put(replace(user, permissions_boundary=arn))

        await change(self._identities, decide)
        return {}

    async def delete_user_permissions_boundary(self, call: Call, parameters: Members) -> Members:
        """Take the boundary away; a user without one stays as it is."""
        await self._update(call, parameters, lambda user: replace(user, permissions_boundary=None))
        return {}

    async def tag_user(self, call: Call, parameters: Members) -> Members:
        """Set tags."""
        given = parameters["Tags"]
        await self._update(call, parameters, lambda user: replace(user, tags=with_tags(user.tags, given)))
        return {}

    async def untag_user(self, call: Call, parameters: Members) -> Members:
        """Remove tags; keys that are not there are no error."""
        keys = parameters["TagKeys"]
        await self._update(call, parameters, lambda user: replace(user, tags=without_tags(user.tags, keys)))
        return {}

    async def list_user_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags."""
        user = await require_user(self._identities, call.account, parameters["UserName"])
        return tag_page(user.tags, parameters)

    async def _update(self, call: Call, parameters: Members, updated: Callable[[User], User]) -> None:
        async def decide(draft: Draft) -> None:
            draft.put(updated(await require_user(draft, call.account, parameters["UserName"])))

        await change(self._identities, decide)


async def _check_free(draft: Draft, account: str, name: str) -> None:
    if await draft.get(User, named(account, name)) is not None:
        raise EntityAlreadyExistsException(f"User with name {name} already exists.")


async def _rename_in_keys(draft: Draft, renamed: User) -> None:
    for key_id in renamed.access_keys:
        if (key := await draft.get(AccessKey, key_id)) is not None:
            draft.put(replace(key, user_name=renamed.name, user_path=renamed.path))


async def _rename_in_groups(draft: Draft, user: User, renamed: User) -> None:
    for group_name in renamed.groups:
        if (group := await draft.get(Group, named(user.account, group_name))) is not None:
            users = tuple(renamed.name if name == user.name else name for name in group.users)
            draft.put(replace(group, users=users))
