"""The way out of an ordinary user's sandboxes: a network of the spawner's own, and pasta between it and the host's.

Whoever may not change the host's network may make another one. The spawner moves into a network namespace of its own
before it forks anything, and there it does what root does on the host (`lambent.sandbox.nat`): the same links, the
same packet filters, out of every sandbox's hands. *pasta* (Debian's package passt) joins this network to the host's:
it reads packets from one interface and makes ordinary connections of them, as any process of the server's user could.

So what root's NAT keeps in by the interface that leads there has to be kept in by address here: the spawner writes
down the machine's own addresses and its other networks before it moves, and its network has no way to any of them.
A process that stays behind follows what the machine gets and loses later. The machine's loopback has no way anyway,
and pasta is told to forward no port in any direction.

pasta is a child of a process that starts it again if it ends. All of them are in the spawner's process namespace, so
that the kernel kills them with it. `find` runs in the server, the rest in the spawner: standard
library only, no event loop.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from lambent.sandbox import SandboxError, linux, nat, veth
from lambent.sandbox.netlink import ROUTE, Message, Netlink, attributes
from lambent.sandbox.order import StepFailedError, step

_NAME = "pasta"
_TUN = "/dev/net/tun"
_OWN, _GATEWAY, _PREFIX_BITS = "169.254.191.2", "169.254.191.1", "30"
"""Both ends between the spawner's network and pasta: none of a sandbox's addresses, and none that it could reach."""
_START_TIMEOUT_S = 5.0
_LOOK_PAUSE_MS = 2
_RESTART_PAUSE_S, _MAX_RESTART_PAUSE_S = 0.2, 5.0
_GET_ROUTE = 26
_ROUTES_CHANGE = 0x40  # RTMGRP_IPV4_ROUTE: addresses are routes of the local table
_MAX_EVENT_BYTES = 65536
_ROUTE_HEAD = struct.Struct("=BBBBBBBBI")
_UNICAST, _LOCAL = 1, 2
_MAX_WORDS_BYTES = 4096

Network = tuple[str, int]
"""Address and length of the prefix."""


def find() -> str:
    """Return the program's path.

    Raises:
        SandboxError: it is missing, or cannot work here.
    """
    refused = "the server may not set up networks here (CAP_NET_ADMIN)"
    program = shutil.which(_NAME)
    if program is None:
        raise SandboxError(nat.STEP, f"{refused}, and pasta, which could, is not installed (package passt)")
    if not os.access(_TUN, os.R_OK | os.W_OK):
        raise SandboxError(nat.STEP, f"{refused}, and pasta, which could, may not open {_TUN}")
    return str(Path(program).absolute())  # not resolved: its name says what it is to be


def open_way(program: str, before: Callable[[], object]) -> nat.Nat:
    """Move this process, process 1 of its namespace, into a network of its own, and let packets through.

    Args:
        program: pasta's path.
        before: is called in the process that starts pasta, which stays in the host's network.

    Raises:
        StepFailedError: pasta does not start here, or the kernel refuses.
    """
    with step(nat.STEP):
        kept_in = _kept_in()
        go, release = os.pipe()
        words, said = os.pipe()
        if os.fork() == 0:
            before()
            os.close(release)
            os.close(words)
            _keep_running(program, go, said, kept_in)
        os.close(go)
        os.close(said)
        linux.unshare(linux.CLONE_NEWNET)
        linux.raise_loopback([])
        # For all interfaces, those to come included: pasta's is a new one whenever it starts.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
        _change_ways(kept_in, ())
        os.write(release, b"!")
        os.close(release)
        _wait_for_route(words)
        os.close(words)
    try:
        return nat.Nat(through=f"pasta ({program})")
    except SandboxError as error:
        raise StepFailedError(error.step, error.reason) from error


def _keep_running(program: str, go: int, said: int, kept_in: tuple[Network, ...]) -> NoReturn:
    """Be the process that starts pasta, in the host's network."""
    try:
        linux.die_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.read(go, 1):
            # By descriptor, because pasta has too few rights left to look at process 1.
            network = os.open("/proc/1/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            os.set_inheritable(network, True)
            if os.fork() == 0:
                os.close(said)
                _follow_routes(network, set(kept_in))
            _run_again_and_again(program, network, said)
    finally:
        os._exit(1)


def _run_again_and_again(program: str, network: int, said: int) -> NoReturn:
    pause_s = _RESTART_PAUSE_S
    while True:
        began_s = time.monotonic()
        pid = 0
        with contextlib.suppress(OSError):  # the machine may have no room for a process at the moment
            pid = _run(program, network, said)
        if said >= 0:
            os.close(said)
            said = -1
        if pid:
            os.waitpid(pid, 0)
        time.sleep(pause_s)
        has_worked = time.monotonic() - began_s > _MAX_RESTART_PAUSE_S
        pause_s = _RESTART_PAUSE_S if has_worked else min(pause_s * 2, _MAX_RESTART_PAUSE_S)


def _run(program: str, network: int, said: int) -> int:
    """Start pasta; return its pid. What it says goes to `said` (-1: nowhere)."""
    command = [program, "--foreground", "--quiet", "--stderr", "--netns-only", "--no-netns-quit"]
    command += ["--netns", f"/proc/self/fd/{network}"]
    command += ["--config-net", "--ipv4-only", "--no-map-gw", "--ns-ifname", veth.INSIDE]
    command += ["--address", _OWN, "--netmask", _PREFIX_BITS, "--gateway", _GATEWAY]
    command += [word for option in ("-t", "-u", "-T", "-U") for word in (option, "none")]
    output = [(os.POSIX_SPAWN_DUP2, said, 2)] if said >= 0 else []
    # SIGPIPE: some versions refuse to start where it is ignored, as Python does.
    return os.posix_spawn(program, command, {}, file_actions=output, setsigdef=[signal.SIGPIPE])


def _wait_for_route(words: int) -> None:
    """Return when pasta has made its interface and the way there.

    Raises:
        StepFailedError: it has ended, or takes too long.
    """
    said = b""
    poll = select.poll()
    poll.register(words, select.POLLIN)
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if nat.default_interfaces(Path("/proc/self/net/route").read_text(encoding="ascii")):
            return
        if poll.poll(_LOOK_PAUSE_MS):
            part = os.read(words, _MAX_WORDS_BYTES)
            said = (said + part)[-_MAX_WORDS_BYTES:]
            if not part:
                break
    lines = said.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it does not get ready")
    raise StepFailedError(nat.STEP, f"pasta fails: {last}")


def _kept_in() -> tuple[Network, ...]:
    """Return the machine's addresses and its networks other than those by which everything leaves."""
    leaving = nat.default_interfaces(Path("/proc/self/net/route").read_text(encoding="ascii"))
    with veth.host_network() as host:
        return choose(routes(host), {socket.if_nametoindex(name) for name in leaving})


def routes(host: Netlink) -> list[tuple[Network, int, int]]:
    """Return each IPv4 route of every table: where to, which type, by which interface (0: several, or none)."""
    found: list[tuple[Network, int, int]] = []
    ask = Message(_GET_ROUTE, _ROUTE_HEAD.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0))
    for body in host.dump(ask):
        _, bits, _, _, _, _, _, kind, _ = _ROUTE_HEAD.unpack_from(body)
        members = attributes(body[_ROUTE_HEAD.size :])
        interface = struct.unpack("=I", members[4])[0] if 4 in members else 0
        found.append(((socket.inet_ntoa(members.get(1, b"\0" * 4)), bits), kind, interface))
    return found


