"""When to prepare what later starts will take: after the starts of now, and in spite of them if they never cease."""

from __future__ import annotations

import asyncio

import pytest

from lambent.sandbox import calm as module
from lambent.sandbox.calm import Calm

FOREVER_S = 3600.0


async def soon(task: asyncio.Task[None]) -> bool:
    """Whether a task is done after some turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)
    return task.done()


def test_where_nothing_was_started_it_is_calm() -> None:
    async def story() -> None:
        assert await soon(asyncio.create_task(Calm().come()))

    asyncio.run(story())


def test_calm_comes_when_the_last_start_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", FOREVER_S)
    monkeypatch.setattr(module, "_CALM_S", 0.0)

    async def story() -> None:
        calm = Calm()
        with calm.starting():
            with calm.starting():
                coming = asyncio.create_task(calm.come())
                assert not await soon(coming)
            assert not await soon(coming)
        await asyncio.wait_for(coming, 10)

    asyncio.run(story())


def test_calm_comes_a_moment_after_the_last_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", FOREVER_S)
    monkeypatch.setattr(module, "_CALM_S", FOREVER_S)

    async def story() -> None:
        calm = Calm()
        with calm.starting():
            pass
        coming = asyncio.create_task(calm.come())
        assert not await soon(coming)
        coming.cancel()

    asyncio.run(story())


def test_starts_that_never_cease_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.0)

    async def story() -> None:
        calm = Calm()
        with calm.starting():
            await asyncio.wait_for(calm.come(), 10)

    asyncio.run(story())


def test_a_start_that_fails_has_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", FOREVER_S)
    monkeypatch.setattr(module, "_CALM_S", 0.0)

    async def story() -> None:
        calm = Calm()
        with pytest.raises(ValueError, match="no"), calm.starting():
            raise ValueError("no")
        await asyncio.wait_for(calm.come(), 10)

    asyncio.run(story())
