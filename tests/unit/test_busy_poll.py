"""The loop stays awake for one thing that is awaited, for a moment, and never for several."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from lambent.busy_poll import BusyPoll


def turns(story: Callable[[BusyPoll], Awaitable[None]], *, span_s: float) -> int:
    """How often the loop has looked for what was ready without sleeping, while a story went on."""

    async def play() -> int:
        loop: Any = asyncio.get_running_loop()
        select, looks = loop._selector.select, [0]

        def counting(timeout: float | None = None) -> Any:
            looks[0] += timeout == 0
            return select(timeout)

        loop._selector.select = counting
        await story(BusyPoll(span_s=span_s))
        return looks[0]

    return asyncio.run(play())


async def _awaited(poll: BusyPoll, *, count: int = 1) -> None:
    futures = [asyncio.get_running_loop().create_future() for _ in range(count)]
    for future in futures:
        poll.watch(future)
        asyncio.get_running_loop().call_later(0.03, future.set_result, None)
    await asyncio.gather(*futures)


def test_one_thing_is_looked_for_until_it_comes_or_its_moment_is_over() -> None:
    started_s = time.perf_counter()
    assert turns(_awaited, span_s=0.01) > 20
    assert time.perf_counter() - started_s < 5


def test_with_several_the_loop_sleeps() -> None:
    assert turns(lambda poll: _awaited(poll, count=3), span_s=10.0) < 20


def test_a_span_of_nothing_is_never() -> None:
    assert turns(_awaited, span_s=0.0) < 20
