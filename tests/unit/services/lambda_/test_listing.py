"""Lists of functions read what they show, however many functions and versions there are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from lambent.domain.function import Function
from lambent.store import Document, Put
from lambent.store.functions import KIND
from lambent.testing import MemoryStore
from unit.services.lambda_.world import World, a_call


class CountingStore(MemoryStore):
    """Counts the documents that lists return."""

    listed = 0

    async def list(self, kind: str, **options: Any) -> list[Document]:
        found = await super().list(kind, **options)
        self.listed += len(found)
        return found


async def _with_functions(store: MemoryStore, count: int, versions: int) -> World:
    """Make a world with copies of one function, each with as many published versions."""
    world = World(store)
    await world.service.resume()
    await world.create_active("f-000")
    model = await world.stored("f-000")
    assert model is not None
    await store.apply(
        *(_copy(model, f"f-{number:03d}", versions) for number in range(count)),
    )
    return World(store)


def _copy(model: Function, name: str, versions: int) -> Put:
    key = msgspec.structs.replace(model.key, name=name)
    latest = replace(model.latest, key=key)
    published = {str(n): replace(latest, version=str(n)) for n in range(1, versions + 1)}
    function = replace(model, key=key, latest=latest, versions=published, last_published=versions)
    return Put(kind=KIND, key=key.path, body=msgspec.json.encode(function))


@pytest.mark.parametrize("parameters", [{}, {"FunctionVersion": "ALL"}])
def test_a_page_reads_no_more_functions_than_it_shows(parameters: dict[str, str]) -> None:
    async def tell() -> None:
        store = CountingStore()
        world = await _with_functions(store, count=120, versions=3)
        store.listed = 0
        page = await world.ask("list_functions", a_call(), MaxItems=10, **parameters)
        assert len(page["Functions"]) == 10
        assert store.listed <= 11
        store.close()

    asyncio.run(tell())


@pytest.mark.parametrize("size", [1, 3, 50])
def test_pages_of_all_versions_leave_none_out_and_show_none_twice(size: int) -> None:
    async def tell() -> None:
        store = MemoryStore()
        world = await _with_functions(store, count=30, versions=3)
        seen: list[str] = []
        page = await world.ask("list_functions", a_call(), MaxItems=size, FunctionVersion="ALL")
        while True:
            seen += [function["FunctionArn"] for function in page["Functions"]]
            if "NextMarker" not in page:
                break
            page = await world.ask(
                "list_functions",
                a_call(),
                MaxItems=size,
                FunctionVersion="ALL",
                Marker=page["NextMarker"],
            )
        assert len(seen) == len(set(seen)) == 120
        store.close()

    asyncio.run(tell())


def test_functions_are_at_hand_after_a_start() -> None:
    """The first call to a function is as quick as the second: nothing is read again."""

    async def tell() -> None:
        store = MemoryStore()
        world = await _with_functions(store, count=5, versions=1)
        await world.service.resume()
        store.get = _nothing_is_read  # type: ignore[method-assign]
        found = await world.ask("get_function", FunctionName="f-003")
        assert found["Configuration"]["FunctionName"] == "f-003"
        await world.service.close()
        store.close()

    async def _nothing_is_read(kind: str, key: str) -> Document | None:
        raise AssertionError(f"{kind} {key} was read")

    asyncio.run(tell())
