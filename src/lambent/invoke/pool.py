"""The environments of one configuration of one function, and the invocations that wait for one.

A pool is the sole owner of that state. It belongs to one event loop and is changed only between awaits.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Iterator
from functools import partial

from lambent.clock import Clock
from lambent.domain.concurrency import Provisioned
from lambent.domain.function import FunctionVersion
from lambent.errors import TooManyRequestsException
from lambent.invoke.assignment import Assignment, assign, starts_ahead
from lambent.invoke.budget import Evictable
from lambent.invoke.resident import Environment, Resident
from lambent.invoke.starts import Starts

_log = logging.getLogger(__name__)
_PROVISIONING_AT_ONCE_MAX = 4
_AHEAD_DELAY_S = 0.05
"""Before an environment is started that nobody waits for: the invocation of now has the processor first."""


class Pool:
    """Idle, busy and starting environments of one version's configuration."""

    def __init__(
        self,
        version: FunctionVersion,
        *,
        starts: Starts,
        clock: Clock,
        is_new_version: bool,
        max_life_s: float = math.inf,
        ahead: int = 0,
    ) -> None:
        """Make an empty pool.

        Args:
            version: what its environments run.
            starts: starts them.
            clock: for idle times and ages.
            is_new_version: whether another configuration of this function ran before.
            max_life_s: how old one may become, unless it is provisioned.
            ahead: how many to keep ready beyond those that run, once the version is in use.
        """
        self.version = version
        self._starts = starts
        self._clock = clock
        self._is_new_version = is_new_version
        self._max_life_s = max_life_s
        self._ahead = ahead
        self._idle: list[Resident] = []
        """The one that was used last is the last."""
        self._provisioned: set[Resident] = set()
        self._provisioned_idle: list[Resident] = []
        self._provisioned_wanted = 0
        self.is_provisioned = False
        """Whether environments are to be kept ready here."""
        self._busy: dict[Environment, Resident] = {}
        self._starting: set[asyncio.Task[None]] = set()
        self._ahead_soon: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[Resident]] = deque()
        self._has_started_any = False
        self._used_s = -math.inf
        self._taken_away = 0
        """Environments that age or a want of memory took although they were of use, and that are not replaced."""
        self._stopping: set[asyncio.Task[None]] = set()
        self._retired_reason: str | None = None

    def __repr__(self) -> str:
        return (
            f"<Pool {self.version.key.name}:{self.version.version} {len(self._busy)} busy, {self._idling} idle, "
            f"{len(self._starting)} starting, {len(self._waiting)} waiting>"
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing lives or waits here."""
        return not (self._idling or self._busy or self._starting or self._waiting)

    @property
    def environments(self) -> int:
        """How many environments live or start."""
        return self._idling + len(self._busy) + len(self._starting)

    @property
    def provisioned(self) -> Provisioned:
        """What is kept ready."""
        return Provisioned(allocated=len(self._provisioned), available=len(self._provisioned_idle))

    def is_spillover(self, environment: Environment) -> bool:
        """Return whether an environment runs something although others are provisioned, and is not one of them."""
        return bool(self._provisioned) and self._busy[environment] not in self._provisioned

    @property
    def _idling(self) -> int:
        return len(self._idle) + len(self._provisioned_idle)

    # Acquire and release -----------------------------------------------------------------------------------

    async def acquire(self, *, spills_over: bool = False, concurrency_max: int | None = None) -> Environment:
        """Return an environment for one invocation: an idle one, or the first that becomes ready.

        Args:
            spills_over: it may not have one that is provisioned and idle.
            concurrency_max: how many invocations of the function may run at most.

        Raises:
            TooManyRequestsException: environments were started too quickly, or there is no memory for one.
            Exception: whatever kept the environment that this invocation asked for from starting.
        """
        environment = self.take(spills_over=spills_over, concurrency_max=concurrency_max)
        if environment is not None:
            return environment
        return self._taken(await self._wait_for_one(), concurrency_max)

    def take(self, *, spills_over: bool = False, concurrency_max: int | None = None) -> Environment | None:
        """Return an idle environment, as `acquire` does; None: there is none."""
        resident = self._take_idle(spills_over=spills_over)
        return None if resident is None else self._taken(resident, concurrency_max)

    def _taken(self, resident: Resident, concurrency_max: int | None) -> Environment:
        resident.is_ahead = False
        if len(self._idle) < self._ahead:
            self._start_ahead_soon(concurrency_max)
        return resident.environment

    def release(self, environment: Environment, *, used_mb: int | None = None) -> None:
        """Take an environment back after its invocation: the next waiting one gets it, or it idles.

        Args:
            environment: which.
            used_mb: the most memory that it has used so far, if that is known.
        """
        resident = self._busy.pop(environment)
        self._used_s = now_s = self._clock.monotonic_s()
        if self._retired_reason is not None and not self._waiting:
            self._stop_soon(resident, self._retired_reason)
        elif now_s - resident.born_s >= self._max_life_s and resident not in self._provisioned:
            self._take_away(resident, "aged")
            self._replace()
        else:
            self._offer(resident, now_s)
        # Only now: who took this one needs no start, for which there may be room all at once.
        if used_mb is not None and used_mb != resident.used_mb:
            self._starts.measure(
                resident, used_mb, (*self._idle, *self._provisioned_idle, *self._busy.values())
            )

    def _take_idle(self, *, spills_over: bool) -> Resident | None:
        while True:
            if self._provisioned_idle and not spills_over:
                resident = self._provisioned_idle.pop()
            elif self._idle:
                resident = self._idle.pop()
            else:
                return None
            if resident.environment.is_usable:
                self._busy[resident.environment] = resident
                return resident
            self._stop_soon(resident, "failed")

    async def _wait_for_one(self) -> Resident:
        if assign(idle=0, waiting=len(self._waiting), starting=len(self._starting)) is Assignment.START:
            self._start_one()
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.release(place.result().environment)
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)
                self._starts.look_again()

    def _offer(self, resident: Resident, now_s: float) -> None:
        if not resident.environment.is_usable:
            self._stop_soon(resident, "failed")
            self._replace()
            return
        place = self._next_waiting() if self._waiting else None
        if place is not None:
            self._busy[resident.environment] = resident
            place.set_result(resident)
        elif self._retired_reason is not None:
            self._stop_soon(resident, self._retired_reason)
        else:
            resident.idle_since_s = now_s
            if resident in self._provisioned:
                self._provisioned_idle.append(resident)
            elif resident.is_ahead:
                self._idle.insert(0, resident)
            else:
                self._idle.append(resident)
        self._starts.look_again()

    def _next_waiting(self) -> asyncio.Future[Resident] | None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place
        return None

    # Provisioned concurrency -------------------------------------------------------------------------------

    async def provision(self, count: int) -> None:
        """Keep this many environments ready, and return when they are; what is too many is let go.

        Raises:
            ProvisioningError: the function cannot be initialized, or there is no memory; none is kept then.
        """
        self._want(count)
        self._let_surplus_go("deprovisioned")
        at_once = asyncio.Semaphore(_PROVISIONING_AT_ONCE_MAX)
        try:
            async with asyncio.TaskGroup() as starts:
                for _ in range(count - len(self._provisioned)):
                    starts.create_task(self._provision_one(at_once))
        except ExceptionGroup as errors:
            self._want(0)
            self._let_surplus_go("deprovisioned")
            raise errors.exceptions[0] from None

    def _want(self, provisioned: int) -> None:
        self._provisioned_wanted = provisioned
        self.is_provisioned = provisioned > 0

    async def _provision_one(self, at_once: asyncio.Semaphore) -> None:
        async with at_once:
            resident = await self._starts.provision()
        if len(self._provisioned) < self._provisioned_wanted:
            self._provisioned.add(resident)
        self._offer(resident, self._clock.monotonic_s())

    def _let_surplus_go(self, reason: str) -> None:
        while len(self._provisioned) > self._provisioned_wanted:
            if self._provisioned_idle:
                self._stop_soon(self._provisioned_idle.pop(), reason)
            else:
                # A busy one ends its invocation as an ordinary environment.
                self._provisioned.pop()

    # Retirement --------------------------------------------------------------------------------------------

    def retire_idle(self, *, older_than_s: float, reason: str) -> None:
        """Stop environments that have been idle for so long, or that are too old."""
        now_s = self._clock.monotonic_s()
        for resident in list(self._idle):
            since_s = resident.idle_since_s
            if resident.is_ahead:
                # It stays as long as the version is in use.
                since_s = now_s if self._busy else max(since_s, self._used_s)
            if now_s - since_s >= older_than_s:
                self._idle.remove(resident)
                self._stop_soon(resident, reason)
                # There is less to do than there was: who starts more later, scales out.
                self._taken_away = 0
            elif now_s - resident.born_s >= self._max_life_s:
                self._idle.remove(resident)
                self._take_away(resident, "aged")

    def retire(self, reason: str) -> None:
        """Stop every environment as soon as it is idle; there will be no new ones without a new invocation."""
        self._retired_reason = reason
        self._want(0)
        for task in self._ahead_soon - self._starting:
            task.cancel()
        self._let_surplus_go(reason)
        self.retire_idle(older_than_s=-math.inf, reason=reason)

    def evictable(self) -> Iterator[Evictable]:
        """Yield the environments that may be stopped to make room for others."""
        for resident in self._idle:
            yield Evictable(
                mb=resident.claim.mb,
                idle_since_s=resident.idle_since_s,
                is_ahead=resident.is_ahead,
                evict=partial(self._evict, resident),
            )

    async def close(self, reason: str) -> None:
        """Stop everything, also what is running."""
        self.retire(reason)
        starting = list(self._starting | self._ahead_soon)
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        for resident in list(self._busy.values()):
            self._stop_soon(resident, reason)
        while self._stopping:
            await asyncio.gather(*self._stopping, return_exceptions=True)

    def _evict(self, resident: Resident) -> None:
        self._idle.remove(resident)
        self._take_away(resident, "evicted")

    def _take_away(self, resident: Resident, reason: str) -> None:
        self._taken_away += not resident.is_ahead
        self._stop_soon(resident, reason)

    def _stop_soon(self, resident: Resident, reason: str) -> None:
        self._provisioned.discard(resident)
        resident.claim.leave()
        task = asyncio.create_task(resident.end(reason))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    # Starts ------------------------------------------------------------------------------------------------

    def _start_one(self) -> None:
        self._starts.count()
        reason = self._cold_start_reason()
        self._has_started_any = True
        task = asyncio.create_task(self._start_asked(reason))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start_asked(self, reason: str) -> None:
        await self._offer_started(
            self._starts.start(reason, is_needed=partial(self._is_needed, _this_task()))
        )

    def _replace(self) -> None:
        """Start one for somebody who counted on an environment that is gone."""
        if len(self._waiting) <= len(self._starting):
            return
        try:
            self._start_one()
        except TooManyRequestsException as error:
            self._refuse_next(error)

    def _cold_start_reason(self) -> str:
        if self._taken_away:
            self._taken_away -= 1
            return "retired"
        if self._busy or self._starting:
            return "scale-out"
        if self._has_started_any:
            return "retired"
        return "new-version" if self._is_new_version else "first"

    def _start_ahead_soon(self, concurrency_max: int | None) -> None:
        count = starts_ahead(
            ahead=self._ahead,
            idle=len(self._idle),
            coming=len(self._ahead_soon),
            alive=self.environments + len(self._ahead_soon - self._starting),
            most=concurrency_max,
        )
        for _ in range(0 if self._retired_reason is not None else count):
            task = asyncio.create_task(self._start_ahead())
            self._ahead_soon.add(task)
            task.add_done_callback(self._ahead_soon.discard)

    async def _start_ahead(self) -> None:
        await self._clock.sleep(_AHEAD_DELAY_S)
        claim = self._starts.claim_ahead()
        if claim is not None:
            # From here on an invocation that finds none idle waits for this one.
            self._starting.add(_this_task())
            await self._offer_started(self._starts.start_ahead(claim, "scale-out"))

    async def _offer_started(self, start: Awaitable[Resident | None]) -> None:
        task = _this_task()
        try:
            resident = await start
        except Exception as error:
            self._is_over(task)
            # One failed start fails one invocation: the others have starts of their own.
            if not self._refuse_next(error):
                _log.warning("An environment of %s could not be started: %s", self.version.arn, error)
            return
        self._is_over(task)
        if resident is not None:
            self._offer(resident, resident.born_s)

    def _is_over(self, task: asyncio.Task[None]) -> None:
        """Count a start as over before anything else is decided: whoever comes next must not wait for it."""
        self._starting.discard(task)
        self._ahead_soon.discard(task)

    def _is_needed(self, task: asyncio.Task[None]) -> bool:
        """Return whether a start is; one that is not is over at once, so that the others of now are counted right."""
        is_needed = len(self._waiting) >= len(self._starting)
        if not is_needed:
            self._starting.discard(task)
        return is_needed

    def _refuse_next(self, error: Exception) -> bool:
        place = self._next_waiting()
        if place is not None:
            place.set_exception(error)
        return place is not None


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task
