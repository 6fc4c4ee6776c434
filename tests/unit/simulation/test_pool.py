"""Promises of a function's limits in the model; that they are the platform's own is tested in test_engine."""

from __future__ import annotations

from lambent.simulation.platform import Platform
from lambent.simulation.pool import (
    BOTH,
    NO_CONCURRENCY,
    PROVISIONED,
    RESERVED,
    TOO_OFTEN,
    UNRESERVED,
    Pool,
    bucket_of,
)


def pool_of(platform: Platform, arrivals: tuple[float, ...] = ()) -> Pool:
    """A pool whose environments start at once."""
    return Pool(platform, arrivals, lambda: 0.0)


def test_what_is_provisioned_is_used_first_and_the_reservation_counts_all() -> None:
    pool = pool_of(Platform(reserved=2, provisioned=1))
    assert [pool.admit(0.0) for _ in range(3)] == [BOTH, RESERVED, NO_CONCURRENCY]
    pool.leave(BOTH)
    assert pool.admit(0.0) == BOTH


def test_without_a_reservation_what_spills_over_uses_the_accounts() -> None:
    pool = pool_of(Platform(provisioned=1))
    assert [pool.admit(0.0) for _ in range(2)] == [PROVISIONED, UNRESERVED]
    pool.leave(PROVISIONED)
    assert pool.admit(0.0) == PROVISIONED


def test_a_rate_that_no_second_exceeds_is_not_watched() -> None:
    assert bucket_of(Platform(), 1, [number / 8 for number in range(100)]) is None
    assert bucket_of(Platform(), 1, [0.0] * 11) is not None
    assert bucket_of(Platform(is_rate_limited=False), 1, [0.0] * 11) is None


def test_requests_that_come_too_often_are_told_from_those_that_are_too_many() -> None:
    pool = pool_of(Platform(reserved=5), (0.0,) * 60)
    kinds: list[int] = []
    for _ in range(60):
        kinds.append(pool.admit(0.0))
        pool.leave(kinds[-1])
    assert kinds == [RESERVED] * 50 + [TOO_OFTEN] * 10
