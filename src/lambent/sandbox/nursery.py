"""The asyncio side of stems: keep one zygote, keep some stems ready, hand them out.

Used by `lambent.sandbox.namespaces`, which owns a nursery for every kind of command that has a zygote. What a
zygote and a stem do is in the files of these names. Whatever goes wrong here costs time only: a command for
which there is no stem is executed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from lambent.sandbox import SandboxError, SandboxSpec, ZygoteSpec
from lambent.sandbox.control import Spawner, readable
from lambent.sandbox.launched import LaunchedProcess, next_report
from lambent.sandbox.order import Order, Outbound, send_order

_log = logging.getLogger(__name__)
_START_TIMEOUT_S = 30.0
_REFILL_DELAY_S = 0.05
"""After a stem was taken: the command that took it has the processor first."""
_ALWAYS_PLACES = ("/opt", "/home", "/mnt", "/srv")
_READ_AT_START = ("PYTHON", "LD_", "LC_", "OPENSSL_", "MALLOC_")
_READ_AT_START_NAMES = ("LANG", "LANGUAGE", "GLIBC_TUNABLES")


def fits(spec: SandboxSpec, zygote: ZygoteSpec) -> bool:
    """Return whether a command can be forked from this zygote and be what it would be when executed."""
    known, options = len(zygote.interpreter), spec.command[len(zygote.interpreter) :]
    count = len(zygote.mounts)
    return (
        spec.command[:known] == zygote.interpreter
        and (len(options) >= 2 if options[:1] == ("-c",) else options[:1] > ("",) and options[0][0] != "-")
        and spec.mounts[:count] == zygote.mounts
        and _have_places(spec, zygote)
        and (spec.hidden, spec.hostname, spec.listen) == (zygote.hidden, zygote.hostname, zygote.listen)
        and _read_at_start(spec.environment) == _read_at_start(dict(zygote.environment))
    )


def remaining(spec: SandboxSpec) -> SandboxSpec:
    """Return what a stem has still to do of a spec that fits."""
    assert spec.zygote is not None, "the spec fits"
    mounts = spec.mounts[len(spec.zygote.mounts) :]
    hidden = [path for path in spec.hidden if any(path.startswith(mount.target) for mount in mounts)]
    return replace(spec, mounts=mounts, hidden=tuple(hidden))


def _have_places(spec: SandboxSpec, zygote: ZygoteSpec) -> bool:
    """Whether every further mount lies on a prepared place, or inside another further mount."""
    places = {*zygote.places, *_ALWAYS_PLACES}
    mounted: list[str] = []
    for mount in spec.mounts[len(zygote.mounts) :]:
        if mount.target not in places and not any(mount.target.startswith(f"{it}/") for it in mounted):
            return False
        mounted.append(mount.target)
    return True


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that an interpreter, or its C library, reads when it starts and never again."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) or name in _READ_AT_START_NAMES
    }


class Nursery:
    """One zygote and the stems that it has forked in advance."""

    def __init__(
        self,
        order: Order,
        *,
        spawner: Spawner,
        new_stem: Callable[[], LaunchedProcess],
        take_link: Callable[[], Outbound | None],
        give_back: Callable[[Outbound | None], None],
        stems: int,
    ) -> None:
        """Prepare.

        Args:
            order: the zygote's.
            spawner: starts the zygote.
            new_stem: makes the asyncio side of a stem.
            take_link: returns the link of a stem's network to the host's, if it is to have one.
            give_back: takes the link back when the stem is gone.
            stems: how many to keep ready.
        """
        self._order = order
        self._spawner = spawner
        self._new_stem = new_stem
        self._take_link = take_link
        self._give_back = give_back
        self._stems = stems
        self._control: socket.socket | None = None
        self._ready: deque[LaunchedProcess] = deque()
        self._is_broken = False
        self._tending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Begin to start the zygote and to fill up, unless that is being done."""
        if not self._is_broken and (self._tending is None or self._tending.done()):
            self._tending = asyncio.create_task(self._tend(0.0))

    async def settle(self) -> None:
        """Return when nothing is being prepared any more. For tests and benchmarks."""
        while self._tending is not None and not self._tending.done():
            await asyncio.wait([self._tending])

    async def take(self) -> LaunchedProcess | None:
        """Return a stem, one that is ready if possible; None if there is no zygote yet (or any more)."""
        if self._control is None:
            self.prepare()
            return None
        while self._ready:
            stem = self._ready.popleft()
            if stem.is_parked:
                self._refill()
                return stem
        self._refill()
        try:
            return await self._fork()
        except SandboxError as error:
            _log.warning("A sandbox could not be forked and is built instead: %s", error)
            return None

    async def close(self) -> None:
        """Let the zygote go, and the stems that nobody has taken."""
        self._is_broken = True
        tasks = [task for task in (self._tending, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        ready, self._ready = self._ready, deque()
        await asyncio.gather(*(stem.close() for stem in ready))

    def _refill(self) -> None:
        if self._tending is not None:
            self._tending.cancel()
        self._tending = asyncio.create_task(self._tend(_REFILL_DELAY_S))

    async def _tend(self, delay_s: float) -> None:
        """Start the zygote if there is none, then fork stems until there are enough."""
        await asyncio.sleep(delay_s)
        try:
            if self._control is None:
                async with asyncio.timeout(_START_TIMEOUT_S):
                    await self._start()
            while len(self._ready) < self._stems:
                self._ready.append(await self._fork())
        except (SandboxError, TimeoutError) as error:
            self._is_broken = self._spawner.is_running  # else it is the spawner's fault, which is replaced
            name = self._order.spec.command[0]
            _log.warning("Sandboxes of %s start slowly, because none can be prepared: %s", name, error)

    async def _fork(self) -> LaunchedProcess:
        if self._control is None:
            raise SandboxError("zygote", "has ended")
        link = self._take_link()
        stem = self._new_stem()
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await stem.park(self._control, link)
        except BaseException:
            await stem.close()
            raise
        finally:
            stem.on_end(lambda _: self._give_back(link))
        return stem

    async def _start(self) -> None:
        """Start the zygote; return when it can fork."""
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        pidfds: list[int] = []
        try:
            with theirs:
                send_order(control, self._order, [])
                await self._spawner.hand_over(theirs, b"zygote")
            while (message := await next_report(control)) is not None:
                members, descriptors = message
                pidfds += descriptors
                if members["event"] == "ready":
                    break
                if members["event"] == "failed":
                    raise SandboxError(members["step"], members["reason"])
            else:
                raise SandboxError("zygote", "ended without a word")
        except BaseException:
            control.close()
            await _gone(pidfds)
            raise
        self._control = control
        self._watching = asyncio.create_task(self._watch(control, pidfds))

    async def _watch(self, control: socket.socket, pidfds: list[int]) -> None:
        """Note the zygote's death; being cancelled is its order to die."""
        cause = "it ended without a word"
        try:
            while (message := await next_report(control)) is not None:
                cause = f"{message[0].get('step')}: {message[0].get('reason')}"
            if self._spawner.is_running:
                _log.warning("The interpreter that sandboxes are forked from is gone: %s", cause)
        finally:
            self._control = None
            control.close()
            await _gone(pidfds)


async def _gone(pidfds: list[int]) -> None:
    """Wait until these processes have ended."""
    for pidfd in pidfds:
        await readable(pidfd)
        os.close(pidfd)
