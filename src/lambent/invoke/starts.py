"""Starting environments of one version: each needs memory first, and is started only as quickly as AWS would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from lambent.clock import Clock
from lambent.domain.concurrency import INSUFFICIENT_MEMORY, ProvisioningError
from lambent.domain.function import FunctionVersion
from lambent.errors import TooManyRequestsException
from lambent.invoke.budget import Claim, MemoryBudget, footprint_mb
from lambent.invoke.rates import ScalingRates
from lambent.invoke.resident import Environment, Resident

StartEnvironment = Callable[[FunctionVersion, str], Awaitable[Environment]]
"""Starts an environment of a version, for a cold start reason."""
PROVISIONED = "provisioned"
"""The reason for a start ahead of invocations, which must succeed in its init phase (else ProvisioningError)."""


class Starts:
    """Starts environments of one version, and knows what memory they use.

    Args:
        version: what they run.
        start: starts one.
        clock: when they were born, and how quickly they may come.
        memory: what they may claim.
        scaling: how quickly the function may get more of them.
    """

    def __init__(
        self,
        version: FunctionVersion,
        *,
        start: StartEnvironment,
        clock: Clock,
        memory: MemoryBudget,
        scaling: ScalingRates,
    ) -> None:
        self._version = version
        self._start = start
        self._clock = clock
        self._memory = memory
        self._scaling = scaling
        self._most_used_mb: int | None = None

    def count(self) -> None:
        """Count a start that an invocation asks for.

        Raises:
            TooManyRequestsException: there were too many too quickly.
        """
        self._scaling.take(self._version.key, self._clock.monotonic_s())

    async def start(self, reason: str, *, is_needed: Callable[[], bool]) -> Resident | None:
        """Start one when there is memory; None if by then it was not needed any more.

        Raises:
            TooManyRequestsException: there was no memory for too long.
            Exception: whatever kept it from starting.
        """
        claim = await self._memory.claim(lambda: self._expected_mb if is_needed() else 0)
        return None if claim is None else await self._start_claimed(claim, reason)

    async def provision(self) -> Resident:
        """Start one that is to be kept ready.

        Raises:
            ProvisioningError: the function cannot be initialized, or there is no memory.
            Exception: whatever else kept it from starting.
        """
        try:
            claim = await self._memory.claim(lambda: self._expected_mb)
        except TooManyRequestsException:
            raise ProvisioningError(INSUFFICIENT_MEMORY) from None
        assert claim is not None, "it is always needed"
        return await self._start_claimed(claim, PROVISIONED)

    def claim_ahead(self) -> Claim | None:
        """Return what a start needs that nobody has asked for; None if that would be to the cost of others."""
        claim = self._memory.try_claim(self._expected_mb)
        if claim is None:
            return None
        try:
            self.count()
        except TooManyRequestsException:
            claim.release()
            return None
        return claim

    async def start_ahead(self, claim: Claim, reason: str) -> Resident:
        """Start one that nobody has asked for.

        Raises:
            Exception: whatever kept it from starting.
        """
        resident = await self._start_claimed(claim, reason)
        resident.is_ahead = True
        return resident

    def measure(self, resident: Resident, used_mb: int, others: Iterable[Resident]) -> None:
        """Take note of what one has used; it is also what those are expected to use that have not run yet."""
        resident.used_mb = used_mb
        resident.claim.resize(footprint_mb(memory_mb=self._version.memory_mb, used_mb=used_mb))
        if self._most_used_mb is None or used_mb > self._most_used_mb:
            self._most_used_mb = used_mb
            for other in others:
                if other.used_mb is None:
                    other.claim.resize(self._expected_mb)

    def look_again(self) -> None:
        """Say that something may go, or that something is not needed any more."""
        if self._memory.is_wanted:
            self._memory.look_again()

    @property
    def _expected_mb(self) -> int:
        return footprint_mb(memory_mb=self._version.memory_mb, used_mb=self._most_used_mb)

    async def _start_claimed(self, claim: Claim, reason: str) -> Resident:
        try:
            environment = await self._start(self._version, reason)
        except BaseException:
            claim.release()
            raise
        # Meanwhile others of the version may have shown what they use.
        claim.resize(self._expected_mb)
        return Resident(environment, claim, born_s=self._clock.monotonic_s())
