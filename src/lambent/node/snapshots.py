"""Snapshots of published versions with SnapStart: initialized once, copied for every environment.

A snapshot is a living process, a *template*, that has run the function's init and the before-snapshot hooks behind
the same walls as any environment; an environment is a copy of it that goes on with the after-restore hooks
(`lambent.sandbox.Template`). Snapshots end with the server and are taken again by the next one.

Follows the AWS page "Improving startup performance with Lambda SnapStart" (aws-facts §20).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from lambent.clock import Clock
from lambent.domain.facts import Fact, InitReport, InitStart, LogLine, Output
from lambent.domain.function import FunctionKey, FunctionVersion
from lambent.domain.limits import PROVISIONED_INIT_MAX_S
from lambent.node.ending import RuntimeExit, TimedOut, init_status
from lambent.node.plan import Held, Plan, Snapshot, Surroundings
from lambent.node.runtime_api import Answer, Restoring
from lambent.node.runtime_process import RuntimeEnded, RuntimeProcess
from lambent.sandbox import SandboxError, SandboxProcess, SandboxSpec, Template

_log = logging.getLogger(__name__)
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleSnapshot:
    """A snapshot that may go to make room: no environment lives from it."""

    mb: int
    idle_since_s: float
    evict: Callable[[], None]
    """Lets it go soon; it is taken again when it is needed."""


class SnapshotForgotten(SandboxError):
    """The version was deleted while its snapshot was being taken."""

    def __init__(self) -> None:
        super().__init__("snapshot", "the version is gone")


class SnapshotInitError(Exception):
    """The function's init failed, so there is nothing to take a snapshot of.

    Args:
        status: ``error`` or ``timeout``.
        error_type: what the runtime or the platform calls the failure, if it has a name.
    """

    def __init__(self, status: str, error_type: str | None) -> None:
        super().__init__(f"the init phase ended with {error_type or status}")
        self.status = status
        self.error_type = error_type


class TemplateRuntime:
    """A runtime that is initialized to be copied, until nobody needs it any more."""

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        self._plan = plan
        self._around = around
        self._runtime = RuntimeProcess(
            plan,
            around,
            restoring=Restoring.TEMPLATE,
            on_lines=self._on_lines,
            on_answer=self._on_answer,
            on_exit=self._on_exit,
        )
        self._template: Template | None = None
        self._memory: Held | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it can be copied, as far as one knows."""
        return self._runtime.exit is None

    @property
    def idle_mb(self) -> int:
        """The memory that would be free without it; 0 while a copy lives, because it lasts as long."""
        if self._memory is None or self._template is None or self._template.is_copied:
            return 0
        return self._memory.mb

    def leave(self) -> None:
        """Say that it is about to be closed, and its memory free."""
        if self._memory is not None:
            self._memory.leave()

    async def take(self) -> Snapshot:
        """Run the init phase and return the snapshot.

        Raises:
            SnapshotInitError: the init failed.
            SandboxError: the walls could not be put up, or (step ``template``) the initialized function cannot be
                copied.
        """
        self._emit(InitStart(at_s=self._now_s(), origin=self._plan.origin, phase="init"))
        await self._runtime.start(self._launch, 1)
        started_s = self._around.clock.monotonic_s()
        end = await self._initialized()
        status, error_type = init_status(end)
        duration_ms = (self._around.clock.monotonic_s() - started_s) * 1000
        self._emit(
            InitReport(
                at_s=self._now_s(),
                origin=self._plan.origin,
                phase="init",
                status=status,
                error_type=error_type,
                duration_ms=duration_ms,
                billed_duration_ms=math.ceil(duration_ms),
            )
        )
        if end is not None:
            raise SnapshotInitError(status, error_type)
        assert self._template is not None
        await self._template.wait_copyable()
        self._memory = self._around.hold_memory(math.ceil(self._template.process.peak_memory_bytes() / _MB))
        return Snapshot(template=self._template, tmp=self._plan.tmp)

    async def close(self) -> None:
        """Return when nobody needs it any more and nothing of it is left."""
        if self._template is not None:
            await self._template.close()
            await self._template.process.wait()
        await self._runtime.stop()
        if self._memory is not None:
            self._memory.release()
        await self._plan.tmp.close()

    async def _launch(self, spec: SandboxSpec) -> SandboxProcess:
        self._template = await self._around.sandbox.start_template(spec)
        return self._template.process

    async def _initialized(self) -> Answer | RuntimeExit | TimedOut | None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(PROVISIONED_INIT_MAX_S, self._runtime.interrupt, TimedOut())
        try:
            return await self._runtime.api.ready or self._runtime.exit
        except RuntimeEnded as ended:
            return ended.end
        finally:
            timer.cancel()

    def _on_exit(self, end: RuntimeExit) -> None:
        self._runtime.interrupt(end)

    def _on_answer(self) -> None:
        self._runtime.pipe.drain()

    def _on_lines(self, lines: tuple[LogLine, ...]) -> None:
        self._emit(Output(at_s=self._now_s(), origin=self._plan.origin, request_id=None, lines=lines))

    def say(self, text: str) -> None:
        """Write a line into the function's log."""
        self._on_lines((LogLine(at_s=self._now_s(), text=text),))

    def _emit(self, fact: Fact) -> None:
        self._around.emit(fact)

    def _now_s(self) -> float:
        return self._around.clock.now_s()


