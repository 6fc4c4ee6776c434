"""The packet filter of sandboxes that reach the outside: one nftables table, as the kernel wants it.

Speaks nfnetlink (the kernel's ``include/uapi/linux/netfilter/nf_tables.h``); the rules say who may reach whom,
and `lambent.sandbox.nat` decides when they are there. A table belongs to the socket that made it
(``NFT_TABLE_F_OWNER``, Linux 5.12): the kernel removes it with the socket, however its process ended, and lets
nobody else change it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from lambent.sandbox.netlink import (
    APPEND,
    CREATE,
    EXCLUSIVE,
    Message,
    Netlink,
    attribute,
    attributes,
    nest,
    network_number,
    text,
)

_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE, _NEW_CHAIN, _GET_CHAIN, _NEW_RULE = 0, 1, 2, 3, 4, 6
_UNSPECIFIED, _INET, _IPV4 = 0, 1, 2
_OWNER = 2
_LOCAL_IN, _FORWARD, _POST_ROUTING = 1, 2, 4
_FILTER_PRIORITY, _SOURCE_NAT_PRIORITY = 0, 100

_DROP, _ACCEPT, _JUMP = 0, 1, -3
_REGISTER, _VERDICT_REGISTER = 1, 0
_EQUAL, _DIFFERENT = 0, 1
_INPUT_NAME, _OUTPUT_NAME, _PROTOCOL_FAMILY = 6, 7, 15
_SOURCE_OFFSET, _DESTINATION_OFFSET = 12, 16
_ESTABLISHED_OR_RELATED = 2 | 4
_LINK_LOCAL = "169.254.0.0", "255.255.0.0"

ANY_SANDBOX = "lmb"
"""With this begins the host's end of every sandbox's link, whichever server's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """What a table says."""

    name: str
    prefix: str
    """With this begin the names of the host's ends of this server's sandboxes' links."""
    network: tuple[str, str]
    """Address and mask of this server's sandboxes."""
    outside: tuple[str, ...]
    """The interfaces by which sandboxes may leave."""
    guarded: tuple[str, ...]
    """Interfaces that forward packets only because of us: what comes in there may go to sandboxes alone."""
    closed: tuple[str, ...] = ()
    """Interfaces by which nothing is meant for this network itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of this or another server, as it is listed."""

    name: str
    owner: int
    """Netlink port of the owning socket; 0 if there is none."""
    note: str
    """What its maker has written into it."""


def tables(netfilter: Netlink, prefix: str) -> list[Table]:
    """Return the tables of the family ``inet`` whose names begin with this."""
    found: list[Table] = []
    for body in netfilter.dump(Message(_kind(_GET_TABLE), _head(_INET))):
        members = attributes(body[4:])
        name = _string(members[1])
        if name.startswith(prefix):
            owner = struct.unpack("!I", members[7])[0] if 7 in members else 0
            found.append(Table(name=name, owner=owner, note=members.get(6, b"").decode(errors="replace")))
    return found


def chains_that_drop(netfilter: Netlink) -> list[str]:
    """Return the host's own chains that drop forwarded IPv4 packets unless one of their rules accepts them."""
    found: list[str] = []
    for body in netfilter.dump(Message(_kind(_GET_CHAIN), _head(_UNSPECIFIED))):
        members = attributes(body[4:])
        if body[0] in (_INET, _IPV4) and 4 in members and 5 in members:
            hook = struct.unpack("!I", attributes(members[4])[1])[0]
            if hook == _FORWARD and struct.unpack("!I", members[5])[0] == _DROP:
                found.append(f"{_string(members[1])} {_string(members[3])}")
    return found


def make_table(netfilter: Netlink, walls: Walls, note: str) -> None:
    """Make a table that lives as long as this socket: all of it or nothing.

    Raises:
        OSError: with `errno.EEXIST` if there is one of that name, else what the kernel says.
    """
    members = text(1, walls.name) + network_number(2, _OWNER)
    members += attribute(6, note.encode()) if note else b""
    _commit(netfilter, [_message(_NEW_TABLE, members, CREATE | EXCLUSIVE), *_chains(walls), *_rules(walls)])


def delete_table(netfilter: Netlink, name: str) -> None:
    """Remove a table that this socket owns.

    Raises:
        OSError: it is another's, or is not there.
    """
    _commit(netfilter, [_message(_DELETE_TABLE, text(1, name), 0)])


def _chains(walls: Walls) -> list[Message]:
    return [
        _chain(walls.name, "input", "filter", _LOCAL_IN, _FILTER_PRIORITY),
        _chain(walls.name, "forward", "filter", _FORWARD, _FILTER_PRIORITY),
        _chain(walls.name, "postrouting", "nat", _POST_ROUTING, _SOURCE_NAT_PRIORITY),
        _message(_NEW_CHAIN, text(1, walls.name) + text(3, "outbound"), CREATE),
    ]


