"""What the machine behind an endpoint can give, as far as it says so: AWS gives what it sells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from lambent.cli.client import Connection, download

MB_PER_VCPU = 1769
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
HEALTH_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What bounds a function besides its memory size."""

    cpus: int | None = None
    """None: as many as AWS promises, or unknown."""
    is_cpu_limited: bool = True
    """Whether CPU follows the memory size."""
    is_memory_limited: bool = True

    def doubt(self, memory_mb: int) -> str | None:
        """Return why what is measured here at a size is not what AWS would give, or None."""
        if not self.is_cpu_limited:
            return "CPU does not follow memory here"
        if self.cpus is not None and memory_mb > self.cpus * MB_PER_VCPU:
            return f"{memory_mb / MB_PER_VCPU:.1f} vCPU, and the machine has {self.cpus}"
        return None


def read_machine(connection: Connection) -> Machine:
    """Ask a Lambent server what it can give; of anybody else the best is assumed."""
    endpoint = connection.target.endpoint
    if endpoint is None:
        return Machine()
    try:
        health = json.loads(download(f"{endpoint.rstrip('/')}/_lambent/health", timeout_s=HEALTH_TIMEOUT_S))
    except (OSError, ValueError):
        return Machine()
    return machine_of(cast("dict[str, Any]", health) if isinstance(health, dict) else {})


def machine_of(health: dict[str, Any]) -> Machine:
    """Return what a health answer says of the machine."""
    cpus = health.get("cpus")
    promises = health.get("sandbox", {}).get("enforcement", [])
    kept = {promise.get("promise"): promise.get("enforced") for promise in promises}
    return Machine(
        cpus=cpus if isinstance(cpus, int) else None,
        is_cpu_limited=kept.get("CPU limit") is not False,
        is_memory_limited=kept.get("memory limit") is not False,
    )
