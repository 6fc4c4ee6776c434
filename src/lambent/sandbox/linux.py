"""The kernel calls that Python does not offer, one function each.

Every function raises `OSError` with the call's errno and the path it concerns. Nothing here decides anything.
Used by the programs that build sandboxes; the asyncio side has no need of it. Kernel 5.12 is the oldest that
has all of them (``mount_setattr``; see the man pages of section 2).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from lambent.sandbox import syscalls

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_CLONE_PIDFD = 0x00001000
_CLONE_INTO_CGROUP = 0x2_0000_0000
_SIGCHLD = 17

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
_MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_BY_DESCRIPTORS = 0x04 | 0x40  # MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH

_RESOLVE_IN_ROOT = 0x10

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
CAP_NET_ADMIN = 1 << 12
CAP_SYS_ADMIN = 1 << 21
_CLOSE_RANGE_CLOEXEC = 4
_LAST_DESCRIPTOR = 0xFFFFFFFF

_SIOCSIFADDR = 0x8916
_SIOCSIFFLAGS = 0x8914
_SIOCSIFNETMASK = 0x891C
_SIOCGSKNS = 0x894C
_IFF_UP = 1

_RESERVED_SIGNALS = (32, 33)
_SIGACTION_BYTES, _SIGSET_BYTES = 32, 8
"""The kernel's own structures, on 64-bit machines."""

# PyDLL keeps the interpreter's lock during the call: the child of `clone_process` must find it as it left it.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _SockFprog(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def unshare(flags: int) -> None:
    """Move this process (for pid namespaces: its future children) into new namespaces."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter_namespace(descriptor: int, kind: int) -> None:
    """Move this process (for pid namespaces: its future children) into a namespace that exists."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def network_of(descriptor: int) -> int:
    """Return a descriptor of the network namespace to which a socket belongs (sockios.h: SIOCGSKNS)."""
    return fcntl.ioctl(descriptor, _SIOCGSKNS)


def clone_process(flags: int, cgroup: int | None = None) -> tuple[int, int]:
    """Fork into new namespaces; return (pid, pidfd) in the parent and (0, -1) in the child.

    Unlike `os.fork` the parent stays outside a new user namespace and can write its id maps. Only for
    processes with one thread: the interpreter does not notice the fork, which is harmless just then.

    Args:
        flags: the namespaces.
        cgroup: descriptor of the directory of a control group of version 2, in which the child is born.
    """
    pidfd = ctypes.c_int(-1)
    flags |= _CLONE_PIDFD | (0 if cgroup is None else _CLONE_INTO_CGROUP)
    where = ctypes.addressof(pidfd)
    record = struct.pack("11Q", flags, where, 0, 0, _SIGCHLD, 0, 0, 0, 0, 0, cgroup or 0)
    arguments = (record, ctypes.c_size_t(len(record)))
    pid = _check(_libc.syscall(ctypes.c_long(_number("clone3")), *arguments), "clone3")
    return (pid, pidfd.value) if pid else (0, -1)


def mount(
    source: str | None, target: str, filesystem: str | None, flags: int, options: str | None = None
) -> None:
    """Attach a filesystem, or bind a directory or file."""
    arguments = (_bytes(source), _bytes(target), _bytes(filesystem), ctypes.c_ulong(flags), _bytes(options))
    _check(_libc.mount(*arguments), f"mount {target}")


def open_in_root(root: int, path: str) -> int:
    """Return an O_PATH descriptor of a path, resolved as if `root` (a descriptor) were the root directory."""
    how = struct.pack("QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
    arguments = (ctypes.c_int(root), _bytes(path), how, ctypes.c_size_t(len(how)))
    return _check(_libc.syscall(ctypes.c_long(_number("openat2")), *arguments), f"open {path}")


def detach(target: str) -> None:
    """Unmount now for every new user, later for those that are still inside."""
    _check(_libc.umount2(_bytes(target), _MNT_DETACH), f"umount {target}")


def flush_filesystem(descriptor: int) -> None:
    """Write everything that is still to be written to the filesystem of a file or directory."""
    _check(_libc.syncfs(ctypes.c_int(descriptor)), "syncfs")


def set_mount_attributes(target: str, attributes: int, *, recursive: bool = True) -> None:
    """Add attributes to a mount and, if recursive, to every mount below it."""
    record = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = ctypes.c_uint(_AT_RECURSIVE if recursive else 0)
    number = ctypes.c_long(_number("mount_setattr"))
    result = _libc.syscall(number, _AT_FDCWD, _bytes(target), flags, record, ctypes.c_size_t(len(record)))
    _check(result, f"mount_setattr {target}")


def clone_tree(source: str, attributes: int) -> int:
    """Return a descriptor of a private copy of a mount and of all mounts below it, attached nowhere yet.

    Args:
        source: the file or directory that becomes the root of the copy.
        attributes: added to every mount of the copy.
    """
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE)
    number = ctypes.c_long(_number("open_tree"))
    tree = _check(_libc.syscall(number, _AT_FDCWD, _bytes(source), flags), f"open_tree {source}")
    record = struct.pack("QQQQ", attributes, 0, MS_PRIVATE, 0)
    flags = ctypes.c_uint(_AT_RECURSIVE | _AT_EMPTY_PATH)
    number = ctypes.c_long(_number("mount_setattr"))
    result = _libc.syscall(number, ctypes.c_int(tree), b"", flags, record, ctypes.c_size_t(len(record)))
    try:
        _check(result, f"mount_setattr {source}")
    except OSError:
        os.close(tree)
        raise
    return tree


