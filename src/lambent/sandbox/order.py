"""What is said between the asyncio side and the process that launches one sandbox, over their report socket.

Down goes one `Order` (in a sealed-off memory file, so that it has no size limit) with the descriptors that
the command inherits; up come reports, one datagram each: a JSON object with an ``event``, sometimes with
descriptors. The spawner passes the socket on unread: it forks every sandbox, so its memory must never hold
the environment variables of any. Values and their encoding only; both sides import it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

from lambent.sandbox import Mount, SandboxSpec, SeedlingSpec, ZygoteSpec

_MAX_REPORT_BYTES = 65536
_MAX_DESCRIPTORS = 253  # SCM_MAX_FD: what one datagram may carry


@dataclass(frozen=True, slots=True)
class CgroupOrder:
    """A control group to make, limit and enter in one hierarchy."""

    directory: str
    settings: tuple[tuple[str, str], ...]
    """(file, value), written in this order."""
    version: int
    """Of the hierarchy: 1 or 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """A sandbox's link to the host's network."""

    interface: str
    """The host's end."""
    address: str
    """IPv4 address of the sandbox."""
    gateway: str
    """IPv4 address of the host's end."""
    mtu_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Everything that the launching process needs to know."""

    spec: SandboxSpec
    """With `inherited` renumbered: the first of each pair counts the descriptors that come with the order."""
    network: str
    """``none``: a network namespace of its own; ``nat``: one with a link, `outbound`; ``host``: no namespace."""
    root: str
    """Empty directory on which the new root is mounted, unseen by others."""
    cgroups: tuple[CgroupOrder, ...]
    memory_is_limited: bool
    """Whether one of the groups limits memory; if not, the process limits its data segment."""
    outbound: Outbound | None = None


def encode(order: Order) -> bytes:
    """Return the order as JSON."""
    return json.dumps(asdict(order)).encode("ascii")


def decode(text: bytes) -> Order:
    """Return the order that `encode` was given."""
    members = json.loads(text)
    spec: dict[str, Any] = members.pop("spec")
    _restore(spec, pairs=("inherited", "listen"), tuples=("command", "hidden"))
    if spec["zygote"] is not None:
        tuples = ("interpreter", "modules", "likely_modules", "scripts", "hidden", "places", "passing")
        _restore(spec["zygote"], pairs=("environment", "listen"), tuples=tuples)
        seedling = spec["zygote"]["seedling"]
        spec["zygote"]["seedling"] = None if seedling is None else seedling_of(seedling)
        spec["zygote"] = ZygoteSpec(**spec["zygote"])
    cgroups = tuple(
        CgroupOrder(
            group["directory"], tuple((file, value) for file, value in group["settings"]), group["version"]
        )
        for group in members.pop("cgroups")
    )
    outbound = members.pop("outbound")
    return Order(
        spec=SandboxSpec(**spec),
        cgroups=cgroups,
        outbound=None if outbound is None else Outbound(**outbound),
        **members,
    )


def seedling_of(members: dict[str, Any]) -> SeedlingSpec:
    """Return the spec whose members JSON has carried."""
    for name in ("command", "fixed_variables", "changing_variables", "output", "passing"):
        members[name] = tuple(members[name])
    members["environment"] = tuple((name, value) for name, value in members["environment"])
    return SeedlingSpec(**members)


def _restore(members: dict[str, Any], *, pairs: Sequence[str], tuples: Sequence[str]) -> None:
    """Make tuples again of what JSON has as lists."""
    members["mounts"] = tuple(Mount(**mount) for mount in members["mounts"])
    for name in pairs:
        members[name] = tuple((first, second) for first, second in members[name])
    for name in tuples:
        members[name] = tuple(members[name])


def send_order(channel: socket.socket, order: Order, descriptors: Sequence[int]) -> None:
    """Send the order and the descriptors that the command inherits."""
    memory = memory_file(encode(order))
    try:
        pass_on_order(channel, memory, descriptors)
    finally:
        os.close(memory)


def pass_on_order(channel: socket.socket, memory: int, descriptors: Sequence[int]) -> None:
    """Send an order that `receive_order_file` has returned."""
    socket.send_fds(channel, [b"order"], [memory, *descriptors])


def memory_file(content: bytes) -> int:
    """Return the descriptor of a file that is nowhere but in memory, with this content."""
    memory = os.memfd_create("order", os.MFD_CLOEXEC)
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(memory, rest) :]
    return memory


def read_memory_file(memory: int) -> bytes:
    """Return the content of a `memory_file`, and close it."""
    try:
        return os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        os.close(memory)


def receive_order(channel: socket.socket) -> tuple[Order, list[int]]:
    """Return the order and its descriptors.

    Raises:
        EOFError: there will be none, because the other side is gone.
    """
    memory, descriptors = receive_order_file(channel)
    return decode(read_memory_file(memory)), descriptors


def receive_order_file(channel: socket.socket) -> tuple[int, list[int]]:
    """Return the memory file that has the order, and the order's descriptors.

    Raises:
        EOFError: see `receive_order`.
    """
    message, descriptors = receive(channel)
    if not message:
        raise EOFError
    memory, *others = descriptors
    return memory, others


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next datagram and its descriptors; no bytes mean that the other side is gone."""
    message, descriptors, _, _ = socket.recv_fds(
        channel, _MAX_REPORT_BYTES, _MAX_DESCRIPTORS, flags=socket.MSG_CMSG_CLOEXEC
    )
    return message, descriptors


def report(channel: socket.socket, event: str, descriptors: Sequence[int] = (), **members: Any) -> None:
    """Send one report."""
    message = json.dumps({"event": event, **members}).encode("ascii")
    socket.send_fds(channel, [message], descriptors)


def parse_report(message: bytes) -> dict[str, Any]:
    """Return a report's members, ``event`` among them."""
    return cast("dict[str, Any]", json.loads(message))


class StepFailedError(Exception):
    """A step of building a sandbox failed."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


@contextmanager
def step(name: str) -> Generator[None]:
    """Name the step in which an `OSError` (or a bug of ours) happens."""
    try:
        yield
    except StepFailedError:
        raise
    except OSError as error:
        path = f" ({error.filename})" if error.filename else ""
        raise StepFailedError(name, f"{error.strerror or error}{path}") from error
    except Exception as error:
        raise StepFailedError(name, f"{type(error).__name__}: {error}") from error
