"""A little internet, in network namespaces of its own: an *outside*, a *machine* on which a sandbox room runs, and
a *neighbour* behind the machine. Nothing of the real network is touched.

``python -m security.outside SCENARIO`` moves itself into the machine's namespace, plays a scenario and prints what
it found as JSON. It needs root. `test_outbound` says what each scenario must find.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from forking import CopyingSandbox, SeedlingSandbox
from lambent.sandbox import Enforcement, Sandbox, SandboxError, linux, nftables, veth
from lambent.sandbox.namespaces import NamespaceSandbox
from lambent.sandbox.netlink import (
    CREATE,
    NETFILTER,
    ROUTE,
    Message,
    Netlink,
    attribute,
    nest,
    network_number,
    number,
    text,
)
from lambent.sandbox.order import Outbound
from security import attacks

FAR, METADATA = "198.51.100.7", "169.254.169.254"
"""Addresses of the outside: a server somewhere, and the one that hands out a cloud machine's credentials."""
GATEWAY, MACHINE = "203.0.113.1", "203.0.113.2"
NEIGHBOUR, NEIGHBOURS_GATEWAY = "10.77.0.2", "10.77.0.1"
PORT = 8080
FIRST_SANDBOX, FIRST_GATEWAY = "169.254.192.2", "169.254.192.1"
ORDINARY_ID = 12345
API = "169.254.100.1"
PATIENCE_S, SHORT_PATIENCE_S = 20.0, 1.0

Target = tuple[str, str, int, str, float]
"""Kind, address, port, own address (or none), seconds to wait."""


def reach(target: Target) -> str:
    """What a server says first, or the name of the error, or ``silence``. Also runs inside sandboxes."""
    kind, address, port, own, patience_s = target
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as connection:
        connection.settimeout(patience_s)
        try:
            if own:
                connection.bind((own, 0))
            connection.connect((address, port))
            connection.send(b"?")
            return connection.recv(200).decode()
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


def reach_all(targets: Mapping[str, Target]) -> dict[str, str]:
    """What each says, all tried at once. Also runs inside sandboxes."""
    found: dict[str, str] = {}

    def note(name: str, target: Target) -> None:
        found[name] = reach(target)

    threads = [threading.Thread(target=note, args=item) for item in targets.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


INSIDE = "\n".join(
    (
        "from __future__ import annotations",
        attacks.PRELUDE,
        "import threading",
        inspect.getsource(reach),
        inspect.getsource(reach_all),
    )
)
LISTEN_INSIDE = """
server = socket.create_server(("0.0.0.0", HOST["port"]))
os.write(1, b"listening")
while True:
    connection, _ = server.accept()
    connection.send(b"the other sandbox")
"""


def tcp(address: str, *, own: str = "", patience_s: float = SHORT_PATIENCE_S) -> Target:
    return "tcp", address, PORT, own, patience_s


class World:
    """The machine, its outside and its neighbour. Making it moves this process into the machine's namespace."""

    def __init__(self, *, is_router: bool = False) -> None:
        linux.unshare(linux.CLONE_NEWNET)
        linux.raise_loopback([FAR, METADATA])
        serve("the outside", socket.create_server(("", PORT)))
        self.senders: set[str] = set()
        """Where datagrams to the outside came from."""
        echo(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), self.senders)
        self.outside = Netlink(ROUTE)
        self.callers = [socket.socket() for _ in range(3)]
        """Unused sockets of the outside."""
        linux.unshare(linux.CLONE_NEWNET)
        linux.raise_loopback([])
        link = Outbound(interface="machine", address=MACHINE, gateway=GATEWAY, mtu_bytes=1400)
        veth.connect(self.outside, link)
        self.here = Netlink(ROUTE)
        veth.set_forwarding(self.here, veth.find(self.here, veth.INSIDE).index, is_on=is_router)
        self._route_everything_to_the_machine()
        serve("the machine", socket.create_server(("", PORT)))

    def _route_everything_to_the_machine(self) -> None:
        """As a hostile or careless neighbour on the same wire would."""
        head = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 4, 0, 1, 0)
        index = veth.find(self.outside, "machine").index
        members = attribute(5, socket.inet_aton(MACHINE)) + number(4, index)
        self.outside.ask(Message(24, head + members, CREATE))

    def add_neighbour(self, interface: str = "lan") -> subprocess.Popen[str]:
        """Start a server in a namespace behind the machine, linked to it by this interface."""
        process = self.announce_neighbour(interface)
        link_neighbour(process)
        return process

    def announce_neighbour(self, interface: str = "lan") -> subprocess.Popen[str]:
        """Start that server, for `link_neighbour` at a time when this process may not do so any more."""
        program = [sys.executable, "-B", "-m", "security.outside", "neighbour", interface]
        return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call_from_outside(self, address: str, *, patience_s: float = SHORT_PATIENCE_S) -> str:
        """What the outside hears from an address of this side."""
        with self.callers.pop() as caller:
            caller.settimeout(patience_s)
            try:
                caller.connect((address, PORT))
                return caller.recv(200).decode()
            except TimeoutError:
                return "silence"
            except OSError as error:
                return errno.errorcode[error.errno or 0]

    def traces(self) -> dict[str, Any]:
        """What a server has changed on the machine."""
        with contextlib.closing(Netlink(NETFILTER)) as netfilter:
            tables = [table.name for table in nftables.tables(netfilter, "")]
        return {
            "tables": tables,
            "links": [name for _, name in socket.if_nameindex() if name.startswith(nftables.ANY_SANDBOX)],
            "forwards": veth.find(self.here, veth.INSIDE).is_forwarding,
        }

    def traces_in_the_end(self) -> dict[str, Any]:
        """The same, once the kernel has removed the namespaces of dead sandboxes, which it does in its own time."""
        deadline_s = time.monotonic() + PATIENCE_S
        while (found := self.traces())["links"] and time.monotonic() < deadline_s:
            time.sleep(0.01)
        return found


