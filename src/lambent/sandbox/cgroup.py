"""Control groups, version 1 and 2: where they can be made here, and the group of one sandbox.

A machine has either one version 2 hierarchy with all controllers, or version 1 hierarchies with one each, or
a mixture; `discover` finds, for memory, cpu and pids, the one that we may use. What freezes is version 2 alone,
where every group can: a process that version 1 has frozen cannot be killed, so a killed server would leave it.
The launching process or the asyncio side makes a sandbox's groups, process 1 is born in them or enters them, and the
asyncio side reads, adjusts and removes them. Sources: the kernel's documentation, ``admin-guide/cgroup-v2`` and
``admin-guide/cgroup-v1/{memory,pids}``, ``scheduler/sched-bwc``.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lambent.sandbox.kernel_files import number, read
from lambent.sandbox.order import CgroupOrder

CONTROLLERS = ("memory", "cpu", "pids")
FREEZER = "freezer"
"""A controller of version 1; here, what groups of version 2 can do without one."""
_CPU_PERIOD_US = 20_000
"""So short that also work of a few milliseconds takes as long as its share says: with the kernel's usual 100 ms, a
quarter of a processor was a whole one for 16 ms of work. Shorter ones would fall below the smallest quota."""
_MIN_QUOTA_US = 1_000
_REMOVE_ATTEMPTS = 50
_REMOVE_PAUSE_S = 0.002
_OURS = "lambent"
_SERVER_LEAF = "lambent-server"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedHierarchy:
    """A mounted cgroup hierarchy, as ``/proc/self/mountinfo`` describes it."""

    version: int
    mount_point: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hierarchy:
    """A hierarchy in which this server makes its sandboxes' groups."""

    version: int
    controllers: frozenset[str]
    directory: str
    """The server's own group; a sandbox's group is a child of it."""


def mounted_hierarchies(mountinfo: str) -> list[MountedHierarchy]:
    """Return the cgroup mounts of a ``mountinfo`` file (proc(5)), in order."""
    found: list[MountedHierarchy] = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        filesystem, _, options = after.split(" ", 2)
        if filesystem in ("cgroup", "cgroup2"):
            version = 2 if filesystem == "cgroup2" else 1
            mount_point = before.split()[4].encode().decode("unicode_escape")
            found.append(
                MountedHierarchy(
                    version=version, mount_point=mount_point, options=frozenset(options.split(","))
                )
            )
    return found


def server_name(pid: int) -> str:
    """Return a new name for the groups of a sandbox room of this process.

    It says whose they are in a way that no later process with the same pid can be mistaken for.
    """
    return f"{pid}-{_start_time(pid)}-{os.urandom(4).hex()}"


def _start_time(pid: int) -> str:
    """Return when a process started, in clock ticks after boot; empty if there is none (proc(5), field
    22)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def discover(server: str) -> tuple[Hierarchy, ...]:
    """Make this server's groups in every hierarchy that we may use, and remove those of dead servers.

    Returns:
        The hierarchies; a controller that is in none of them cannot be used on this machine.
    """
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    return claim(mounted_hierarchies(mountinfo), server)


def claim(candidates: Iterable[MountedHierarchy], server: str) -> tuple[Hierarchy, ...]:
    """Make this server's groups in each of these hierarchies that has something to offer and lets us."""
    missing = {*CONTROLLERS, FREEZER}
    hierarchies: list[Hierarchy] = []
    for mounted in candidates:
        try:
            hierarchy = _claim(mounted, server, missing)
        except OSError:
            continue  # read-only, not ours, or without a controller that we lack: the next one may do
        if hierarchy is not None:
            hierarchies.append(hierarchy)
            missing -= hierarchy.controllers
    return tuple(hierarchies)


def _claim(mounted: MountedHierarchy, server: str, missing: Iterable[str]) -> Hierarchy | None:
    if mounted.version == 1:
        base = Path(mounted.mount_point)
        controllers = mounted.options.intersection(missing) - {FREEZER}
    else:
        base = _version_2_base(Path(mounted.mount_point))
        found = {*(base / "cgroup.controllers").read_text().split(), FREEZER}
        controllers = frozenset(found.intersection(missing))
    if not controllers:
        return None
    ours = base / _OURS
    if mounted.version == 2:
        _delegate(base, controllers)
    ours.mkdir(exist_ok=True)
    _remove_stale(ours)
    directory = ours / server
    if mounted.version == 2:
        _delegate(ours, controllers)
    directory.mkdir(exist_ok=True)
    if mounted.version == 2:
        _delegate(directory, controllers)
    return Hierarchy(version=mounted.version, controllers=controllers, directory=str(directory))


