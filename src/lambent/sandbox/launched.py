"""One command, from the hand-over of its report socket until nothing of it is left. Shared by both kinds of
sandbox.

The state moves forward only: launching, then parked if it is a stem, then started, then ended; or ended with
a failure before it started. A task follows the reports and then the pidfds of the launching processes. The
pidfd of a sandbox's process 1 becomes readable only when its whole process namespace is gone, which is what
"ended" means here.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lambent.sandbox import ExitStatus, SandboxError, SeedlingSpec, command
from lambent.sandbox.cgroup import SandboxCgroup, limit
from lambent.sandbox.control import Spawner, readable
from lambent.sandbox.ends import Ends
from lambent.sandbox.kernel_files import pid_of, resident_peak_bytes
from lambent.sandbox.order import Order, Outbound, send_order
from lambent.sandbox.report_socket import next_report, report_sockets, send_when_possible

_log = logging.getLogger(__name__)
_REMOVE_ATTEMPTS = 500
_REMOVE_PAUSE_S = 0.002


class LaunchedProcess:
    """The `SandboxProcess` of both kinds."""

    def __init__(self, *, cgroup: SandboxCgroup, has_builder: bool) -> None:
        """Prepare.

        Args:
            cgroup: the sandbox's control groups (possibly none).
            has_builder: whether the forked process is a builder, which leaves by itself once process 1 is there
                (`lambent.sandbox.walls`), and not a monitor, which stays (`lambent.sandbox.plain`).
        """
        self.listeners: tuple[socket.socket, ...] = ()
        self.addresses: tuple[tuple[str, int], ...] = ()
        self._cgroup = cgroup
        self._has_builder = has_builder
        self._launchers: list[int] = []  # pidfds of the forked process and of process 1
        self._process_1 = -1  # the latter
        self._command = -1  # pidfd of the command
        self._is_doomed = False
        self._is_frozen = False
        self._channel: socket.socket | None = None  # while it is a stem that waits for its order
        self._ends: Ends | None = None  # of a seedling
        self._reports: socket.socket | None = None  # while there is somebody who may report
        self._parked: asyncio.Future[_Network | None] = asyncio.get_running_loop().create_future()
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure: SandboxError | None = None
        self._status = ExitStatus(signal=int(signal.SIGKILL))
        self._peak_bytes = 0
        self._was_out_of_memory = False
        self._follower: asyncio.Task[None] | None = None
        self._spawner: Spawner | None = None
        self.has_own_network = False

    async def launch(self, spawner: Spawner, order: Order, descriptors: Sequence[int]) -> None:
        """Let the spawner fork, and return when the command has been executed.

        Raises:
            SandboxError: with the step that failed. The caller closes this process then, as after a
            cancellation.
        """
        self._spawner, self.has_own_network = spawner, order.network != "host"
        channel, theirs = report_sockets()
        try:
            with theirs:
                send_order(channel, order, descriptors)
                await spawner.hand_over([theirs.fileno()])
        except OSError as error:
            channel.close()
            raise SandboxError("order", error.strerror or str(error)) from error
        except BaseException:
            channel.close()
            raise
        self._follower = asyncio.create_task(self._follow(channel))
        await asyncio.shield(self._started)

    async def fork(
        self,
        source: socket.socket,
        outbound: Outbound | None,
        seedling: SeedlingSpec | None = None,
        *,
        into_groups: bool,
    ) -> None:
        """Let a zygote or a template fork a sandbox, and return when that was told.

        Args:
            source: its control socket.
            into_groups: see `SandboxCgroup.make`.
            outbound: the link of the sandbox's network to the host's, if it is to have one.
            seedling: the program that is to wait inside, if one is.

        Raises:
            SandboxError: with the step that failed. The caller closes this process then, as after a
            cancellation.
        """
        channel, theirs = report_sockets()
        entrances: list[int] = []
        try:
            with theirs:
                entrances = self._cgroup.make(into_groups=into_groups)
                request = {
                    "link": None if outbound is None else asdict(outbound),
                    "seedling": None if seedling is None else asdict(seedling),
                    "groups": len(entrances),
                }
                self._ends = None if seedling is None else Ends(seedling)
                inner = [] if self._ends is None else self._ends.inner
                message = b"stem " + json.dumps(request).encode("ascii")
                await send_when_possible(source, message, [theirs.fileno(), *inner, *entrances])
                if self._ends is not None:
                    self._ends.close_inner()
        except OSError as error:
            channel.close()
            self._cgroup.remove()
            raise SandboxError("fork", error.strerror or str(error)) from error
        except BaseException:
            channel.close()
            self._cgroup.remove()
            raise
        finally:
            for entrance in entrances:
                os.close(entrance)
        self._channel = channel
        self._follower = asyncio.create_task(self._follow(channel))

    async def park(self, outbound: Outbound | None, spawner: Spawner) -> None:
        """Return when the sandbox that was forked waits for its order.

        Args:
            outbound: as in `fork`.
            spawner: makes the link for those who cannot.

        Raises:
            SandboxError: see `fork`.
        """
        network = await asyncio.shield(self._parked)
        if network is not None:
            with network:
                if outbound is not None:
                    await _link(spawner, network.fileno(), outbound)

    @property
    def cgroup_name(self) -> str:
        """The name of its control groups."""
        return self._cgroup.name

    @property
    def has_parked(self) -> bool:
        """Whether it has come so far that it waited for its order."""
        return self._parked.done() and self._parked.exception() is None

    @property
    def is_parked(self) -> bool:
        """Whether it is a living stem that waits for its order."""
        is_waiting = self._channel is not None and not self._is_doomed and not self._started.done()
        return is_waiting and not _has_ended(self._process_1) and not _has_ended(self._command)

    async def assign(self, spawner: Spawner, order: Order, descriptors: Sequence[int]) -> None:
        """Give a stem its order, and return when the command runs.

        Args:
            spawner: copies the mounts.
            order: with the mounts that the stem lacks, and the limits of its control groups.
            descriptors: for the command.

        Raises:
            SandboxError: with the step that failed. The caller closes this process then, as after a
            cancellation.
        """
        self._spawner, self.has_own_network = spawner, order.network != "host"
        trees, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        spec = order.spec
        mounts = [(mount.source, mount.target) for mount in spec.mounts]
        wanted = json.dumps({"mounts": mounts, "tmp": spec.tmp_directory}).encode("ascii")
        try:
            with trees, theirs:
                for group in order.cgroups:
                    limit(group)
                await spawner.hand_over([trees.fileno()], b"trees " + wanted)
                if self._channel is None:
                    raise SandboxError("launch", "the stem is gone")
                channel, self._channel = self._channel, None
                # A seedling has descriptors of its own: see `take_given`.
                further = descriptors if self._ends is None else ()
                send_order(channel, order, [theirs.fileno(), *further])
        except OSError as error:
            raise SandboxError("order", error.strerror or str(error)) from error
        await asyncio.shield(self._started)

    def take_given(self) -> Mapping[int, int]:
        """See `SandboxProcess.take_given`."""
        return {} if self._ends is None else self._ends.take()

    async def wait(self) -> ExitStatus:
        """See `SandboxProcess.wait`."""
        if self._follower is not None:
            await asyncio.shield(self._follower)
        return self._status

    def kill(self) -> None:
        """See `SandboxProcess.kill`."""
        self._is_doomed = True
        if self._channel is not None:
            with contextlib.suppress(OSError):  # the other side is gone already
                self._channel.shutdown(socket.SHUT_WR)
        if self._has_builder:
            # The builder is left to finish, which takes milliseconds: it has a child, and groups half made.
            _send(self._process_1, signal.SIGKILL)
            return
        _send(self._command, signal.SIGKILL)
        for monitor in self._launchers:
            _send(monitor, signal.SIGTERM)

    def abandon(self) -> None:
        """Kill the launching processes too, because they take too long."""
        self.kill()
        for launcher in self._launchers:
            _send(launcher, signal.SIGKILL)

    def terminate(self) -> None:
        """See `SandboxProcess.terminate`."""
        self.thaw()
        _send(self._command, signal.SIGTERM)

    def limit_cpu(self, share: float) -> None:
        """See `SandboxProcess.limit_cpu`."""
        with contextlib.suppress(FileNotFoundError):  # ended meanwhile
            self._cgroup.limit_cpu(share)

    def set_patient(self, is_patient: bool) -> None:
        """See `SandboxProcess.set_patient`."""
        pid = pid_of(self._command)
        if pid > 0:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(
                    pid, os.SCHED_BATCH if is_patient else os.SCHED_OTHER, os.sched_param(0)
                )

    def freeze(self) -> None:
        """See `SandboxProcess.freeze`."""
        self._set_frozen(True)

    def thaw(self) -> None:
        """See `SandboxProcess.thaw`."""
        self._set_frozen(False)

    def _set_frozen(self, is_frozen: bool) -> None:
        if self._is_frozen == is_frozen or self._command < 0:
            return
        self._is_frozen = is_frozen
        loop = asyncio.get_running_loop()
        if is_frozen:
            # Process 1 is frozen too, and could not tell that the command has been killed.
            loop.add_reader(self._command, self.thaw)
        else:
            loop.remove_reader(self._command)
        try:
            if self._cgroup.freeze(is_frozen=is_frozen):
                return
        except OSError:
            return  # ended meanwhile
        if self._has_builder and self._reports is not None:
            with contextlib.suppress(OSError):  # the other side is gone already
                self._reports.send(command.STOP if is_frozen else command.CONTINUE)
            _send(self._process_1, command.LOOK)

    async def connect(self, port: int) -> socket.socket:
        """See `SandboxProcess.connect`."""
        made = await self._inner_socket()
        try:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
            if made.getsockname() == made.getpeername():
                # Where nobody listens, TCP may have chosen that very port for us, and connected us to ourselves.
                raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        except BaseException:
            made.close()
            raise
        return made

    async def _inner_socket(self) -> socket.socket:
        """Return a socket of the sandbox's network, which the spawner makes: we may not enter it."""
        if not self.has_own_network:
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if self._is_doomed or self._spawner is None or not self.listeners:
            raise SandboxError("connect", "the sandbox is gone, or listens nowhere")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            await self._spawner.hand_over([self.listeners[0].fileno(), theirs.fileno()], b"socket")
            theirs.close()
            found = await next_report(ours)
        if found is None or not found[1]:
            raise SandboxError("connect", "ended without a word" if found is None else found[0]["reason"])
        return socket.socket(fileno=found[1][0])

    def peak_memory_bytes(self) -> int:
        """See `SandboxProcess.peak_memory_bytes`."""
        charged = self._cgroup.peak_memory_bytes()
        # What a stem shares with its zygote is charged to nobody here, and would be used by a sandbox of its
        # own: the command alone counts whole, its descendants only where nothing else counts them.
        resident = resident_peak_bytes(self._command, with_descendants=charged is None)
        self._peak_bytes = max(self._peak_bytes, charged or 0, resident)
        return self._peak_bytes

    def out_of_memory(self) -> bool:
        """See `SandboxProcess.out_of_memory`."""
        self._was_out_of_memory = self._was_out_of_memory or self._cgroup.oom_kills() > 0
        return self._was_out_of_memory

    async def close(self) -> None:
        """See `SandboxProcess.close`."""
        self.kill()
        for listener in self.listeners:
            listener.close()
        if self._follower is not None:
            await asyncio.shield(self._follower)
        if self._ends is not None:
            self._ends.close()

    def on_end(self, callback: Callable[[LaunchedProcess], object]) -> None:
        """Call this when everything is gone (at once, if it is)."""
        if self._follower is None:
            callback(self)
        else:
            self._follower.add_done_callback(lambda _: callback(self))

    async def _follow(self, channel: socket.socket) -> None:
        """Take reports until every sender is gone, then wait for the end and clear up."""
        try:
            self._reports = channel
            with channel:
                while message := await next_report(channel):
                    self._note(*message)
            self._channel = self._reports = None
            for launcher in self._launchers:
                await readable(launcher)
            self.peak_memory_bytes()
            self.out_of_memory()
            await self._remove_cgroup()
        finally:
            self.thaw()
            for descriptor in (*self._launchers, self._command):
                if descriptor >= 0:
                    os.close(descriptor)
            self._launchers, self._process_1, self._command = [], -1, -1
            if self._ends is not None and not self._started.done():
                self._ends.close()  # nobody will take them
            failure = self._failure or SandboxError("launch", "the launching process ended without a word")
            for reached in (self._parked, self._started):
                if not reached.done():
                    reached.set_exception(failure)
                    reached.exception()  # a cancelled start never asks; that is no reason to complain

    async def _remove_cgroup(self) -> None:
        """Remove the groups; on version 1 a group stays busy for a moment after its last process."""
        for attempt in range(_REMOVE_ATTEMPTS):
            if self._cgroup.remove():
                return
            await asyncio.sleep(_REMOVE_PAUSE_S if attempt else 0)
        _log.warning("a control group could not be removed; the next start of a server will")

    def _note(self, members: dict[str, Any], descriptors: list[int]) -> None:
        match members["event"]:
            case "launching":
                self._launchers += descriptors
            case "enclosed":
                self._launchers += descriptors
                self._process_1 = descriptors[0]
            case "listening":
                self._take_listeners(members["addresses"], descriptors)
            case "parked":
                self._parked.set_result(_Network(descriptors[0]) if descriptors else None)
            case "started":
                self._command = descriptors[0]
                if self._ends is None:
                    self._started.set_result(None)
            case "assigned":
                self._started.set_result(None)
            case "exited":
                if self._channel is not None:
                    self._is_doomed = True  # it was to wait
                self._status = exit_status(members["status"])
                self._peak_bytes = max(self._peak_bytes, members["peak_bytes"] if self._is_uncharged else 0)
            case "failed":
                # Who waits for a process that has failed fails next: the first says why.
                self._failure = self._failure or SandboxError(members["step"], members["reason"])
            case event:
                raise AssertionError(f"unknown report {event!r}")
        if self._is_doomed:
            self.kill()

    @property
    def _is_uncharged(self) -> bool:
        return self._cgroup.peak_memory_bytes() is None

    def _take_listeners(self, addresses: list[tuple[str, int]], descriptors: list[int]) -> None:
        listeners = tuple(socket.socket(fileno=descriptor) for descriptor in descriptors)
        for listener in listeners:
            listener.setblocking(False)
            if self._is_doomed:
                listener.close()
        self.listeners = listeners
        self.addresses = tuple((host, port) for host, port in addresses)


