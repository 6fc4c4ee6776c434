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

from lambent.sandbox import Mount, SandboxSpec

_MAX_REPORT_BYTES = 65536
_MAX_DESCRIPTORS = 253  # SCM_MAX_FD: what one datagram may carry


@dataclass(frozen=True, slots=True)
class CgroupOrder:
    """A control group to make, limit and enter in one hierarchy."""

    directory: str
    settings: tuple[tuple[str, str], ...]
    """(file, value), written in this order."""


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
    spec["mounts"] = tuple(Mount(**mount) for mount in spec["mounts"])
    for name in ("inherited", "listen"):
        spec[name] = tuple((first, second) for first, second in spec[name])
    for name in ("command", "hidden"):
        spec[name] = tuple(spec[name])
    cgroups = tuple(
        CgroupOrder(group["directory"], tuple((file, value) for file, value in group["settings"]))
        for group in members.pop("cgroups")
    )
    outbound = members.pop("outbound")
    return Order(
        spec=SandboxSpec(**spec),
        cgroups=cgroups,
        outbound=None if outbound is None else Outbound(**outbound),
        **members,
    )


def send_order(channel: socket.socket, order: Order, descriptors: Sequence[int]) -> None:
    """Send the order and the descriptors that the command inherits."""
    memory = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        content = memoryview(encode(order))
        while content:
            content = content[os.write(memory, content) :]
        socket.send_fds(channel, [b"order"], [memory, *descriptors])
    finally:
        os.close(memory)


def receive_order(channel: socket.socket) -> tuple[Order, list[int]]:
    """Return the order and its descriptors."""
    _, descriptors = receive(channel)
    memory, *inherited = descriptors
    try:
        return decode(os.pread(memory, os.fstat(memory).st_size, 0)), inherited
    finally:
        os.close(memory)


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