def link_neighbour(process: subprocess.Popen[str]) -> None:
    """Let an announced neighbour come."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"


def serve(name: str, server: socket.socket) -> None:
    """Answer who we are, and whom we see, for as long as this process lives."""

    def run() -> None:
        while True:
            connection, peer = server.accept()
            threading.Thread(target=answer, args=(connection, f"{name} sees {peer[0]}"), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()


def answer(connection: socket.socket, text: str) -> None:
    """Say this and end politely: whoever closes with something unread resets the connection, and a proxy on the way
    may then drop what was said before."""
    with connection, contextlib.suppress(OSError):
        connection.settimeout(PATIENCE_S)
        connection.send(text.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(100):
            pass


def echo(server: socket.socket, senders: set[str]) -> None:
    """Answer datagrams in the same way, and note who sent one."""
    server.bind(("", PORT))

    def run() -> None:
        while True:
            _, peer = server.recvfrom(100)
            senders.add(peer[0])
            server.sendto(f"the outside sees {peer[0]}".encode(), peer)

    threading.Thread(target=run, daemon=True).start()


class Room:
    """A sandbox room and the sandboxes that a scenario needs."""

    def __init__(self, sandbox: Sandbox, directory: Path) -> None:
        self.sandbox = sandbox
        self._directory = directory
        self._count = 0

    def _spec(self, source: str, host: Mapping[str, Any], **members: Any) -> Any:
        self._count += 1
        tmp = attacks.make(str(self._directory), f"tmp-{self._count}")
        command = (attacks.PYTHON, "-I", "-S", "-c", INSIDE + source + attacks.EPILOGUE)
        name = f"outbound-{self._count}"
        return attacks.attack_spec(source, name=name, tmp=tmp, host=host, command=command, **members)

    async def reach_all(self, targets: Mapping[str, Target], **members: Any) -> dict[str, str]:
        """What a new sandbox reaches."""
        source = "result = reach_all(HOST['targets'])"
        outcome = await attacks.attack(self.sandbox, self._spec(source, {"targets": targets}, **members))
        return outcome.result

    async def interfaces_with_ipv6(self) -> list[str]:
        """The interfaces of a new sandbox that have an IPv6 address (proc(5))."""
        source = "path = '/proc/net/if_inet6'\n"
        source += "result = [line.split()[-1] for line in open(path)] if os.path.exists(path) else []"
        return (await attacks.attack(self.sandbox, self._spec(source, {}))).result

    async def listening(self) -> Any:
        """A sandbox in which somebody listens at `PORT` on every address."""
        read, write = os.pipe()
        process = await self.sandbox.start(self._spec(LISTEN_INSIDE, {"port": PORT}, inherited=((write, 1),)))
        os.close(write)
        assert await asyncio.to_thread(os.read, read, 100) == b"listening"
        os.close(read)
        return process

    def network_promise(self) -> Enforcement:
        return next(line for line in self.sandbox.enforcement if "network" in line.promise)


@asynccontextmanager
async def room(network: str, kind: type[NamespaceSandbox] = NamespaceSandbox) -> AsyncGenerator[Room]:
    with tempfile.TemporaryDirectory(prefix="lambent-outbound-") as directory:
        sandbox = kind(network=network, run_dir=Path(directory, "run"))
        try:
            await sandbox.open()
            yield Room(sandbox, Path(directory))
        finally:
            await sandbox.close()


async def walls() -> dict[str, Any]:
    """Everything a sandbox might try to reach."""
    world = World()
    before = world.traces()
    async with room("nat") as server:
        other = await server.listening()
        targets = {
            "far": tcp(FAR, patience_s=PATIENCE_S),
            "gateway": tcp(GATEWAY, patience_s=PATIENCE_S),
            "datagram": ("udp", GATEWAY, PORT, "", PATIENCE_S),
            "loopback": tcp("127.0.0.1"),
            "machine": tcp(MACHINE),
            "machine's end": tcp(FIRST_GATEWAY),
            "sandbox": tcp(FIRST_SANDBOX),
            "metadata": tcp(METADATA),
            "with another address": ("udp", GATEWAY, PORT, API, SHORT_PATIENCE_S),
            "IPv6": tcp("fd00::1"),
        }
        found = {
            "before": before,
            "during": world.traces(),
            "reached": await server.reach_all(targets, listen=((API, 9001),)),
            "IPv6 addresses": await server.interfaces_with_ipv6(),
            "senders": sorted(world.senders),
            "machine reaches metadata": reach(tcp(METADATA, patience_s=PATIENCE_S)),
            "outside reaches sandbox": world.call_from_outside(FIRST_SANDBOX),
            "machine reaches sandbox": reach(tcp(FIRST_SANDBOX)),
            "promise": [server.network_promise().enforced, server.network_promise().how],
        }
        await other.close()
    return found | {"after": world.traces_in_the_end()}


async def copies() -> dict[str, Any]:
    """A copy of a template, which has a link of its own, and an address that is not the template's."""
    return await reaching(CopyingSandbox)