def choose(listed: Iterable[tuple[Network, int, int]], leaving: set[int]) -> tuple[Network, ...]:
    """Return where no way may lead, of `routes`, when everything leaves by these interfaces."""
    found: dict[Network, None] = {}
    for network, kind, interface in listed:
        is_elsewhere = kind == _UNICAST and interface not in leaving
        # The loopback is each network's own. Link-local addresses are the sandboxes' here, whatever the machine uses
        # them for (the sandboxes of root, for instance), and the packet filter lets none of them be reached.
        is_ours = network[0].startswith(("127.", "169.254."))
        if network[1] and (kind == _LOCAL or is_elsewhere) and not is_ours:
            found[network] = None
    return tuple(found)


def _follow_routes(network: int, closed: set[Network]) -> NoReturn:
    """Be the process that closes ways as the machine gets addresses and networks, and opens them as it loses some."""
    linux.die_with_parent()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE) as events:
        events.bind((0, _ROUTES_CHANGE))
        while True:
            with contextlib.suppress(OSError):  # an interface that has gone meanwhile; that is an event, too
                wanted = set(_kept_in())
                if wanted != closed and _change_elsewhere(network, wanted - closed, closed - wanted):
                    closed = wanted
            with contextlib.suppress(OSError):  # so many events that some were lost
                events.recv(_MAX_EVENT_BYTES)


def _change_elsewhere(network: int, close: set[Network], reopen: set[Network]) -> bool:
    """Change ways in a network that is not this process's; return whether that went well."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    try:
        linux.enter_namespace(network, linux.CLONE_NEWNET)
        _change_ways(close, reopen)
        os._exit(0)
    finally:
        os._exit(1)


def _change_ways(close: Iterable[Network], reopen: Iterable[Network]) -> None:
    """Let packets to some networks vanish in the network of this process, and to others no longer."""
    with veth.host_network() as own:
        for address, bits in reopen:
            with contextlib.suppress(OSError):  # of an earlier attempt that did not come to its end
                own.ask(veth.black_hole(address, bits, is_there=False))
        for address, bits in close:
            with contextlib.suppress(FileExistsError):
                own.ask(veth.black_hole(address, bits))
