"""Who runs the next invocation: the decision, without doing anything. Pure."""

from __future__ import annotations

from enum import Enum


class Assignment(Enum):
    """What to do with an invocation."""

    REUSE = "reuse"
    """An idle environment takes it."""
    START = "start"
    """A new environment is started for it; whichever is ready first, that one or another, takes it."""
    WAIT = "wait"
    """Enough environments are on their way: it takes the first that is ready."""


def assign(*, idle: int, waiting: int, starting: int) -> Assignment:
    """Decide for one invocation that has just come.

    Args:
        idle: environments that could take it now.
        waiting: invocations that wait already, without this one.
        starting: environments that are starting.
    """
    if idle > 0:
        return Assignment.REUSE
    if starting > waiting:
        return Assignment.WAIT
    return Assignment.START
