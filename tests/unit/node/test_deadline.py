"""One timer, many deadlines: the one that is reached is heard of, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lambent.node.deadline import Deadline, SuspendableDeadline

A_LITTLE_S = 0.01


def run(story: Callable[[Deadline, list[float]], Awaitable[None]]) -> list[float]:
    """Return when the deadline was reached, in seconds from the beginning of a story."""

    async def tell() -> list[float]:
        loop = asyncio.get_running_loop()
        begun_s, reached = loop.time(), list[float]()
        deadline = Deadline(loop, lambda: reached.append(loop.time() - begun_s))
        await story(deadline, reached)
        await asyncio.sleep(3 * A_LITTLE_S)
        deadline.close()
        return reached

    return asyncio.run(tell())


def test_a_deadline_is_reached_once() -> None:
    async def story(deadline: Deadline, _: list[float]) -> None:
        deadline.set(A_LITTLE_S)

    (reached_s,) = run(story)
    assert reached_s >= A_LITTLE_S - 0.001


def test_a_deadline_that_was_lifted_is_not_reached() -> None:
    async def story(deadline: Deadline, _: list[float]) -> None:
        deadline.set(A_LITTLE_S)
        deadline.lift()

    assert run(story) == []


def test_a_later_deadline_takes_the_place_of_an_earlier_one_and_an_earlier_one_of_a_later() -> None:
    async def later(deadline: Deadline, _: list[float]) -> None:
        deadline.set(0.0)
        deadline.lift()
        deadline.set(2 * A_LITTLE_S)

    async def earlier(deadline: Deadline, _: list[float]) -> None:
        deadline.set(1_000.0)
        deadline.lift()
        deadline.set(A_LITTLE_S)

    assert run(later)[0] >= 2 * A_LITTLE_S - 0.001
    assert len(run(earlier)) == 1


def test_nothing_is_reached_after_the_end() -> None:
    async def story(deadline: Deadline, _: list[float]) -> None:
        deadline.set(A_LITTLE_S)
        deadline.close()

    assert run(story) == []


def test_while_time_stands_still_no_deadline_comes_and_afterwards_what_was_left_counts() -> None:
    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        reached = list[float]()
        deadline = SuspendableDeadline(loop, lambda: reached.append(loop.time()))
        deadline.suspend()
        deadline.set(0.0)
        await asyncio.sleep(A_LITTLE_S)
        assert reached == []
        deadline.lift()
        deadline.resume()
        await asyncio.sleep(A_LITTLE_S)
        assert reached == []
        deadline.set(2 * A_LITTLE_S)
        deadline.suspend()
        deadline.suspend()
        await asyncio.sleep(3 * A_LITTLE_S)
        assert reached == []
        resumed_s = loop.time()
        deadline.resume()
        await asyncio.sleep(4 * A_LITTLE_S)
        deadline.close()
        return [at_s - resumed_s for at_s in reached]

    (after_s,) = asyncio.run(story())
    assert after_s > A_LITTLE_S
