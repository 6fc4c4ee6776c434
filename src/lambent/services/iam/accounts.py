"""The account as IAM sees it: its alias, since when it exists, and what it has of everything."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.identity import Group, InstanceProfile, OidcProvider, Policy, Role, SamlProvider, User
from lambent.services import Members
from lambent.services.iam import quotas
from lambent.services.iam.errors import (
    ConcurrentModificationException,
    EntityAlreadyExistsException,
    NoSuchEntityException,
)
from lambent.store import Delete, Documents, Put, RevisionConflict
from lambent.store.identities import Identities

ACCOUNT_KIND = "iam-account"
ALIAS_KIND = "iam-account-alias"
MINIMUM_PASSWORD_LENGTH = 6
"""Of a password policy that names none."""
_ATTEMPTS_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """An account's password policy."""

    minimum_length: int = MINIMUM_PASSWORD_LENGTH
    symbols: bool = False
    numbers: bool = False
    uppercase: bool = False
    lowercase: bool = False
    users_may_change: bool = False
    max_age_days: int | None = None
    """None: passwords do not expire."""
    reuse_prevention: int | None = None
    """How many passwords back none may be taken again."""
    hard_expiry: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account."""

    id: str
    created_s: int
    """When it was first asked about; accounts need no making here."""
    alias: str | None = None
    password_policy: PasswordPolicy | None = None
    """None: AWS's default."""


class Accounts:
    """Accounts, kept as documents; an alias is another document, so that it is one account's only."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock

    async def get(self, account_id: str) -> Account:
        """Return the account, remembering it from now on."""
        return (await self._read(account_id))[1]

    async def set_alias(self, account_id: str, alias: str) -> None:
        """Give the account an alias in place of the one it has.

        Raises:
            EntityAlreadyExistsException: it is taken.
        """
        for _ in range(_ATTEMPTS_MAX):
            revision, account = await self._read(account_id)
            if await self._documents.get(ALIAS_KIND, alias) is not None:
                raise EntityAlreadyExistsException(f"The account alias {alias} already exists.")
            changes: list[Put | Delete] = [
                Put(kind=ALIAS_KIND, key=alias, body=account_id.encode(), expect_revision=0),
                _put(replace(account, alias=alias), revision),
            ]
            if account.alias is not None:
                changes.append(Delete(kind=ALIAS_KIND, key=account.alias))
            if await self._applied(changes):
                return
        raise _too_many_changes()

    async def delete_alias(self, account_id: str, alias: str) -> None:
        """Take the alias away.

        Raises:
            NoSuchEntityException: the account has no such alias.
        """
        for _ in range(_ATTEMPTS_MAX):
            revision, account = await self._read(account_id)
            if account.alias != alias:
                raise NoSuchEntityException(f"The account alias {alias} does not exist.")
            changes = [Delete(kind=ALIAS_KIND, key=alias), _put(replace(account, alias=None), revision)]
            if await self._applied(changes):
                return
        raise _too_many_changes()

    async def set_password_policy(self, account_id: str, policy: PasswordPolicy | None) -> None:
        """Give the account a password policy in place of the one it has, or none."""
        for _ in range(_ATTEMPTS_MAX):
            revision, account = await self._read(account_id)
            if await self._applied([_put(replace(account, password_policy=policy), revision)]):
                return
        raise _too_many_changes()

    async def _read(self, account_id: str) -> tuple[int, Account]:
        document = await self._documents.get(ACCOUNT_KIND, account_id)
        if document is None:
            await self._applied([_put(Account(id=account_id, created_s=int(self._clock.now_s())), 0)])
            document = await self._documents.get(ACCOUNT_KIND, account_id)
            assert document is not None
        return document.revision, msgspec.json.decode(document.body, type=Account)

    async def _applied(self, changes: list[Put | Delete]) -> bool:
        try:
            await self._documents.apply(*changes)
        except RevisionConflict:
            return False
        return True


class AccountOperations:
    """Operations on the account."""

    def __init__(self, identities: Identities, accounts: Accounts) -> None:
        self._identities = identities
        self._accounts = accounts

    async def create_account_alias(self, call: Call, parameters: Members) -> Members:
        """Give the account an alias."""
        await self._accounts.set_alias(call.account, parameters["AccountAlias"])
        return {}

    async def delete_account_alias(self, call: Call, parameters: Members) -> Members:
        """Take the account's alias away."""
        await self._accounts.delete_alias(call.account, parameters["AccountAlias"])
        return {}

    async def list_account_aliases(self, call: Call, parameters: Members) -> Members:
        """Return the account's alias, if it has one, in a list."""
        account = await self._accounts.get(call.account)
        return {"AccountAliases": [account.alias] if account.alias else [], "IsTruncated": False}

    async def get_account_summary(self, call: Call, parameters: Members) -> Members:
        """Return how many entities the account has, beside its quotas."""
        policies = await self._identities.list(Policy, call.account)
        counts = {
            "Roles": len(await self._identities.list(Role, call.account)),
            "Users": len(await self._identities.list(User, call.account)),
            "Groups": len(await self._identities.list(Group, call.account)),
            "InstanceProfiles": len(await self._identities.list(InstanceProfile, call.account)),
            "Providers": len(await self._identities.list(OidcProvider, call.account))
            + len(await self._identities.list(SamlProvider, call.account)),
            "Policies": len(policies),
            "PolicyVersionsInUse": sum(len(policy.versions) for policy in policies),
        }
        return {"SummaryMap": counts | _QUOTAS | _NEVER}


