"""Instance profiles: roles for machines. Deploy tools look for them before they delete a role."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import InstanceProfile, Role, named
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import (
    change,
    new_id,
    require_instance_profile,
    require_own_role,
    require_role,
)
from lambent.services.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    NoSuchEntityException,
)
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import instance_profile_members
from lambent.services.iam.tags import tag_page, with_tags, without_tags
from lambent.store.identities import Draft, Identities


class InstanceProfiles:
    """Operations on instance profiles."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Make an empty instance profile.

        Raises:
            EntityAlreadyExistsException: the name is taken, be it in another case.
        """
        profile = InstanceProfile(
            account=call.account,
            name=parameters["InstanceProfileName"],
            path=parameters.get("Path", "/"),
            id=new_id("AIPA"),
            created_s=int(self._clock.now_s()),
            tags=with_tags({}, parameters.get("Tags")),
        )

        async def decide(draft: Draft) -> None:
            if await draft.get(InstanceProfile, profile.key) is not None:
                raise EntityAlreadyExistsException(f"Instance Profile {profile.name} already exists.")
            limit = quotas.INSTANCE_PROFILES
            count = await self._identities.count(InstanceProfile, call.account, limit=limit)
            quotas.check_quota(count + 1, limit, "InstanceProfilesPerAccount")
            draft.put(profile)

        await change(self._identities, decide)
        return {"InstanceProfile": instance_profile_members(profile, [])}

    async def get_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Return an instance profile with its role."""
        name = parameters["InstanceProfileName"]
        profile = await require_instance_profile(self._identities, call.account, name)
        return {"InstanceProfile": await self._members(profile)}

    async def list_instance_profiles(self, call: Call, parameters: Members) -> Members:
        """Return the account's instance profiles under a path, in the order of their names."""
        prefix = parameters.get("PathPrefix", "/")
        profiles = await self._identities.list(InstanceProfile, call.account)
        return await self._page(
            [profile for profile in profiles if profile.path.startswith(prefix)], parameters
        )

    async def list_instance_profiles_for_role(self, call: Call, parameters: Members) -> Members:
        """Return the instance profiles that hold a role."""
        role = await require_role(self._identities, call.account, parameters["RoleName"])
        profiles = [
            await self._identities.get(InstanceProfile, named(call.account, name))
            for name in role.instance_profiles
        ]
        return await self._page([profile for profile in profiles if profile], parameters)

    async def delete_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Delete an empty instance profile.

        Raises:
            DeleteConflictException: there is a role in it.
        """

        async def decide(draft: Draft) -> None:
            name = parameters["InstanceProfileName"]
            profile = await require_instance_profile(draft, call.account, name)
            if profile.roles:
                raise DeleteConflictException(
                    "Cannot delete entity, must remove roles from instance profile first."
                )
            draft.delete(profile)

        await change(self._identities, decide)
        return {}

    async def add_role_to_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Put a role into an instance profile.

        Raises:
            LimitExceededException: there is one in it.
        """

        async def decide(draft: Draft) -> None:
            name = parameters["InstanceProfileName"]
            profile = await require_instance_profile(draft, call.account, name)
            role = await require_own_role(draft, call.account, parameters["RoleName"])
            quotas.check_quota(len(profile.roles) + 1, 1, "InstanceSessionsPerInstanceProfile")
            draft.put(replace(profile, roles=(role.name,)))
            draft.put(replace(role, instance_profiles=(*role.instance_profiles, profile.name)))

        await change(self._identities, decide)
        return {}

    async def remove_role_from_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Take a role out of an instance profile."""

        async def decide(draft: Draft) -> None:
            name = parameters["InstanceProfileName"]
            profile = await require_instance_profile(draft, call.account, name)
            role = await require_own_role(draft, call.account, parameters["RoleName"])
            if role.name not in profile.roles:
                raise NoSuchEntityException(f"The role with name {role.name} cannot be found.")
            draft.put(replace(profile, roles=()))
            profiles = tuple(other for other in role.instance_profiles if other != profile.name)
            draft.put(replace(role, instance_profiles=profiles))

        await change(self._identities, decide)
        return {}

    async def tag_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Set tags."""
        given = parameters["Tags"]
        await self._update(call, parameters, lambda found: replace(found, tags=with_tags(found.tags, given)))
        return {}

    async def untag_instance_profile(self, call: Call, parameters: Members) -> Members:
        """Remove tags; keys that are not there are no error."""
        keys = parameters["TagKeys"]
        await self._update(
            call, parameters, lambda found: replace(found, tags=without_tags(found.tags, keys))
        )
        return {}

    async def list_instance_profile_tags(self, call: Call, parameters: Members) -> Members:
        """Return the tags."""
        name = parameters["InstanceProfileName"]
        return tag_page(
            (await require_instance_profile(self._identities, call.account, name)).tags, parameters
        )

    async def _update(
        self, call: Call, parameters: Members, updated: Callable[[InstanceProfile], InstanceProfile]
    ) -> None:
        async def decide(draft: Draft) -> None:
            name = parameters["InstanceProfileName"]
            draft.put(updated(await require_instance_profile(draft, call.account, name)))

        await change(self._identities, decide)

    async def _page(self, profiles: list[InstanceProfile], parameters: Members) -> Members:
        shown, more = paged(profiles, parameters, key=lambda profile: profile.key)
        return {"InstanceProfiles": [await self._members(profile) for profile in shown], **more}

    async def _members(self, profile: InstanceProfile) -> dict[str, Any]:
        roles = [await self._identities.get(Role, named(profile.account, name)) for name in profile.roles]
        return instance_profile_members(profile, [role for role in roles if role])
