"""The environments of one function in the model, and its limits: counted as `lambent.invoke.counting` counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from lambent.invoke.rates import REQUESTS_PER_CONCURRENCY_PER_S, SCALING_MAX, SCALING_PERIOD_S, TokenBucket
from lambent.simulation.load import most_in
from lambent.simulation.platform import Platform

CONCURRENCY, RATE, SCALING = "concurrency", "rate of requests", "rate of new environments"
"""Why invocations are throttled."""
# Whose concurrency an invocation uses. Of an environment: what it runs, or that it starts.
STARTING, UNRESERVED, RESERVED, PROVISIONED, BOTH = range(5)
NO_CONCURRENCY, TOO_OFTEN = -1, -2
REASONS = {NO_CONCURRENCY: CONCURRENCY, TOO_OFTEN: RATE}
"""What is below 0 in place of whose concurrency it uses: it is throttled."""


class Pool:
    """The environments of one function, and its limits."""

    __slots__ = (
        "idle",
        "is_plain",
        "limit",
        "provisioned",
        "provisioned_bucket",
        "provisioned_idle",
        "provisioned_running",
        "requests",
        "reserved_running",
        "scaling",
        "starting",
        "starts_s",
        "waiting",
    )

    def __init__(self, platform: Platform, arrivals: Sequence[float], starts_s: Callable[[], float]) -> None:
        self.idle: list[int] = []
        """The one that was used last is the last."""
        self.provisioned_idle: list[int] = []
        self.waiting: deque[tuple[int, int]] = deque()
        """Invocations, and whose concurrency they use."""
        self.starting = 0
        self.starts_s = starts_s
        self.scaling = TokenBucket(SCALING_MAX, 0.0)
        self.limit = platform.reserved
        self.provisioned = platform.provisioned
        self.reserved_running = self.provisioned_running = 0
        self.requests = bucket_of(platform, self.limit, arrivals)
        self.provisioned_bucket = bucket_of(platform, self.provisioned, arrivals)
        self.is_plain = self.limit is None and not self.provisioned

    def admit(self, at_s: float) -> int:
        """Return whose concurrency an invocation uses, or that it is throttled.

        The rules are those of `lambent.invoke.counting`, in the same order.
        """
        kind = UNRESERVED
        if self.limit is not None:
            if self.reserved_running >= self.limit:
                return NO_CONCURRENCY
            if self.requests is not None and not take(self.requests, at_s, self.limit):
                return TOO_OFTEN
            self.reserved_running += 1
            kind = RESERVED
        if self.provisioned and self.provisioned_running < self.provisioned:
            bucket = self.provisioned_bucket
            if bucket is None or take(bucket, at_s, self.provisioned):
                self.provisioned_running += 1
                kind = BOTH if kind == RESERVED else PROVISIONED
        return kind

    def may_start(self, now_s: float) -> bool:
        """Return whether one more environment may be started, and count it."""
        return self.scaling.take(now_s, per_s=SCALING_MAX / SCALING_PERIOD_S, most=SCALING_MAX)

    def leave(self, kind: int) -> None:
        """Count one off."""
        if kind in (RESERVED, BOTH):
            self.reserved_running -= 1
        if kind in (PROVISIONED, BOTH):
            self.provisioned_running -= 1


def bucket_of(platform: Platform, limit: int | None, arrivals: Sequence[float]) -> TokenBucket | None:
    """Return the bucket of a rate of requests, full; None if it could never be empty with these arrivals.

    It holds one second's worth. As long as no second has more arrivals than that, it cannot run out.
    """
    if not platform.is_rate_limited or not limit:
        return None
    per_s = limit * REQUESTS_PER_CONCURRENCY_PER_S
    return TokenBucket(per_s, 0.0) if most_in(arrivals, per_s, 1.0) else None


def take(bucket: TokenBucket, at_s: float, limit: int) -> bool:
    """Take a request's token of a limit of concurrency."""
    per_s = limit * REQUESTS_PER_CONCURRENCY_PER_S
    return bucket.take(at_s, per_s=per_s, most=per_s)
