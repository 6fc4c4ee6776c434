"""Every recorded scenario that can be told through the API alone gets the answers that AWS gave."""

from __future__ import annotations

import pytest

from harness import Server
from parity.recorded import aliases, concurrency, functions, images, layers, mappings, permissions
from parity.recorded.replay import RECORDINGS, SCENARIOS, Replay

MODULES = (aliases, concurrency, functions, images, layers, mappings, permissions)

# What is not replayed, and why.
LEFT_OUT = {
    "TestLambdaPermissions/test_add_lambda_permission_optional_fields": "the recording is empty",
}


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_answers_are_those_of_aws(lambent: Server, name: str, scenario: str) -> None:
    replay = Replay(scenario, lambent, name)
    SCENARIOS[scenario](replay)
    replay.finish()


def test_every_recorded_scenario_is_replayed_or_left_out_for_a_reason() -> None:
    assert all(module.__name__ for module in MODULES)
    assert SCENARIOS.keys() | LEFT_OUT.keys() == RECORDINGS.keys()
    assert not SCENARIOS.keys() & LEFT_OUT.keys()
