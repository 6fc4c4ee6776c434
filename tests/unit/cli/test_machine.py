"""What a machine cannot give is marked, and AWS gives what it sells."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.cli.client import Connection, Target
from lambent.cli.machine import Machine, machine_of, read_machine
from unit.cli.stand_in import StandIn

HEALTH: dict[str, Any] = {
    "cpus": 2,
    "sandbox": {
        "enforcement": [
            {"promise": "memory limit", "enforced": True},
            {"promise": "CPU limit", "enforced": True},
        ]
    },
}


@pytest.mark.parametrize(
    ("memory_mb", "is_doubted"), [(128, False), (3538, False), (3539, True), (10240, True)]
)
def test_more_vcpus_than_the_machine_has_are_doubted(memory_mb: int, is_doubted: bool) -> None:
    """1 vCPU at 1,769 MB: two of them end at 3,538."""
    assert bool(machine_of(HEALTH).doubt(memory_mb)) == is_doubted


def test_where_cpu_does_not_follow_memory_every_size_is_doubted() -> None:
    unlimited = {"cpus": 64, "sandbox": {"enforcement": [{"promise": "CPU limit", "enforced": False}]}}
    assert machine_of(unlimited).doubt(128) == "CPU does not follow memory here"


def test_aws_is_not_doubted() -> None:
    assert read_machine(Connection(Target(endpoint=None, region="us-east-1"))) == Machine()
    assert Machine().doubt(10240) is None


def test_the_machine_is_asked_at_the_health_address(aws: StandIn) -> None:
    aws.on("GET", "/_lambent/health", HEALTH)
    assert read_machine(Connection(Target(endpoint=aws.endpoint, region="us-east-1"))).cpus == 2


def test_an_endpoint_that_tells_nothing_is_taken_as_it_is(aws: StandIn) -> None:
    assert read_machine(Connection(Target(endpoint=aws.endpoint, region="us-east-1"))) == Machine()
