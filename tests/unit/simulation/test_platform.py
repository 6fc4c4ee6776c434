"""Promises of the platform's settings: what is kept for functions is not shared."""

from __future__ import annotations

import pytest

from lambent.simulation.platform import Platform


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({}, 10),
        ({"reserved": 3}, 4),
        ({"provisioned": 3}, 4),
        # What is provisioned is a part of what is reserved.
        ({"provisioned": 2, "reserved": 3}, 4),
        ({"reserved": 100}, 0),
    ],
)
def test_what_is_kept_for_each_function_is_not_shared(settings: dict[str, int], left: int) -> None:
    assert Platform(account_concurrency=10, **settings).unreserved(2) == left
