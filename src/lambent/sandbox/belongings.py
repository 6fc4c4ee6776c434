"""What a template has open, and what each of its copies gets in its place.

A fork shares open files: their offsets, and what lies in a pipe or a socket. Copies of a template are strangers to
each other, so every descriptor is either renewed in the copy, under the same number, or it is a reason why there can
be no copies. Connections are not renewed but broken, as they are after any restored snapshot: whoever uses one finds
its end and connects again. Runs under the commands' interpreter; see `lambent.sandbox.copying`.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SHARED = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
"""Files without a state."""
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP = 20, 0x301
_SHOW_PEER, _PEER = 4, 2
_DONE, _ERROR = 3, 2
_EFD_SEMAPHORE = 1


class UnfitError(Exception):
    """The command has something open that copies could neither share nor have one each of."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file or directory, opened again by its name."""

    descriptor: int
    path: str
    flags: int
    offset: int

    def renew(self) -> None:
        """Put a new description of the same file under the descriptor."""
        created = os.O_CREAT | os.O_EXCL | os.O_TRUNC
        new = os.open(self.path, self.flags & ~created)
        if stat.S_ISREG(os.fstat(new).st_mode):
            os.lseek(new, self.offset, os.SEEK_SET)
        _replace(self.descriptor, new)


@dataclass(frozen=True, slots=True)
class Connection:
    """A socket of the network: what replaces it is at its end."""

    descriptor: int
    family: int
    kind: int
    is_connected: bool

    def renew(self) -> None:
        """Replace a connection by one whose other side is closed, and any other socket by a new one."""
        if self.is_connected:
            own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            other.close()
        else:
            own = socket.socket(self.family, self.kind)
        _replace(self.descriptor, own.detach())


@dataclass(frozen=True, slots=True)
class Pair:
    """The two ends of a pipe, or of a pair of sockets, both of them in this process."""

    first: int
    second: int
    socket_kind: int | None
    """None for a pipe, which is read from the first."""

    def renew(self) -> None:
        """Make another pair, with nothing in it."""
        if self.socket_kind is None:
            first, second = os.pipe()
        else:
            ends = socket.socketpair(socket.AF_UNIX, self.socket_kind)
            first, second = (end.detach() for end in ends)
        _replace(self.first, first)
        _replace(self.second, second)


@dataclass(frozen=True, slots=True)
class Counter:
    """An eventfd."""

    descriptor: int
    count: int
    is_semaphore: bool

    def renew(self) -> None:
        """Make another one with the same count."""
        flags = os.EFD_CLOEXEC | (_EFD_SEMAPHORE if self.is_semaphore else 0)
        _replace(self.descriptor, os.eventfd(self.count, flags))


@dataclass(frozen=True, slots=True)
class Poller:
    """An epoll instance and what it watches, by descriptor."""

    descriptor: int
    watched: tuple[tuple[int, int], ...]

    def renew(self) -> None:
        """Make another one that watches the same descriptors; they have been renewed before."""
        new = select.epoll()
        for descriptor, events in self.watched:
            new.register(descriptor, events)
        os.dup2(new.fileno(), self.descriptor, inheritable=os.get_inheritable(self.descriptor))
        new.close()


Belonging = OpenFile | Connection | Pair | Counter | Poller


def survey(own: Collection[int]) -> list[Belonging]:
    """Return what has to be renewed in a copy, in the order in which that can be done.

    Args:
        own: descriptors that are not the command's affair.

    Raises:
        UnfitError: something can be neither renewed nor shared; the message says what.
    """
    _refuse_shared_memory()
    found: list[Belonging] = []
    pipes: dict[str, list[int]] = {}
    sockets: dict[int, int] = {}
    for descriptor, target in _open_descriptors(own):
        if target.startswith("pipe:"):
            pipes.setdefault(target, []).append(descriptor)
        elif target.startswith("socket:"):
            connection = _connection(descriptor, target)
            if connection is None:
                sockets[int(target[8:-1])] = descriptor
            else:
                found.append(connection)
        else:
            found += _of_target(descriptor, target)
    found += [_pipe(ends) for ends in pipes.values()]
    found += _socket_pairs(sockets)
    return sorted(found, key=lambda belonging: isinstance(belonging, Poller))


def _refuse_shared_memory() -> None:
    """Refuse memory that a fork shares for writing; everything else it copies."""
    for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
        words = line.split(maxsplit=5)
        if words[1].startswith("rw") and words[1].endswith("s"):
            raise UnfitError(f"memory is shared with other processes ({' '.join(words[5:]) or 'of no name'})")


def _open_descriptors(own: Collection[int]) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for link in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(link.name)
        if descriptor not in own:
            try:
                found.append((descriptor, str(link.readlink())))
            except FileNotFoundError:
                continue  # the directory that was just listed
    return sorted(found)


