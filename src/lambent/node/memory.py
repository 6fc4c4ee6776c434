"""How much memory this machine has for execution environments: all of it, or what a control group leaves.

Read once, at start. Sources: proc(5) ``/proc/meminfo``, the kernel's ``admin-guide/cgroup-v2`` and
``admin-guide/cgroup-v1/memory``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

_MB = 1024 * 1024


def memory_mb(root: Path = Path("/")) -> int:
    """Return the memory of the machine, or of the tightest control group that this process is in, in MB.

    Args:
        root: where ``proc`` and ``sys`` are.
    """
    limits = [limit for limit in _group_limits(root) if limit > 0]
    return min([_machine_bytes(root), *limits]) // _MB


def _machine_bytes(root: Path) -> int:
    for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise ValueError("/proc/meminfo names no MemTotal")


def _group_limits(root: Path) -> list[int]:
    """Return the limits of this process's memory group and of those above it."""
    found: list[int] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            mount, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        elif not controllers:
            mount, file = root / "sys/fs/cgroup", "memory.max"
        else:
            continue
        path = PurePosixPath(group)
        for place in (path, *path.parents):
            text = _text(mount / str(place).lstrip("/") / file).strip()
            if text.isdecimal():  # a group without a limit says "max"
                found.append(int(text))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
