"""What live environments may claim of the machine's memory, and who has to go when it is not enough.

The measure is what an environment has been seen to use (Max Memory Used, from its control group), never less
than a floor. MemorySize would be none: it is a limit, which an idle environment with 8 MB is far from, so its
sum would refuse work that fits easily. Of an environment that has not run anything yet, what others of its
version have used is claimed, else a share of its MemorySize.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lambent.clock import Clock
from lambent.invoke.rates import throttled

FLOOR_MB = 16
"""Of any environment: a bare interpreter, and what the kernel keeps for its walls, which no group is charged."""
_UNKNOWN_SHARE = 4
"""A version that nothing is known of claims one part in so many of its MemorySize."""


def footprint_mb(*, memory_mb: int, used_mb: int | None) -> int:
    """Return what to claim for an environment.

    Args:
        memory_mb: MemorySize.
        used_mb: the most that it, or others of its version, have used; None: nothing is known yet.
    """
    return max(FLOOR_MB, memory_mb // _UNKNOWN_SHARE if used_mb is None else used_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evictable:
    """An idle environment, or what environments could be copied from, that may be stopped to make room."""

    mb: int
    idle_since_s: float
    is_ahead: bool
    """It has never been used: nobody misses it."""
    evict: Callable[[], None]
    """Stops it soon."""


def victims(idle: Iterable[Evictable], *, missing_mb: int) -> list[Evictable]:
    """Choose which idle environments to stop, those first that have not been used for longest.

    None is chosen when all of them would not be enough: stopping some would cost cold starts and gain nothing.
    """
    chosen: list[Evictable] = []
    for environment in sorted(idle, key=lambda it: (not it.is_ahead, it.idle_since_s)):
        if missing_mb <= 0:
            break
        chosen.append(environment)
        missing_mb -= environment.mb
    return chosen if missing_mb <= 0 else []


class Claim:
    """A part of the budget that somebody holds."""

    __slots__ = ("_budget", "_is_leaving", "mb")

    def __init__(self, budget: MemoryBudget, mb: int) -> None:
        self._budget = budget
        self._is_leaving = False
        self.mb = mb

    def resize(self, mb: int) -> None:
        """Hold this much from now on. Growing is not refused: the memory is in use already."""
        if self.mb and not self._is_leaving:
            self._budget.change(mb - self.mb)
            self.mb = mb

    def leave(self) -> None:
        """Say that it will be released in a moment, so that nobody else has to go for it."""
        if self.mb and not self._is_leaving:
            self._is_leaving = True
            self._budget.expect(self.mb)

    def release(self) -> None:
        """Give it back. May be repeated."""
        mb, self.mb = self.mb, 0
        if mb:
            if self._is_leaving:
                self._budget.expect(-mb)
            self._budget.change(-mb)


@dataclass(slots=True, eq=False)
class _Want:
    """Somebody who waits for a claim."""

    needed_mb: Callable[[], int]
    place: asyncio.Future[Claim | None]


class MemoryBudget:
    """Hands out claims in turn. Sole owner of what is claimed; belongs to one event loop.

    Args:
        limit_mb: how much may be claimed together; None: as much as is asked for.
        clock: for the time that somebody waits.
        wait_s: how long that is at most.
    """

    def __init__(self, *, limit_mb: int | None, clock: Clock, wait_s: float) -> None:
        self._limit_mb = math.inf if limit_mb is None else limit_mb
        self._clock = clock
        self._wait_s = wait_s
        self._claimed_mb = 0
        self._leaving_mb = 0
        self._wants: deque[_Want] = deque()
        self._idle: list[Callable[[], Iterable[Evictable]]] = []

    @property
    def limit_mb(self) -> int | None:
        """How much may be claimed together."""
        return None if self._limit_mb == math.inf else int(self._limit_mb)

    @property
    def claimed_mb(self) -> int:
        """How much is claimed."""
        return self._claimed_mb

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits: then whoever has something that may go says so with `look_again`."""
        return bool(self._wants)

    def evict_from(self, idle: Callable[[], Iterable[Evictable]]) -> None:
        """Say whom else to ask for what may be stopped."""
        self._idle.append(idle)

    def try_claim(self, mb: int) -> Claim | None:
        """Return a claim if there is room now and nobody waits: nothing is stopped for it."""
        if self._wants or not self._fits(mb):
            return None
        return self._claim(mb)

    def hold(self, mb: int) -> Claim:
        """Return a claim on what is in use already, whether there was room for it or not; others make room."""
        claim = Claim(self, mb)
        self.change(mb)
        return claim

    async def claim(self, needed_mb: Callable[[], int]) -> Claim | None:
        """Return a claim as soon as there is room, in the order of asking; idle environments make room.

        Args:
            needed_mb: says how much, now and whenever it is this one's turn; 0 when it is not needed any more.

        Returns:
            None: it is not needed any more.

        Raises:
            TooManyRequestsException: there was no room for too long.
        """
        want = _Want(needed_mb, asyncio.get_running_loop().create_future())
        self._wants.append(want)
        self.look_again()
        if want.place.done():
            return want.place.result()
        giving_up = asyncio.create_task(self._give_up(want))
        try:
            return await want.place
        except asyncio.CancelledError:
            if want.place.done() and not want.place.cancelled() and want.place.exception() is None:
                claim = want.place.result()
                if claim is not None:
                    claim.release()
            raise
        finally:
            giving_up.cancel()
            if want in self._wants:
                self._wants.remove(want)
                self.look_again()

    def look_again(self) -> None:
        """Serve those who wait, the first of them first: something has changed."""
        while self._wants:
            want = self._wants[0]
            needed_mb = 0 if want.place.done() else want.needed_mb()
            if needed_mb and not self._fits(needed_mb):
                self._make_room(needed_mb)
                return
            self._wants.popleft()
            if not want.place.done():
                want.place.set_result(self._claim(needed_mb) if needed_mb else None)
        if self._claimed_mb - self._leaving_mb > self._limit_mb:
            self._make_room(0)

    def change(self, mb: int) -> None:
        """A claim has grown by this much; `Claim` says so."""
        self._claimed_mb += mb
        if self._wants or self._claimed_mb > self._limit_mb:
            self.look_again()

    def expect(self, mb: int) -> None:
        """This much of what is claimed will be released in a moment; `Claim` says so."""
        self._leaving_mb += mb

    def _fits(self, mb: int) -> bool:
        return self._claimed_mb + min(mb, self._limit_mb) <= self._limit_mb

    def _claim(self, mb: int) -> Claim:
        # What is expected may be more than there is; it may run alone then.
        mb = int(min(mb, self._limit_mb))
        self._claimed_mb += mb
        return Claim(self, mb)

    def _make_room(self, needed_mb: int) -> None:
        idle = [it for ask in self._idle for it in ask()]
        stays_mb = self._claimed_mb - self._leaving_mb
        missing_mb = int(stays_mb + min(needed_mb, self._limit_mb) - self._limit_mb)
        if not needed_mb:
            # More is used than there is: whatever can go helps.
            missing_mb = min(missing_mb, sum(environment.mb for environment in idle))
        for environment in victims(idle, missing_mb=missing_mb):
            environment.evict()

    async def _give_up(self, want: _Want) -> None:
        await self._clock.sleep(self._wait_s)
        if not want.place.done() and not want.needed_mb():
            want.place.set_result(None)
        elif not want.place.done():
            # The want is of memory, and memory is concurrency here: AWS's word for an account that has no more.
            want.place.set_exception(throttled("ConcurrentInvocationLimitExceeded"))
