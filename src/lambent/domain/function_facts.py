"""Facts about functions that no execution environment has to do with: refused, queued, given up, taken from a source.

Like `lambent.domain.facts` they are emitted and never answered; metrics are made of them.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lambent.domain.function import FunctionKey


class FunctionFact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened to a function."""

    function: FunctionKey


class Throttled(FunctionFact, frozen=True, kw_only=True, gc=False):
    """An invocation was refused because a limit of concurrency, a rate or memory is reached."""


class EventReceived(FunctionFact, frozen=True, kw_only=True, gc=False):
    """An asynchronous event was accepted."""


class EventBegun(FunctionFact, frozen=True, kw_only=True, gc=False):
    """An attempt to run an event began."""

    age_ms: float
    """Since it was accepted."""


class EventDropped(FunctionFact, frozen=True, kw_only=True, gc=False):
    """An event was given up without the function having ended well with it."""


class LoopEnded(FunctionFact, frozen=True, kw_only=True, gc=False):
    """An invocation was refused because its chain has gone through the function too often."""


class DeliveryFailed(FunctionFact, frozen=True, kw_only=True, gc=False):
    """What is told of an event that has ended was given up."""

    is_dead_letter: bool


class RecordsCounted(FunctionFact, frozen=True, kw_only=True, gc=False):
    """Something became of records of an event source mapping."""

    mapping: str
    """Its UUID."""
    metric: str
    """AWS's name: ``PolledEventCount``, ``FilteredOutEventCount``, ``InvokedEventCount``,
    ``FailedInvokeEventCount`` or ``DeletedEventCount``."""
    count: int


EmitFunctionFact = Callable[[FunctionFact], None]
"""Takes note of a fact; never waits and never fails."""


def unheard(_: FunctionFact) -> None:
    """Let a fact go where nobody listens."""
