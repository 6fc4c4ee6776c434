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
from collections.abc import Callable, Mapping
from dataclasses import replace

from lambent.sandbox import SandboxError, SandboxSpec, ZygoteSpec
from lambent.sandbox.calm import Calm
from lambent.sandbox.control import Spawner, readable
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.order import Order, Outbound, send_order
from lambent.sandbox.parked import Parked
from lambent.sandbox.report_socket import next_report

_log = logging.getLogger(__name__)
_ALWAYS_PLACES = ("/opt", "/home", "/mnt", "/srv")
_READ_AT_START = ("PYTHON", "LD_", "LC_", "OPENSSL_", "MALLOC_")
_READ_AT_START_NAMES = ("LANG", "LANGUAGE", "GLIBC_TUNABLES")


def fits(spec: SandboxSpec, zygote: ZygoteSpec) -> bool:
    """Return whether a command can be forked from this zygote and be what it would be when executed."""
    count = len(zygote.mounts)
    return (
        (not zygote.interpreter or _is_for(zygote, spec))
        and spec.mounts[:count] == zygote.mounts
        and _have_places(spec, zygote)
        and (spec.hidden, spec.hostname, spec.listen) == (zygote.hidden, zygote.hostname, zygote.listen)
    )


def _is_for(zygote: ZygoteSpec, spec: SandboxSpec) -> bool:
    """Whether a zygote's interpreter can become a command."""
    known, options = len(zygote.interpreter), spec.command[len(zygote.interpreter) :]
    return (
        spec.command[:known] == zygote.interpreter
        and (len(options) >= 2 if options[:1] == ("-c",) else options[:1] > ("",) and options[0][0] != "-")
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


class Nursery(Parked):
    """One zygote and the stems that it has forked in advance."""

    _is_zygote = True

    def __init__(
        self,
        order: Order,
        *,
        spawner: Spawner,
        new_stem: Callable[[], LaunchedProcess],
        take_link: Callable[[], Outbound | None],
        give_back: Callable[[Outbound | None], None],
        stems: int,
        calm: Calm,
    ) -> None:
        """Prepare.

        Args:
            order: the zygote's.
            spawner: starts the zygote.
            new_stem: makes the asyncio side of a stem.
            take_link: returns the link of a stem's network to the host's, if it is to have one.
            give_back: takes the link back when the stem is gone.
            stems: how many to keep ready.
            calm: when to fork more of them.
        """
        super().__init__(
            name=order.spec.command[0],
            spawner=spawner,
            new=new_stem,
            take_link=take_link,
            give_back=give_back,
            ahead=stems,
            calm=calm,
        )
        self._order = order
        self._watching: asyncio.Task[None] | None = None

    @property
    def control(self) -> socket.socket | None:
        """The zygote's control socket, while there is one that can fork."""
        return self._control

    async def close(self) -> None:
        """Let the zygote go, and the stems that nobody has taken."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        await super().close()

    async def _open(self) -> None:
        """Start the zygote; return when it can fork."""
        if self._control is not None:
            return
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setblocking(False)
        pidfds: list[int] = []
        try:
            with theirs:
                send_order(control, self._order, [])
                await self._spawner.hand_over([theirs.fileno()], b"zygote")
            while (message := await next_report(control)) is not None:
                members, descriptors = message
                pidfds += descriptors
                if members["event"] == "ready":
                    self._complain_of(members["missing"])
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

    def _complain_of(self, missing: list[str]) -> None:
        if missing:
            _log.warning("%s cannot load these beforehand: %s", self._name, ", ".join(missing))

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
