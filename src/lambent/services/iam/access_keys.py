"""Access keys of users: what requests are signed with. The secret is shown once, when the key is made."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import AccessKey, AccessKeyUse, User, access_key_id
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.entities import calling_user, change, require_user
from lambent.services.iam.errors import NoSuchEntityException
from lambent.services.iam.pages import paged
from lambent.services.iam.shapes import access_key_members, date
from lambent.store.identities import Draft, Identities, Readable


class AccessKeys:
    """Operations on access keys. Without ``UserName`` they concern the user who calls."""

    def __init__(self, identities: Identities, clock: Clock) -> None:
        self._identities = identities
        self._clock = clock

    async def create_access_key(self, call: Call, parameters: Members) -> Members:
        """Make an access key and return it with its secret.

        Raises:
            LimitExceededException: the user has two.
        """

        async def decide(draft: Draft) -> AccessKey:
            user = await _user(draft, call, parameters)
            count = len(user.access_keys) + 1
            quotas.check_quota(count, quotas.ACCESS_KEYS_PER_USER, "AccessKeysPerUser")
            key = self._new_key(user)
            # Looked up so that writing it fails in the case that the id is taken, however unlikely.
            await draft.get(AccessKey, key.id)
            draft.put(key)
            draft.put(replace(user, access_keys=(*user.access_keys, key.id)))
            return key

        key = await change(self._identities, decide)
        return {"AccessKey": access_key_members(key) | {"SecretAccessKey": key.secret}}

    async def list_access_keys(self, call: Call, parameters: Members) -> Members:
        """Return the user's access keys without their secrets."""
        user = await _user(self._identities, call, parameters)
        keys = [await self._identities.get(AccessKey, key_id) for key_id in user.access_keys]
        shown, more = paged([key for key in keys if key], parameters, key=lambda key: key.id)
        return {"AccessKeyMetadata": [access_key_members(key) for key in shown], **more}

    async def update_access_key(self, call: Call, parameters: Members) -> Members:
        """Make an access key ``Active`` or ``Inactive``."""

        async def decide(draft: Draft) -> None:
            user = await _user(draft, call, parameters)
            key = await _require_key(draft, user, parameters["AccessKeyId"])
            draft.put(replace(key, status=parameters["Status"]))

        await change(self._identities, decide)
        return {}

    async def delete_access_key(self, call: Call, parameters: Members) -> Members:
        """Delete an access key; requests signed with it are refused from then on."""

        async def decide(draft: Draft) -> None:
            user = await _user(draft, call, parameters)
            key = await _require_key(draft, user, parameters["AccessKeyId"])
            draft.put(replace(user, access_keys=tuple(id for id in user.access_keys if id != key.id)))
            draft.delete(key)
            if (use := await draft.get(AccessKeyUse, key.id)) is not None:
                draft.delete(use)

        await change(self._identities, decide)
        return {}

    async def get_access_key_last_used(self, call: Call, parameters: Members) -> Members:
        """Return whose key it is, and when, where and for what it signed a request last."""
        key_id = parameters["AccessKeyId"]
        key = await self._identities.find_access_key(key_id)
        if key is None or key.account != call.account:
            raise _no_such_key(key_id)
        use = await self._identities.get(AccessKeyUse, key_id)
        if use is None:
            return {
                "UserName": key.user_name,
                "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"},
            }
        return {
            "UserName": key.user_name,
            "AccessKeyLastUsed": {
                "LastUsedDate": date(use.used_s),
                "ServiceName": use.service,
                "Region": use.region,
            },
        }

    def _new_key(self, user: User) -> AccessKey:
        return AccessKey(
            id=access_key_id("AKIA", user.account, secrets.token_bytes(5)),
            secret=base64.b64encode(secrets.token_bytes(30)).decode(),
            account=user.account,
            user_name=user.name,
            user_path=user.path,
            user_id=user.id,
            created_s=int(self._clock.now_s()),
        )


async def _user(entities: Readable, call: Call, parameters: Members) -> User:
    return await require_user(entities, call.account, parameters.get("UserName") or calling_user(call))


async def _require_key(entities: Readable, user: User, key_id: str) -> AccessKey:
    key = await entities.get(AccessKey, key_id)
    if key is None or key.id not in user.access_keys:
        raise _no_such_key(key_id)
    return key


def _no_such_key(key_id: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"The Access Key with id {key_id} cannot be found.")
