"""Sandboxes that one process forks ahead of the commands that will run in them.

The asyncio half that zygotes (`lambent.sandbox.nursery`) and templates (`lambent.sandbox.template`) have in common:
keep some ready, hand them out, fork more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from lambent.sandbox import SandboxError, SeedlingSpec
from lambent.sandbox.calm import Calm
from lambent.sandbox.control import Spawner
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.order import Outbound

_log = logging.getLogger(__name__)
_START_TIMEOUT_S = 30.0


class Parked(ABC):
    """What one process has forked in advance."""

    _is_zygote = False
    """Whether it forks stems. They are born in their control groups, and one that is forked on demand may be given
    its order before it waits for one."""

    def __init__(
        self,
        *,
        name: str,
        spawner: Spawner,
        new: Callable[[], LaunchedProcess],
        take_link: Callable[[], Outbound | None],
        give_back: Callable[[Outbound | None], None],
        ahead: int,
        calm: Calm,
    ) -> None:
        """Prepare.

        Args:
            name: what the process is, for the log.
            spawner: forked it, or its parent.
            new: makes the asyncio side of a sandbox.
            take_link: returns the link of a sandbox's network to the host's, if it is to have one.
            give_back: takes the link back when the sandbox is gone.
            ahead: how many to keep ready.
            calm: when to fork more of them.
        """
        self._name = name
        self._spawner = spawner
        self._new = new
        self._take_link = take_link
        self._give_back = give_back
        self._ahead = ahead
        self._calm = calm
        self._control: socket.socket | None = None
        """Of the process that forks, while it can."""
        self._ready: deque[LaunchedProcess] = deque()
        self._seedling: SeedlingSpec | None = None
        """What is to wait inside, if a program is."""
        self._is_broken = False
        self._tending: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Begin to fill up, unless that is being done."""
        if not self._is_broken and (self._tending is None or self._tending.done()):
            self._tending = asyncio.create_task(self._tend())

    async def settle(self) -> None:
        """Return when nothing is being prepared any more. For tests and benchmarks."""
        while self._tending is not None and not self._tending.done():
            await asyncio.wait([self._tending])

    async def take(self) -> LaunchedProcess | None:
        """Return a sandbox that waits for its order, or soon will, a ready one if possible; None if none can be
        forked."""
        if self._control is None:
            self.prepare()
            return None
        while self._ready:
            parked = self._ready.popleft()
            if parked.is_parked:
                self.prepare()
                return parked
            # Something inside has died, not the rest of it.
            parked.kill()
        self.prepare()
        try:
            return await self._fork(is_awaited=not self._is_zygote)
        except SandboxError as error:
            _log.warning("A sandbox could not be forked from %s: %s", self._name, error)
            return None

    async def close(self) -> None:
        """Fork no more, and let go of what nobody has taken."""
        self._is_broken = True
        if self._tending is not None:
            self._tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tending
        ready, self._ready = self._ready, deque()
        await asyncio.gather(*(parked.close() for parked in ready))

    @abstractmethod
    async def _open(self) -> None:
        """Start the process that forks, if there is none.

        Raises:
            SandboxError: it cannot be started.
        """

    async def _tend(self) -> None:
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._open()
            while len(self._ready) < self._ahead:
                await self._calm.come()
                self._ready.append(await self._fork())
        except (SandboxError, TimeoutError) as error:
            self._is_broken = self._spawner.is_running  # else it is the spawner's fault, which is replaced
            _log.warning("Sandboxes of %s start slowly, because none can be prepared: %s", self._name, error)

    async def _fork(self, *, is_awaited: bool = True) -> LaunchedProcess:
        if self._control is None:
            raise SandboxError("fork", f"{self._name} has ended")
        link = self._take_link()
        parked = self._new()
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await parked.fork(self._control, link, self._seedling, into_groups=self._is_zygote)
                if is_awaited:
                    await parked.park(link, self._spawner)
        except BaseException:
            await parked.close()
            raise
        finally:
            parked.on_end(lambda _: self._give_back(link))
        return parked
