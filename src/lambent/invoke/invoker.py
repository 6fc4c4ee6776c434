"""The story of one invocation, and the pools that it meets."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator
from typing import Any, Self

import msgspec

from lambent.clock import Clock
from lambent.domain.concurrency import Provisioned
from lambent.domain.function import FunctionKey, FunctionVersion
from lambent.domain.function_facts import EmitFunctionFact, Throttled, unheard
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.limits import STREAMED_RESPONSE_MAX_BYTES
from lambent.errors import ServiceError, ServiceException, TooManyRequestsException
from lambent.invoke.budget import Evictable, MemoryBudget, footprint_mb
from lambent.invoke.counting import Counting
from lambent.invoke.debugging import Debugging
from lambent.invoke.pool import Pool
from lambent.invoke.rates import ScalingRates
from lambent.invoke.starts import StartEnvironment, Starts
from lambent.invoke.streamed import Bandwidth, Streamed, begun
from lambent.response_stream import ResponseStream
from lambent.runtimes import RuntimeUnavailable

_log = logging.getLogger(__name__)
_SWEEP_MAX_S = 10.0


class Invoker:
    """Runs invocations. Use as an async context manager: leaving it drains and then stops every environment."""

    def __init__(
        self,
        *,
        start: StartEnvironment,
        clock: Clock,
        account_concurrency: int,
        idle_timeout_s: float,
        drain_timeout_s: float,
        memory: MemoryBudget | None = None,
        max_life_s: float = math.inf,
        snapstart_ahead: int = 0,
        bandwidth: Bandwidth | None = None,
        emit: EmitFunctionFact = unheard,
        debugging: Debugging | None = None,
    ) -> None:
        """Make an invoker without environments.

        Args:
            start: starts an environment.
            clock: the time.
            account_concurrency: concurrent executions of an account in a region.
            idle_timeout_s: how long an environment may idle.
            drain_timeout_s: how long leaving waits for running invocations.
            memory: what environments may claim, shared with whoever else needs memory; None: no limit.
            max_life_s: how old an environment may become.
            snapstart_ahead: environments to keep ready beyond those that run, for versions with SnapStart.
            bandwidth: how quickly streamed responses go; None: as quickly as they can.
            emit: is told of what is refused.
            debugging: runs invocations under a debugger; None: that is not possible.
        """
        self._emit = emit
        self._start = start
        self.debugging = debugging or Debugging.impossible()
        """Runs invocations under a debugger."""
        self._clock = clock
        self._counting = Counting(account_concurrency=account_concurrency, clock=clock)
        self._memory = memory or MemoryBudget(limit_mb=None, clock=clock, wait_s=0.0)
        self._memory.evict_from(self._evictable)
        self._scaling = ScalingRates()
        self._max_life_s = max_life_s
        self._snapstart_ahead = snapstart_ahead
        self._idle_timeout_s = idle_timeout_s
        self._drain_timeout_s = drain_timeout_s
        self._pools: dict[str, Pool] = {}
        """By configuration, and where tenants are isolated by tenant."""
        self._seen: dict[FunctionKey, str] = {}
        """The configuration that ran last."""
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._leaving: set[Pool] = set()
        self._bandwidth = bandwidth
        self._streaming: set[asyncio.Task[Outcome]] = set()
        self._sweeping: asyncio.Task[None] | None = None

    async def invoke(
        self,
        invocation: Invocation,
        *,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
        is_rate_limited: bool = True,
        into: ResponseStream | None = None,
    ) -> Outcome:
        """Run an invocation in an execution environment of its version.

        Args:
            invocation: what to run.
            reserved_concurrency: the function's ReservedConcurrentExecutions.
            provisioned_concurrency: how many invocations of the version its environments are kept ready for.
            unreserved_concurrency: what functions without a reservation share; None: all of the account's.
            is_rate_limited: whether the rate of requests counts, as it does for synchronous invocations.
            into: is handed the response while it comes.

        Raises:
            TooManyRequestsException: a limit of concurrency, of the rate of requests or of new environments is
                reached, or there is no memory for one.
            ServiceException: no environment could be started.
        """
        try:
            admission = self._counting.admit(
                invocation.version.key,
                reserved_concurrency,
                configuration_id=invocation.version.configuration_id,
                provisioned_concurrency=provisioned_concurrency,
                unreserved_concurrency=unreserved_concurrency,
                is_rate_limited=is_rate_limited,
            )
            self._is_idle.clear()
            concurrency_max = unreserved_concurrency if reserved_concurrency is None else reserved_concurrency
            try:
                return await self._run(invocation, admission.spills_over, concurrency_max, into)
            finally:
                if self._counting.end(admission):
                    self._is_idle.set()
        except TooManyRequestsException:
            self._emit(Throttled(function=invocation.version.key))
            raise

    async def stream(
        self,
        invocation: Invocation,
        *,
        takes_everything: bool,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
    ) -> Streamed:
        """Run an invocation and return as soon as its response begins to come, or as it ends without one.

        It runs to its end even when nobody reads what it answers.

        Args:
            invocation: as for `invoke`, and so are the limits.
            takes_everything: whether also a response comes this way that its runtime has not announced as a stream.

        Raises:
            ServiceError: as `invoke`.
        """
        into = ResponseStream(max_bytes=STREAMED_RESPONSE_MAX_BYTES, takes_everything=takes_everything)
        running = self._invoke_into(
            into,
            invocation,
            reserved_concurrency=reserved_concurrency,
            provisioned_concurrency=provisioned_concurrency,
            unreserved_concurrency=unreserved_concurrency,
        )
        task = asyncio.create_task(running)
        self._streaming.add(task)
        task.add_done_callback(self._streaming.discard)
        return await begun(into, task, bandwidth=self._bandwidth)

    async def _invoke_into(self, into: ResponseStream, invocation: Invocation, **limits: Any) -> Outcome:
        try:
            return await self.invoke(invocation, into=into, **limits)
        finally:
            into.finish()

    async def _run(
        self,
        invocation: Invocation,
        spills_over: bool,
        concurrency_max: int | None,
        into: ResponseStream | None,
    ) -> Outcome:
        if invocation.debug_port is not None:
            return await self._debug(invocation, invocation.debug_port)
        pool = self._pool_of(invocation.version, invocation.tenant_id)
        try:
            environment = pool.take(spills_over=spills_over, concurrency_max=concurrency_max)
            if environment is None:
                environment = await pool.acquire(spills_over=spills_over, concurrency_max=concurrency_max)
        except Exception as error:
            raise _start_failure(invocation.version, error) from error
        if pool.is_provisioned and pool.is_spillover(environment):
            invocation = msgspec.structs.replace(invocation, is_spillover=True)
        used_mb = None
        try:
            outcome = await environment.invoke(invocation, into)
            used_mb = outcome.report.max_memory_used_mb
            return outcome
        finally:
            pool.release(environment, used_mb=used_mb)

    async def _debug(self, invocation: Invocation, port: int) -> Outcome:
        held = self._memory.hold(footprint_mb(memory_mb=invocation.version.memory_mb, used_mb=None))
        try:
            return await self.debugging.invoke(invocation, port)
        except Exception as error:
            raise _start_failure(invocation.version, error) from error
        finally:
            held.release()

    async def provision(self, version: FunctionVersion, count: int) -> None:
        """Keep this many environments of a published version ready, and return when they are.

        They are started ahead of invocations and not retired, neither for idling nor by `retire`, until
        another count is asked for; 0 lets them go.

        Raises:
            ProvisioningError: the function cannot be initialized; none is kept then.
            Exception: whatever kept an environment from starting; none is kept then either.
        """
        if count > 0 or version.configuration_id in self._pools:
            await self._pool_of(version).provision(count)

    def provisioned(self, version: FunctionVersion) -> Provisioned:
        """Return what is kept ready of a version now."""
        pool = self._pools.get(version.configuration_id)
        return pool.provisioned if pool is not None else Provisioned()

    def retire(self, key: FunctionKey) -> None:
        """Let the environments of a function go as soon as they are idle: its code or configuration changed.

        A version with provisioned concurrency keeps its environments: a published version does not change.
        """
        pools = [(at, pool) for at, pool in self._pools.items() if pool.version.key == key]
        for at, pool in [(at, pool) for at, pool in pools if not pool.is_provisioned]:
            pool.retire("replaced")
            # A later invocation of the same configuration gets a new pool.
            del self._pools[at]
            self._leaving = {other for other in self._leaving if not other.is_empty} | {pool}

    def environments(self) -> int:
        """Return how many environments live."""
        return sum(pool.environments for pool in (*self._pools.values(), *self._leaving))

    @property
    def memory(self) -> MemoryBudget:
        """What environments claim of the machine's memory."""
        return self._memory

    def running(self) -> int:
        """Return how many invocations run."""
        return self._counting.running()

    def concurrency(self) -> list[tuple[str, str, int, int]]:
        """Return accounts and regions with what runs there; see `Counting.by_place`."""
        return self._counting.by_place()

    async def __aenter__(self) -> Self:
        self._sweeping = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await self._is_idle.wait()
        except TimeoutError:
            _log.warning("Stopping with %d invocations still running.", self._counting.running())
        if self._sweeping is not None:
            self._sweeping.cancel()
        await asyncio.gather(*(pool.close("shutdown") for pool in (*self._pools.values(), *self._leaving)))

    def _pool_of(self, version: FunctionVersion, tenant_id: str | None = None) -> Pool:
        at = version.configuration_id if tenant_id is None else f"{version.configuration_id} {tenant_id}"
        pool = self._pools.get(at)
        if pool is None:
            is_new_version = self._seen.get(version.key, version.configuration_id) != version.configuration_id
            self._seen[version.key] = version.configuration_id
            pool = Pool(
                version,
                starts=Starts(
                    version, start=self._start, clock=self._clock, memory=self._memory, scaling=self._scaling
                ),
                clock=self._clock,
                is_new_version=is_new_version,
                max_life_s=self._max_life_s,
                ahead=self._snapstart_ahead if version.has_snapshot else 0,
            )
            self._pools[at] = pool
        return pool

    def _evictable(self) -> Iterator[Evictable]:
        for pool in self._pools.values():
            yield from pool.evictable()

    async def _sweep(self) -> None:
        """Retire idle environments, for ever."""
        pause_s = min(_SWEEP_MAX_S, max(0.05, min(self._idle_timeout_s, self._max_life_s) / 4))
        while True:
            await self._clock.sleep(pause_s)
            for at, pool in list(self._pools.items()):
                if pool.is_empty and at != pool.version.configuration_id:
                    del self._pools[at]  # of a tenant, of whom there may be any number
                else:
                    pool.retire_idle(older_than_s=self._idle_timeout_s, reason="idle")


def _start_failure(version: FunctionVersion, error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    _log.error("No environment could be started for %s: %s", version.arn, error)
    if isinstance(error, RuntimeUnavailable):
        return ServiceException(str(error))
    return ServiceException("The execution environment could not be started. The server's log says why.")
