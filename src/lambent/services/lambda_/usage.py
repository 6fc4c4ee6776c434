"""What the accounts use of Lambda in each region: functions, concurrency set aside, code signing.

Owns those counts, so that nobody has to read every function to know them. `Records` reports every change.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable

from lambent.domain.function import Function, FunctionKey


class AccountUsage:
    """Counts by account and region.

    Args:
        account_concurrency: concurrent executions of an account in a region.
    """

    def __init__(self, account_concurrency: int) -> None:
        self.account_concurrency = account_concurrency
        self._functions: Counter[tuple[str, str]] = Counter()
        self._set_aside: Counter[tuple[str, str]] = Counter()
        self._signed: defaultdict[str, set[FunctionKey]] = defaultdict(set)
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    def lock(self, account: str, region: str) -> asyncio.Lock:
        """Return the lock to hold while concurrency is set aside, so that two functions do not take the same."""
        return self._locks[account, region]

    def count(self, functions: Iterable[Function]) -> None:
        """Learn at start what there is."""
        for function in functions:
            self.settle(None, function)

    def settle(self, before: Function | None, after: Function | None) -> None:
        """Take note of a change to a stored function."""
        for function, sign in ((before, -1), (after, 1)):
            if function is not None:
                place = (function.key.account, function.key.region)
                self._functions[place] += sign
                self._set_aside[place] += sign * set_aside(function)
        if before is not None and before.code_signing_config_arn is not None:
            self._signed[before.code_signing_config_arn].discard(before.key)
        if after is not None and after.code_signing_config_arn is not None:
            self._signed[after.code_signing_config_arn].add(after.key)

    def functions(self, account: str, region: str) -> int:
        """Return how many functions there are."""
        return self._functions[account, region]

    def functions_with(self, code_signing_config_arn: str) -> frozenset[FunctionKey]:
        """Return the functions that have a code signing configuration."""
        return frozenset(self._signed.get(code_signing_config_arn, ()))

    def unreserved(self, account: str, region: str) -> int:
        """Return the concurrency that functions without a reservation share: ``UnreservedConcurrentExecutions``.

        Reserved concurrency counts against it, and so does the provisioned concurrency of functions without
        a reservation (AWS page "Configuring provisioned concurrency for a function").
        """
        # `get`: a Counter asks Python for what it does not have.
        return max(0, self.account_concurrency - self._set_aside.get((account, region), 0))


def set_aside(function: Function) -> int:
    """Return how much of its account's concurrency a function keeps to itself."""
    if function.reserved_concurrency is not None:
        return function.reserved_concurrency
    return total_provisioned(function)


def total_provisioned(function: Function) -> int:
    """Return the provisioned concurrency of all versions and aliases of a function."""
    return sum(config.requested for config in function.provisioned.values())


def provisioned_of(function: Function, number: str) -> int:
    """Return the provisioned concurrency of a version, its own and that of aliases that point to it."""
    if not function.provisioned:
        return 0
    return sum(
        config.requested
        for qualifier, config in function.provisioned.items()
        if qualifier == number
        or (qualifier in function.aliases and function.aliases[qualifier].version == number)
    )
