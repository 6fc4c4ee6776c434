"""A stem: a sandbox that is ready but for what its command is, waiting for an order.

Forked by a zygote. It is a builder like any other (`lambent.sandbox.walls`), except that process 2 becomes the command
without executing a program, and that it does not leave before there is a command: process 2 waits inside, and the
builder keeps the mount namespace from which the one inside was cloned. With the order come the mounts that the zygote's
tree lacks; the builder attaches them on its side, and the kernel carries them inside. Then it passes the order on to
process 2, and leaves. Forking is what takes long in a start, so it is over by then.
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
    decode,
    parse_report,
    pass_on_order,
    read_memory_file,
    receive,
    receive_order,
    receive_order_file,
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
        groups: its control groups (`walls.begin`).
        base: the zygote's order.
        enclosure: what all sandboxes share.
        outbound: the link of its network to the host's, if it has one.

    Raises:
        command.Became: in process 2, which is the command now.
    """
    try:
        get_ready(channel, base, outbound)
        mounts.share()
        # Descriptors and no sockets: in process 2 their numbers will be other things' when these objects are collected.
        inner, outer = (end.detach() for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        inside = walls.Inside(channel, groups, lambda: _passed_on(inner), [inner], enclosure, is_stem=True)
        walls.begin(inside, kept=[outer])
        os.close(inner)
        memory, (trees, *inherited) = receive_order_file(channel)
        order = decode(read_memory_file(os.dup(memory)))
        mounts.attach_later(receive_trees(trees), order)
        with step("order"), socket.socket(fileno=outer) as process_2:
            pass_on_order(process_2, memory, inherited)
        os._exit(0)
    except command.Became:
        raise
    except EOFError:
        os._exit(0)  # not needed after all
    except BaseException as error:
        if isinstance(error, StepFailedError):
            report(channel, "failed", step=error.step, reason=error.reason)
    os._exit(1)


def _passed_on(inner: int) -> tuple[Order, list[int]]:
    """Be process 2: wait for the order."""
    with socket.socket(fileno=inner) as builder:
        return receive_order(builder)


def get_ready(channel: socket.socket, base: Order, outbound: Outbound | None) -> None:
    """Take every step that does not depend on the command."""
    with step("order"):
        walls.default_signals()
        pidfd = os.pidfd_open(os.getpid())
        report(channel, "launching", [pidfd])
        os.close(pidfd)
    walls.enter_namespaces(
        channel,
        base.spec.hostname,
        base.spec.listen,
        network_kind=base.network,
        outbound=outbound,
    )


def receive_trees(descriptor: int) -> list[int]:
    """Return the mounts that the spawner has copied for us."""
    with socket.socket(fileno=descriptor) as channel:
        message, trees = receive(channel)
    members = parse_report(message) if message else {"event": "failed", "reason": "the spawner is gone"}
    if members["event"] == "failed":
        raise StepFailedError("mounts", members["reason"])
    return trees
