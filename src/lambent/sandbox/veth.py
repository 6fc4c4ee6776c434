"""Network interfaces by rtnetlink: a sandbox's link to the host's network, and what a host's interface does.

The link is a pair of virtual Ethernet interfaces: ``eth0`` inside, its other end in the host's namespace. Both
ends have an address of one host and know the other's, so that a sandbox costs one address and there is no
network in which two of them could be neighbours. The kernel removes the pair with the sandbox's namespace.
`linked` runs in the launching process, the rest also in the server (`lambent.sandbox.nat`), which says with
packet filters what may pass. Numbers are those of the kernel's ``include/uapi/linux/{if_link,rtnetlink}.h``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lambent.sandbox.netlink import (
    CREATE,
    EXCLUSIVE,
    ROUTE,
    Message,
    Netlink,
    attribute,
    attributes,
    nest,
    number,
    text,
)
from lambent.sandbox.order import Outbound, step

INSIDE = "eth0"
STEP = "outbound"
"""The step of every error in making a sandbox's link."""
_NEW_LINK, _DELETE_LINK, _GET_LINK, _SET_LINK, _NEW_ADDRESS = 16, 17, 18, 19, 20
_NEW_ROUTE, _DELETE_ROUTE = 24, 25
_LINK_HEAD = struct.Struct("=BBHiII")
_UP = 1
_NAME, _MTU, _LINK_INFO, _AF_SPEC, _NET_NS_FD, _TX_QUEUES, _RX_QUEUES = 3, 4, 18, 26, 28, 31, 32
_INET_CONF, _FORWARDING = 1, 1
_ADDRESS_GENERATION, _NO_ADDRESSES = 8, 1
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface of the host."""

    index: int
    mtu_bytes: int
    is_forwarding: bool
    """Whether IPv4 packets that come in here and are for somebody else are passed on."""


@contextmanager
def host_network() -> Generator[Netlink]:
    """Give a socket for the namespace that this process is in now, also when it has left it."""
    with contextlib.closing(Netlink(ROUTE)) as host:
        yield host


@contextmanager
def linked(outbound: Outbound | None) -> Generator[None]:
    """Link the network namespace that the body enters to the one that it leaves (None: do not)."""
    if outbound is None:
        yield
        return
    with host_network() as host:
        yield
        with step(STEP):
            connect(host, outbound)


def connect(host: Netlink, outbound: Outbound) -> None:
    """Link this process's network namespace to the one of `host`, and route everything there.

    Raises:
        OSError: the kernel refuses, with what it says.
    """
    inside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _make_pair(host, outbound, inside)
    finally:
        os.close(inside)
    outer = find(host, outbound.interface).index
    host.ask(
        _settings(outer, forwarding=True),
        _up(outer),
        _address(outer, outbound.gateway, outbound.address),
    )
    with host_network() as own:
        inner = socket.if_nametoindex(INSIDE)
        own.ask(
            _settings(inner, forwarding=None),
            _up(inner),
            _address(inner, outbound.address, outbound.gateway),
            _default_route(inner, outbound.gateway),
        )


def _make_pair(host: Netlink, outbound: Outbound, inside: int) -> None:
    """Make the pair, in place of one that may be left of a sandbox whose end is not over yet."""
    for _ in range(_ATTEMPTS):
        try:
            host.ask(_pair(outbound.interface, INSIDE, outbound.mtu_bytes, inside))
        except FileExistsError:
            remove(host, outbound.interface)
        else:
            return
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), outbound.interface)


def try_pair(host: Netlink, name: str) -> None:
    """Make a pair and remove it, to see whether that is possible here.

    Raises:
        OSError: it is not.
    """
    remove(host, name)
    host.ask(_pair(name, f"{name}p", 1500, None))
    index = find(host, name).index
    try:
        host.ask(_settings(index, forwarding=True))
    finally:
        remove(host, name)


def find(host: Netlink, name: str) -> Interface:
    """Return an interface.

    Raises:
        OSError: there is none of that name.
    """
    (body,) = host.ask(Message(_GET_LINK, _link_head() + text(_NAME, name)))
    members = attributes(body[_LINK_HEAD.size :])
    inet = attributes(attributes(members.get(_AF_SPEC, b"")).get(socket.AF_INET, b""))
    configured = inet.get(_INET_CONF, b"\0" * 4)  # an array of 32 bits each; forwarding is the first
    return Interface(
        index=_LINK_HEAD.unpack_from(body)[3],
        mtu_bytes=struct.unpack("=I", members[_MTU])[0],
        is_forwarding=struct.unpack_from("=I", configured)[0] != 0,
    )


def set_forwarding(host: Netlink, index: int, *, is_on: bool) -> None:
    """Let an interface pass on IPv4 packets that are for somebody else, or not.

    Raises:
        OSError: the kernel refuses.
    """
    host.ask(Message(_SET_LINK, _link_head(index) + nest(_AF_SPEC, _inet_forwarding(is_on))))


def remove(host: Netlink, name: str) -> None:
    """Remove a pair by the name of one of its ends, if there is such a pair."""
    with contextlib.suppress(OSError):
        host.ask(Message(_DELETE_LINK, _link_head() + text(_NAME, name)))


def _pair(name: str, peer: str, mtu_bytes: int, peer_namespace: int | None) -> Message:
    common = number(_MTU, mtu_bytes) + number(_TX_QUEUES, 1) + number(_RX_QUEUES, 1)
    there = b"" if peer_namespace is None else number(_NET_NS_FD, peer_namespace)
    other = attribute(1, _link_head() + text(_NAME, peer) + common + there)
    info = nest(_LINK_INFO, text(1, "veth"), nest(2, other))
    return Message(_NEW_LINK, _link_head() + text(_NAME, name) + common + info, CREATE | EXCLUSIVE)


def _settings(index: int, *, forwarding: bool | None) -> Message:
    """Set what an interface does before it is up: IPv6, too, would give itself an address at once."""
    families = b"" if forwarding is None else _inet_forwarding(forwarding)
    if Path("/proc/sys/net/ipv6").exists():
        families += nest(socket.AF_INET6, attribute(_ADDRESS_GENERATION, bytes([_NO_ADDRESSES])))
    return Message(_SET_LINK, _link_head(index) + nest(_AF_SPEC, families))


def _inet_forwarding(is_on: bool) -> bytes:
    return nest(socket.AF_INET, nest(_INET_CONF, number(_FORWARDING, int(is_on))))


def _up(index: int) -> Message:
    return Message(_SET_LINK, _link_head(index, _UP))


def _address(index: int, own: str, other: str) -> Message:
    """Give an address of one host, and a route to the other end's."""
    head = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, index)
    members = attribute(1, socket.inet_aton(other)) + attribute(2, socket.inet_aton(own))
    return Message(_NEW_ADDRESS, head + members, CREATE | EXCLUSIVE)


def _default_route(index: int, gateway: str) -> Message:
    main_table, by_administrator, universe, unicast = 254, 4, 0, 1
    head = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, 0, 0, 0, main_table, by_administrator, universe, unicast, 0
    )
    members = attribute(5, socket.inet_aton(gateway)) + number(4, index)
    return Message(_NEW_ROUTE, head + members, CREATE | EXCLUSIVE)


def black_hole(address: str, bits: int, *, is_there: bool = True) -> Message:
    """Return the request that lets packets to a network vanish without an answer, or no longer."""
    main_table, by_administrator, universe, vanishing = 254, 4, 0, 6
    head = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, bits, 0, 0, main_table, by_administrator, universe, vanishing, 0
    )
    body = head + attribute(1, socket.inet_aton(address))
    return Message(_NEW_ROUTE, body, CREATE | EXCLUSIVE) if is_there else Message(_DELETE_ROUTE, body)


def _link_head(index: int = 0, flags: int = 0) -> bytes:
    return _LINK_HEAD.pack(socket.AF_UNSPEC, 0, 0, index, flags, flags)
