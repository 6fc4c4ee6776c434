"""The launch of a command inside the kernel's walls, as ordered steps.

Two processes of ours take part. The *builder*, forked by the spawner with all its rights, makes the control
groups, the namespaces, the network and the file tree, and then clones *process 1* into a user and a process
namespace that are new: from there on every mount is locked, because the mount namespace that process 1 gets
belongs to the new user namespace. The builder writes the id maps and exits; process 1 gives up every right,
executes the command as process 2, reaps, reports how the command ended, and exits, whereupon the kernel kills
whatever is left.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from lambent.sandbox import cgroup, command, linux, mounts, network, veth
from lambent.sandbox.order import Order, Outbound, StepFailedError, report, step

_Group = TypeVar("_Group")
_IDS = 1000
PREFERRED_HOST_ID = 1_879_048_192
"""First of the thousand host ids that stand behind a sandbox's: in a range that no distribution hands out
(systemd's "Users, Groups, UIDs and GIDs on systemd Systems" lists who uses which)."""
_MIN_DATA_BYTES = 256 * 1024 * 1024
KEPT_BY_TEMPLATES = linux.CAP_SYS_ADMIN | linux.CAP_NET_ADMIN
"""Permitted, in the sandbox's own user namespace, to the process 2 of a template: for namespaces and mounts of its
copies, and for their loopbacks' addresses (`lambent.sandbox.copying`)."""


@dataclass(frozen=True, slots=True)
class IdMap:
    """Which ids of the builder's namespace stand behind the ids inside."""

    user_ids: str
    group_ids: str
    is_private: bool
    """Whether the ids belong to sandboxes alone; else they are those of whoever started the server."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """What is the same for every sandbox of a spawner."""

    ids: IdMap
    program: bytes
    """The seccomp filter."""
    template_program: bytes = b""
    """The one of templates."""
    become: command.Become = command.execute
    """How process 2 becomes the command."""


def choose_ids(own_map: str, *, is_root: bool) -> IdMap:
    """Return the id maps of sandboxes.

    Args:
        own_map: the content of ``/proc/self/uid_map``.
        is_root: whether we may map other ids than our own.
    """
    extents = [
        (int(first), int(count)) for first, _, count in (line.split() for line in own_map.splitlines())
    ]
    if is_root:
        for first, count in extents:
            if first <= PREFERRED_HOST_ID and first + count >= PREFERRED_HOST_ID + _IDS:
                line = f"0 {PREFERRED_HOST_ID} {_IDS}"
                return IdMap(line, line, True)
        first, count = max(extents, key=lambda extent: extent[1])
        if count >= 4 * _IDS:
            line = f"0 {first + count - _IDS} {_IDS}"
            return IdMap(line, line, True)
    return IdMap(f"{mounts.USER_ID} 0 1", f"{mounts.GROUP_ID} 0 1", False)


def launch(channel: socket.socket, order: Order, inherited: Sequence[int], enclosure: Enclosure) -> NoReturn:
    """Be the builder.

    Args:
        channel: the report socket.
        order: what to build and to run.
        inherited: descriptors for the command.
        enclosure: what all sandboxes share.
    """
    ids = enclosure.ids
    with entering(order.cgroups, cgroup.make_and_enter):
        _build(channel, order, ids)
    enclose(channel, order, inherited, enclosure)


def _build(channel: socket.socket, order: Order, ids: IdMap) -> None:
    """Make the namespaces, the network and the file tree, in this process."""
    enter_namespaces(
        channel,
        order.spec.hostname,
        order.spec.listen,
        network_kind=order.network,
        outbound=order.outbound,
    )
    own_tmp(order.spec.tmp_directory, ids)
    mounts.build(order)


def enter_namespaces(
    channel: socket.socket,
    hostname: str,
    addresses: Sequence[tuple[str, int]],
    *,
    network_kind: str,
    outbound: Outbound | None,
) -> None:
    """Give this process the namespaces of a sandbox that no rights depend on, and report its listeners."""
    with step("namespaces"), veth.linked(outbound):
        flags = linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
        linux.unshare(flags | (0 if network_kind == "host" else linux.CLONE_NEWNET))
    with step("hostname"):
        linux.set_hostname(hostname)
    _listen(channel, addresses, network_kind)


def own_tmp(tmp_directory: str, ids: IdMap) -> None:
    """Make the tmp directory the command's own."""
    with step("tmp_owner"):
        if ids.is_private:
            first = int(ids.user_ids.split()[1])
            os.chown(tmp_directory, first + mounts.USER_ID, first + mounts.GROUP_ID)


def enclose(
    channel: socket.socket,
    order: Order,
    inherited: Sequence[int],
    enclosure: Enclosure,
) -> NoReturn:
    """Let process 1 run the command in what was built, and leave. See `begin`."""
    begin(channel, order, inherited, enclosure)
    os._exit(0)


def begin(
    channel: socket.socket,
    order: Order,
    inherited: Sequence[int],
    enclosure: Enclosure,
    *,
    kept: Sequence[int] = (),
) -> None:
    """Clone process 1 into what was built and give it its ids.

    Args:
        channel: the report socket.
        order: what was built and what is to run.
        inherited: descriptors for the command.
        enclosure: what all sandboxes share.
        kept: descriptors that process 1 is not to have.
    """
    ids = enclosure.ids
    with step("victim"):
        command.prefer_as_victim()
    with step("clone"):
        ready, release = os.pipe2(os.O_CLOEXEC)
        pid, pidfd = linux.clone_process(linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
    if pid == 0:
        for descriptor in (release, *kept):
            os.close(descriptor)
        _guarded_init(channel, order, inherited, ready, enclosure)
    with step("id_maps"):
        Path(f"/proc/{pid}/uid_map").write_text(ids.user_ids, encoding="ascii")
        Path(f"/proc/{pid}/gid_map").write_text(ids.group_ids, encoding="ascii")
    # The asyncio side holds process 1's pidfd before process 1 moves: until the release it dies with us.
    report(channel, "enclosed", [pidfd])
    os.write(release, b"!")


@contextmanager
def entering(groups: Sequence[_Group], enter: Callable[[_Group, int], object]) -> Generator[None]:
    """Let a child move this process into control groups meanwhile; leave with a namespace of them.

    On version 1, entering a group takes the kernel up to 15 ms when nobody has entered one for a moment, all of
    it waiting. The child inherits the report socket, so that the asyncio side, which removes the groups when
    that socket ends, cannot come before us.

    Args:
        groups: what to enter.
        enter: moves a process, by its pid, into one of them.
    """
    pid, reason = 0, -1
    if groups:
        reason, failed = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            _enter_all(groups, enter, failed)
        os.close(failed)
    failure = b""
    try:
        yield
    finally:
        if pid:
            failure = os.read(reason, 4096)
            os.close(reason)
            os.waitpid(pid, 0)
    if failure:
        raise StepFailedError("cgroup", failure.decode(errors="replace"))
    with step("cgroup_namespace"):
        # After the entry: the groups that the sandbox is in become the root of what it can see.
        linux.unshare(linux.CLONE_NEWCGROUP)


def _enter_all(groups: Sequence[_Group], enter: Callable[[_Group, int], object], failed: int) -> NoReturn:
    try:
        linux.die_with_parent()
        for group in groups:
            enter(group, os.getppid())
    except OSError as error:
        os.write(failed, f"{error.strerror} ({error.filename})".encode())
    finally:
        os._exit(0)


def _listen(channel: socket.socket, addresses: Sequence[tuple[str, int]], network_kind: str) -> None:
    with step("network"):
        if network_kind != "host":
            network.raise_own_loopback(addresses)
        else:
            addresses = network.on_host(addresses)
    with step("listen"):
        listeners = network.listen(addresses)
        names = [listener.getsockname() for listener in listeners]
        report(channel, "listening", [listener.fileno() for listener in listeners], addresses=names)
        for listener in listeners:
            listener.close()


def _guarded_init(
    channel: socket.socket,
    order: Order,
    inherited: Sequence[int],
    ready: int,
    enclosure: Enclosure,
) -> NoReturn:
    try:
        _init(channel, order, inherited, ready, enclosure)
    except command.Became:
        raise
    except BaseException as error:
        if isinstance(error, StepFailedError):
            report(channel, "failed", step=error.step, reason=error.reason)
    os._exit(1)


def _init(
    channel: socket.socket,
    order: Order,
    inherited: Sequence[int],
    ready: int,
    enclosure: Enclosure,
) -> None:
    """Be process 1: give up every right, then run the command."""
    if not os.read(ready, 1):
        os._exit(1)  # the builder is gone
    os.close(ready)
    with step("inner_proc"):
        mounts.mount_inner_proc()
    with step("namespace_limit"):
        # A second lock behind seccomp's: no user namespace can be made inside, whoever asks.
        Path("/proc/sys/user/max_user_namespaces").write_text("0", encoding="ascii")
    with step("limits"):
        data_bytes = None if order.memory_is_limited else max(order.spec.memory_bytes, _MIN_DATA_BYTES)
        command.limit_resources(order.spec, processes=True, data_bytes=data_bytes)
    with step("privileges"):
        linux.empty_bounding_set()
        if enclosure.ids.is_private:
            os.setgroups([])
        linux.keep_capabilities()
        os.setresgid(mounts.GROUP_ID, mounts.GROUP_ID, mounts.GROUP_ID)
        os.setresuid(mounts.USER_ID, mounts.USER_ID, mounts.USER_ID)
        is_template = order.spec.copies_over is not None
        linux.set_capabilities(effective=0, permitted=KEPT_BY_TEMPLATES if is_template else 0)
        linux.forbid_new_privileges()
        # The command has the same uid: without this it could read our memory and the descriptors in it.
        linux.forbid_inspection()
    with step("seccomp"):
        linux.filter_system_calls(enclosure.template_program if is_template else enclosure.program)
    pid = command.start(channel, order.spec, inherited, before=_nothing, become=enclosure.become)
    linux.drop_capabilities()
    command.obey(channel)
    status, peak_bytes = command.reap_until_end(pid)
    report(channel, "exited", status=status, peak_bytes=peak_bytes)
    os._exit(0)


def _nothing() -> None:
    """Do nothing more: the walls are already there."""


def default_signals() -> None:
    """Take the signal settings that process 1 needs: its children are to be waited for, nothing interrupts
    it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