async def seedlings() -> dict[str, Any]:
    """A program that was started before its order, behind a link that it has had from its start."""
    return await reaching(SeedlingSandbox)


async def reaching(kind: type[NamespaceSandbox]) -> dict[str, Any]:
    """Whom a sandbox reaches that was prepared."""
    world = World()
    async with room("nat", kind) as server:
        other = await server.listening()
        links = world.traces()["links"]
        targets = {"far": tcp(FAR, patience_s=PATIENCE_S), "machine": tcp(MACHINE)}
        addresses = (f"169.254.192.{number}" for number in range(2, 2 + len(links)))
        targets |= {f"sandbox {address}": tcp(address) for address in addresses}
        reached = await server.reach_all(targets)
        await other.close()
    return {"links": len(links), "reached": reached, "after": world.traces_in_the_end()}


async def no_network() -> dict[str, Any]:
    """The same outside, with ``network = none``."""
    world = World()
    async with room("none") as server:
        reached = await server.reach_all({"far": tcp(FAR), "machine": tcp(MACHINE)})
        return {"reached": reached, "during": world.traces()}


async def many() -> dict[str, Any]:
    """Twenty sandboxes at once, and again, so that addresses are taken anew."""
    world = World()
    async with room("nat") as server:
        target = {"far": tcp(FAR, patience_s=PATIENCE_S)}
        reached: list[str] = []
        for _ in range(2):
            answers = await asyncio.gather(*(server.reach_all(target) for _ in range(20)))
            reached += [answer["far"] for answer in answers]
    return {"reached": reached, "after": world.traces_in_the_end()}


async def left_over() -> dict[str, Any]:
    """A link of the first sandbox's name is still there, of a sandbox whose namespace is not over yet."""
    world = World()
    process = world.add_neighbour(interface="lmb0-2")
    before = world.traces()["links"]
    async with room("nat") as server:
        reached = await server.reach_all({"far": tcp(FAR, patience_s=PATIENCE_S)})
    process.communicate()
    return {"before": before, "reached": reached, "after": world.traces_in_the_end()}


