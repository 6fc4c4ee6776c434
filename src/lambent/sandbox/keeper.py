"""The keeper: the spawner's parent, which outlives every sandbox by a moment and tidies the network after them.

A server that is killed closes everything at once, the socket that owns the packet filters included, while its
sandboxes have a few more milliseconds to live. So the program that the server starts, and that stands outside of
the spawner's process namespace, holds that socket too. It waits until the kernel has emptied the namespace; if
the server is gone by then, it does what the server would have done at its end (`lambent.sandbox.nat.leave`).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal

from lambent.sandbox import SandboxError, linux, nat
from lambent.sandbox.netlink import NETFILTER, Netlink

_DYING_TIMEOUT_MS = 1000


def keep(spawner: int, server: int, descriptor: int) -> int:
    """Wait for the end of the spawner and of everything below it; return its wait status.

    Args:
        spawner: pid of our child, process 1 of its namespace.
        server: pidfd of our parent.
        descriptor: the socket that owns the packet filters.
    """
    server_is_gone = False
    pidfd = os.pidfd_open(spawner)

    def follow(number: int, frame: object) -> None:
        nonlocal server_is_gone
        del number, frame
        server_is_gone = True
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    # Instead of dying with the server we see the spawner die. It ends by itself when the server's socket does;
    # this is for one that cannot.
    signal.signal(signal.SIGTERM, follow)
    linux.die_with_parent(signal.SIGTERM)
    _, status = os.waitpid(spawner, 0)
    if status == 0 or server_is_gone:
        _tidy(server, Netlink(NETFILTER, descriptor=descriptor))
    return status


def _tidy(server: int, netfilter: Netlink) -> None:
    """Remove the packet filters of a server that is gone; a living one does so itself, or goes on."""
    with contextlib.suppress(OSError, SandboxError):
        if nat.has_table(netfilter) and _ends(server):
            nat.leave(netfilter)


def _ends(process: int) -> bool:
    """Return whether a process has ended; one that is about to has closed its files already."""
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(_DYING_TIMEOUT_MS))
