"""IAM's entities, kept as documents: read by whoever must know who asks, changed by the IAM service.

The one place that knows how a role, a user or an access key is written down. A change may touch several
entities (a policy and the role it is attached to); it is decided on what was read, written in one piece, and
decided again when somebody else was faster: concurrent calls never lose updates. What IAM allows is not
known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec

from lambent.arn import parse_arn
from lambent.domain.identity import (
    AWS_MANAGED,
    AccessKey,
    AccessKeyUse,
    Entity,
    Group,
    InstanceProfile,
    OidcProvider,
    Policy,
    Role,
    SamlProvider,
    User,
    named,
)
from lambent.store import Delete, Documents, Put, RevisionConflict
from lambent.store.managed_policies import aws_managed_policies

E = TypeVar(
    "E", Role, User, AccessKey, AccessKeyUse, Group, InstanceProfile, Policy, OidcProvider, SamlProvider
)
T = TypeVar("T")

KINDS: dict[type[Entity], str] = {
    Role: "iam-role",
    User: "iam-user",
    AccessKey: "iam-access-key",
    AccessKeyUse: "iam-access-key-use",
    Group: "iam-group",
    InstanceProfile: "iam-instance-profile",
    Policy: "iam-policy",
    OidcProvider: "iam-oidc-provider",
    SamlProvider: "iam-saml-provider",
}
_ATTEMPTS_MAX = 16
_OIDC_PROVIDER = "oidc-provider/"
_PAGE = 500
_USE_GRAIN_S = 60
"""AWS reports the last use of an access key coarsely too; a hot key must not cost a write per call."""


_NOTHING = '{"Version": "2012-10-17", "Statement": []}'


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPolicy:
    """A policy of an identity, by the name under which decisions refer to it."""

    name: str
    """Of a managed policy its name, of an inline one also whose it is: ``user_alice_files``."""
    type: str
    """IAM's ``PolicySourceType``: user, group, role, aws-managed, user-managed or none."""
    document: str
    arn: str | None = None
    """Of a managed policy."""


class Readable(Protocol):
    """Where entities can be looked up: the store, or a draft of a change."""

    async def get(self, entity_type: type[E], key: str) -> E | None:
        """Return an entity by its type and `key`, or None."""
        ...


async def find_policy(entities: Readable, policy_arn: str) -> Policy | None:
    """Return the managed policy with this ARN, or None."""
    if (policy := aws_managed_policies().get(policy_arn)) is not None:
        return policy
    key = _key_of(policy_arn, "policy/")
    if key is None or key.startswith(f"{AWS_MANAGED}/"):
        return None
    policy = await entities.get(Policy, key)
    return policy if policy and policy.arn == policy_arn else None