def _of_target(descriptor: int, target: str) -> list[Belonging]:
    """Return what to do with a descriptor that is neither a pipe nor a socket."""
    if target in _SHARED:
        return []
    information = _information(descriptor)
    if target == "anon_inode:[eventfd]":
        is_semaphore = information.get("eventfd-semaphore", "0") != "0"
        return [Counter(descriptor, int(information["eventfd-count"], 16), is_semaphore)]
    if target == "anon_inode:[eventpoll]":
        return [Poller(descriptor, _watched(descriptor))]
    if not target.startswith("/") or target.startswith("/memfd:"):
        raise UnfitError(f"descriptor {descriptor} ({target}) cannot be copied")
    if target.endswith(" (deleted)"):
        raise UnfitError(f"descriptor {descriptor} is a file that has no name any more ({target})")
    flags = int(information["flags"], 8)
    return [OpenFile(descriptor, target, flags, int(information["pos"]))]


def _information(descriptor: int) -> dict[str, str]:
    pairs = (line.partition(":") for line in _information_lines(descriptor))
    return {name: value.strip() for name, _, value in pairs}


def _information_lines(descriptor: int) -> list[str]:
    return Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()


def _watched(descriptor: int) -> tuple[tuple[int, int], ...]:
    watched: list[tuple[int, int]] = []
    for line in _information_lines(descriptor):
        words = line.split()
        if words[:1] == ["tfd:"]:
            target, events, data = int(words[1]), int(words[3], 16), int(words[5], 16)
            if data & 0xFFFFFFFF != target:
                raise UnfitError(f"descriptor {descriptor} is an epoll instance of unknown use")
            watched.append((target, events))
    return tuple(watched)


def _connection(descriptor: int, target: str) -> Connection | None:
    """Return a socket of the network; None for one of the UNIX family."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        if copy.family == socket.AF_UNIX:
            return None
        if copy.family not in (socket.AF_INET, socket.AF_INET6):
            raise UnfitError(f"descriptor {descriptor} ({target}) is a socket of family {int(copy.family)}")
        if copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise UnfitError(f"descriptor {descriptor} is a socket that waits for connections")
        try:
            copy.getpeername()
        except OSError:
            is_connected = False
        else:
            is_connected = copy.type == socket.SOCK_STREAM
        return Connection(descriptor, copy.family, copy.type, is_connected)


def _pipe(ends: Sequence[int]) -> Pair:
    modes = {int(_information(end)["flags"], 8) & os.O_ACCMODE: end for end in ends}
    if len(ends) != 2 or modes.keys() != {os.O_RDONLY, os.O_WRONLY}:
        raise UnfitError(f"descriptor {ends[0]} is a pipe to another process, or one with several ends")
    return Pair(modes[os.O_RDONLY], modes[os.O_WRONLY], None)


def _socket_pairs(sockets: Mapping[int, int]) -> list[Belonging]:
    """Return the pairs among UNIX sockets, given as descriptors by inode number."""
    if not sockets:
        return []
    peers = _peers()
    pairs: list[Belonging] = []
    for inode, descriptor in sockets.items():
        peer = peers.get(inode, 0)
        if peer not in sockets or peers.get(peer) != inode:
            raise UnfitError(f"descriptor {descriptor} is a socket that another process has the other end of")
        if inode < peer:
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                pairs.append(Pair(descriptor, sockets[peer], copy.type))
    return pairs


def _peers() -> dict[int, int]:
    """Return which UNIX socket is connected to which, by inode number (sock_diag(7))."""
    request = struct.pack(
        "=BBHIIIII", socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW_PEER, 0xFFFFFFFF, 0xFFFFFFFF
    )
    head = struct.pack("=IHHII", 16 + len(request), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0)
    peers: dict[int, int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as diagnosis:
        diagnosis.sendto(head + request, (0, 0))
        while True:
            answer = diagnosis.recv(65536)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind in (_DONE, _ERROR):
                    return peers
                peers |= _peer_in(answer[16:length])
                answer = answer[(length + 3) & ~3 :]


def _peer_in(body: bytes) -> dict[int, int]:
    (inode,) = struct.unpack_from("=I", body, 4)
    attributes = body[16:]
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == _PEER:
            return {inode: struct.unpack_from("=I", attributes, 4)[0]}
        attributes = attributes[(length + 3) & ~3 :]
    return {}


def _replace(descriptor: int, new: int) -> None:
    """Give a new file the place, and the flags, of an old one."""
    os.set_blocking(new, os.get_blocking(descriptor))
    os.dup2(new, descriptor, inheritable=os.get_inheritable(descriptor))
    os.close(new)
