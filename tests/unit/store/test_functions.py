"""Functions as documents: remembered decoded, never older than what was last put."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.function import Function, FunctionKey
from lambent.store import Documents, RevisionConflict
from lambent.store import functions as module
from lambent.store.functions import Functions
from lambent.testing import MemoryStore
from samples import KEY, VERSION

FUNCTION = Function(key=KEY, latest=VERSION, tags={"team": "a"})


class CountingStore(MemoryStore):
    """Counts how often documents are read."""

    reads = 0

    async def get(self, kind: str, key: str) -> Any:
        self.reads += 1
        return await super().get(kind, key)


@pytest.fixture
def store() -> Iterator[CountingStore]:
    store = CountingStore()
    yield store
    store.close()


def run(story: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(story)


def named(name: str, *, account: str = KEY.account, region: str = KEY.region) -> Function:
    key = FunctionKey(account=account, region=region, name=name)
    return Function(key=key, latest=replace(VERSION, key=key))


def restarted(store: Documents) -> Functions:
    """What another process finds."""
    return Functions(store)


def test_a_function_survives_a_restart_in_every_detail(store: CountingStore) -> None:
    version = replace(VERSION, version="1", environment={"ü": "€"}, passive={"VpcConfig": {"SubnetIds": []}})
    function = replace(
        FUNCTION, versions={"1": version}, serving=version, reserved_concurrency=0, last_published=1
    )
    run(Functions(store).put(function, expect_revision=0))
    assert run(restarted(store).get(KEY)) == function


def test_what_was_never_put_is_none(store: CountingStore) -> None:
    assert run(Functions(store).get(KEY)) is None


def test_reading_again_does_not_read_the_store_again(store: CountingStore) -> None:
    async def story() -> None:
        functions = restarted(store)
        await Functions(store).put(FUNCTION)
        store.reads = 0
        for _ in range(5):
            assert await functions.get(KEY) == FUNCTION
        assert store.reads == 1

    run(story())


def test_what_was_put_is_what_is_got_and_revisions_are_kept(store: CountingStore) -> None:
    async def story() -> None:
        functions = Functions(store)
        assert await functions.put(FUNCTION, expect_revision=0) == 1
        changed = replace(FUNCTION, tags={"team": "b"})
        assert await functions.put(changed, expect_revision=1) == 2
        assert await functions.get_with_revision(KEY) == (2, changed)
        with pytest.raises(RevisionConflict):
            await functions.put(FUNCTION, expect_revision=1)
        assert await functions.get(KEY) == changed

    run(story())


def test_a_deleted_function_is_gone_here_and_in_the_store(store: CountingStore) -> None:
    async def story() -> None:
        functions = Functions(store)
        await functions.put(FUNCTION)
        await functions.delete(KEY)
        assert await functions.get(KEY) is None
        assert await restarted(store).get(KEY) is None
        assert await functions.put(FUNCTION, expect_revision=0) == 1
        assert await functions.get(KEY) == FUNCTION

    run(story())


def test_of_many_writers_the_last_revision_is_remembered(store: CountingStore) -> None:
    async def story() -> None:
        functions = Functions(store)
        await asyncio.gather(
            *(functions.put(replace(FUNCTION, tags={"n": str(number)})) for number in range(20))
        )
        assert await functions.get_with_revision(KEY) == await restarted(store).get_with_revision(KEY)

    run(story())


def test_lists_are_of_one_account_and_region_in_name_order(store: CountingStore) -> None:
    async def story() -> None:
        functions = Functions(store)
        for function in (
            named("b"),
            named("a"),
            named("c"),
            named("a", account="123456789012"),
            named("a", region="eu-west-1"),
            named("a", region="us-east-10"),
        ):
            await functions.put(function)
        first = await functions.list(KEY.account, KEY.region, limit=2)
        assert [function.key.name for function in first] == ["a", "b"]
        rest = await functions.list(KEY.account, KEY.region, after="b")
        assert [function.key.name for function in rest] == ["c"]
        assert len(await functions.all()) == 6

    run(story())


def test_not_every_function_is_remembered_for_ever(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_MAX", 2)

    async def story() -> None:
        functions = Functions(store)
        for name in "abc":
            await functions.put(named(name))
        store.reads = 0
        for name in "abc":
            assert await functions.get(named(name).key) == named(name)
        assert store.reads > 0

    run(story())