_QUOTAS = {
    "RolesQuota": quotas.ROLES,
    "UsersQuota": quotas.USERS,
    "GroupsQuota": quotas.GROUPS,
    "InstanceProfilesQuota": quotas.INSTANCE_PROFILES,
    "PoliciesQuota": quotas.POLICIES,
    "PolicyVersionsInUseQuota": quotas.POLICIES * quotas.VERSIONS_PER_POLICY,
    "VersionsPerPolicyQuota": quotas.VERSIONS_PER_POLICY,
    "AttachedPoliciesPerRoleQuota": quotas.ATTACHED_POLICIES,
    "AttachedPoliciesPerUserQuota": quotas.ATTACHED_POLICIES,
    "AttachedPoliciesPerGroupQuota": quotas.ATTACHED_POLICIES,
    "GroupsPerUserQuota": quotas.GROUPS_PER_USER,
    "AccessKeysPerUserQuota": quotas.ACCESS_KEYS_PER_USER,
    "AssumeRolePolicySizeQuota": quotas.TRUST_POLICY_CHARACTERS,
    "PolicySizeQuota": quotas.MANAGED_POLICY_CHARACTERS,
    "RolePolicySizeQuota": quotas.ROLE_INLINE_CHARACTERS,
    "UserPolicySizeQuota": quotas.USER_INLINE_CHARACTERS,
    "GroupPolicySizeQuota": quotas.GROUP_INLINE_CHARACTERS,
    "GlobalEndpointTokenVersion": 1,
}
_NEVER = dict.fromkeys(
    (
        # What an account of Lambent's never has, and AWS's summary lists.
        "AccountAccessKeysPresent",
        "AccountMFAEnabled",
        "AccountPasswordPresent",
        "AccountSigningCertificatesPresent",
        "MFADevices",
        "MFADevicesInUse",
        "ServerCertificates",
        "ServerCertificatesQuota",
        "SigningCertificatesPerUserQuota",
    ),
    0,
)


def _put(account: Account, revision: int) -> Put:
    body = msgspec.json.encode(account)
    return Put(kind=ACCOUNT_KIND, key=account.id, body=body, expect_revision=revision)


def _too_many_changes() -> ConcurrentModificationException:
    return ConcurrentModificationException(
        "The request was rejected because multiple requests to change this object were submitted "
        "simultaneously. Wait a few minutes and submit your request again."
    )
