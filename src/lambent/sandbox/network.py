"""The network of a sandbox: a loopback of its own with listening sockets on it, or the host's loopback.

A socket belongs for ever to the network namespace in which it was made. So the launching process makes the
listeners inside and passes them out, and the server accepts connections from the sandbox without any route
between the two. Runs in the launching process. The link to the outside is made by `lambent.sandbox.veth`.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from lambent.sandbox import linux

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_BACKLOG = 128


def raise_own_loopback(addresses: Sequence[tuple[str, int]]) -> None:
    """Bring the new namespace's loopback up with every address that is not in 127.0.0.0/8 added to it."""
    hosts = dict.fromkeys(host for host, _ in addresses if ipaddress.ip_address(host) not in _LOOPBACK)
    linux.raise_loopback(hosts)


def listen(addresses: Sequence[tuple[str, int]]) -> list[socket.socket]:
    """Return a listening socket for each address, in order."""
    listeners: list[socket.socket] = []
    for host, port in addresses:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listeners.append(listener)
    return listeners


def on_host(addresses: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return the addresses to use when the network is the host's: free ports, so that sandboxes do not
    collide."""
    return [("127.0.0.1", 0) for _ in addresses]
