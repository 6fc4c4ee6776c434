"""The asyncio side of a template: know when it can be copied, keep copies parked, hand them out.

What a template and its copies do is in `lambent.sandbox.copying`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

from lambent.sandbox import SandboxError, SandboxProcess, SandboxSpec
from lambent.sandbox.calm import Calm
from lambent.sandbox.control import Spawner
from lambent.sandbox.launched import LaunchedProcess
from lambent.sandbox.order import Outbound
from lambent.sandbox.parked import Parked
from lambent.sandbox.report_socket import next_report

STEP = "template"
"""The step of every error that is about being copied."""


class LaunchedTemplate(Parked):
    """See `lambent.sandbox.Template`."""

    def __init__(
        self,
        process: LaunchedProcess,
        control: socket.socket,
        *,
        spawner: Spawner,
        new_copy: Callable[[], LaunchedProcess],
        begin: Callable[[LaunchedProcess, SandboxSpec], Awaitable[None]],
        take_link: Callable[[], Outbound | None],
        give_back: Callable[[Outbound | None], None],
        ahead: int,
        calm: Calm,
    ) -> None:
        """Take over a template that has been started.

        Args:
            process: the template.
            control: its control socket.
            spawner: copies mounts.
            new_copy: makes the asyncio side of a copy.
            begin: gives a parked copy its order and returns when it runs; see `Sandbox.start` for failures.
            take_link: returns the link of a copy's network to the host's, if it is to have one.
            give_back: takes the link back when the copy is gone.
            ahead: how many copies to keep parked.
            calm: when to park more of them.
        """
        super().__init__(
            name="a template",
            spawner=spawner,
            new=new_copy,
            take_link=take_link,
            give_back=give_back,
            ahead=ahead,
            calm=calm,
        )
        self.process: SandboxProcess = process
        self._begin = begin
        self._socket = control
        self._copies: set[LaunchedProcess] = set()
        process.on_end(lambda _: self._end())

    async def wait_copyable(self) -> None:
        """See `lambent.sandbox.Template.wait_copyable`."""
        message = await next_report(self._socket)
        if message is None:
            raise SandboxError(STEP, "the command ended instead of waiting to be copied")
        members, _ = message
        if members["event"] != "copyable":
            raise SandboxError(STEP, members["reason"])
        self._control = self._socket
        self.prepare()

    async def copy(self, spec: SandboxSpec) -> SandboxProcess:
        """See `lambent.sandbox.Template.copy`."""
        with self._calm.starting():
            copy = await self.take()
            if copy is None:
                raise SandboxError(STEP, "has ended")
            self._copies.add(copy)
            copy.on_end(self._forget)
            # What the template sees of the host is in its tree already.
            await self._begin(copy, replace(spec, mounts=(), hidden=(), zygote=None))
            return copy

    @property
    def is_copied(self) -> bool:
        """See `lambent.sandbox.Template.is_copied`."""
        return bool(self._copies)

    async def close(self) -> None:
        """See `lambent.sandbox.Template.close`."""
        await super().close()
        self._control = None
        if not self._copies:
            self._end()
            await self.process.close()

    async def _open(self) -> None:
        """Do nothing: a template that has ended is not started again."""

    def _forget(self, copy: LaunchedProcess) -> None:
        self._copies.discard(copy)
        if self._is_broken and not self._copies:
            self._end()

    def _end(self) -> None:
        """Let the template end: nobody needs it any more, or it has ended already."""
        self._control = None
        self._socket.close()
        self.process.kill()
