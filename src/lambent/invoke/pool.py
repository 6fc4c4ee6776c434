"""The environments of one configuration of one function, and the invocations that wait for one.

A pool is the sole owner of that state. It belongs to one event loop and is changed only between awaits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from lambent.clock import Clock
from lambent.domain.concurrency import Provisioned
from lambent.domain.function import FunctionVersion
from lambent.domain.invocation import Invocation, Outcome
from lambent.invoke.assignment import Assignment, assign


class Environment(Protocol):
    """What a pool needs of an execution environment. See `lambent.node.environment`."""

    @property
    def is_usable(self) -> bool:
        """Whether an invocation may be handed to it."""
        ...

    async def invoke(self, invocation: Invocation) -> Outcome:
        """Run one invocation."""
        ...

    async def stop(self, reason: str) -> None:
        """End it."""
        ...


StartEnvironment = Callable[[FunctionVersion, str], Awaitable[Environment]]
"""Starts an environment of a version, for a cold start reason."""
PROVISIONED = "provisioned"
"""The reason for a start ahead of invocations, which must succeed in its init phase (else ProvisioningError)."""
_PROVISIONING_AT_ONCE_MAX = 4


class Pool:
    """Idle, busy and starting environments of one version's configuration."""

    def __init__(
        self, version: FunctionVersion, *, start: StartEnvironment, clock: Clock, is_new_version: bool
    ) -> None:
        """Make an empty pool.

        Args:
            version: what its environments run.
            start: starts one.
            clock: for idle times.
            is_new_version: whether another configuration of this function ran before.
        """
        self.version = version
        self._start = start
        self._clock = clock
        self._is_new_version = is_new_version
        self._idle: list[tuple[Environment, float]] = []
        self._provisioned: set[Environment] = set()
        self._provisioned_idle: list[Environment] = []
        self._provisioned_wanted = 0
        self._busy: set[Environment] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._waiting: deque[asyncio.Future[Environment]] = deque()
        self._has_started_any = False
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
    def is_provisioned(self) -> bool:
        """Whether environments are to be kept ready here."""
        return self._provisioned_wanted > 0

    @property
    def provisioned(self) -> Provisioned:
        """What is kept ready."""
        return Provisioned(allocated=len(self._provisioned), available=len(self._provisioned_idle))

    @property
    def _idling(self) -> int:
        return len(self._idle) + len(self._provisioned_idle)

    async def acquire(self) -> Environment:
        """Return an environment for one invocation: an idle one, or the first that becomes ready.

        Raises:
            Exception: whatever kept the environment that this invocation asked for from starting.
        """
        while self._idling:
            environment = self._provisioned_idle.pop() if self._provisioned_idle else self._idle.pop()[0]
            if environment.is_usable:
                self._busy.add(environment)
                return environment
            self._stop_soon(environment, "failed")
        if assign(idle=0, waiting=len(self._waiting), starting=len(self._starting)) is Assignment.START:
            self._start_one()
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.release(place.result())
            raise
        finally:
            if place in self._waiting:
                self._waiting.remove(place)

    def release(self, environment: Environment) -> None:
        """Take an environment back after its invocation: the next waiting one gets it, or it idles."""
        self._busy.discard(environment)
        if self._retired_reason is not None and not self._waiting:
            self._stop_soon(environment, self._retired_reason)
            return
        self._offer(environment)

    async def provision(self, count: int) -> None:
        """Keep this many environments ready, and return when they are; what is too many is let go.

        Raises:
            ProvisioningError: the function cannot be initialized; none is kept then.
        """
        self._provisioned_wanted = count
        self._let_surplus_go("deprovisioned")
        at_once = asyncio.Semaphore(_PROVISIONING_AT_ONCE_MAX)
        try:
            async with asyncio.TaskGroup() as starts:
                for _ in range(count - len(self._provisioned)):
                    starts.create_task(self._provision_one(at_once))
        except ExceptionGroup as errors:
            self._provisioned_wanted = 0
            self._let_surplus_go("deprovisioned")
            raise errors.exceptions[0] from None

    async def _provision_one(self, at_once: asyncio.Semaphore) -> None:
        async with at_once:
            environment = await self._start(self.version, PROVISIONED)
        if len(self._provisioned) < self._provisioned_wanted:
            self._provisioned.add(environment)
        self._offer(environment)

    def _let_surplus_go(self, reason: str) -> None:
        while len(self._provisioned) > self._provisioned_wanted:
            if self._provisioned_idle:
                self._stop_soon(self._provisioned_idle.pop(), reason)
            else:
                # A busy one ends its invocation as an ordinary environment.
                self._provisioned.pop()

    def retire_idle(self, *, older_than_s: float, reason: str) -> None:
        """Stop environments that have been idle for so long."""
        now_s = self._clock.monotonic_s()
        keep = [entry for entry in self._idle if now_s - entry[1] < older_than_s]
        gone = [entry for entry in self._idle if now_s - entry[1] >= older_than_s]
        self._idle = keep
        for environment, _ in gone:
            self._stop_soon(environment, reason)

    def retire(self, reason: str) -> None:
        """Stop every environment as soon as it is idle; there will be no new ones without a new invocation."""
        self._retired_reason = reason
        self._provisioned_wanted = 0
        self._let_surplus_go(reason)
        self.retire_idle(older_than_s=0.0, reason=reason)

    async def close(self, reason: str) -> None:
        """Stop everything, also what is running."""
        self.retire(reason)
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for environment in list(self._busy):
            self._stop_soon(environment, reason)
        while self._stopping:
            await asyncio.gather(*self._stopping, return_exceptions=True)

    def _start_one(self) -> None:
        reason = self._cold_start_reason()
        self._has_started_any = True
        task = asyncio.create_task(self._start_and_offer(reason))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    def _cold_start_reason(self) -> str:
        if self._busy or self._starting:
            return "scale-out"
        if self._has_started_any:
            return "retired"
        return "new-version" if self._is_new_version else "first"

    async def _start_and_offer(self, reason: str) -> None:
        try:
            environment = await self._start(self.version, reason)
        except Exception as error:
            self._is_started()
            # One failed start fails one invocation: the others have starts of their own.
            place = self._next_waiting()
            if place is not None:
                place.set_exception(error)
            return
        self._is_started()
        self._offer(environment)

    def _is_started(self) -> None:
        """Count this start as over before anything else is decided: whoever comes next must not wait for it."""
        task = asyncio.current_task()
        assert task is not None
        self._starting.discard(task)

    def _offer(self, environment: Environment) -> None:
        if not environment.is_usable:
            self._stop_soon(environment, "failed")
            if len(self._waiting) > len(self._starting):
                self._start_one()
            return
        place = self._next_waiting()
        if place is not None:
            self._busy.add(environment)
            place.set_result(environment)
        elif self._retired_reason is not None:
            self._stop_soon(environment, self._retired_reason)
        elif environment in self._provisioned:
            self._provisioned_idle.append(environment)
        else:
            self._idle.append((environment, self._clock.monotonic_s()))

    def _next_waiting(self) -> asyncio.Future[Environment] | None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                return place
        return None

    def _stop_soon(self, environment: Environment, reason: str) -> None:
        self._provisioned.discard(environment)
        task = asyncio.create_task(environment.stop(reason))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
