"""Concurrent changes lose nothing, be they of one process or of several."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lambent.services.iam.errors import (
    ConcurrentModificationException,
    DeleteConflictException,
    NoSuchEntityException,
)
from lambent.store import Delete, Put, RevisionConflict
from unit.services.iam.asking import ACCOUNT, LAMBDA_TRUST, PERMISSIONS, Iam, PausingStore


@pytest.mark.parametrize("processes", [1, 3])
def test_parallel_attachments_and_tags_of_one_role_all_arrive(processes: int) -> None:
    async def story() -> tuple[Any, Any]:
        store = PausingStore()
        iams = [Iam(store) for _ in range(processes)]
        await iams[0].asked("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
        arns = [
            (await iams[0].asked("create_policy", PolicyName=f"p{n}", PolicyDocument=PERMISSIONS))["Policy"][
                "Arn"
            ]
            for n in range(10)
        ]
        async with asyncio.TaskGroup() as group:
            for number, arn in enumerate(arns):
                iam = iams[number % processes]
                group.create_task(iam.asked("attach_role_policy", RoleName="worker", PolicyArn=arn))
                tags = [{"Key": f"k{number}", "Value": "v"}]
                group.create_task(iam.asked("tag_role", RoleName="worker", Tags=tags))
        attached = await iams[0].asked("list_attached_role_policies", RoleName="worker")
        return attached["AttachedPolicies"], (await iams[0].asked("list_role_tags", RoleName="worker"))[
            "Tags"
        ]

    attached, tags = asyncio.run(story())
    assert len(attached) == 10
    assert len(tags) == 10


def test_one_of_many_creations_of_a_role_wins() -> None:
    async def story() -> list[object]:
        store = PausingStore()
        create = {"RoleName": "worker", "AssumeRolePolicyDocument": LAMBDA_TRUST}
        asked = [Iam(store).asked("create_role", **create) for _ in range(8)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(story())
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert {type(answer).__name__ for answer in answers} == {"dict", "EntityAlreadyExistsException"}


@pytest.mark.parametrize("head_start", range(8))
def test_a_policy_is_never_both_attached_and_deleted(head_start: int) -> None:
    """Attaching in one process and deleting in another, the second starting at ever later moments."""

    async def story() -> tuple[tuple[Any, Any], list[Any]]:
        store = PausingStore()
        one, other = Iam(store), Iam(store)
        await one.asked("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
        arn = f"arn:aws:iam::{ACCOUNT}:policy/p"
        await one.asked("create_policy", PolicyName="p", PolicyDocument=PERMISSIONS)

        async def delete() -> Any:
            for _ in range(head_start):
                await asyncio.sleep(0)
            return await other.asked("delete_policy", PolicyArn=arn)

        attach = one.asked("attach_role_policy", RoleName="worker", PolicyArn=arn)
        answers = await asyncio.gather(attach, delete(), return_exceptions=True)
        return answers, (await one.asked("list_attached_role_policies", RoleName="worker"))[
            "AttachedPolicies"
        ]

    (attach, delete), attached = asyncio.run(story())
    if attach == {}:
        assert isinstance(delete, DeleteConflictException)
        assert len(attached) == 1
    else:
        assert isinstance(attach, NoSuchEntityException)
        assert delete == {}
        assert attached == []


def test_users_and_groups_agree_after_parallel_changes() -> None:
    async def story() -> tuple[set[str], set[str]]:
        store = PausingStore()
        iams = [Iam(store) for _ in range(2)]
        await iams[0].asked("create_group", GroupName="staff")
        names = [f"user{number}" for number in range(6)]
        for name in names:
            await iams[0].asked("create_user", UserName=name)
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                add = iams[number % 2].asked("add_user_to_group", GroupName="staff", UserName=name)
                group.create_task(add)
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names[:3]):
                remove = iams[number % 2].asked("remove_user_from_group", GroupName="staff", UserName=name)
                group.create_task(remove)
        of_group = {
            user["UserName"] for user in (await iams[0].asked("get_group", GroupName="staff"))["Users"]
        }
        of_users = {
            name for name in names if (await iams[0].asked("list_groups_for_user", UserName=name))["Groups"]
        }
        return of_group, of_users

    of_group, of_users = asyncio.run(story())
    assert of_group == of_users == {"user3", "user4", "user5"}


class LosingStore(PausingStore):
    """Documents of which somebody else always writes first."""

    async def apply(self, *changes: Put | Delete) -> tuple[int, ...]:
        raise RevisionConflict("somebody else was faster")


def test_losing_too_often_is_answered_as_aws_does() -> None:
    iam = Iam(LosingStore())
    with pytest.raises(ConcurrentModificationException, match="submitted simultaneously"):
        iam.ask("create_role", RoleName="worker", AssumeRolePolicyDocument=LAMBDA_TRUST)
