"""Promises of an alias's routing."""

from __future__ import annotations

import pytest

from lambent.domain.alias import Alias

PLAIN = Alias(name="live", version="1")
SPLIT = Alias(name="live", version="1", weights={"2": 0.25})


def test_an_alias_without_weights_always_runs_its_version() -> None:
    assert {PLAIN.version_for(draw) for draw in (0.0, 0.5, 0.999)} == {"1"}


@pytest.mark.parametrize(("draw", "version"), [(0.0, "2"), (0.2499, "2"), (0.25, "1"), (0.999, "1")])
def test_a_weight_is_the_share_of_the_additional_version(draw: float, version: str) -> None:
    assert SPLIT.version_for(draw) == version


@pytest.mark.parametrize(("weight", "version"), [(0.0, "1"), (1.0, "2")])
def test_a_weight_at_its_edge_gives_all_to_one_version(weight: float, version: str) -> None:
    alias = Alias(name="live", version="1", weights={"2": weight})
    assert {alias.version_for(draw) for draw in (0.0, 0.5, 0.999)} == {version}


def test_an_alias_points_to_every_version_that_it_may_run() -> None:
    assert [SPLIT.points_to(version) for version in ("1", "2", "3")] == [True, True, False]
