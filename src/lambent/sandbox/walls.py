"""The launch of a command inside the kernel's walls, as ordered steps.

Two processes of ours take part. The *builder*, forked by the spawner with all its rights, makes the control
groups, the namespaces, the network and the file tree, and then clones *process 1* into a user and a process
namespace that are new: from there on every mount is locked, because the mount namespace that process 1 gets
belongs to the new user namespace. The builder writes the id maps and exits. Process 1 gives up nearly every right and
forks process 2, which gives up the rest when it is told what to run, and becomes the command; process 1 does so at
once, reaps, reports how the command ended, and exits, whereupon the kernel kills whatever is left.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lambent.sandbox import SandboxSpec, cgroup, command, linux, mounts, network, veth
from lambent.sandbox.order import Order, Outbound, StepFailedError, report, step

Orders = Callable[[], tuple[Order, Sequence[int]]]
"""What process 2 calls, once, to get its order and the descriptors for the command."""
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


@dataclass(frozen=True, slots=True)
class Inside:
    """What processes 1 and 2 of a sandbox have to know."""

    channel: socket.socket
    """The report socket."""
    groups: Sequence[int]
    """The control groups (`lambent.sandbox.cgroup.enter`)."""
    orders: Orders
    """Tells process 2, now or later, what is to run."""
    passed: Sequence[int]
    """Descriptors that are process 2's alone."""
    enclosure: Enclosure
    is_stem: bool = False
    """Whether to report ``parked`` when there is nothing to do any more before the order."""


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
    with step("cgroup"):
        groups = [cgroup.make(group) for group in order.cgroups]
    enter_namespaces(
        channel,
        order.spec.hostname,
        order.spec.listen,
        network_kind=order.network,
        outbound=order.outbound,
    )
    own_tmp(order.spec.tmp_directory, enclosure.ids)
    mounts.build(order)
    begin(Inside(channel, groups, lambda: (order, inherited), inherited, enclosure))
    os._exit(0)


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


def begin(inside: Inside, *, kept: Sequence[int] = ()) -> None:
    """Clone process 1 into what was built and give it its ids.

    Args:
        inside: what it has to know.
        kept: descriptors that it is not to have.
    """
    ids = inside.enclosure.ids
    with step("victim"):
        command.prefer_as_victim()
    with step("clone"):
        ready, release = os.pipe2(os.O_CLOEXEC)
        flags = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID
        pid, pidfd = linux.clone_process(flags, cgroup.birthplace(inside.groups))
    if pid == 0:
        for descriptor in (release, *kept):
            os.close(descriptor)
        _guarded_init(inside, ready)
    for group in inside.groups:
        os.close(group)
    with step("id_maps"):
        Path(f"/proc/{pid}/uid_map").write_text(ids.user_ids, encoding="ascii")
        Path(f"/proc/{pid}/gid_map").write_text(ids.group_ids, encoding="ascii")
    # The asyncio side holds process 1's pidfd before process 1 moves: until the release it dies with us.
    report(inside.channel, "enclosed", [pidfd])
    os.write(release, b"!")


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


def _guarded_init(inside: Inside, ready: int) -> NoReturn:
    try:
        _init(inside, ready)
    except command.Became:
        raise
    except BaseException as error:
        if isinstance(error, StepFailedError):
            report(inside.channel, "failed", step=error.step, reason=error.reason)
    os._exit(1)


def _init(inside: Inside, ready: int) -> None:
    """Be process 1: give up every right, let process 2 run the command."""
    channel, enclosure = inside.channel, inside.enclosure
    if not os.read(ready, 1):
        os._exit(1)  # the builder is gone
    os.close(ready)
    with step("cgroup"):
        cgroup.enter(inside.groups)
    with step("cgroup_namespace"):
        # After the entry: the groups that the sandbox is in become the root of what it can see.
        linux.unshare(linux.CLONE_NEWCGROUP)
    with step("inner_proc"):
        mounts.mount_inner_proc()
    with step("namespace_limit"):
        # A second lock behind seccomp's: no user namespace can be made inside, whoever asks.
        Path("/proc/sys/user/max_user_namespaces").write_text("0", encoding="ascii")
    with step("privileges"):
        linux.empty_bounding_set()
        if enclosure.ids.is_private:
            os.setgroups([])
        linux.keep_capabilities()
        os.setresgid(mounts.GROUP_ID, mounts.GROUP_ID, mounts.GROUP_ID)
        os.setresuid(mounts.USER_ID, mounts.USER_ID, mounts.USER_ID)
        # For process 2, should it be a template.
        linux.set_capabilities(effective=0, permitted=KEPT_BY_TEMPLATES)
        linux.forbid_new_privileges()
        # The command has the same uid: without this it could read our memory and the descriptors in it.
        linux.forbid_inspection()

    def meanwhile() -> None:
        _give_up_the_rest(enclosure.program)
        if inside.is_stem:
            report(channel, "parked")

    def orders() -> tuple[SandboxSpec, Sequence[int]]:
        return _ordered(inside)

    pid = command.start(channel, orders, inside.passed, meanwhile=meanwhile, become=enclosure.become)
    command.obey(channel)
    status, peak_bytes = command.reap_until_end(pid)
    report(channel, "exited", status=status, peak_bytes=peak_bytes)
    os._exit(0)


def _ordered(inside: Inside) -> tuple[SandboxSpec, Sequence[int]]:
    """Be process 2: get the order, and give up the rest of the rights, except what a template keeps."""
    with step("order"):
        try:
            order, inherited = inside.orders()
        except EOFError:
            raise StepFailedError("order", "the process that was to pass it on is gone") from None
    with step("limits"):
        data_bytes = None if order.memory_is_limited else max(order.spec.memory_bytes, _MIN_DATA_BYTES)
        command.limit_resources(order.spec, processes=True, data_bytes=data_bytes)
    if order.spec.copies_over is None:
        _give_up_the_rest(inside.enclosure.program)
    else:
        with step("seccomp"):
            linux.filter_system_calls(inside.enclosure.template_program)
    return order.spec, inherited


def _give_up_the_rest(program: bytes) -> None:
    """Give up the capabilities that a template would keep, and all system calls but those of commands."""
    with step("privileges"):
        linux.drop_capabilities()
    with step("seccomp"):
        linux.filter_system_calls(program)


def default_signals() -> None:
    """Take the signal settings that process 1 needs: its children are to be waited for, nothing interrupts
    it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
