"""A stem: a sandbox that is ready but for what its command is, waiting for an order.

Forked by a zygote. It has entered its control groups and has every namespace that needs no rights of its own;
with the order come the mounts that the zygote's tree lacks. From there on it is a builder like any other
(`lambent.sandbox.walls`), except that process 2 becomes the command without executing a program.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import NoReturn

from lambent.sandbox import command, mounts, walls
from lambent.sandbox.order import (
    Order,
    Outbound,
    StepFailedError,
    parse_report,
    receive,
    receive_order,
    report,
    step,
)


def grow(
    channel: socket.socket,
    groups: Sequence[int],
    base: Order,
    enclosure: walls.Enclosure,
    outbound: Outbound | None,
) -> NoReturn:
    """Get ready, wait for the order, follow it.

    Args:
        channel: the report socket.
        groups: descriptors of the ``cgroup.procs`` to enter.
        base: the zygote's order.
        enclosure: what all sandboxes share.
        outbound: the link of its network to the host's, if it has one.

    Raises:
        command.Became: in process 2, which is the command now.
    """
    try:
        get_ready(channel, groups, base, outbound)
        report(channel, "parked")
        order, (trees, *inherited) = receive_order(channel)
        mounts.attach(receive_trees(trees), order)
        walls.enclose(channel, order, inherited, enclosure)
    except command.Became:
        raise
    except EOFError:
        os._exit(0)  # not needed after all
    except BaseException as error:
        if isinstance(error, StepFailedError):
            report(channel, "failed", step=error.step, reason=error.reason)
    os._exit(1)


def get_ready(channel: socket.socket, groups: Sequence[int], base: Order, outbound: Outbound | None) -> None:
    """Take every step that does not depend on the command."""
    with step("order"):
        walls.default_signals()
        pidfd = os.pidfd_open(os.getpid())
        report(channel, "launching", [pidfd])
        os.close(pidfd)
    with walls.entering(groups, _enter):
        walls.enter_namespaces(
            channel,
            base.spec.hostname,
            base.spec.listen,
            network_kind=base.network,
            outbound=outbound,
        )
    for group in groups:
        os.close(group)


def _enter(entrance: int, pid: int) -> None:
    """Move a process into a group by its ``cgroup.procs``, which the server has opened, with its rights."""
    os.write(entrance, str(pid).encode("ascii"))


def receive_trees(descriptor: int) -> list[int]:
    """Return the mounts that the spawner has copied for us."""
    with socket.socket(fileno=descriptor) as channel:
        message, trees = receive(channel)
    members = parse_report(message) if message else {"event": "failed", "reason": "the spawner is gone"}
    if members["event"] == "failed":
        raise StepFailedError("mounts", members["reason"])
    return trees
