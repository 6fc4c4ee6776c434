"""Entities as documents: found again, in a form that later versions must still read, and never half changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import msgspec
import pytest

from lambent.domain.identity import AccessKey, AccessKeyUse, Group, Policy, PolicyVersion, Role, User, named
from lambent.store import Put
from lambent.store.identities import Draft, Identities
from lambent.store.managed_policies import aws_managed_policies
from lambent.testing import MemoryStore

ACCOUNT = "123456789012"
ROLE = Role(
    account=ACCOUNT,
    name="Worker",
    path="/apps/",
    id="AROAEXAMPLE",
    created_s=1_767_323_045,
    trust_policy="{}",
    tags={"team": "a"},
    inline_policies={"p": "{}"},
    attached_policies=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
)


@pytest.fixture
def store() -> Iterator[MemoryStore]:
    store = MemoryStore()
    yield store
    store.close()


def with_tag(role: Role, key: str) -> Role:
    return replace(role, tags={**role.tags, key: ""})


def tagging(key: str) -> Callable[[Draft], Awaitable[None]]:
    async def decide(draft: Draft) -> None:
        role = await draft.get(Role, ROLE.key)
        assert role is not None
        draft.put(with_tag(role, key))

    return decide


async def kept(identities: Identities, *entities: Role | User | Group | Policy | AccessKey) -> None:
    async def decide(draft: Draft) -> None:
        for entity in entities:
            assert await draft.get(type(entity), entity.key) is None  # pyright: ignore[reportArgumentType]
            draft.put(entity)

    await identities.change(decide)


def test_a_role_is_found_by_its_whole_arn_only(store: MemoryStore) -> None:
    async def story() -> None:
        identities = Identities(store)
        await kept(identities, ROLE)
        assert await identities.find_role(f"arn:aws:iam::{ACCOUNT}:role/apps/Worker") == ROLE
        for arn in (
            f"arn:aws:iam::{ACCOUNT}:role/Worker",
            f"arn:aws:iam::{ACCOUNT}:role/apps/worker",
            "arn:aws:iam::000000000000:role/apps/Worker",
            f"arn:aws:iam::{ACCOUNT}:user/apps/Worker",
            f"arn:aws:sts::{ACCOUNT}:role/apps/Worker",
            "Worker",
            "",
        ):
            assert await identities.find_role(arn) is None
        assert await identities.get(Role, named(ACCOUNT, "WORKER")) == ROLE

    asyncio.run(story())


def test_the_written_form_of_a_role_stays_readable(store: MemoryStore) -> None:
    """Written by an earlier version: members that came later have their defaults."""
    body = (
        b'{"account":"123456789012","name":"old","path":"/","id":"AROAOLD","created_s":1,"trust_policy":"{}",'
        b'"description":null,"max_session_duration_s":3600,"tags":{},"inline_policies":{"p":"{}"},'
        b'"attached_policies":["arn:aws:iam::aws:policy/ReadOnlyAccess"]}'
    )

    async def story() -> Role | None:
        await store.apply(Put(kind="iam-role", key="123456789012/old", body=body))
        return await Identities(store).find_role("arn:aws:iam::123456789012:role/old")

    role = asyncio.run(story())
    assert role is not None
    assert role.inline_policies == {"p": "{}"}
    assert role.attached_policies == ("arn:aws:iam::aws:policy/ReadOnlyAccess",)
    assert role.linked_service is None


def test_each_kind_of_entity_is_written_as_json_under_its_kind(store: MemoryStore) -> None:
    async def story() -> None:
        user = User(account=ACCOUNT, name="alice", id="AIDA", created_s=1, access_keys=("AKIA",))
        key = AccessKey(
            id="AKIA", secret="s", account=ACCOUNT, user_name="alice", user_id="AIDA", created_s=1
        )
        await kept(Identities(store), ROLE, user, key)
        for kind, entity in (("iam-role", ROLE), ("iam-user", user), ("iam-access-key", key)):
            document = await store.get(kind, entity.key)
            assert document is not None
            assert msgspec.json.decode(document.body, type=type(entity)) == entity

    asyncio.run(story())


def test_lists_hold_one_account_in_the_order_of_names(store: MemoryStore) -> None:
    async def story() -> list[str]:
        identities = Identities(store)
        await kept(
            identities,
            *(User(account=ACCOUNT, name=f"u{number:04}", id="AIDA", created_s=1) for number in range(1201)),
            User(account="000000000000", name="other", id="AIDA", created_s=1),
        )
        assert await identities.count(User, ACCOUNT, limit=5000) == 1201
        assert await identities.count(User, ACCOUNT, limit=10) == 10
        return [user.name for user in await identities.list(User, ACCOUNT)]

    assert asyncio.run(story()) == [f"u{number:04}" for number in range(1201)]


def test_a_change_that_fails_changes_nothing(store: MemoryStore) -> None:
    async def story() -> None:
        identities = Identities(store)

        async def decide(draft: Draft) -> None:
            await draft.get(Role, ROLE.key)
            draft.put(ROLE)
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await identities.change(decide)
        assert await identities.find_role(ROLE.arn) is None

    asyncio.run(story())


def test_a_draft_reads_what_it_wrote(store: MemoryStore) -> None:
    async def story() -> None:
        await kept(Identities(store), ROLE)
        draft = Draft(store)
        role = await draft.get(Role, ROLE.key)
        assert role is not None
        draft.delete(role)
        assert await draft.get(Role, ROLE.key) is None
        draft.put(role)
        assert await draft.get(Role, ROLE.key) == role
        assert len(draft.changes) == 1

    asyncio.run(story())


def test_a_change_is_decided_again_when_others_were_faster(store: MemoryStore) -> None:
    async def story() -> tuple[int, Role | None]:
        identities, others = Identities(store), Identities(store)
        await kept(identities, ROLE)
        rounds = 0

        async def decide(draft: Draft) -> None:
            nonlocal rounds
            rounds += 1
            role = await draft.get(Role, ROLE.key)
            assert role is not None
            if rounds < 3:
                await others.change(tagging(f"other{rounds}"))
            draft.put(with_tag(role, "mine"))

        await identities.change(decide)
        return rounds, await identities.get(Role, ROLE.key)

    rounds, role = asyncio.run(story())
    assert rounds == 3
    assert role is not None
    assert set(role.tags) == {"team", "mine", "other1", "other2"}


def test_uses_of_a_key_within_a_minute_are_written_once(store: MemoryStore) -> None:
    async def story() -> None:
        identities = Identities(store)
        for at_s in (1000.0, 1030.0, 1059.9):
            await identities.note_use("AKIA", at_s=at_s, service="lambda", region="us-east-1")
        document = await store.get("iam-access-key-use", "AKIA")
        assert document is not None
        assert document.revision == 1
        await identities.note_use("AKIA", at_s=1060, service="lambda", region="us-east-1")
        await identities.note_use("AKIA", at_s=1061, service="logs", region="us-east-1")
        assert await identities.get(AccessKeyUse, "AKIA") == AccessKeyUse(
            id="AKIA", used_s=1061, service="logs", region="us-east-1"
        )

    asyncio.run(story())


def test_policies_are_found_by_arn_be_they_awss_or_the_accounts(store: MemoryStore) -> None:
    policy = Policy(
        account=ACCOUNT,
        name="mine",
        id="ANPA",
        created_s=1,
        updated_s=1,
        versions=(
            PolicyVersion(id="v1", document="one", created_s=1),
            PolicyVersion(id="v2", document="two", created_s=2),
        ),
        default_version_id="v2",
    )

    async def story() -> None:
        identities = Identities(store)
        await kept(identities, policy)
        assert await identities.find_policy(policy.arn) == policy
        assert policy.document == "two"
        read_only = await identities.find_policy("arn:aws:iam::aws:policy/ReadOnlyAccess")
        assert read_only is not None
        assert "lambda:Get" in read_only.document
        assert await identities.find_policy("arn:aws:iam::aws:policy/Mine") is None
        assert await identities.policies_of(ROLE) == ["{}", read_only.document]

    asyncio.run(story())


def test_the_policies_of_aws_have_unique_ids_of_the_right_form() -> None:
    policies = aws_managed_policies()
    ids = {policy.id for policy in policies.values()}
    assert len(ids) == len(policies)
    assert all(len(id) == 21 and id.startswith("ANPA") for id in ids)
    assert list(policies.values()) == sorted(policies.values(), key=lambda policy: policy.key)
