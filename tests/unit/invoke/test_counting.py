"""The rate of requests: ten a second for each unit of whichever concurrency an invocation uses."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from lambent.errors import TooManyRequestsException
from lambent.invoke.counting import Counting
from lambent.testing import ManualClock
from samples import KEY
from unit.invoke.pools import counted

OTHER = msgspec.structs.replace(KEY, name="other")
ELSEWHERE = msgspec.structs.replace(KEY, account="111111111111")
TOO_QUICK = "FunctionInvocationRateLimitExceeded"
RESERVED_TOO_QUICK = "ReservedFunctionInvocationRateLimitExceeded"


def test_what_runs_is_known_by_account_and_region() -> None:
    counting = Counting(account_concurrency=1000, clock=ManualClock())
    with (
        counted(counting, KEY),
        counted(counting, OTHER, 5),
        counted(counting, OTHER, 5),
        counted(counting, KEY, configuration_id="c", provisioned_concurrency=1),
        counted(counting, ELSEWHERE),
    ):
        assert sorted(counting.by_place()) == [
            (KEY.account, KEY.region, 4, 2),
            (ELSEWHERE.account, KEY.region, 1, 1),
        ]
    assert all(running == unreserved == 0 for _, _, running, unreserved in counting.by_place())


class Caller:
    """Somebody who asks as quickly as the clock stands still."""

    def __init__(self, account_concurrency: int = 1000) -> None:
        self.clock = ManualClock()
        self.counting = Counting(account_concurrency=account_concurrency, clock=self.clock)

    def ask(self, key: Any = KEY, **limits: Any) -> str | None:
        """Why one more invocation is refused; None when it is not."""
        try:
            with counted(self.counting, key, **limits):
                return None
        except TooManyRequestsException as error:
            return str(error.members["Reason"])

    def admitted(self, key: Any = KEY, **limits: Any) -> int:
        """How many are admitted until the first that is not."""
        count = 0
        while self.ask(key, **limits) is None:
            count += 1
        return count

    def wait(self, seconds: float) -> None:
        asyncio.run(self.clock.advance(seconds))


def test_functions_without_a_reservation_share_ten_requests_a_second_per_unreserved_concurrency() -> None:
    caller = Caller()
    assert caller.admitted(unreserved_concurrency=3) == 30
    assert caller.ask(OTHER, unreserved_concurrency=3) == TOO_QUICK
    assert caller.ask(ELSEWHERE, unreserved_concurrency=3) is None
    caller.wait(0.5)
    assert caller.admitted(unreserved_concurrency=3) == 15


def test_the_whole_accounts_concurrency_counts_when_nothing_is_set_aside() -> None:
    assert Caller(account_concurrency=2).admitted() == 20


def test_a_reserved_function_has_ten_requests_a_second_per_reserved_concurrency() -> None:
    caller = Caller()
    assert caller.admitted(reserved_concurrency=2, unreserved_concurrency=0) == 20
    assert caller.ask(reserved_concurrency=2) == RESERVED_TOO_QUICK
    assert caller.ask(OTHER, reserved_concurrency=2) is None


def test_what_is_too_quick_for_provisioned_concurrency_spills_over() -> None:
    caller = Caller()
    limits = {"configuration_id": "one", "provisioned_concurrency": 1, "unreserved_concurrency": 2}
    spilled: list[bool] = []
    for _ in range(30):
        with counted(caller.counting, KEY, **limits) as admission:  # type: ignore[arg-type]
            spilled.append(admission.spills_over)
    assert spilled == [False] * 10 + [True] * 20
    assert caller.ask(**limits) == TOO_QUICK


def test_what_is_too_much_for_provisioned_concurrency_spills_over_also_within_a_reservation() -> None:
    counting = Caller().counting
    limits: dict[str, Any] = {"configuration_id": "one", "provisioned_concurrency": 1}
    with counted(counting, KEY, 2, **limits) as first, counted(counting, KEY, 2, **limits) as second:
        assert (first.spills_over, second.spills_over) == (False, True)
        with pytest.raises(TooManyRequestsException) as refused:
            counting.admit(KEY, 2, **limits)
        assert refused.value.members["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    with counted(counting, KEY, 2, **limits) as third:
        assert not third.spills_over
    with counted(counting, KEY, 2) as without:
        assert not without.spills_over


def test_what_is_not_synchronous_may_come_as_quickly_as_it_likes() -> None:
    caller = Caller()
    assert [caller.ask(reserved_concurrency=1, is_rate_limited=False) for _ in range(100)] == [None] * 100
    assert caller.admitted(reserved_concurrency=1) == 10


def test_a_rate_limit_says_when_to_come_back_and_a_limit_of_concurrency_does_not() -> None:
    caller = Caller()
    caller.admitted(reserved_concurrency=1)
    with pytest.raises(TooManyRequestsException) as refused:
        caller.counting.admit(KEY, 1)
    assert refused.value.members["retryAfterSeconds"] == "1"
    with pytest.raises(TooManyRequestsException) as refused:
        caller.counting.admit(KEY, 0)
    assert refused.value.members == {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}


def test_what_is_refused_is_not_counted() -> None:
    caller = Caller()
    caller.admitted(reserved_concurrency=1)
    caller.ask(reserved_concurrency=0)
    assert caller.counting.running() == 0
