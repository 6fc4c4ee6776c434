"""Promises of counting what runs at once."""

from __future__ import annotations

import asyncio

from lambent.node.crowd import Crowd
from lambent.testing import ManualClock


def test_a_crowd_is_more_than_there_are_processors_and_a_moment_after() -> None:
    clock = ManualClock()
    crowd = Crowd(processors=2, monotonic_s=clock.monotonic_s)
    assert [crowd.enter() for _ in range(4)] == [False, False, True, True]
    for _ in range(3):
        crowd.leave()
    assert crowd.enter()
    crowd.leave()
    asyncio.run(clock.advance(1.5))
    assert not crowd.enter()


def test_two_that_take_turns_are_no_crowd() -> None:
    crowd = Crowd(processors=2, monotonic_s=ManualClock().monotonic_s)
    for _ in range(100):
        assert not crowd.enter()
        assert not crowd.enter()
        crowd.leave()
        crowd.leave()
