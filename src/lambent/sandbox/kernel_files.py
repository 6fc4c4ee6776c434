"""Files in which the kernel says what processes and groups of them use, read as cheaply as that goes.

They are asked for while invocations run: opened as text by way of a path object, and taken apart whole, they would cost
several times as much as what they say. Depends on Linux's ``/proc``.
"""

from __future__ import annotations

import os
import re

_READ_BYTES = 65_536


def read(path: str) -> bytes:
    """Return what a file says; nothing of one that is not there, or that is of something gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def number(content: bytes, name: bytes) -> int:
    """Return the number behind a name at the beginning of a line; 0 where there is none."""
    found = re.search(rb"^%b:?[ \t]+(-?\d+)" % name, content, re.MULTILINE)
    return int(found[1]) if found else 0


def pid_of(pidfd: int) -> int:
    """Return the number of a process that is there; else one that is not above 0."""
    return number(read(f"/proc/self/fdinfo/{pidfd}"), b"Pid") if pidfd >= 0 else -1


def resident_peak_bytes(pidfd: int, *, with_descendants: bool) -> int:
    """Return the peak resident size of a process (and of its descendants, added up); 0 when it is gone."""
    pids, total_bytes = [pid_of(pidfd)], 0
    while pids:
        pid = pids.pop()
        if pid > 0:
            total_bytes += number(read(f"/proc/{pid}/status"), b"VmHWM") * 1024
            pids += _children(pid) if with_descendants else []
    return total_bytes


def _children(pid: int) -> list[int]:
    return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]
