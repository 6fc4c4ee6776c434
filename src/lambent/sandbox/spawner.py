"""The spawner: a small program with one thread that forks every sandbox, so that the server never has to
fork.

Started by `lambent.sandbox.control` as ``python -I -S -c ...`` with a control socket; imports the standard
library and this room only. With walls it is process 1 of a process namespace of its own: when it dies, for
whatever reason, the kernel kills everything below it, so nothing survives a ``kill -9`` of the server, whose
end of the control socket closes then. It never blocks on a child and never sees an order (see
`lambent.sandbox.order`). One thing it does itself: it copies mounts for those who cannot see the host's files
(`lambent.sandbox.stem`, `lambent.sandbox.copying`).
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from lambent.sandbox import (
    Mount,
    keeper,
    linux,
    mounts,
    nat,
    pasta,
    plain,
    seccomp,
    tmp_mount,
    veth,
    walls,
    zygote,
)
from lambent.sandbox.order import Outbound, StepFailedError, receive, receive_order, report, step

_CAP_SYS_ADMIN = 1 << 21


def main() -> NoReturn:
    """Run as the program: ``argv[1]`` is the control socket's descriptor, ``argv[2]`` is ``walls`` or
    ``plain``, ``argv[3]`` the descriptor of what `lambent.sandbox.keeper` keeps, or -1, ``argv[4]`` the path of
    pasta where that is the way out, else empty."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    linux.die_with_parent()
    try:
        if sys.argv[2] == "walls":
            _serve_behind_walls(control, int(sys.argv[3]), sys.argv[4])
        else:
            _ready(control, is_root=False)
            _serve(control, None)
    except StepFailedError as error:
        control.send(json.dumps({"event": "failed", "step": error.step, "reason": error.reason}).encode())
        os._exit(1)


def _serve_behind_walls(control: socket.socket, kept: int, program_to_outside: str) -> NoReturn:
    """Enter the namespaces that a spawner needs and serve as their process 1."""
    server = os.pidfd_open(os.getppid()) if kept >= 0 else -1
    is_root = has_admin_capability(Path("/proc/self/status").read_text(encoding="ascii"))
    ids = walls.choose_ids(Path("/proc/self/uid_map").read_text(encoding="ascii"), is_root=is_root)
    with step("seccomp_program"):
        program = seccomp.program()
    with step("spawner_namespaces"):
        _enter_namespaces(is_root=is_root)
        linux.die_with_parent()  # again: the new capabilities have cleared it
    with step("spawner_fork"):
        pid = os.fork()
    if pid:
        control.close()
        status = keeper.keep(pid, server, kept) if kept >= 0 else os.waitpid(pid, 0)[1]
        os._exit(0 if status == 0 else 1)
    for descriptor in (server, kept):
        if descriptor >= 0:
            os.close(descriptor)
    with step("spawner_proc"):
        linux.die_with_parent()
        linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    way_out = None
    if program_to_outside and is_root:
        raise StepFailedError(nat.STEP, "the server may not set up networks here (CAP_NET_ADMIN)")
    if program_to_outside:
        way_out = pasta.open_way(program_to_outside, control.close)
    _ready(control, is_root=is_root, way_out=way_out)
    _serve(control, walls.Enclosure(ids, program))


def has_admin_capability(status: str) -> bool:
    """Return whether a ``/proc/<pid>/status`` shows CAP_SYS_ADMIN as effective."""
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) & _CAP_SYS_ADMIN)


def _enter_namespaces(*, is_root: bool) -> None:
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID | (0 if is_root else linux.CLONE_NEWUSER))
    if is_root:
        # The host's later mounts still appear here; ours stay here.
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)
    else:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="ascii")


def _ready(control: socket.socket, *, is_root: bool, way_out: nat.Nat | None = None) -> None:
    found = way_out and {"block": way_out.block, "mtu_bytes": way_out.mtu_bytes, "how": way_out.how}
    control.send(json.dumps({"event": "ready", "is_root": is_root, "way_out": found}).encode())


def _serve(control: socket.socket, enclosure: walls.Enclosure | None) -> NoReturn:
    """Fork a launching process, or the builder of a zygote, or who mounts a tmp, for every report socket that
    arrives, until the server is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; pidfds tell the server
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors = receive(control)
        if not message:
            os._exit(0)
        kind, _, text = message.partition(b" ")
        if kind == b"trees":
            _send_trees(descriptors[0], json.loads(text), enclosure)
        elif kind == b"link":
            if os.fork() == 0:
                _link(descriptors[0], descriptors[1], Outbound(**json.loads(text)))
        elif kind == b"socket":
            if os.fork() == 0:
                _make_socket(descriptors[0], descriptors[1])
        elif os.fork() == 0:
            control.close()
            _launch(socket.socket(fileno=descriptors[0]), enclosure, kind)
        for descriptor in descriptors:
            os.close(descriptor)


def _send_trees(channel: int, request: dict[str, Any], enclosure: walls.Enclosure | None) -> None:
    """Copy mounts for a stem, which cannot see the host's files. Takes a fraction of a millisecond."""
    trees: list[int] = []
    with socket.socket(fileno=os.dup(channel)) as stem, contextlib.suppress(OSError):  # it may be gone
        try:
            if enclosure is not None:
                walls.own_tmp(request["tmp"], enclosure.ids)
            with step("mounts"):
                trees = mounts.clone_trees((Mount(*pair) for pair in request["mounts"]), request["tmp"])
            report(stem, "trees", trees)
        except StepFailedError as error:
            report(stem, "failed", step=error.step, reason=error.reason)
        finally:
            for tree in trees:
                os.close(tree)


def _link(network: int, channel: int, outbound: Outbound) -> NoReturn:
    """Be a child: link a copy of a template, which has no rights here, to the host's network."""
    with socket.socket(fileno=channel) as answer:
        try:
            with veth.host_network() as host, step(veth.STEP):
                linux.enter_namespace(network, linux.CLONE_NEWNET)
                veth.connect(host, outbound)
            report(answer, "linked")
        except StepFailedError as error:
            report(answer, "failed", step=error.step, reason=error.reason)
        finally:
            os._exit(0)


def _make_socket(like: int, channel: int) -> NoReturn:
    """Be a child: make a TCP socket in the network to which another socket belongs, for the server to connect."""
    with socket.socket(fileno=channel) as answer:
        try:
            with step("connect"):
                linux.enter_namespace(linux.network_of(like), linux.CLONE_NEWNET)
                made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            report(answer, "made", [made.fileno()])
        except StepFailedError as error:
            report(answer, "failed", step=error.step, reason=error.reason)
        finally:
            os._exit(0)


def _launch(channel: socket.socket, enclosure: walls.Enclosure | None, kind: bytes) -> NoReturn:
    """Be the child: say who we are, read the order and follow it."""
    try:
        with step("order"):
            walls.default_signals()
            os.umask(0o022)
            pidfd = os.pidfd_open(os.getpid())
            report(channel, "launching", [pidfd])
            os.close(pidfd)
        if kind == b"tmp":
            tmp_mount.serve(channel)
        if kind == b"zygote" and enclosure is not None:
            zygote.launch(channel, enclosure)
        with step("order"):
            order, inherited = receive_order(channel)
        if enclosure is None:
            plain.launch(channel, order, inherited)
        walls.launch(channel, order, inherited, enclosure)
    except StepFailedError as error:
        report(channel, "failed", step=error.step, reason=error.reason)
    finally:
        os._exit(1)
