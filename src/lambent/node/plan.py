"""What an execution environment is made from, and what it is given by its node."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from lambent.busy_poll import BusyPoll
from lambent.clock import Clock
from lambent.domain.facts import Fact, Origin
from lambent.domain.function import FunctionVersion
from lambent.node.crowd import Crowd
from lambent.node.debugger import PORT_VARIABLE, Debugger
from lambent.runtimes import DebuggerLaunch
from lambent.sandbox import Mount, Sandbox, SandboxSpec, Template, Tmp

DEBUGGER_BYTES = 256 * 2**20
"""Memory of an environment that is debugged, beyond what its function may use."""


class Listening(Protocol):
    """Something that serves a listening socket until it is closed."""

    def close(self) -> None:
        """Stop serving."""
        ...


class Held(Protocol):
    """Memory of the machine that somebody takes for long."""

    mb: int

    def leave(self) -> None:
        """Say that it will be free again in a moment."""
        ...

    def release(self) -> None:
        """Say that it is free again. May be repeated."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every environment of a node is given."""

    sandbox: Sandbox
    clock: Clock
    emit: Callable[[Fact], None]
    busy_poll: BusyPoll
    crowd: Crowd
    """Counts the invocations that run."""
    hold_memory: Callable[[int], Held]
    """Counts this many MB as taken, until they are released."""
    freeze_after_s: float
    """How long an environment idles before it is frozen; 0: it never is."""
    serve_endpoint: Callable[[socket.socket], Awaitable[Listening]]
    """Answers Lambent's own API on a socket that listens inside an environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A version after its init, from which environments start (SnapStart)."""

    template: Template
    tmp: Tmp
    """What its init has left in /tmp: every environment begins with a copy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one environment is made from."""

    version: FunctionVersion
    origin: Origin
    spec: SandboxSpec
    """Complete but for what belongs to one start of the runtime: name, inherited descriptors, addresses."""
    tmp: Tmp
    """Outlives the runtime, and goes with the environment."""
    speaks_over_socket: bool
    serves_on_loopback: bool = False
    """The environment has no network of its own, so the Runtime API is on the host's loopback."""
    entrypoint_fault: str | None = None
    """Why there is no program to execute, in AWS's words."""
    cpu_share: float
    """In vCPUs, from the end of init on: AWS does not throttle init either."""
    cold_start_reason: str | None
    """None when it is started ahead of invocations, none of which then meets a cold start."""
    snapshot: Snapshot | None = None
    """What it starts from instead of an init of its own."""
    debugger: Debugger | None = None
    """Waits for the runtime, which waits for it; only at the runtime's first start."""
    credentials: bytes | None = None
    """What the Runtime API answers to those who ask for credentials: JSON of the container credentials provider.
    None: they are in the variables."""


def with_debugger(plan: Plan, debugger: Debugger, found: DebuggerLaunch, *, paths_are_virtual: bool) -> Plan:
    """Return a plan whose runtime waits for a debugger: with an interpreter of its own, memory for both, all CPUs.

    Args:
        plan: of the environment.
        debugger: the way to it.
        found: what the runtime needs for it.
        paths_are_virtual: whether the paths inside the walls count.
    """
    spec = dataclasses.replace(
        plan.spec,
        zygote=None,
        memory_bytes=plan.spec.memory_bytes + DEBUGGER_BYTES,
        mounts=(*plan.spec.mounts, *(Mount(*mount) for mount in found.mounts)),
        environment={
            **plan.spec.environment,
            **(found.environment if paths_are_virtual else found.host_environment),
            PORT_VARIABLE: str(debugger.inner_port),
        },
    )
    return dataclasses.replace(plan, spec=spec, debugger=debugger, cpu_share=0.0)
