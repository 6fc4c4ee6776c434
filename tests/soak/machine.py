"""What a server may leave on the machine: processes, mounts, control groups, namespaces, interfaces, packet filters,
loop devices, sockets, files. Looks, and touches nothing; every function returns what it found, in words.

As root the soak runs in a network namespace of its own, in which everything is the server's. Without root it shares
the machine's network with whoever else is there and looks for its own things only.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import socket
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lambent.data_directory import DataDirectory
from lambent.sandbox import linux, nftables, veth
from lambent.sandbox.cgroup import mounted_hierarchies
from lambent.sandbox.netlink import NETFILTER, ROUTE, Netlink
from lambent.sandbox.order import Outbound

_PATIENCE_S = 10.0
_PAUSE_S = 0.05
_OUTSIDE = Outbound(interface="soak", address="203.0.113.2", gateway="203.0.113.1", mtu_bytes=1400)
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_LISTENING = "0A"
_DRAFT_ENDINGS = (".part", ".unpack-")

Look = Callable[[], list[str]]


def enter_own_network() -> Netlink:
    """Move this process into a new network with a default route that leads nowhere; return what keeps it alive."""
    linux.unshare(linux.CLONE_NEWNET)
    nowhere = Netlink(ROUTE)
    linux.unshare(linux.CLONE_NEWNET)
    linux.raise_loopback([])
    veth.connect(nowhere, _OUTSIDE)
    return nowhere


def make_reachable(program: Path) -> None:
    """Let every user reach a program that lies in somebody's closed home, in this process's view of the files alone.

    Raises:
        OSError: it is not possible here.
    """
    closed = [place for place in reversed(program.parents) if not place.stat().st_mode & stat.S_IXOTH]
    if not closed:
        return
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)
    inner = closed[0] / program.relative_to(closed[0]).parts[0]
    held = tempfile.mkdtemp(prefix="lambent-soak-")
    linux.mount(str(inner), held, None, linux.MS_BIND | linux.MS_REC)
    linux.mount("tmpfs", str(closed[0]), "tmpfs", 0, "mode=755")
    inner.mkdir()
    linux.mount(held, str(inner), None, linux.MS_BIND | linux.MS_REC)
    linux.detach(held)
    Path(held).rmdir()


def in_the_end(look: Look, patience_s: float = _PATIENCE_S) -> list[str]:
    """Return what is found once the kernel has had time to tidy up after a dead process."""
    deadline_s = time.monotonic() + patience_s
    while (found := look()) and time.monotonic() < deadline_s:
        time.sleep(_PAUSE_S)
    return found


# Processes and namespaces -------------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """Return the living processes below one, parents before children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            waiting.append(child)
            if _state(child) not in ("Z", "X", ""):
                found.append(child)
    return found


def reap() -> None:
    """Take note of the death of processes that were left to us."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def orphans() -> list[str]:
    """Return what lives below this process, which inherits whatever a dead server leaves."""
    reap()
    return [f"process {pid} ({_command(pid)})" for pid in descendants(os.getpid())]


def namespaces_held() -> list[str]:
    """Return the namespaces that a mount or a descriptor of ours keeps alive.

    One with a process in it is found by its process, and one with a way out by its link: an interface of this network
    lives as long as the namespace that it leads to.
    """
    links = [f"namespace behind {name}" for name in interfaces() if name.startswith(nftables.ANY_SANDBOX)]
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    mounted = [f"namespace mounted at {line.split()[4]}" for line in lines if " - nsfs " in line]
    kinds = descriptor_kinds(os.getpid())
    return links + mounted + [f"{kinds[kind]} open {kind} namespaces" for kind in _NAMESPACES if kinds[kind]]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()[:120]
    except OSError:
        return "gone"


# Mounts, control groups, loop devices -------------------------------------------------------------------------------


def mounts(directory: Path) -> list[str]:
    """Return the host's mounts that have to do with a directory."""
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return [f"mount {line.split()[4]}" for line in lines if str(directory) in line]


def control_groups(server: int) -> list[str]:
    """Return the groups of a server of this pid that exist."""
    return [str(group) for place in _group_places() for group in place.glob(f"{server}-*")]


def occupied_groups(server: int) -> list[str]:
    """Return those that have processes, or groups of sandboxes that are not empty."""
    found: list[str] = []
    for group in control_groups(server):
        for path in Path(group).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                if path.read_text().strip():
                    found.append(f"control group {path.parent} has processes")
    return found