def _version_2_base(mount_point: Path) -> Path:
    """Return the group in which ours may live: root's own root group, else the group that was delegated to
    us."""
    if os.geteuid() == 0:
        return mount_point
    own = next(
        line.removeprefix("0::/")
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
        if line.startswith("0::/")
    )
    return mount_point / own


def _delegate(group: Path, controllers: Iterable[str]) -> None:
    """Give a version 2 group's children these controllers."""
    wanted = " ".join(f"+{controller}" for controller in sorted(controllers) if controller != FREEZER)
    if not wanted:
        return
    control = group / "cgroup.subtree_control"
    try:
        _write(control, wanted)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A group with processes of its own cannot share its controllers out; they move into a leaf.
        leaf = group / _SERVER_LEAF
        leaf.mkdir(exist_ok=True)
        for pid in (group / "cgroup.procs").read_text().split():
            _write(leaf / "cgroup.procs", pid)
        _write(control, wanted)


def _remove_stale(ours: Path) -> None:
    """Remove the groups of servers that are dead; their processes died with them."""
    for server in ours.iterdir():
        if server.is_dir():
            pid, start_time = [*server.name.split("-"), "", ""][:2]
            if pid.isdecimal() and _start_time(int(pid)) != start_time:
                for group in (*(child for child in server.iterdir() if child.is_dir()), server):
                    _remove_dying(group)


def _remove_dying(group: Path) -> None:
    """Remove a group whose last processes may be about to end."""
    for _ in range(_REMOVE_ATTEMPTS):
        if _remove_directory(group):
            return
        time.sleep(_REMOVE_PAUSE_S)


def forget(hierarchies: Iterable[Hierarchy]) -> None:
    """Remove this server's groups; those of its sandboxes must be gone."""
    for hierarchy in hierarchies:
        _remove_directory(Path(hierarchy.directory))
        _remove_directory(Path(hierarchy.directory).parent)  # stays if another server uses it


def way_to_a_group(services: Path = Path("/run/systemd/system")) -> str | None:
    """Return with which command an ordinary user's server has a group of its own, or None where that is not known.

    systemd gives one to whoever asks for it (systemd.resource-control(5), ``Delegate=``), but not to what a login shell
    starts.

    Args:
        services: there where systemd runs the machine (sd_booted(3)).
    """
    if os.geteuid() == 0 or not services.is_dir() or shutil.which("systemd-run") is None:
        return None
    return "systemd-run --user --scope -p Delegate=yes lambent up"


def has_controller(hierarchies: Iterable[Hierarchy], controller: str) -> bool:
    """Return whether one of the hierarchies has the controller."""
    return any(controller in hierarchy.controllers for hierarchy in hierarchies)


def orders(
    hierarchies: Iterable[Hierarchy], name: str, *, memory_bytes: int, max_processes: int, cpu_share: float
) -> tuple[CgroupOrder, ...]:
    """Return the groups to make for a sandbox, and what to write into them."""
    made: list[CgroupOrder] = []
    for hierarchy in hierarchies:
        settings: list[tuple[str, str]] = []
        if "memory" in hierarchy.controllers:
            settings += _memory_settings(hierarchy.version, memory_bytes)
        if "pids" in hierarchy.controllers:
            settings.append(("pids.max", str(max(max_processes, 2) + 1)))  # process 1 is ours
        if "cpu" in hierarchy.controllers:
            settings += _cpu_settings(hierarchy.version, cpu_share)
        made.append(CgroupOrder(f"{hierarchy.directory}/{name}", tuple(settings), hierarchy.version))
    return tuple(made)


def _memory_settings(version: int, memory_bytes: int) -> list[tuple[str, str]]:
    """Limit memory, and memory plus swap: swap is no way around the limit."""
    if version == 1:
        limit = str(memory_bytes)
        return [("memory.limit_in_bytes", limit), ("?memory.memsw.limit_in_bytes", limit)]
    return [("memory.max", str(memory_bytes)), ("?memory.swap.max", "0")]


def _cpu_settings(version: int, share: float) -> list[tuple[str, str]]:
    quota_us = max(_MIN_QUOTA_US, round(share * _CPU_PERIOD_US))
    if version == 1:
        quota = str(quota_us) if share else "-1"
        return [("cpu.cfs_period_us", str(_CPU_PERIOD_US)), ("cpu.cfs_quota_us", quota)]
    return [("cpu.max", f"{quota_us if share else 'max'} {_CPU_PERIOD_US}")]


def make(order: CgroupOrder) -> int:
    """Make a group, set its limits and return a descriptor for a process that is to be in it (`enter`)."""
    group = Path(order.directory)
    group.mkdir(exist_ok=True)
    limit(order)
    return _entrance(group, version=order.version, into_groups=True)