def attach_tree(tree: int, place: int) -> None:
    """Attach what `clone_tree` returned, in this mount namespace, on a place given by its descriptor."""
    number = ctypes.c_long(_number("move_mount"))
    arguments = (ctypes.c_int(tree), b"", ctypes.c_int(place), b"", ctypes.c_uint(_MOVE_MOUNT_BY_DESCRIPTORS))
    _check(_libc.syscall(number, *arguments), "move_mount")


def pivot_root(new_root: str, put_old: str) -> None:
    """Make a mount the root of this mount namespace."""
    _check(
        _libc.syscall(ctypes.c_long(_number("pivot_root")), _bytes(new_root), _bytes(put_old)), "pivot_root"
    )


def set_hostname(name: str) -> None:
    """Name the machine in this UTS namespace."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def die_with_parent(with_signal: int = 9) -> None:
    """Ask for SIGKILL (or another signal) when the thread that forked this process ends."""
    _prctl(_PR_SET_PDEATHSIG, with_signal)


def become_subreaper() -> None:
    """Adopt orphaned descendants, as process 1 does."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_inspection() -> None:
    """Give this process's files in /proc to root and refuse ptrace, also to processes of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0)


def permit_inspection() -> None:
    """Undo `forbid_inspection`, as executing a program does."""
    _prctl(_PR_SET_DUMPABLE, 1)


def forbid_new_privileges() -> None:
    """Make set-user-id and file capabilities ineffective for this process and its children, for ever."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def empty_bounding_set() -> None:
    """Drop every capability from the bounding set."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    for capability in range(last + 1):
        _prctl(_PR_CAPBSET_DROP, capability)


def drop_capabilities() -> None:
    """Empty the effective, permitted and inheritable sets."""
    set_capabilities(effective=0, permitted=0)


def keep_capabilities() -> None:
    """Let the permitted set survive the change from user 0 to another one."""
    _prctl(_PR_SET_KEEPCAPS, 1)


def set_capabilities(*, effective: int, permitted: int) -> None:
    """Set these two sets, of the first 32 capabilities, and empty the inheritable one."""
    header = struct.pack("II", _CAPABILITY_VERSION_3, 0)
    sets = struct.pack("IIIIII", effective, permitted, 0, 0, 0, 0)
    _check(_libc.syscall(ctypes.c_long(_number("capset")), header, sets), "capset")


def filter_system_calls(program: bytes) -> None:
    """Load a seccomp program (`lambent.sandbox.seccomp`) for this process and its children."""
    record = _SockFprog(len(program) // 8, program)
    result = _libc.prctl(
        _PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(record), None, None
    )
    _check(result, "prctl PR_SET_SECCOMP")


def restore_reserved_signals() -> None:
    """Take the default action for the two signals that the C library keeps for itself.

    It refuses to name them, and its own posix_spawn, which make uses, leaves them ignored in what it starts.
    """
    default = bytes(_SIGACTION_BYTES)
    for number in _RESERVED_SIGNALS:
        arguments = (number, default, None, ctypes.c_size_t(_SIGSET_BYTES))
        _check(_libc.syscall(ctypes.c_long(_number("rt_sigaction")), *arguments), "rt_sigaction")


def close_all_on_exec() -> None:
    """Mark every descriptor of this process close-on-exec."""
    _close_range(0, _LAST_DESCRIPTOR, _CLOSE_RANGE_CLOEXEC)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor of this process but these, now."""
    first = 0
    for descriptor in sorted(kept):
        if first < descriptor:
            _close_range(first, descriptor - 1, 0)
        first = descriptor + 1
    _close_range(first, _LAST_DESCRIPTOR, 0)


def _close_range(first: int, last: int, flags: int) -> None:
    number = ctypes.c_long(_number("close_range"))
    arguments = (ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags))
    _check(_libc.syscall(number, *arguments), "close_range")


def raise_loopback(addresses: Iterable[str]) -> None:
    """Bring ``lo`` up and give it these further IPv4 addresses, each as a network of one host."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        for position, address in enumerate(addresses):
            label = f"lo:{position}".encode()
            fcntl.ioctl(control, _SIOCSIFADDR, _address_request(label, address))
            fcntl.ioctl(control, _SIOCSIFNETMASK, _address_request(label, "255.255.255.255"))


def _address_request(label: bytes, address: str) -> bytes:
    return struct.pack("16sHH4s8x", label, socket.AF_INET, 0, socket.inet_aton(address))


def _number(name: str) -> int:
    return syscalls.numbers()[name]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def _prctl(option: int, argument: int) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(argument), None, None, None), f"prctl {option}")


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
