"""One start of a runtime: its sandbox, the log pipe that it writes to, and the Runtime API that it speaks.

An environment (`lambent.node.environment`) has one after the other; a snapshot (`lambent.node.snapshots`) has one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping

from lambent.domain.facts import LogLine
from lambent.domain.limits import SYNC_RESPONSE_MAX_BYTES
from lambent.node.debugger import PORT_VARIABLE, READY_DESCRIPTOR
from lambent.node.ending import RuntimeExit, TimedOut
from lambent.node.output import Output as LogPipe
from lambent.node.plan import Listening, Plan, Surroundings
from lambent.node.runtime_api import Restoring, RuntimeApi
from lambent.node.runtime_connection import Connection
from lambent.sandbox import SandboxProcess, SandboxSpec

RUNTIME_FD, LOG_FD = 3, 4
"""Numbers, for our own runtimes, of the socket to the Runtime API and of the framed log."""
OUTPUT_FDS = (1, 2, LOG_FD)
"""What leads into the log pipe."""

Launch = Callable[[SandboxSpec], Awaitable[SandboxProcess]]
"""Puts the walls up and starts the command behind them."""


class RuntimeEnded(Exception):
    """The runtime ended, or its time was over, while somebody waited for it."""

    def __init__(self, end: RuntimeExit | TimedOut) -> None:
        super().__init__(str(end))
        self.end = end


class RuntimeProcess:
    """A runtime from its start to its end."""

    def __init__(
        self,
        plan: Plan,
        around: Surroundings,
        *,
        restoring: Restoring,
        on_lines: Callable[[tuple[LogLine, ...]], None],
        on_answer: Callable[[], None],
        on_exit: Callable[[RuntimeExit], None],
    ) -> None:
        """Prepare.

        Args:
            plan: what it is made from.
            around: the node's.
            restoring: what the runtime has to do with snapshots.
            on_lines: takes its log lines.
            on_answer: called before an answer of the runtime is handed on.
            on_exit: called when it has ended by itself.
        """
        self._plan = plan
        self._around = around
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self.exit: RuntimeExit | None = None
        """How it ended, if it has."""
        self.pipe = LogPipe(now_s=around.clock.now_s, on_lines=on_lines)
        self.api = RuntimeApi(
            response_max_bytes=SYNC_RESPONSE_MAX_BYTES,
            on_answer=on_answer,
            restoring=restoring,
            credentials=plan.credentials,
        )
        self.process: SandboxProcess | None = None
        self._serving: list[Listening] = []
        self._exit_watch: asyncio.Task[None] | None = None

    async def start(self, launch: Launch, number: int) -> None:
        """Start it; return when it has been started, long before its init is over.

        Args:
            launch: puts the walls up.
            number: which start of the environment's runtime this is, from 1.

        Raises:
            SandboxError: the walls could not be put up.
        """
        ours, theirs = socket.socketpair()
        try:
            ours.setblocking(False)
            address = await self._serve_on_loopback() if self._plan.serves_on_loopback else {}
            self.process = await launch(self._spec(theirs, number, address))
        except BaseException:
            ours.close()
            self.pipe.close()
            raise
        finally:
            theirs.close()
        ours = self._adopt(self.process.take_given(), ours)
        if self._plan.debugger is not None:
            self._plan.debugger.reach(self.process)
        await self._loop.create_unix_connection(lambda: Connection(self.api), sock=ours)
        await self._serve_inside(self.process.listeners)
        self._exit_watch = asyncio.create_task(self._watch_exit(self.process))

    def _adopt(self, given: Mapping[int, int], ours: socket.socket) -> socket.socket:
        """Take what a runtime that was started ahead has instead of what it was to inherit; return our socket."""
        if not given:
            return ours
        ours.close()
        self.pipe.adopt(given[OUTPUT_FDS[0]])
        ours = socket.socket(fileno=given[RUNTIME_FD])
        ours.setblocking(False)
        return ours

    def interrupt(self, end: RuntimeExit | TimedOut) -> bool:
        """Wake whoever waits for the runtime, with this end; False when nobody does."""
        self.pipe.drain()
        return self.api.interrupt(RuntimeEnded(end))

    async def stop(self) -> None:
        """Kill everything of it and close what it had here. Whoever waits for it is woken."""
        if self.process is not None:
            self.process.kill()
        self.api.interrupt(RuntimeEnded(RuntimeExit(code=None, signal=signal.SIGKILL)))
        self.api.close()
        for server in self._serving:
            server.close()
        if self.process is not None:
            await self.process.close()
        if self._exit_watch is not None:
            self._exit_watch.cancel()
            await asyncio.gather(self._exit_watch, return_exceptions=True)
        self.pipe.close()

    def _spec(self, theirs: socket.socket, number: int, address: dict[str, str]) -> SandboxSpec:
        """Complete the plan's spec with what belongs to this start alone."""
        plan = self._plan
        inherited = [(self.pipe.write_end, 1), (self.pipe.write_end, 2)]
        environment = dict(plan.spec.environment) | address
        if plan.debugger is not None and number == 1:
            inherited.append((plan.debugger.told_end, READY_DESCRIPTOR))
        else:
            environment.pop(PORT_VARIABLE, None)  # whoever wanted to debug it has done so
        if plan.speaks_over_socket:
            inherited += [(theirs.fileno(), RUNTIME_FD), (self.pipe.write_end, LOG_FD)]
            environment |= {"_LAMBENT_RUNTIME_FD": str(RUNTIME_FD), "_LAMBDA_TELEMETRY_LOG_FD": str(LOG_FD)}
        return dataclasses.replace(
            plan.spec,
            name=f"{plan.spec.name}-{number}",
            environment=environment,
            inherited=tuple(inherited),
        )

    async def _serve_on_loopback(self) -> dict[str, str]:
        """Serve the Runtime API on a free port of the host, and return the variable that says which."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._serving.append(await self._loop.create_server(lambda: Connection(self.api), sock=listener))
        return {"AWS_LAMBDA_RUNTIME_API": "{}:{}".format(*listener.getsockname())}

    async def _serve_inside(self, listeners: tuple[socket.socket, ...]) -> None:
        """Serve the Runtime API, and Lambent's own API where the environment cannot reach the host's loopback."""
        if not listeners:
            return
        *runtime_api, endpoint = listeners
        for listener in runtime_api:
            self._serving.append(await self._loop.create_server(lambda: Connection(self.api), sock=listener))
        self._serving.append(await self._around.serve_endpoint(endpoint))

    async def _watch_exit(self, process: SandboxProcess) -> None:
        status = await process.wait()
        # A child that ran out of memory is the function's affair as long as the runtime goes on.
        await self.api.drained()
        was_killed = status.signal == signal.SIGKILL
        out_of_memory = was_killed and process.out_of_memory()
        self.exit = RuntimeExit(code=status.code, signal=status.signal, out_of_memory=out_of_memory)
        self._on_exit(self.exit)
