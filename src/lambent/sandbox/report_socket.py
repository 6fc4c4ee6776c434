"""The asyncio side of a report socket: what `lambent.sandbox.order` says over one, without blocking."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from lambent.sandbox.control import readable, writable
from lambent.sandbox.order import parse_report, receive


async def next_report(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next report from a non-blocking socket and its descriptors; None when there will be none."""
    while True:
        try:
            message, descriptors = receive(channel)
        except BlockingIOError:
            await readable(channel.fileno())
        except ConnectionResetError:
            continue  # the other side has left something unread; reports before that are still there
        else:
            return (parse_report(message), descriptors) if message else None


def report_sockets() -> tuple[socket.socket, socket.socket]:
    """Return our end, which does not block, and theirs."""
    channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.setblocking(False)
    return channel, theirs


async def send_when_possible(control: socket.socket, message: bytes, descriptors: Sequence[int]) -> None:
    """Send to a non-blocking socket, as soon as it has room."""
    while True:
        try:
            socket.send_fds(control, [message], descriptors)
        except BlockingIOError:
            await writable(control.fileno())
        else:
            return