def _entrance(group: Path, *, version: int, into_groups: bool) -> int:
    if version == 1:
        return os.open(group / "tasks", os.O_WRONLY | os.O_CLOEXEC)
    if into_groups:
        return os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return os.open(group / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)


def birthplace(entrances: Iterable[int]) -> int | None:
    """Return the group of version 2 among these descriptors, for `lambent.sandbox.linux.clone_process`."""
    return next((entrance for entrance in entrances if stat.S_ISDIR(os.fstat(entrance).st_mode)), None)


def enter(entrances: Iterable[int]) -> None:
    """Move this process, which has one thread, into the groups where it was not born; closes the descriptors.

    Moving any other process, or one with all its threads, takes the kernel some 10 ms if nobody has done that a moment
    before, because it waits until no process can be forking; a thread that moves itself need not wait.
    """
    for entrance in entrances:
        if not stat.S_ISDIR(os.fstat(entrance).st_mode):
            os.write(entrance, b"0")
        os.close(entrance)


def limit(order: CgroupOrder) -> None:
    """Set the limits of a group that exists. A ``?`` marks files that may be missing."""
    group = Path(order.directory)
    for file, value in order.settings:
        path = group / file.removeprefix("?")
        if path.exists() or not file.startswith("?"):
            _write(path, value)


class SandboxCgroup:
    """The groups of one sandbox, seen from the asyncio side."""

    def __init__(self, hierarchies: Iterable[Hierarchy], name: str) -> None:
        self.name = name
        self._groups = [(hierarchy, Path(hierarchy.directory) / name) for hierarchy in hierarchies]

    def make(self, *, into_groups: bool) -> list[int]:
        """Make the groups, without limits yet; return a descriptor for each, for who is to `enter`.

        Args:
            into_groups: whether that will be cloned, so that it can be born in a group of version 2 (`birthplace`).
        """
        entrances: list[int] = []
        try:
            for hierarchy, group in self._groups:
                group.mkdir(exist_ok=True)
                entrances.append(_entrance(group, version=hierarchy.version, into_groups=into_groups))
        except OSError:
            for entrance in entrances:
                os.close(entrance)
            raise
        return entrances

    def limit_cpu(self, share: float) -> None:
        """Set the CPU quota in vCPUs; 0 lifts it."""
        for hierarchy, group in self._groups:
            if "cpu" in hierarchy.controllers:
                for file, value in _cpu_settings(hierarchy.version, share):
                    _write(group / file, value)

    def freeze(self, *, is_frozen: bool) -> bool:
        """Stop everything in the group, or let it go on; False if there is no such group."""
        for hierarchy, group in self._groups:
            if FREEZER in hierarchy.controllers:
                _write(group / "cgroup.freeze", "1" if is_frozen else "0")
                return True
        return False

    def peak_memory_bytes(self) -> int | None:
        """Return the highest usage less the file cache of now; None without a memory group.

        The kernel remembers the peak of everything that is charged, page cache included, which a function
        that writes files drives to its limit. Cache grows until it is reclaimed, so what is cached now was
        not needed.
        """
        for hierarchy, group in self._groups:
            if "memory" in hierarchy.controllers:
                return _peak_memory_bytes(hierarchy.version, group)
        return None

    def oom_kills(self) -> int:
        """Return how many processes the kernel has killed for want of memory."""
        for hierarchy, group in self._groups:
            if "memory" in hierarchy.controllers:
                file = "memory.oom_control" if hierarchy.version == 1 else "memory.events"
                return number(read(f"{group}/{file}"), b"oom_kill")
        return 0

    def remove(self) -> bool:
        """Remove the groups; return False if some still have a dying process and the call must be
        repeated."""
        removed = [_remove_directory(group) for _, group in self._groups]
        return all(removed)


def _peak_memory_bytes(version: int, group: Path) -> int:
    prefix, cache = (b"total_", b"cache") if version == 1 else (b"", b"file")
    if version == 1:
        usage = read(f"{group}/memory.max_usage_in_bytes")
    else:
        # memory.peak is younger (Linux 5.19) than the rest
        usage = read(f"{group}/memory.peak") or read(f"{group}/memory.current")
    if not usage:
        return 0
    counters = read(f"{group}/memory.stat")
    return max(0, int(usage) - number(counters, prefix + cache) + number(counters, prefix + b"shmem"))


def _remove_directory(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    """Write in one call; the kernel takes each write as one command, and creates no files here."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{path} = {text}") from error
    finally:
        os.close(descriptor)
