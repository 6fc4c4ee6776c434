"""The way out of sandboxes: a share of the link-local addresses, and the packet filters around them.

A server claims one of sixteen *blocks* of addresses; each of its sandboxes gets an address of it and a link
(`lambent.sandbox.veth`), and leaves the machine in the host's name. What it cannot reach, the block's table
(`lambent.sandbox.nftables`) says. The table is also the claim: only one server can make it, and the kernel
removes it when its socket closes, which is after the last sandbox's end (`lambent.sandbox.keeper`).

The interfaces by which sandboxes leave are those of the default routes when the server starts; who gets another one
later starts the server again. Packets come back only if such an interface forwards. Where it did not, we switch it
on and note that in the table, and the last server to leave switches it off again. A lock, held for milliseconds on
the file of the network namespace itself, keeps servers that come and go out of each other's way.

Used by `lambent.sandbox.namespaces` and, for its end, by the keeper: standard library only, no event loop.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from lambent.sandbox import SandboxError, nftables, resolvers, veth
from lambent.sandbox.netlink import NETFILTER, Netlink
from lambent.sandbox.order import Outbound

_BLOCKS = 16
_FIRST = int(ipaddress.IPv4Address("169.254.192.0"))
_BLOCK_ADDRESSES = 1024
_GATEWAY = 1
_FIRST_SANDBOX, _LAST_SANDBOX = 2, _BLOCK_ADDRESSES - 2
_LEAST_MTU_BYTES = 1280
"""IPv6's (RFC 8200): an interface with less has no IPv6 that could be switched off."""
_TABLE = "lambent-"
_SIOCGSKNS = 0x894C
_LOCK_TIMEOUT_S = 10.0
_LOCK_PAUSE_S = 0.005
STEP = "network = nat"
"""The step of every error here."""


class NotAllowedError(SandboxError):
    """The server's user may not change the network that the server is in."""


class Nat:
    """A claimed block. Closing gives everything back."""

    def __init__(self, *, through: str = "") -> None:
        """Claim a block and put its walls up. Takes milliseconds.

        Args:
            through: what else lies between this network and the outside (`lambent.sandbox.pasta`).

        Raises:
            NotAllowedError: this process may not do so.
            SandboxError: it is not possible here, with the reason.
        """
        with _naming_reason(), contextlib.ExitStack() as undo:
            netfilter = undo.enter_context(contextlib.closing(Netlink(NETFILTER)))
            outside = default_interfaces(Path("/proc/self/net/route").read_text(encoding="ascii"))
            if not outside:
                raise SandboxError(STEP, "this machine has no default route")
            with veth.host_network() as host, _lock(netfilter):
                block, mtu_bytes = _claim(netfilter, host, outside, outside if through else ())
            self.block, self.mtu_bytes = block, mtu_bytes
            self.how = _how(block, outside, nftables.chains_that_drop(netfilter), through)
            undo.pop_all()
        self._netfilter: Netlink | None = netfilter

    def fileno(self) -> int:
        """Return the descriptor of the socket that owns the table, for `lambent.sandbox.keeper`."""
        return -1 if self._netfilter is None else self._netfilter.fileno()

    def close(self) -> None:
        """Take the walls down; no sandbox may be left. May be repeated."""
        if self._netfilter is not None:
            netfilter, self._netfilter = self._netfilter, None
            with contextlib.closing(netfilter):
                leave(netfilter)


class Links:
    """The links of a block, each of one sandbox at a time."""

    def __init__(self, block: int, mtu_bytes: int) -> None:
        addresses = range(_FIRST_SANDBOX, _LAST_SANDBOX + 1)
        self._free = deque(outbound(block, index, mtu_bytes) for index in addresses)

    def take(self) -> Outbound:
        """Return a link that nobody has.

        Raises:
            SandboxError: all are taken.
        """
        if not self._free:
            reason = f"all {_LAST_SANDBOX - _FIRST_SANDBOX + 1} addresses of this server are in use"
            raise SandboxError(STEP, reason)
        return self._free.popleft()

    def give_back(self, link: Outbound) -> None:
        """Let a link be taken again, after all others: the kernel removes the old one in its own time."""
        self._free.append(link)


def outbound(block: int, index: int, mtu_bytes: int) -> Outbound:
    """Return the link of a block's sandbox."""
    first = _FIRST + block * _BLOCK_ADDRESSES
    return Outbound(
        interface=f"{_prefix(block)}{index}",
        address=str(ipaddress.IPv4Address(first + index)),
        gateway=str(ipaddress.IPv4Address(first + _GATEWAY)),
        mtu_bytes=mtu_bytes,
    )


