"""Live concurrency, counted against the quotas of accounts and functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from lambent.domain.function import FunctionKey
from lambent.errors import TooManyRequestsException


class Counting:
    """How many invocations run now, by function and by whose concurrency they use."""

    def __init__(self, *, account_concurrency: int) -> None:
        self._account_concurrency = account_concurrency
        self._running = 0
        self._by_function: Counter[FunctionKey] = Counter()
        self._by_provisioned: Counter[str] = Counter()
        self._sharing: Counter[tuple[str, str]] = Counter()

    def running(self) -> int:
        """Return how many invocations run now."""
        return self._running

    @contextmanager
    def admitted(
        self,
        key: FunctionKey,
        reserved_concurrency: int | None = None,
        *,
        configuration_id: str = "",
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
    ) -> Generator[None]:
        """Count an invocation while it runs.

        A function with a reservation has that and no more. Any other has what is provisioned for its version,
        and beyond it what is left of the concurrency that such functions share.

        Args:
            key: the function.
            reserved_concurrency: its ReservedConcurrentExecutions.
            configuration_id: the version that runs, by its configuration.
            provisioned_concurrency: how many invocations of the version its environments are kept ready for.
            unreserved_concurrency: what functions without a reservation share; None: all of the account's.

        Raises:
            TooManyRequestsException: a limit is reached; the reason is AWS's word for which.
        """
        account = (key.account, key.region)
        counters: list[tuple[Counter[Any], Any]] = [(self._by_function, key)]
        if reserved_concurrency is not None:
            if self._by_function[key] >= reserved_concurrency:
                raise _throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        elif self._by_provisioned[configuration_id] < provisioned_concurrency:
            counters.append((self._by_provisioned, configuration_id))
        else:
            limit = self._account_concurrency if unreserved_concurrency is None else unreserved_concurrency
            if self._sharing[account] >= limit:
                raise _throttled("ConcurrentInvocationLimitExceeded")
            counters.append((self._sharing, account))
        self._running += 1
        for counter, place in counters:
            counter[place] += 1
        try:
            yield
        finally:
            self._running -= 1
            for counter, place in counters:
                _decrease(counter, place)


def _decrease(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _throttled(reason: str) -> TooManyRequestsException:
    return TooManyRequestsException("Rate Exceeded.", Reason=reason)