class Draft:
    """A change in the making: what it read, and what it will write if nobody changed that meanwhile."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._revisions: dict[tuple[str, str], int] = {}
        self._entities: dict[tuple[str, str], Entity | None] = {}
        self._changes: dict[tuple[str, str], Put | Delete] = {}

    async def get(self, entity_type: type[E], key: str) -> E | None:
        """Return the entity as this draft leaves it, or None."""
        place = (KINDS[entity_type], key)
        if place not in self._revisions:
            document = await self._documents.get(*place)
            self._revisions[place] = document.revision if document else 0
            self._entities[place] = msgspec.json.decode(document.body, type=entity_type) if document else None
        entity = self._entities[place]
        assert entity is None or isinstance(entity, entity_type)
        return entity

    def put(self, entity: Entity) -> None:
        """Write an entity that was looked up with `get` before, be it to find that there is none."""
        place = (KINDS[type(entity)], entity.key)
        self._entities[place] = entity
        self._changes[place] = Put(
            kind=place[0],
            key=place[1],
            body=msgspec.json.encode(entity),
            expect_revision=self._revisions[place],
        )

    def delete(self, entity: Entity) -> None:
        """Remove an entity that was looked up with `get` before."""
        place = (KINDS[type(entity)], entity.key)
        self._entities[place] = None
        self._changes[place] = Delete(kind=place[0], key=place[1], expect_revision=self._revisions[place])

    @property
    def changes(self) -> tuple[Put | Delete, ...]:
        """What has to be applied, in one piece."""
        return tuple(self._changes.values())


class Identities:
    """Typed access to the stored entities of IAM."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        # Writers of this process queue here instead of racing; revisions guard against other processes.
        self._writing = asyncio.Lock()

    async def find_role(self, role_arn: str) -> Role | None:
        """Return the role with this ARN (path included), or None."""
        key = _key_of(role_arn, "role/")
        role = await self.get(Role, key) if key else None
        return role if role and role.arn == role_arn else None

    async def find_user(self, user_arn: str) -> User | None:
        """Return the user with this ARN (path included), or None."""
        key = _key_of(user_arn, "user/")
        user = await self.get(User, key) if key else None
        return user if user and user.arn == user_arn else None

    async def find_oidc_provider(self, provider_arn: str) -> OidcProvider | None:
        """Return the OpenID Connect provider with this ARN, or None."""
        parts = parse_arn(provider_arn)
        if parts is None or parts.service != "iam" or not parts.resource.startswith(_OIDC_PROVIDER):
            return None
        return await self.get(OidcProvider, f"{parts.account}/{parts.resource.removeprefix(_OIDC_PROVIDER)}")

    async def find_policy(self, policy_arn: str) -> Policy | None:
        """Return the managed policy with this ARN, the account's own or one of AWS's, or None."""
        return await find_policy(self, policy_arn)

    async def policies_of(self, identity: Role | User) -> list[str]:
        """Return the documents of all policies that an identity has: inline, attached, and of its groups."""
        return [held.document for held in await self.held_policies_of(identity)]

    async def held_policies_of(self, identity: Role | User | Group) -> list[HeldPolicy]:
        """Return the same policies under names; a group's own are those of the group alone."""
        holders: list[Role | User | Group] = [identity]
        if isinstance(identity, User):
            groups = [await self.get(Group, named(identity.account, name)) for name in identity.groups]
            holders += [group for group in groups if group]
        held: list[HeldPolicy] = []
        for holder in holders:
            kind = type(holder).__name__.lower()
            held += [
                HeldPolicy(name=f"{kind}_{holder.name}_{name}", type=kind, document=document)
                for name, document in holder.inline_policies.items()
            ]
            policies = [await self.find_policy(arn) for arn in holder.attached_policies]
            held += [_managed(policy) for policy in policies if policy]
        return held

    async def boundary_of(self, identity: Role | User | Group) -> HeldPolicy | None:
        """Return the permissions boundary of an identity, or None when it has none.

        A boundary whose policy is gone permits nothing.
        """
        if isinstance(identity, Group) or identity.permissions_boundary is None:
            return None
        arn = identity.permissions_boundary
        policy = await self.find_policy(arn)
        return _managed(policy) if policy else HeldPolicy(name=arn, type="none", document=_NOTHING)

    async def find_access_key(self, access_key_id: str) -> AccessKey | None:
        """Return the access key with its secret, active or not, or None."""
        return await self.get(AccessKey, access_key_id)

    async def note_use(self, access_key_id: str, *, at_s: float, service: str, region: str) -> None:
        """Remember that a user's access key signed a request; repeated uses within a minute are one."""
        known = await self.get(AccessKeyUse, access_key_id)
        if (
            known
            and known.service == service
            and known.region == region
            and at_s - known.used_s < _USE_GRAIN_S
        ):
            return
        use = AccessKeyUse(id=access_key_id, used_s=int(at_s), service=service, region=region)
        await self._documents.apply(
            Put(kind=KINDS[AccessKeyUse], key=use.key, body=msgspec.json.encode(use), expect_revision=None)
        )

    async def get(self, entity_type: type[E], key: str) -> E | None:
        """Return an entity by its type and `key`, or None."""
        document = await self._documents.get(KINDS[entity_type], key)
        return msgspec.json.decode(document.body, type=entity_type) if document else None

    async def list(self, entity_type: type[E], account: str) -> list[E]:
        """Return all entities of a type in an account, in the order of their names."""
        prefix, after, entities = f"{account}/", "", list[E]()
        while True:
            documents = await self._documents.list(
                KINDS[entity_type], prefix=prefix, after=after, limit=_PAGE
            )
            entities += [msgspec.json.decode(document.body, type=entity_type) for document in documents]
            if len(documents) < _PAGE:
                return entities
            after = documents[-1].key

    async def count(self, entity_type: type[E], account: str, *, limit: int) -> int:
        """Return how many entities of a type an account has, counted up to a limit."""
        return len(await self._documents.list(KINDS[entity_type], prefix=f"{account}/", limit=limit))

    async def change(self, decide: Callable[[Draft], Awaitable[T]]) -> T:
        """Read, decide and write as one change, and return what `decide` returned.

        Args:
            decide: reads and writes through the draft that it is given and has no other effect: it runs again
                when a document it wrote was changed by somebody else. An error it raises leaves all as it
                was.

        Raises:
            RevisionConflict: others were faster too many times in a row.
        """
        async with self._writing:
            for attempt in range(_ATTEMPTS_MAX):
                draft = Draft(self._documents)
                result = await decide(draft)
                try:
                    if draft.changes:
                        await self._documents.apply(*draft.changes)
                except RevisionConflict:
                    if attempt == _ATTEMPTS_MAX - 1:
                        raise
                else:
                    return result
        raise AssertionError("unreachable")


def _managed(policy: Policy) -> HeldPolicy:
    type_ = "aws-managed" if policy.account == AWS_MANAGED else "user-managed"
    return HeldPolicy(name=policy.name, type=type_, document=policy.document, arn=policy.arn)


def _key_of(arn: str, resource_type: str) -> str | None:
    parts = parse_arn(arn)
    if parts is None or parts.service != "iam" or not parts.resource.startswith(resource_type):
        return None
    return named(parts.account, parts.resource.rsplit("/", 1)[-1])