class _Network:
    """A network namespace that waits to be linked, by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


async def _link(spawner: Spawner, network: int, outbound: Outbound) -> None:
    """Let the spawner link a network namespace to the host's.

    Raises:
        SandboxError: that is not possible.
    """
    channel, theirs = report_sockets()
    with channel:
        with theirs:
            message = b"link " + json.dumps(asdict(outbound)).encode("ascii")
            await spawner.hand_over([network, theirs.fileno()], message)
        reported = await next_report(channel)
    members = reported[0] if reported else {"event": "failed", "step": "outbound", "reason": "no answer"}
    if members["event"] == "failed":
        raise SandboxError(members["step"], members["reason"])


def exit_status(wait_status: int) -> ExitStatus:
    """Return the meaning of a raw wait status (wait(2))."""
    if os.WIFSIGNALED(wait_status):
        return ExitStatus(signal=os.WTERMSIG(wait_status))
    return ExitStatus(code=os.WEXITSTATUS(wait_status))


def _has_ended(pidfd: int) -> bool:
    """Whether a process is known that is no more."""
    if pidfd < 0:
        return False
    ended = select.poll()
    ended.register(pidfd, select.POLLIN)
    return bool(ended.poll(0))


def _send(pidfd: int, number: signal.Signals) -> None:
    try:
        if pidfd >= 0:
            signal.pidfd_send_signal(pidfd, number)
    except OSError:
        pass  # already gone
