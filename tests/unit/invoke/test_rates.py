"""How quickly: a bucket gives what it holds and what comes, a function gets a thousand environments in ten seconds."""

from __future__ import annotations

import msgspec
import pytest

from lambent.errors import TooManyRequestsException
from lambent.invoke.rates import SCALING_MAX, ScalingRates, TokenBucket, throttled
from samples import KEY


def taken(bucket: TokenBucket, now_s: float, *, per_s: float = 10, most: float = 10) -> int:
    """How many tokens there are."""
    count = 0
    while bucket.take(now_s, per_s=per_s, most=most):
        count += 1
    return count


def test_a_bucket_gives_what_it_holds_at_once_and_then_what_comes() -> None:
    bucket = TokenBucket(10, 100.0)
    assert taken(bucket, 100.0) == 10
    assert taken(bucket, 100.25) == 2
    assert taken(bucket, 100.5) == 3


def test_a_bucket_does_not_keep_more_than_it_may() -> None:
    bucket = TokenBucket(10, 0.0)
    assert taken(bucket, 3600.0) == 10


def test_a_bucket_follows_a_rate_that_changes() -> None:
    bucket = TokenBucket(10, 0.0)
    assert taken(bucket, 0.0) == 10
    assert taken(bucket, 1.0, per_s=100, most=100) == 100
    assert taken(bucket, 2.0, per_s=1, most=1) == 1


def test_a_bucket_says_when_the_next_token_comes() -> None:
    bucket = TokenBucket(1, 0.0)
    assert taken(bucket, 0.0) == 1
    assert bucket.next_s(per_s=4) == 0.25


def test_a_function_starts_a_thousand_environments_at_once_and_a_hundred_in_each_second_after() -> None:
    rates = ScalingRates()

    def started(now_s: float) -> int:
        for count in range(SCALING_MAX + 1):
            try:
                rates.take(KEY, now_s)
            except TooManyRequestsException:
                return count
        raise AssertionError("no limit")

    assert started(0.0) == SCALING_MAX
    assert started(1.0) == 100
    # What is not used is not kept for later.
    assert started(3600.0) == SCALING_MAX


def test_functions_scale_independently_of_each_other() -> None:
    rates = ScalingRates()
    for _ in range(SCALING_MAX):
        rates.take(KEY, 0.0)
    rates.take(msgspec.structs.replace(KEY, name="other"), 0.0)


def test_a_throttle_of_a_rate_says_when_to_come_back_in_whole_seconds() -> None:
    assert throttled("FunctionInvocationRateLimitExceeded", 0.01).members["retryAfterSeconds"] == "1"
    assert throttled("FunctionInvocationRateLimitExceeded", 1.2).members["retryAfterSeconds"] == "2"
    assert "retryAfterSeconds" not in throttled("ConcurrentInvocationLimitExceeded").members


def test_a_function_that_started_too_many_is_throttled_as_one_without_concurrency() -> None:
    rates = ScalingRates()
    for _ in range(SCALING_MAX):
        rates.take(KEY, 0.0)
    with pytest.raises(TooManyRequestsException) as refused:
        rates.take(KEY, 0.0)
    assert refused.value.members == {
        "Reason": "ConcurrentInvocationLimitExceeded",
        "retryAfterSeconds": "1",
    }