def _rules(walls: Walls) -> list[Message]:
    """Say who may reach whom. Whatever is not of a sandbox or to one passes unseen."""
    from_sandbox = _name_begins(_INPUT_NAME, walls.prefix)
    to_sandbox = _name_begins(_OUTPUT_NAME, walls.prefix)
    address, mask = walls.network
    leaves = (
        _is_ipv4(),
        _address(_SOURCE_OFFSET, address, mask),
        _name_begins(_OUTPUT_NAME, ANY_SANDBOX, _DIFFERENT),
    )

    def rule(chain: str, *expressions: bytes) -> Message:
        content = text(1, walls.name) + text(2, chain) + nest(4, *expressions)
        return _message(_NEW_RULE, content, CREATE | APPEND)

    guards = (
        # What came in by an interface that forwards because of us goes to sandboxes or nowhere.
        _name(_INPUT_NAME, name) + _name_begins(_OUTPUT_NAME, ANY_SANDBOX, _DIFFERENT)
        for name in walls.guarded
    )
    return [
        # The host's own services, its loopback's included, whatever address they are called by.
        rule("input", from_sandbox, _verdict(_DROP)),
        # An answer that the kernel cannot match to its connection would be refused here, which ends the connection.
        *(rule("input", _name(_INPUT_NAME, name), _verdict(_DROP)) for name in walls.closed),
        rule("forward", from_sandbox, _verdict(_JUMP, "outbound")),
        rule("forward", to_sandbox, _connection_is_known(), _verdict(_ACCEPT)),
        rule("forward", to_sandbox, _verdict(_DROP)),
        *(rule("forward", guard, _verdict(_DROP)) for guard in guards),
        rule("outbound", _is_ipv4(_DIFFERENT), _verdict(_DROP)),
        rule("outbound", _address(_SOURCE_OFFSET, address, mask, _DIFFERENT), _verdict(_DROP)),
        # Other sandboxes and, on a cloud's machine, the addresses that hand out its credentials.
        rule("outbound", _address(_DESTINATION_OFFSET, *_LINK_LOCAL), _verdict(_DROP)),
        *(rule("outbound", _name(_OUTPUT_NAME, name), _verdict(_ACCEPT)) for name in walls.outside),
        rule("outbound", _verdict(_DROP)),
        rule("postrouting", *leaves, _expression("masq")),
    ]


def _commit(netfilter: Netlink, messages: Sequence[Message]) -> None:
    head = struct.pack("!BBH", 0, 0, _SUBSYSTEM)
    begin = Message(_BATCH_BEGIN, head, is_acknowledged=False)
    end = Message(_BATCH_END, head, is_acknowledged=False)
    netfilter.ask(begin, *messages, end)


def _kind(message: int) -> int:
    return _SUBSYSTEM << 8 | message


def _head(family: int) -> bytes:
    return struct.pack("!BBH", family, 0, 0)


def _message(message: int, content: bytes, flags: int) -> Message:
    return Message(_kind(message), _head(_INET) + content, flags)


def _chain(table: str, name: str, kind: str, hook: int, priority: int) -> Message:
    place = nest(4, network_number(1, hook), network_number(2, priority))
    content = text(1, table) + text(3, name) + place + network_number(5, _ACCEPT) + text(7, kind)
    return _message(_NEW_CHAIN, content, CREATE)


def _expression(name: str, *members: bytes) -> bytes:
    return nest(1, text(1, name), nest(2, *members))


def _compare(value: bytes, operator: int = _EQUAL) -> bytes:
    members = network_number(1, _REGISTER), network_number(2, operator), nest(3, attribute(1, value))
    return _expression("cmp", *members)


def _mask(mask: bytes) -> bytes:
    registers = network_number(1, _REGISTER), network_number(2, _REGISTER), network_number(3, len(mask))
    zero = nest(5, attribute(1, b"\0" * len(mask)))
    return _expression("bitwise", *registers, nest(4, attribute(1, mask)), zero)


def _meta(key: int) -> bytes:
    return _expression("meta", network_number(1, _REGISTER), network_number(2, key))


def _name(key: int, name: str) -> bytes:
    return _meta(key) + _compare(name.encode().ljust(16, b"\0"))


def _name_begins(key: int, prefix: str, operator: int = _EQUAL) -> bytes:
    return _meta(key) + _compare(prefix.encode(), operator)


def _is_ipv4(operator: int = _EQUAL) -> bytes:
    return _meta(_PROTOCOL_FAMILY) + _compare(bytes([_IPV4]), operator)


def _address(offset: int, address: str, mask: str, operator: int = _EQUAL) -> bytes:
    numbers = enumerate((_REGISTER, 1, offset, 4), start=1)
    load = _expression("payload", *(network_number(kind, value) for kind, value in numbers))
    return load + _mask(socket.inet_aton(mask)) + _compare(socket.inet_aton(address), operator)


def _connection_is_known() -> bytes:
    load = _expression("ct", network_number(1, _REGISTER), network_number(2, 0))
    return load + _mask(struct.pack("=I", _ESTABLISHED_OR_RELATED)) + _compare(b"\0" * 4, _DIFFERENT)


def _verdict(code: int, chain: str = "") -> bytes:
    members = network_number(1, code) + (text(2, chain) if chain else b"")
    return _expression("immediate", network_number(1, _VERDICT_REGISTER), nest(2, nest(2, members)))


def _string(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode(errors="replace")
