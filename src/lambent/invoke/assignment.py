"""Who runs the next invocation, and what must start for it: the decisions, without doing anything. Pure."""

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


def starts_ahead(*, ahead: int, idle: int, coming: int, alive: int, most: int | None) -> int:
    """Decide, after an invocation has taken an environment, how many to start that nobody has asked for yet.

    Args:
        ahead: how many are to wait for invocations beyond those that run.
        idle: how many do.
        coming: how many are being started for that already.
        alive: all that live or start, these included.
        most: the function's concurrency, which more environments than that could never use; None: no limit.
    """
    missing = ahead - idle - coming
    return max(0, missing if most is None else min(missing, most - alive))
