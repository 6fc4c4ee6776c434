"""Netlink, the kernel's own language for network settings: messages as bytes, and a socket to ask with.

Knows the form (netlink(7)) and no meaning: `lambent.sandbox.veth` speaks rtnetlink with it,
`lambent.sandbox.nftables` nfnetlink. Standard library only, because the programs that build sandboxes use it.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

ROUTE = 0
NETFILTER = 12

CREATE, EXCLUSIVE, APPEND = 0x400, 0x200, 0x800
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_NESTED, _TYPE_MASK = 0x8000, 0x3FFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 64 * 1024
_ANSWER_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """A message without its netlink header."""

    kind: int
    body: bytes
    flags: int = 0
    """`CREATE`, `EXCLUSIVE`, `APPEND`, where the kind has use for them."""
    is_acknowledged: bool = True
    """Whether the kernel answers it; the ends of an nfnetlink batch have no answer."""


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded."""
    length = _ATTRIBUTE.size + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def nest(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """Return an attribute with a string."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """Return an attribute with 32 bits in the machine's order."""
    return attribute(kind, struct.pack("=I", value))


def network_number(kind: int, value: int) -> bytes:
    """Return an attribute with 32 bits in network order, possibly negative."""
    return attribute(kind, struct.pack("!I", value & 0xFFFFFFFF))


def attributes(content: bytes) -> dict[int, bytes]:
    """Return the payload of each attribute by kind; of a repeated kind the last."""
    return dict(listed_attributes(content))


def listed_attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Return kind and payload of each attribute, in order."""
    position = 0
    while position + _ATTRIBUTE.size <= len(content):
        length, kind = _ATTRIBUTE.unpack_from(content, position)
        if length < _ATTRIBUTE.size:
            raise ValueError(f"an attribute of {length} bytes")
        yield kind & _TYPE_MASK, content[position + _ATTRIBUTE.size : position + length]
        position += length + (-length % 4)


class Netlink:
    """A netlink socket. It belongs for ever to the network namespace in which it was opened."""

    def __init__(self, protocol: int, *, descriptor: int = -1) -> None:
        """Open a socket for `ROUTE` or `NETFILTER`, or take over an inherited descriptor of one.

        Raises:
            OSError: the kernel lacks the protocol.
        """
        if descriptor >= 0:
            self._socket = socket.socket(fileno=descriptor)
        else:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            self._socket.bind((0, 0))
        self._socket.settimeout(_ANSWER_TIMEOUT_S)
        self._numbers = itertools.count(int.from_bytes(os.urandom(3)))

    @property
    def port(self) -> int:
        """The socket's netlink address, by which the kernel knows who owns what."""
        return int(self._socket.getsockname()[0])

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket. May be repeated."""
        self._socket.close()

    def ask(self, *messages: Message) -> list[bytes]:
        """Send messages at once; return the bodies of the answers that are more than an acknowledgement.

        Raises:
            OSError: the kernel's answer to the first message that it refused; later ones may have been done.
        """
        numbers = [next(self._numbers) & 0xFFFFFFFF for _ in messages]
        self._send(messages, numbers, _REQUEST)
        sent = set(numbers)
        waiting = {
            number for number, message in zip(numbers, messages, strict=True) if message.is_acknowledged
        }
        bodies: list[bytes] = []
        while waiting:
            for kind, number, body in self._receive():
                if number not in sent:
                    continue  # of an earlier request that was given up at its first error
                if kind == _ERROR:
                    _raise_error(body)
                    waiting.discard(number)
                else:
                    bodies.append(body)
        return bodies

    def dump(self, message: Message) -> list[bytes]:
        """Ask for a list; return the body of each entry.

        Raises:
            OSError: the kernel's answer.
        """
        wanted = next(self._numbers) & 0xFFFFFFFF
        self._send([message], [wanted], _REQUEST | _DUMP)
        bodies: list[bytes] = []
        while True:
            for kind, number, body in self._receive():
                if number != wanted:
                    continue
                if kind == _DONE:
                    return bodies
                if kind == _ERROR:
                    _raise_error(body)
                bodies.append(body)

    def _send(self, messages: tuple[Message, ...] | list[Message], numbers: list[int], flags: int) -> None:
        parts: list[bytes] = []
        for message, number in zip(messages, numbers, strict=True):
            acknowledge = _ACKNOWLEDGE if message.is_acknowledged and not flags & _DUMP else 0
            length = _HEADER.size + len(message.body)
            header = _HEADER.pack(length, message.kind, message.flags | flags | acknowledge, number, 0)
            parts += [header, message.body, b"\0" * (-length % 4)]
        self._socket.send(b"".join(parts))

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        """Return kind, number and body of every message of the next datagram."""
        datagram = self._socket.recv(_RECEIVE_BYTES)
        position = 0
        while position + _HEADER.size <= len(datagram):
            length, kind, _, number, _ = _HEADER.unpack_from(datagram, position)
            yield kind, number, datagram[position + _HEADER.size : position + length]
            position += length + (-length % 4)


def _raise_error(body: bytes) -> None:
    code = -struct.unpack_from("=i", body)[0]
    if code:
        raise OSError(code, os.strerror(code))
