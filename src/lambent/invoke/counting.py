"""Live concurrency and the rate of requests, counted against the quotas of accounts and functions."""

from __future__ import annotations

import math

import msgspec

from lambent.clock import Clock
from lambent.domain.function import FunctionKey
from lambent.invoke.rates import REQUESTS_PER_CONCURRENCY_PER_S, TokenBucket, throttled

_FUNCTIONS_MAX = 10_000


class _Share:
    """Concurrency of one owner: an account's unreserved, a function's reserved, or a version's provisioned."""

    __slots__ = ("requests", "running")

    def __init__(self, now_s: float) -> None:
        self.running = 0
        self.requests = TokenBucket(math.inf, now_s)

    def is_idle(self, now_s: float) -> bool:
        """Return whether nothing runs, and nothing has come for so long that its rate is forgotten."""
        return not self.running and now_s - self.requests.at_s >= 1.0


class _Function:
    """What a function's invocations use."""

    __slots__ = ("provisioned", "reserved", "unreserved")

    def __init__(self, unreserved: _Share, now_s: float) -> None:
        self.unreserved = unreserved
        """Of its account."""
        self.reserved = _Share(now_s)
        self.provisioned: dict[str, _Share] = {}
        """By configuration."""

    def is_idle(self, now_s: float) -> bool:
        return self.reserved.is_idle(now_s) and all(it.is_idle(now_s) for it in self.provisioned.values())


class Admission(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One invocation that is counted, until it is given back to `Counting.end`."""

    share: _Share | None
    provisioned: _Share | None
    spills_over: bool
    """Whether its version has provisioned concurrency and that is used up."""


class Counting:
    """How many invocations run now and how many have come, by whose concurrency they use.

    Args:
        account_concurrency: concurrent executions of an account in a region.
        clock: for the rate of requests.
    """

    def __init__(self, *, account_concurrency: int, clock: Clock) -> None:
        self._account_concurrency = account_concurrency
        self._clock = clock
        self._running = 0
        self._accounts: dict[tuple[str, str], _Share] = {}
        self._functions: dict[FunctionKey, _Function] = {}

    def running(self) -> int:
        """Return how many invocations run now."""
        return self._running

    def by_place(self) -> list[tuple[str, str, int, int]]:
        """Return accounts and regions with what runs there now: all, and that without a reservation.

        What uses provisioned concurrency has no reservation, unless its function has one.
        """
        unreserved = {place: share.running for place, share in self._accounts.items()}
        running = dict(unreserved)
        for key, function in self._functions.items():
            place = key.account, key.region
            provisioned = sum(share.running for share in function.provisioned.values())
            running[place] += max(function.reserved.running, provisioned)
            unreserved[place] += max(0, provisioned - function.reserved.running)
        return [(*place, running[place], unreserved[place]) for place in running]

    def end(self, admission: Admission) -> bool:
        """Count an invocation off; return whether it was the last that ran."""
        if admission.share is not None:
            admission.share.running -= 1
        if admission.provisioned is not None:
            admission.provisioned.running -= 1
        self._running -= 1
        return self._running == 0

    def admit(
        self,
        key: FunctionKey,
        reserved_concurrency: int | None = None,
        *,
        configuration_id: str = "",
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
        is_rate_limited: bool = True,
    ) -> Admission:
        """Count an invocation, until what is returned is given to `end`.

        A function with a reservation has that and no more. Any other has what is provisioned for its version,
        and beyond it what is left of the concurrency that such functions share. Each of these allows ten
        requests a second for each unit, and a burst of one second's worth (AWS page "Lambda quotas"). What is
        too much for provisioned concurrency, or too quick, spills over.

        Args:
            key: the function.
            reserved_concurrency: its ReservedConcurrentExecutions.
            configuration_id: the version that runs, by its configuration.
            provisioned_concurrency: how many invocations of the version its environments are kept ready for.
            unreserved_concurrency: what functions without a reservation share; None: all of the account's.
            is_rate_limited: whether the rate of requests counts, as it does for synchronous invocations.

        Raises:
            TooManyRequestsException: a limit is reached; the reason is AWS's word for which.
        """
        now_s = self._clock.monotonic_s() if is_rate_limited else None
        function = self._functions.get(key) or self._new_function(key)
        share = provisioned = None
        if reserved_concurrency is not None:
            share = function.reserved
            _admit(share, reserved_concurrency, now_s, _RESERVED)
        if provisioned_concurrency:
            provisioned = self._provisioned_of(function, configuration_id)
            if _refusal(provisioned, provisioned_concurrency, now_s) is not None:
                provisioned = None
            else:
                provisioned.running += 1
        if share is None and provisioned is None:
            share = function.unreserved
            limit = self._account_concurrency if unreserved_concurrency is None else unreserved_concurrency
            _admit(share, limit, now_s, _UNRESERVED)
        self._running += 1
        return Admission(share, provisioned, provisioned_concurrency > 0 and provisioned is None)

    def _provisioned_of(self, function: _Function, configuration_id: str) -> _Share:
        share = function.provisioned.get(configuration_id)
        if share is None:
            share = function.provisioned[configuration_id] = _Share(self._clock.monotonic_s())
        return share

    def _new_function(self, key: FunctionKey) -> _Function:
        now_s = self._clock.monotonic_s()
        if len(self._functions) >= _FUNCTIONS_MAX:
            self._functions = {
                k: function for k, function in self._functions.items() if not function.is_idle(now_s)
            }
        unreserved = self._accounts.setdefault((key.account, key.region), _Share(now_s))
        function = self._functions[key] = _Function(unreserved, now_s)
        return function


_CONCURRENCY, _RATE = 0, 1
# Two words for each limit: of concurrency, and of the rate of requests. `CallerRateLimitExceeded` is AWS's for a
# caller who asks its API too often, whatever the function: seen as the answer to asynchronous invocations.
_UNRESERVED = ("ConcurrentInvocationLimitExceeded", "FunctionInvocationRateLimitExceeded")
_RESERVED = (
    "ReservedFunctionConcurrentInvocationLimitExceeded",
    "ReservedFunctionInvocationRateLimitExceeded",
)


def _admit(share: _Share, limit: int, now_s: float | None, reasons: tuple[str, str]) -> None:
    refusal = _refusal(share, limit, now_s)
    if refusal is None:
        share.running += 1
    elif refusal == _RATE:
        retry_after_s = share.requests.next_s(per_s=limit * REQUESTS_PER_CONCURRENCY_PER_S)
        raise throttled(reasons[_RATE], retry_after_s)
    else:
        raise throttled(reasons[_CONCURRENCY])


def _refusal(share: _Share, limit: int, now_s: float | None) -> int | None:
    """Take a share of the rate, and return None; or which limit is reached."""
    if share.running >= limit:
        return _CONCURRENCY
    if now_s is None:
        return None
    per_s = limit * REQUESTS_PER_CONCURRENCY_PER_S
    return None if share.requests.take(now_s, per_s=per_s, most=per_s) else _RATE
