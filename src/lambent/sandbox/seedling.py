"""A seedling: a stem whose program runs already, behind all walls, and waits for what it is to do.

For programs that cannot be forked once they have started. The stem becomes a builder at once, with a command that
knows nothing of any function, and does not leave: it keeps the mount namespace from which the one inside was cloned.
With the order come the mounts; the stem attaches them on its side, and the kernel carries them inside, where nobody
could have mounted them. Then it hands the program its variables and leaves, as every builder does.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from lambent.sandbox import SeedlingSpec, mounts, stem, walls
from lambent.sandbox.order import Order, Outbound, StepFailedError, receive_order, report, step

LENGTH_BYTES = 4
"""Before the order, its length."""


def grow(
    channel: socket.socket,
    descriptors: Sequence[int],
    groups: Sequence[int],
    base: Order,
    enclosure: walls.Enclosure,
    *,
    outbound: Outbound | None,
    spec: SeedlingSpec,
) -> NoReturn:
    """Start the program, wait for the order, hand it over.

    Args:
        channel: the report socket.
        descriptors: the writing end of the pipe, and both ends of the socket (the program's first).
        groups: its control groups (`walls.begin`).
        base: the zygote's order.
        enclosure: what all sandboxes share.
        outbound: the link of its network to the host's, if it has one.
        spec: the program.
    """
    output, inner, outer = descriptors
    try:
        stem.get_ready(channel, base, outbound)
        mounts.share(spec.passing)
        inherited = [*(os.dup(output) for _ in spec.output), os.dup(inner)]
        started = _order(base, spec)
        inside = walls.Inside(channel, groups, lambda: (started, inherited), inherited, enclosure)
        walls.begin(inside, kept=(output, inner, outer))
        for descriptor in (output, inner, *inherited):
            os.close(descriptor)
        with socket.socket(fileno=outer) as program:
            _wait_for_the_program(program)
            report(channel, "parked")
            order, (trees,) = receive_order(channel)
            mounts.attach_later(stem.receive_trees(trees), order, spec.passing)
            with step("execute"):
                program.sendall(message(order))
        report(channel, "assigned")
        os._exit(0)
    except EOFError:
        os._exit(0)  # not needed after all
    except BaseException as error:
        if isinstance(error, StepFailedError):
            report(channel, "failed", step=error.step, reason=error.reason)
    os._exit(1)


def _order(base: Order, spec: SeedlingSpec) -> Order:
    """Return the order that the program is started by."""
    numbers = (*spec.output, spec.channel)
    started = replace(
        base.spec,
        command=spec.command,
        environment=dict(spec.environment),
        working_directory="/",
        memory_bytes=spec.memory_bytes,
        max_processes=spec.max_processes,
        max_open_files=spec.max_open_files,
        max_file_bytes=spec.max_file_bytes,
        inherited=tuple(enumerate(numbers)),
        zygote=None,
    )
    return replace(base, spec=started)


def _wait_for_the_program(program: socket.socket) -> None:
    with step("seedling"):
        if not program.recv(1):
            raise StepFailedError("seedling", "the program ended without waiting for its order")


def message(order: Order) -> bytes:
    """Return what the program is told (`SeedlingSpec`)."""
    members = {
        "environment": dict(order.spec.environment),
        "working_directory": order.spec.working_directory,
    }
    text = json.dumps(members).encode("ascii")
    return len(text).to_bytes(LENGTH_BYTES, "big") + text
