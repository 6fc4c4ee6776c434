"""Invocations under a debugger: each has an execution environment of its own, which ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from lambent.domain.function import FunctionVersion
from lambent.domain.invocation import Invocation, Outcome
from lambent.errors import InvalidParameterValueException, ServiceException
from lambent.invoke.resident import Environment
from lambent.runtimes import RuntimeUnavailable

REASON = "debug"
"""The cold start reason."""
WAIT_MAX_S = 3600.0
"""How long a debugger is awaited."""
SILENCE_MAX_S = 10.0
"""How long one is awaited for a caller who asked for news of that, and asks no more: the caller is gone."""
_LOOK_S = 2.0


class Debugger(Protocol):
    """The way to the debugger of one environment, as `lambent.node` makes it."""

    address: tuple[str, int]
    family: str
    task_root: str
    was_attached: bool

    @property
    def is_attached(self) -> bool:
        """Whether a debugger is attached now."""
        ...

    async def settle(self) -> None:
        """Return when an attached debugger has heard what there was to say."""
        ...

    async def close(self) -> None:
        """Let nobody attach any more."""
        ...


OpenDebugger = Callable[[FunctionVersion, int], Awaitable[Debugger]]
"""Listens for debuggers of a version, on a port of this machine; raises OSError and RuntimeUnavailable."""
StartDebugged = Callable[[FunctionVersion, Any], Awaitable[Environment]]
"""Starts an environment that waits for a debugger, one that `OpenDebugger` has returned."""


class _Running:
    """An invocation under a debugger."""

    def __init__(self, debugger: Debugger, run: asyncio.Task[Outcome]) -> None:
        self.debugger = debugger
        self.run = run
        self.asked_s: float | None = None
        """When somebody asked for news of it; None: nobody has."""

    async def give_up_in_time(self) -> None:
        """Return when a debugger has attached, or end the run when it is awaited in vain."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while not self.debugger.was_attached:
            await asyncio.sleep(_LOOK_S)
            is_alone = self.asked_s is not None and loop.time() - self.asked_s > SILENCE_MAX_S
            if not self.debugger.was_attached and (is_alone or loop.time() - begun_s > WAIT_MAX_S):
                self.run.cancel()
                return


class Debugging:
    """Runs invocations under a debugger, and knows them by their request ids, which only their callers know."""

    def __init__(self, *, open_debugger: OpenDebugger, start: StartDebugged) -> None:
        self._open = open_debugger
        self._start = start
        self._running: dict[str, _Running] = {}

    @classmethod
    def impossible(cls) -> Debugging:
        """Return one that refuses every invocation."""

        async def refuse(*_: Any) -> Any:
            raise RuntimeUnavailable("Nothing can be debugged here.")

        return cls(open_debugger=refuse, start=refuse)

    def find(self, request_id: str) -> Debugger | None:
        """Return the debugger of a running invocation, for whoever asks for news of it."""
        found = self._running.get(request_id)
        if found is None:
            return None
        found.asked_s = asyncio.get_running_loop().time()
        return found.debugger

    async def invoke(self, invocation: Invocation, port: int) -> Outcome:
        """Run an invocation when a debugger has attached; without limit of time as long as one is.

        Args:
            invocation: what to run.
            port: of this machine's loopback, where the debugger attaches; 0 picks a free one.

        Raises:
            InvalidParameterValueException: the runtime has no debugger, or nobody can listen on that port.
            ServiceException: it was ended from outside, or no debugger came.
            Exception: whatever kept the environment from starting.
        """
        try:
            debugger = await self._open(invocation.version, port)
        except RuntimeUnavailable as error:
            raise InvalidParameterValueException(str(error)) from error
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InvalidParameterValueException(
                f"No debugger can be awaited on port {port}: {reason}."
            ) from error
        run = asyncio.create_task(self._run(invocation, debugger))
        self._running[invocation.request_id] = running = _Running(debugger, run)
        watch = asyncio.create_task(running.give_up_in_time())
        try:
            return await _result(run)
        finally:
            watch.cancel()
            self._running.pop(invocation.request_id, None)

    async def end(self, request_id: str) -> None:
        """End an invocation, and return when nothing of it is left."""
        found = self._running.get(request_id)
        if found is not None:
            found.run.cancel()
            await asyncio.wait([found.run])

    async def close(self) -> None:
        """End all."""
        for request_id in list(self._running):
            await self.end(request_id)

    async def _run(self, invocation: Invocation, debugger: Debugger) -> Outcome:
        environment = None
        try:
            environment = await self._start(invocation.version, debugger)
            outcome = await environment.invoke(invocation)
            await debugger.settle()
            return outcome
        finally:
            await asyncio.shield(_end(environment, debugger))


async def _end(environment: Environment | None, debugger: Debugger) -> None:
    if environment is not None:
        await environment.stop(REASON)
    await debugger.close()


async def _result(run: asyncio.Task[Outcome]) -> Outcome:
    """Return what a run comes to; a run that is cancelled by others is an error for its caller."""
    try:
        await asyncio.wait([run])
    except asyncio.CancelledError:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        raise
    if run.cancelled():
        raise ServiceException("The invocation was ended, or no debugger has attached in time.")
    return run.result()
