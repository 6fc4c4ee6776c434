"""Whose concurrency an invocation uses: the function's own, what is provisioned for it, or what is shared."""

from __future__ import annotations

import msgspec

from lambent.errors import TooManyRequestsException
from lambent.invoke.counting import Counting
from lambent.testing import ManualClock
from samples import KEY
from unit.invoke.pools import counted

OTHER = msgspec.structs.replace(KEY, name="other")
SHARED_IS_GONE = "ConcurrentInvocationLimitExceeded"


def reason(counting: Counting, reserved: int | None = None, provisioned: int = 0) -> str | None:
    """Why one more invocation of KEY is refused, when one is all that is shared; None when it is not."""
    try:
        with counted(
            counting,
            KEY,
            reserved,
            configuration_id="one",
            provisioned_concurrency=provisioned,
            unreserved_concurrency=1,
        ):
            return None
    except TooManyRequestsException as error:
        return error.members["Reason"]


def test_functions_without_a_reservation_share_what_is_left_of_the_accounts() -> None:
    counting = Counting(account_concurrency=10, clock=ManualClock())
    with counted(counting, OTHER, unreserved_concurrency=1):
        assert reason(counting) == SHARED_IS_GONE
    assert reason(counting) is None


def test_a_reservation_is_there_whatever_others_run_and_takes_nothing_from_them() -> None:
    counting = Counting(account_concurrency=10, clock=ManualClock())
    with counted(counting, OTHER, unreserved_concurrency=1):
        assert reason(counting, reserved=1) is None
    with counted(counting, OTHER, 1, unreserved_concurrency=1):
        assert reason(counting) is None


def test_provisioned_concurrency_is_there_whatever_others_run_and_comes_before_what_is_shared() -> None:
    counting = Counting(account_concurrency=10, clock=ManualClock())
    with counted(counting, OTHER, unreserved_concurrency=1):
        assert reason(counting, provisioned=1) is None
        with counted(
            counting, KEY, configuration_id="one", provisioned_concurrency=1, unreserved_concurrency=1
        ):
            assert counting.running() == 2
            assert reason(counting, provisioned=1) == SHARED_IS_GONE
    assert counting.running() == 0