async def two_servers() -> dict[str, Any]:
    """Two servers on one machine; the first one leaves first."""
    world = World()
    found: dict[str, Any] = {}
    async with contextlib.AsyncExitStack() as outer:
        async with room("nat") as first:
            second = await outer.enter_async_context(room("nat"))
            found["during"] = world.traces()
            other = await first.listening()
            targets = {"sandbox": tcp(FIRST_SANDBOX), "far": tcp(FAR, patience_s=PATIENCE_S)}
            found["second"] = await second.reach_all(targets)
            await other.close()
        found["without the first"] = world.traces_in_the_end()
        found["second alone"] = await second.reach_all({"far": tcp(FAR, patience_s=PATIENCE_S)})
    return found | {"after": world.traces_in_the_end()}


def killed() -> dict[str, Any]:
    """A server that is killed while a sandbox runs."""
    world = World()
    linux.become_subreaper()  # so that whatever it leaves behind becomes ours to wait for
    program = [sys.executable, "-m", "security.outside", "server"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        during = world.traces()
        server.kill()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    return {"during": during, "after": world.traces_in_the_end()}


async def server() -> dict[str, Any]:
    """The part of the server that is killed; runs on the machine of `killed`."""
    async with room("nat") as here:
        await here.listening()
        print("ready", flush=True)
        await asyncio.Event().wait()
    return {}


async def spawner_dies() -> dict[str, Any]:
    """The program that forks sandboxes is killed; the server starts another one."""
    world = World()
    async with room("nat") as here:
        (program,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()  # noqa: ASYNC240
        pidfd = os.pidfd_open(int(program))
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        os.close(pidfd)
        targets = {"far": tcp(FAR, patience_s=PATIENCE_S), "machine": tcp(MACHINE)}
        reached = await here.reach_all(targets)
        during = world.traces()
    return {"reached": reached, "during": during, "after": world.traces_in_the_end()}


async def neighbours() -> dict[str, Any]:
    """Whether others use the machine as their router."""
    return await _with_neighbour(is_router=False)


async def router() -> dict[str, Any]:
    """The same on a machine that is a router anyway."""
    return await _with_neighbour(is_router=True)


async def _with_neighbour(*, is_router: bool) -> dict[str, Any]:
    world = World(is_router=is_router)
    process = world.add_neighbour()
    patience_s = PATIENCE_S if is_router else SHORT_PATIENCE_S
    before = world.call_from_outside(NEIGHBOUR, patience_s=patience_s)
    async with room("nat") as here:
        found = {
            "before": before,
            "during": world.call_from_outside(NEIGHBOUR, patience_s=patience_s),
            "sandbox": await here.reach_all({"neighbour": tcp(NEIGHBOUR)}),
        }
    process.communicate()
    return found | {"after": world.traces()}


async def neighbour() -> dict[str, Any]:
    """The neighbour itself; runs on the machine at first."""
    await asyncio.to_thread(sys.stdin.readline)
    with veth.host_network() as machine:
        linux.unshare(linux.CLONE_NEWNET)
        link = Outbound(interface=sys.argv[2], address=NEIGHBOUR, gateway=NEIGHBOURS_GATEWAY, mtu_bytes=1400)
        veth.connect(machine, link)
    serve("the neighbour", socket.create_server(("", PORT)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    return {}


async def firewalled() -> dict[str, Any]:
    """A machine whose own firewall forwards nothing, as Docker's does by default."""
    world = World()
    table, inet, forward, drop = text(1, "firewall"), b"\1\0\0\0", 2, 0
    hook = nest(4, network_number(1, forward), network_number(2, 0))
    chain = table + text(3, "forwarded") + hook + network_number(5, drop) + text(7, "filter")
    ends = [Message(kind, b"\0\0\0\n", is_acknowledged=False) for kind in (16, 17)]
    with contextlib.closing(Netlink(NETFILTER)) as netfilter:
        messages = Message(10 << 8, inet + table, CREATE), Message(10 << 8 | 3, inet + chain, CREATE)
        netfilter.ask(ends[0], *messages, ends[1])
    async with room("nat") as here:
        reached = await here.reach_all({"far": tcp(FAR)})
        return {"reached": reached, "promise": here.network_promise().how, "during": world.traces()}


async def ordinary() -> dict[str, Any]:
    """Everything a sandbox of an ordinary user might try to reach, with pasta on the machine."""
    neighbour = World().announce_neighbour()
    become_ordinary()
    far = {"far": tcp(FAR, patience_s=PATIENCE_S)}
    async with room("auto") as here:
        other = await here.listening()
        targets = far | {
            "datagram": ("udp", GATEWAY, PORT, "", PATIENCE_S),
            "loopback": tcp("127.0.0.1"),
            "machine": tcp(MACHINE),
            "machine's end": tcp(FIRST_GATEWAY),
            "pasta's end": tcp("169.254.191.1"),
            "sandbox": tcp(FIRST_SANDBOX),
            "metadata": tcp(METADATA),
        }
        found = {
            "promise": [here.network_promise().enforced, here.network_promise().how],
            "reached": await here.reach_all(targets, listen=((API, 9001),)),
            "IPv6 addresses": await here.interfaces_with_ipv6(),
            "during": len(pastas()),
        }
        await other.close()
        (first,) = pastas()
        os.kill(first, signal.SIGKILL)
        deadline_s = time.monotonic() + PATIENCE_S
        while (again := await here.reach_all(far))["far"][:3] != "the" and time.monotonic() < deadline_s:
            pass
        found["with another pasta"] = again | {"is another": pastas() != [first]}
        link_neighbour(neighbour)
        found["machine reaches neighbour"] = reach(tcp(NEIGHBOUR, patience_s=PATIENCE_S))
        places = {"machine's other address": NEIGHBOURS_GATEWAY, "neighbour": NEIGHBOUR}
        elsewhere = {name: tcp(address, patience_s=0.4) for name, address in places.items()}
        while set((later := await here.reach_all(elsewhere)).values()) != {"silence"}:
            if time.monotonic() > deadline_s:
                break
        found["later"] = later
    async with room("nat", CopyingSandbox) as here:
        found["copy"] = await here.reach_all(far | elsewhere | {"machine": tcp(MACHINE)})
    neighbour.communicate()
    return found | {"after": len(pastas())}


def ordinary_killed() -> dict[str, Any]:
    """An ordinary user's server that is killed while a sandbox runs."""
    World()
    become_ordinary()
    linux.become_subreaper()
    program = [sys.executable, "-B", "-m", "security.outside", "server"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        during = len(pastas())
        server.kill()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    return {"during": during, "after": len(pastas())}


async def broken() -> dict[str, Any]:
    """An ordinary user on a machine with a pasta that does not work."""
    World()
    become_ordinary()
    with tempfile.TemporaryDirectory(prefix="lambent-broken-") as directory:
        burn_pasta(directory)
        return await unprivileged()


def burn_pasta(directory: str) -> None:
    """Put a program before pasta that fails."""
    program = Path(directory, "pasta")
    program.write_text("#!/bin/sh\necho 'It has burnt.' >&2\nexit 1\n")
    program.chmod(0o755)
    os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"


def become_ordinary() -> None:
    """Be an ordinary user from now on, on a machine where everybody may make network interfaces of their own."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount("tmpfs", "/dev/net", "tmpfs", linux.MS_NOSUID)
    os.mknod("/dev/net/tun", stat.S_IFCHR | 0o666, os.makedev(10, 200))
    Path("/dev/net/tun").chmod(0o666)
    os.setgroups([])
    os.setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID)
    os.setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID)
    linux.permit_inspection()


def pastas() -> list[int]:
    """The processes of that name in this network."""
    found: list[int] = []
    here = Path("/proc/self/ns/net").stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (process / "cmdline").read_bytes().partition(b"\0")[0]
            if name.endswith(b"/pasta") and (process / "ns/net").stat().st_ino == here:
                found.append(int(process.name))
    return found


async def unprivileged() -> dict[str, Any]:
    """What an ordinary user gets."""
    async with room("auto") as here:
        promise = here.network_promise()
        found: dict[str, Any] = {"promise": [promise.enforced, promise.how]}
        found["reached"] = await here.reach_all({"far": tcp(FAR)})
    try:
        async with room("nat"):
            pass
    except SandboxError as error:
        found["asked for"] = str(error)
    return found


async def alone() -> dict[str, Any]:
    """A machine without any network."""
    linux.unshare(linux.CLONE_NEWNET)
    async with room("auto") as here:
        return {"promise": here.network_promise().how, "reached": await here.reach_all({"far": tcp(FAR)})}


SCENARIOS: dict[str, Callable[[], Any]] = {
    scenario.__name__: scenario
    for scenario in (
        *(walls, copies, seedlings, no_network, many, left_over, two_servers, killed, server, spawner_dies),
        *(neighbours, router, neighbour, firewalled, unprivileged, alone, ordinary, ordinary_killed, broken),
    )
}

if __name__ == "__main__":
    played = SCENARIOS[sys.argv[1]]()
    print(json.dumps(asyncio.run(played) if inspect.iscoroutine(played) else played))