def _group_places() -> list[Path]:
    own = Path("/proc/self/cgroup").read_text().splitlines()
    inner = {line.split(":", 2)[2] for line in own}
    found: dict[Path, None] = {}
    for mounted in mounted_hierarchies(Path("/proc/self/mountinfo").read_text(errors="replace")):
        for path in ("/", *inner):
            found[Path(mounted.mount_point + path, "lambent")] = None
    return [place for place in found if place.is_dir()]


def loop_devices(directory: Path) -> list[str]:
    """Return the loop devices that stand for files of a directory."""
    found: list[str] = []
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if str(directory) in (path := backing.read_text().strip()):
                found.append(f"{backing.parent.parent.name} for {path}")
    return found


# Network ------------------------------------------------------------------------------------------------------------


def interfaces() -> set[str]:
    """Return the names of this network's interfaces."""
    return {name for _, name in socket.if_nameindex()}


def packet_filters() -> list[str]:
    """Return the tables of this network's packet filter; none where this process may not ask."""
    try:
        with contextlib.closing(Netlink(NETFILTER)) as netfilter:
            return [f"nftables table {table.name}" for table in nftables.tables(netfilter, "")]
    except OSError:
        return []


def forwarding() -> list[str]:
    """Return whether this network's way out was left forwarding."""
    try:
        with veth.host_network() as here:
            is_on = veth.find(here, veth.INSIDE).is_forwarding
    except OSError:
        return []
    return [f"{veth.INSIDE} still forwards"] if is_on else []


def sockets(directory: Path, *, is_own_network: bool, port: int) -> list[str]:
    """Return sockets that listen: any in a network of one's own, else the server's; and those with a file."""
    found: list[str] = []
    for name in ("tcp", "tcp6"):
        for line in _lines(f"/proc/net/{name}"):
            address, state = line.split()[1], line.split()[3]
            number = int(address.rpartition(":")[2], 16)
            if state == _LISTENING and (is_own_network or number == port):
                found.append(f"{name} port {number} is listened to")
    for line in _lines("/proc/net/unix"):
        path = line.split()[7] if len(line.split()) > 7 else ""
        if str(directory) in path or (is_own_network and path.startswith("@")):
            found.append(f"UNIX socket {path}")
    return found


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()[1:]
    except OSError:
        return []


# Files --------------------------------------------------------------------------------------------------------------


def documented_names() -> set[str]:
    """Return what `DataDirectory` says a data directory holds."""
    directory = DataDirectory(root=Path("/"), secret=b"")
    names = {"lock", "secret"}
    for name, member in inspect.getmembers(DataDirectory):
        if isinstance(member, property) and isinstance(path := getattr(directory, name), Path):
            names |= {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    return names


def undocumented_files(data: Path) -> list[str]:
    """Return what lies in a data directory that nobody has documented."""
    return [
        f"{data.name}/{name}" for name in sorted({path.name for path in data.iterdir()} - documented_names())
    ]


def drafts(data: Path) -> list[str]:
    """Return files that were begun and neither finished nor removed."""
    return [
        str(path.relative_to(data))
        for part in (data, data / "blobs", data / "code")
        for path in (part.rglob("*") if part.name == "blobs" else part.iterdir())
        if any(ending in path.name for ending in _DRAFT_ENDINGS)
    ]


def blobs(data: Path) -> set[str]:
    """Return the names of stored packages."""
    return {path.name for path in (data / "blobs").rglob("*") if path.is_file() and "." not in path.name}


def environments(data: Path) -> list[str]:
    """Return the directories of execution environments: their names are environments' ids."""
    run = data / "run"
    return [f"run/{path.name}" for path in run.glob("?" * 32)] if run.is_dir() else []


def shared_memory() -> set[str]:
    """Return the files of the host's shared memory."""
    place = Path("/dev/shm")
    return {path.name for path in place.iterdir()} if place.is_dir() else set()


# The server itself --------------------------------------------------------------------------------------------------


def anonymous_memory_mb(pid: int) -> float:
    """Return the memory that a process has for itself."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def threads(pid: int) -> int:
    """Return how many threads a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def descriptor_kinds(pid: int) -> Counter[str]:
    """Count a process's descriptors by what they are."""
    found: Counter[str] = Counter()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                found[target.partition(":[")[0] if ":[" in target else target] += 1
    return found