class Templating(Protocol):
    """What `Snapshots` needs of a `TemplateRuntime`."""

    @property
    def is_alive(self) -> bool:
        """Whether it can be copied."""
        ...

    @property
    def idle_mb(self) -> int:
        """The memory that would be free without it; 0 while a copy lives."""
        ...

    def leave(self) -> None:
        """Say that it is about to be closed."""
        ...

    async def take(self) -> Snapshot:
        """Run the init phase and return the snapshot."""
        ...

    async def close(self) -> None:
        """Return when nothing of it is left."""
        ...

    def say(self, text: str) -> None:
        """Write a line into the function's log."""
        ...


class Snapshots:
    """The snapshots of this node, one for each version that has or needs one."""

    def __init__(
        self,
        begin: Callable[[FunctionVersion], Awaitable[Templating]],
        *,
        snapshots_max: int,
        clock: Clock,
    ) -> None:
        """Start without any.

        Args:
            begin: prepares the runtime whose snapshot is to be taken.
            snapshots_max: how many to keep: of more, the one whose last use is longest ago goes, and is taken again
                when it is needed.
            clock: when they were used.
        """
        self._clock = clock
        self._begin = begin
        self._snapshots_max = snapshots_max
        self._taking: dict[str, asyncio.Task[Snapshot | None]] = {}
        self._versions: dict[str, FunctionVersion] = {}
        self._runtimes: dict[str, Templating] = {}
        """The last used is the last."""
        self._used_s: dict[str, float] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def of(self, version: FunctionVersion) -> Snapshot | None:
        """Return the snapshot of a version, taken now if there is none; None if the function cannot be copied.

        Raises:
            SnapshotInitError: the init failed; the next call tries again.
            SnapshotForgotten: the version was deleted meanwhile.
            RuntimeUnavailable, UnpackError, SandboxError: it cannot be started; likewise.
        """
        place = version.configuration_id
        runtime = self._runtimes.get(place)
        if place not in self._taking or (runtime is not None and not runtime.is_alive):
            self._taking[place] = asyncio.create_task(self._take(version))
            self._versions[place] = version
        elif runtime is not None:
            self._runtimes[place] = self._runtimes.pop(place)
            self._used_s[place] = self._clock.monotonic_s()
        taking = self._taking[place]
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError as error:
            if taking.cancelled():
                # Not whoever asks was cancelled, but what it waits for.
                raise SnapshotForgotten from error
            raise
        except Exception:
            if self._taking.get(place) is taking:
                self._drop(place)
            raise

    def forget(self, key: FunctionKey, version: str | None = None) -> None:
        """Let the snapshots of a function, or of one version of it, go with the last environment of each."""
        for place, known in list(self._versions.items()):
            if known.key == key and version in (None, known.version):
                self._drop(place)

    def idle(self) -> Iterator[IdleSnapshot]:
        """Yield those that may go to make room for others."""
        for place, runtime in self._runtimes.items():
            if mb := runtime.idle_mb:
                yield IdleSnapshot(
                    mb=mb, idle_since_s=self._used_s[place], evict=partial(self._evict, place, runtime)
                )

    async def close(self) -> None:
        """End them all; their environments have ended."""
        for taking in self._taking.values():
            taking.cancel()
        await asyncio.gather(*self._taking.values(), return_exceptions=True)
        for runtime in self._runtimes.values():
            self._close_soon(runtime)
        self._taking, self._runtimes, self._versions = {}, {}, {}
        await asyncio.gather(*self._closing)

    async def _take(self, version: FunctionVersion) -> Snapshot | None:
        place = version.configuration_id
        if (dead := self._runtimes.pop(place, None)) is not None:
            self._close_soon(dead)
        runtime = await self._begin(version)
        try:
            snapshot = await runtime.take()
        except SandboxError as error:
            self._close_soon(runtime)
            if error.step != "template":
                raise
            _log.warning("%s has no snapshot: %s", version.arn, error.reason)
            runtime.say(
                f"LAMBENT_SNAPSHOT No snapshot was taken, environments are initialized instead: {error.reason}"
            )
            return None
        except BaseException:
            self._close_soon(runtime)
            raise
        self._runtimes[place], self._used_s[place] = runtime, self._clock.monotonic_s()
        while len(self._runtimes) > self._snapshots_max:
            self._drop(next(iter(self._runtimes)))
        return snapshot

    def _evict(self, place: str, runtime: Templating) -> None:
        if self._runtimes.get(place) is runtime:
            runtime.leave()
            self._drop(place)

    def _drop(self, place: str) -> None:
        del self._versions[place]
        self._used_s.pop(place, None)
        self._taking.pop(place).cancel()
        if (runtime := self._runtimes.pop(place, None)) is not None:
            self._close_soon(runtime)

    def _close_soon(self, runtime: Templating) -> None:
        task = asyncio.create_task(runtime.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
