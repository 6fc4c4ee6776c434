"""Live concurrency, counted against the quotas of accounts and functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from lambent.domain.function import FunctionKey
from lambent.errors import TooManyRequestsException


class Counting:
    """How many invocations run now, by account and region, and by function."""

    def __init__(self, *, account_concurrency: int) -> None:
        self._account_concurrency = account_concurrency
        self._by_account: Counter[tuple[str, str]] = Counter()
        self._by_function: Counter[FunctionKey] = Counter()

    def running(self) -> int:
        """Return how many invocations run now."""
        return self._by_account.total()

    @contextmanager
    def admitted(self, key: FunctionKey, reserved_concurrency: int | None) -> Generator[None]:
        """Count an invocation while it runs.

        Raises:
            TooManyRequestsException: a limit is reached; the reason is AWS's word for which.
        """
        account = (key.account, key.region)
        if reserved_concurrency is not None and self._by_function[key] >= reserved_concurrency:
            raise _throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
        if self._by_account[account] >= self._account_concurrency:
            raise _throttled("ConcurrentInvocationLimitExceeded")
        self._by_account[account] += 1
        self._by_function[key] += 1
        try:
            yield
        finally:
            _decrease(self._by_account, account)
            _decrease(self._by_function, key)


def _decrease(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _throttled(reason: str) -> TooManyRequestsException:
    return TooManyRequestsException("Rate Exceeded.", Reason=reason)