def default_interfaces(route_table: str) -> tuple[str, ...]:
    """Return the interfaces that lead anywhere, of a ``/proc/net/route`` (proc(5)).

    Half of all addresses counts as anywhere: that is how tunnels come before a default route.
    """
    found: dict[str, None] = {}
    for line in route_table.splitlines()[1:]:
        name, destination, _, flags, _, _, _, mask = line.split()[:8]
        is_up_and_not_reject = int(flags, 16) & 0x201 == 1
        length = int(mask, 16).bit_count()
        half = socket.inet_ntoa(struct.pack("=I", int(destination, 16))) in ("0.0.0.0", "128.0.0.0")  # noqa: S104
        if is_up_and_not_reject and length <= 1 and half and name != "lo":
            found[name] = None
    return tuple(found)


def has_table(netfilter: Netlink) -> bool:
    """Return whether this socket still owns a table."""
    return _own(netfilter) is not None


def leave(netfilter: Netlink) -> None:
    """Remove this socket's table and what it notes, unless another server needs it. May be repeated.

    Raises:
        SandboxError: the kernel refuses.
    """
    with veth.host_network() as host, _naming_reason(), _lock(netfilter):
        own = _own(netfilter)
        if own is None:
            return
        nftables.delete_table(netfilter, own.name)
        needed = _noted(nftables.tables(netfilter, _TABLE))
        for name in _noted([own]) - needed:
            _switch(host, name, is_on=False)


def _claim(
    netfilter: Netlink, host: Netlink, outside: tuple[str, ...], closed: tuple[str, ...]
) -> tuple[int, int]:
    """Make the table of a free block and let packets come back; return the block and the smallest MTU."""
    others = nftables.tables(netfilter, _TABLE)
    taken = {table.name for table in others}
    free = next((block for block in range(_BLOCKS) if f"{_TABLE}{block}" not in taken), None)
    if free is None:
        raise SandboxError(STEP, f"all {_BLOCKS} blocks of addresses are taken by other servers")
    interfaces = {name: veth.find(host, name) for name in outside}
    switched = [name for name, interface in interfaces.items() if not interface.is_forwarding]
    guarded = tuple(sorted(_noted(others).union(switched)))
    network = str(ipaddress.IPv4Address(_FIRST + free * _BLOCK_ADDRESSES))
    mask = str(ipaddress.IPv4Address(2**32 - _BLOCK_ADDRESSES))
    walls = nftables.Walls(
        name=f"{_TABLE}{free}",
        prefix=_prefix(free),
        network=(network, mask),
        outside=outside,
        guarded=guarded,
        closed=closed,
    )
    nftables.make_table(netfilter, walls, ",".join(guarded))
    try:
        veth.try_pair(host, f"{_prefix(free)}0")
        for name in switched:
            _switch(host, name, is_on=True)
    except OSError:
        for name in switched:
            _switch(host, name, is_on=False)
        raise
    return free, max(_LEAST_MTU_BYTES, min(interface.mtu_bytes for interface in interfaces.values()))


def _switch(host: Netlink, name: str, *, is_on: bool) -> None:
    """Let an interface forward, or not; one that has gone meanwhile needs neither."""
    try:
        veth.set_forwarding(host, veth.find(host, name).index, is_on=is_on)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def _own(netfilter: Netlink) -> nftables.Table | None:
    port = netfilter.port
    return next((table for table in nftables.tables(netfilter, _TABLE) if table.owner == port), None)


def _noted(tables: Iterable[nftables.Table]) -> set[str]:
    """Return the interfaces that forward only because of these tables' servers."""
    return {name for table in tables for name in table.note.split(",") if name}


def _prefix(block: int) -> str:
    return f"{nftables.ANY_SANDBOX}{block}-"


def _how(block: int, outside: tuple[str, ...], dropping: list[str], through: str) -> str:
    way = through or f"NAT ({_prefix(block)}* to {', '.join(outside)})"
    words = [f"network namespace; the outside by {way}"]
    if dropping:
        chains = ", ".join(dropping)
        words.append(f"the host's firewall may drop it: accept {nftables.ANY_SANDBOX}* in {chains}")
    if not resolvers.of("nat"):
        words.append("no names: the host's resolvers listen on its loopback only")
    return "; ".join(words)


@contextmanager
def _naming_reason() -> Generator[None]:
    try:
        yield
    except PermissionError as error:
        raise NotAllowedError(STEP, "the server may not set up networks here (CAP_NET_ADMIN)") from error
    except OSError as error:
        raise SandboxError(STEP, f"the kernel refuses: {error.strerror or error}") from error


@contextmanager
def _lock(netfilter: Netlink) -> Generator[None]:
    """Be alone among the servers of the socket's network namespace."""
    # Not by /proc: the keeper's belongs to a process namespace that has ended.
    descriptor = fcntl.ioctl(netfilter.fileno(), _SIOCGSKNS)
    try:
        deadline_s = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(_LOCK_PAUSE_S)
            else:
                break
        yield
    finally:
        os.close(descriptor)
