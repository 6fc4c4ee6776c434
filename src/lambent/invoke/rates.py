"""How fast: token buckets, and the two rates that Lambda limits by them.

A bucket is told the time, so that it can be asked without waiting for anything.
"""

from __future__ import annotations

import math

from lambent.domain.function import FunctionKey
from lambent.errors import TooManyRequestsException

REQUESTS_PER_CONCURRENCY_PER_S = 10
"""Synchronous invocations that one unit of concurrency allows in a second (AWS page "Lambda quotas")."""
SCALING_MAX = 1_000
SCALING_PERIOD_S = 10
"""New environments of a function: at most so many in such a period, refilled continuously and never more
(AWS page "Lambda scaling behavior")."""
_BUCKETS_MAX = 10_000


class TokenBucket:
    """Tokens that come at a constant rate, up to a number; each taking needs one.

    Args:
        tokens: how many it holds at first.
        now_s: monotonic time.
    """

    __slots__ = ("_tokens", "at_s")

    def __init__(self, tokens: float, now_s: float) -> None:
        self._tokens = tokens
        self.at_s = now_s
        """When it was last asked."""

    def take(self, now_s: float, *, per_s: float, most: float) -> bool:
        """Take a token if there is one.

        Args:
            now_s: monotonic time, not earlier than at the last call.
            per_s: how many tokens come in a second.
            most: how many are kept at most.
        """
        tokens = self._tokens + (now_s - self.at_s) * per_s
        if tokens > most:  # noqa: PLR1730 - quicker than min(), on the path of every invocation
            tokens = most
        self.at_s = now_s
        if tokens < 1:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1
        return True

    def next_s(self, *, per_s: float) -> float:
        """Return in how many seconds there will be a token, as of the last call."""
        return max(0.0, 1 - self._tokens) / per_s

    def is_full(self, now_s: float, *, per_s: float, most: float) -> bool:
        """Return whether it is as good as a new one."""
        return self._tokens + (now_s - self.at_s) * per_s >= most


class ScalingRates:
    """How many environments each function may still start now."""

    def __init__(self) -> None:
        self._buckets: dict[FunctionKey, TokenBucket] = {}

    def take(self, key: FunctionKey, now_s: float) -> None:
        """Let a function start one more environment.

        Raises:
            TooManyRequestsException: it has started too many too quickly.
        """
        per_s = SCALING_MAX / SCALING_PERIOD_S
        bucket = self._buckets.get(key)
        if bucket is None:
            self._forget_full(now_s, per_s)
            bucket = self._buckets[key] = TokenBucket(SCALING_MAX, now_s)
        if not bucket.take(now_s, per_s=per_s, most=SCALING_MAX):
            # AWS says that such requests "fail with a throttling error (429 status code)" and names no reason.
            # Of the six that its model has, this one is about concurrency that cannot be had now.
            raise throttled("ConcurrentInvocationLimitExceeded", bucket.next_s(per_s=per_s))

    def _forget_full(self, now_s: float, per_s: float) -> None:
        if len(self._buckets) >= _BUCKETS_MAX:
            self._buckets = {
                key: bucket
                for key, bucket in self._buckets.items()
                if not bucket.is_full(now_s, per_s=per_s, most=SCALING_MAX)
            }


def throttled(reason: str, retry_after_s: float | None = None) -> TooManyRequestsException:
    """Return the error of a throttled invocation.

    Args:
        reason: AWS's word for the limit (API page "Invoke", TooManyRequestsException).
        retry_after_s: when to come back, if that is known: ``Retry-After`` is in whole seconds, at least one.
            Nobody knows when an invocation that runs will end, so the limits of concurrency do not say it.
    """
    if retry_after_s is None:
        return TooManyRequestsException("Rate Exceeded.", Reason=reason)
    seconds = str(max(1, math.ceil(retry_after_s)))
    return TooManyRequestsException("Rate Exceeded.", Reason=reason, retryAfterSeconds=seconds)
