"""An execution environment: one runtime behind walls, one invocation at a time.

Init → Ready ⇄ Invoke → Shutdown, as AWS's page "Understanding the Lambda execution environment lifecycle" has it.
A runtime that times out, crashes or fails its init is *reset*: its processes are gone, /tmp stays, and the next
invocation starts the runtime again as part of itself (AWS's "suppressed init"). An environment of a version with a
snapshot is *restored* where another one would be initialized (AWS page "Improving startup performance with Lambda
SnapStart").
"""

from __future__ import annotations

import asyncio
import logging
import math
from enum import Enum
from functools import partial

from lambent.domain.concurrency import INITIALIZATION_TYPE
from lambent.domain.facts import (
    EnvironmentStopped,
    Fact,
    InitReport,
    InitStart,
    LogLine,
    Output,
    RestoreReport,
    RestoreStart,
    Start,
)
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.limits import (
    INIT_MAX_S,
    LOG_TAIL_MAX_BYTES,
    PROVISIONED_INIT_MAX_S,
    RESTORE_MAX_S,
    SYNC_RESPONSE_MAX_BYTES,
)
from lambent.domain.log_line import lines_of
from lambent.errors import ServiceError, SnapStartException, SnapStartTimeoutException
from lambent.node.deadline import Deadline
from lambent.node.ending import End, NotStarted, RuntimeExit, TimedOut, ending_of, init_status
from lambent.node.plan import Plan, Surroundings
from lambent.node.reporting import Reporting
from lambent.node.runtime_api import Answer, Restoring, RuntimeApi
from lambent.node.runtime_process import Launch, RuntimeEnded, RuntimeProcess
from lambent.response_stream import ResponseStream
from lambent.sandbox import SandboxError

_log = logging.getLogger(__name__)


class State(Enum):
    """What an environment is doing."""

    # Members are compared by identity, so they may be found by it, too: Enum hashes their names.
    __hash__ = object.__hash__

    NEW = "new"
    INIT = "init"
    READY = "ready"
    INVOKE = "invoke"
    RESET = "reset"
    SHUTDOWN = "shutdown"


_MOVES = {
    State.NEW: {State.INIT, State.SHUTDOWN},
    State.INIT: {State.READY, State.INVOKE, State.RESET, State.SHUTDOWN},
    State.READY: {State.INVOKE, State.RESET, State.SHUTDOWN},
    State.INVOKE: {State.READY, State.RESET, State.SHUTDOWN},
    State.RESET: {State.INIT, State.SHUTDOWN},
    State.SHUTDOWN: set[State](),
}


class Environment:
    """One execution environment. Its owner is the pool; only `stop` may be called at any time."""

    def __init__(self, plan: Plan, surroundings: Surroundings) -> None:
        self._plan = plan
        self._around = surroundings
        self._clock = surroundings.clock
        self._loop = asyncio.get_running_loop()
        deadline = Deadline if plan.debugger is None else plan.debugger.deadline
        self._deadline = deadline(self._loop, partial(self._interrupt, TimedOut()))
        self._state = State.NEW
        self.is_usable = False
        """Whether an invocation may be handed to it."""
        self._starts = 0
        self._runtime: RuntimeProcess | None = None
        self._snapshot = plan.snapshot
        self._invocation: Invocation | None = None
        self._tail: list[Fact] | None = None
        self._emit = surroundings.emit
        """States a fact; while somebody wants the tail of the log, it also keeps it."""
        self._reporting = Reporting(plan, surroundings.clock)
        self._measured_init_ms = 0.0
        self._answered_s = 0.0
        self._is_frozen = False
        self._is_patient = False
        """Whether its runtime waits for its turn when it wakes."""
        self._idle_since_s = 0.0
        self._freezing: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Environment {self._plan.origin.environment_id} {self._plan.version.key.name} {self._state.value}>"

    @property
    def state(self) -> State:
        """What it is doing now."""
        return self._state

    # The three verbs ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run the init phase, or restore. A function that fails to load leaves the environment reset, no error.

        Raises:
            SandboxError: the walls could not be put up.
            SnapStartException, SnapStartTimeoutException: it could not be restored.
        """
        if self._snapshot is not None:
            end = await self._restore(phase="init", budget_s=RESTORE_MAX_S)
            if end is not None:
                raise restore_failure(end)
            self._become_ready()
            return
        is_ahead = self._plan.origin.initialization_type == INITIALIZATION_TYPE
        end = await self._run_init(phase="init", budget_s=PROVISIONED_INIT_MAX_S if is_ahead else INIT_MAX_S)
        if end is None:
            self._reporting.init_duration_ms = None if is_ahead else self._measured_init_ms
            self._become_ready()
        else:
            await self._reset()

    async def invoke(self, invocation: Invocation, into: ResponseStream | None = None) -> Outcome:
        """Run one invocation and return what it came to; `into` is handed its response while that comes."""
        if self._is_frozen:
            self._thaw()
        if self._state is State.RESET:
            # A runtime that died while it idled still has its descriptors here and its walls around it.
            await self._stop_runtime()
        self._invocation = invocation
        if invocation.wants_log_tail:
            self._tail, self._emit = [], self._emit_and_keep
        elif self._tail is not None:
            self._tail, self._emit = None, self._around.emit  # of an invocation that was broken off
        started_s = self._clock.monotonic_s()
        if self._state is State.RESET:
            begin = self._run_init if self._snapshot is None else self._restore
            failed = await begin(phase="invoke", budget_s=invocation.version.timeout_s)
            if failed is not None:
                self._emit_start(invocation, self._clock.now_s())
                return await self._conclude(invocation, started_s, failed)
        self._move(State.INVOKE)
        end: End
        answered = self._hand_over(invocation, started_s, into)
        try:
            end = await answered
        except RuntimeEnded as ended:
            end = ended.end
        finally:
            self._deadline.lift()
            self._around.crowd.leave()
            del answered  # its exception's traceback holds this frame, and with it the event
        return await self._conclude(invocation, started_s, end, into)

    async def stop(self, reason: str) -> None:
        """End the environment and remove everything of it. May be repeated."""
        if self._state is State.SHUTDOWN:
            return
        self._state, self.is_usable = State.SHUTDOWN, False
        if self._freezing is not None:
            self._freezing.cancel()
        await self._stop_runtime()
        await self._plan.tmp.close()
        self._around.emit(
            EnvironmentStopped(at_s=self._clock.now_s(), origin=self._plan.origin, reason=reason)
        )

    # Init --------------------------------------------------------------------------------------------------

    async def _run_init(self, *, phase: str, budget_s: float) -> End | None:
        """Start the runtime and wait until it asks for work. None: it did."""
        self._move(State.INIT)
        self._emit(InitStart(at_s=self._clock.now_s(), origin=self._plan.origin, phase=phase))
        started = await self._try_to_start()
        started_s = self._clock.monotonic_s()
        end = started if isinstance(started, NotStarted) else await self._begun(started, budget_s)
        self._measured_init_ms = (self._clock.monotonic_s() - started_s) * 1000
        status, error_type = init_status(end)
        is_ahead = self._plan.origin.initialization_type == INITIALIZATION_TYPE
        # What succeeds on demand is charged with the first invocation, what is repeated in one with that.
        is_charged_alone = phase == "init" and (is_ahead or end is not None)
        self._emit(
            InitReport(
                at_s=self._clock.now_s(),
                origin=self._plan.origin,
                phase=phase,
                status=status,
                error_type=error_type,
                duration_ms=self._measured_init_ms,
                billed_duration_ms=math.ceil(self._measured_init_ms) if is_charged_alone else 0,
            )
        )
        return end

    async def _restore(self, *, phase: str, budget_s: float) -> End | None:
        """Start from the snapshot and wait until the runtime asks for work. None: it did.

        Where the snapshot is gone, the function is initialized instead.
        """
        assert self._snapshot is not None
        asked_s = self._clock.monotonic_s()
        self._move(State.INIT)
        self._emit(RestoreStart(at_s=self._clock.now_s(), origin=self._plan.origin))
        try:
            api = await self._start_runtime(self._snapshot.template.copy, Restoring.COPY)
        except SandboxError as error:
            _log.warning("%r starts without its snapshot: %s", self, error)
            self._snapshot = None
            await self._stop_runtime()
            self._move(State.RESET)
            return await self._run_init(phase=phase, budget_s=budget_s)
        started_s = self._clock.monotonic_s()
        end = await self._begun(api, budget_s)
        ended_s = self._clock.monotonic_s()
        reporting = self._reporting
        reporting.restore_duration_ms = duration_ms = (ended_s - asked_s) * 1000
        reporting.billed_restore_ms = billed_ms = math.ceil((ended_s - started_s) * 1000)
        status, error_type = init_status(end)
        self._emit(
            RestoreReport(
                at_s=self._clock.now_s(),
                origin=self._plan.origin,
                status=status,
                error_type=error_type,
                duration_ms=duration_ms,
                # Without an environment there is no invocation with which it could be charged.
                billed_duration_ms=billed_ms if phase == "init" and end is not None else 0,
            )
        )
        return end

    async def _begun(self, api: RuntimeApi, budget_s: float) -> Answer | RuntimeExit | TimedOut | None:
        """Wait until the runtime asks for work, and limit its CPU from there on."""
        runtime = self._runtime
        assert runtime is not None
        self._deadline.set(budget_s)
        end: Answer | RuntimeExit | TimedOut | None
        try:
            end = await api.ready
        except RuntimeEnded as ended:
            end = ended.end
        finally:
            self._deadline.lift()
        # It may have asked for work and died before anybody could look.
        end = end or runtime.exit
        if end is None and runtime.process is not None:
            runtime.process.limit_cpu(self._plan.cpu_share)
        return end

    async def _try_to_start(self) -> RuntimeApi | NotStarted:
        """Start the runtime. A program that cannot be executed is the function's failure, not ours."""
        if self._plan.entrypoint_fault is not None:
            return NotStarted(self._plan.entrypoint_fault)
        try:
            return await self._start_runtime(self._around.sandbox.start, Restoring.AT_ONCE)
        except SandboxError as error:
            if error.step != "execute":
                raise
            reason = error.reason.partition(" (")[0].lower()
            return NotStarted(f"fork/exec {self._plan.spec.command[0]}: {reason}")

    async def _start_runtime(self, launch: Launch, restoring: Restoring) -> RuntimeApi:
        self._starts += 1
        self._is_patient = False
        self._runtime = RuntimeProcess(
            self._plan,
            self._around,
            restoring=restoring,
            on_lines=self._on_lines,
            on_answer=self._note_answer,
            on_exit=self._interrupt,
        )
        await self._runtime.start(launch, self._starts)
        return self._runtime.api

    def _interrupt(self, end: RuntimeExit | TimedOut) -> None:
        """Wake whoever waits for the runtime; with nobody waiting, the environment is reset."""
        if self._runtime is not None and not self._runtime.interrupt(end) and self._state is State.READY:
            self._move(State.RESET)

    # Invoke ------------------------------------------------------------------------------------------------

    def _hand_over(
        self, invocation: Invocation, started_s: float, into: ResponseStream | None
    ) -> asyncio.Future[Answer]:
        """Give the runtime an invocation and return its answer to come."""
        assert self._runtime is not None
        api = self._runtime.api
        now_s = self._clock.now_s()
        left_s = max(0.0, invocation.version.timeout_s - (self._clock.monotonic_s() - started_s))
        answered = api.exchange(
            request_id=invocation.request_id,
            next_response=next_response(invocation, deadline_s=now_s + left_s),
            into=into,
        )
        # The runtime is at work already; what it writes is read later.
        self._emit_start(invocation, now_s)
        self._deadline.set(left_s)
        is_crowded = self._around.crowd.enter()
        if not is_crowded:
            self._around.busy_poll.watch(answered)
        if is_crowded is not self._is_patient:
            self._set_patient(is_crowded)
        return answered

    def _set_patient(self, is_patient: bool) -> None:
        self._is_patient = is_patient
        if self._runtime is not None and self._runtime.process is not None:
            self._runtime.process.set_patient(is_patient)

    async def _conclude(
        self, invocation: Invocation, started_s: float, end: End, into: ResponseStream | None = None
    ) -> Outcome:
        ended_s = self._answered_s if isinstance(end, Answer) else self._clock.monotonic_s()
        duration_ms = (ended_s - started_s) * 1000
        if self._runtime is not None:
            self._runtime.pipe.finish_line()
        timeout_s = invocation.version.timeout_s
        if isinstance(end, TimedOut):
            duration_ms = timeout_s * 1000.0
        streamed = into if into is not None and into.content_type is not None else None
        ending = ending_of(
            end,
            request_id=invocation.request_id,
            timeout_s=timeout_s,
            response_max_bytes=SYNC_RESPONSE_MAX_BYTES if streamed is None else streamed.max_bytes,
        )
        report = self._reporting.report(
            invocation,
            ending,
            duration_ms,
            process=None if self._runtime is None else self._runtime.process,
            streamed_bytes=None if streamed is None else streamed.size_bytes,
        )
        self._emit(report)
        tail = b"" if self._tail is None else self._take_tail(self._tail)
        self._invocation = None
        is_alive = self._runtime is not None and self._runtime.exit is None
        if isinstance(end, Answer) and not end.is_last and self._state is State.INVOKE and is_alive:
            self._become_ready()
        else:
            await self._reset()
        return Outcome(
            payload=ending.payload, report=report, function_error=ending.function_error, log_tail=tail
        )

    # Frozen between invocations ----------------------------------------------------------------------------

    def _become_ready(self) -> None:
        """Be ready for an invocation, and frozen if none comes for a moment.

        One timer is enough for any number of invocations within that moment: it looks again when it is too early.
        """
        self._move(State.READY)
        self._idle_since_s = self._loop.time()
        if self._freezing is None and self._around.freeze_after_s:
            self._freezing = self._loop.call_later(self._around.freeze_after_s, self._freeze_if_idle)

    def _freeze_if_idle(self) -> None:
        self._freezing = None
        if self._state is not State.READY or self._runtime is None or self._runtime.process is None:
            return
        left_s = self._idle_since_s + self._around.freeze_after_s - self._loop.time()
        if not self._runtime.api.is_waiting:
            left_s = max(left_s, self._around.freeze_after_s)  # it has answered, but not asked for more yet
        if left_s > 0:
            self._freezing = self._loop.call_later(left_s, self._freeze_if_idle)
        else:
            self._is_frozen = True
            self._runtime.process.freeze()

    def _thaw(self) -> None:
        self._is_frozen = False
        if self._runtime is not None and self._runtime.process is not None:
            self._runtime.process.thaw()

    # State, output, ending ---------------------------------------------------------------------------------

    def _move(self, to: State) -> None:
        if to not in _MOVES[self._state]:
            raise RuntimeError(f"{self!r} cannot move to {to.value}")
        self._state = to
        self.is_usable = to is State.READY or to is State.RESET

    def _emit_and_keep(self, fact: Fact) -> None:
        if self._tail is not None:
            self._tail.append(fact)
        self._around.emit(fact)

    def _take_tail(self, facts: list[Fact]) -> bytes:
        self._tail, self._emit = None, self._around.emit
        return _tail_text(facts)

    def _emit_start(self, invocation: Invocation, at_s: float) -> None:
        self._emit(
            Start(
                at_s=at_s,
                origin=self._plan.origin,
                request_id=invocation.request_id,
                trace_id=invocation.trace_id,
                tenant_id=invocation.tenant_id,
            )
        )

    def _note_answer(self) -> None:
        """An answer has come: from here on it is our time, not the function's."""
        self._answered_s = self._clock.monotonic_s()
        if self._runtime is not None:
            self._runtime.pipe.drain()

    def _on_lines(self, lines: tuple[LogLine, ...]) -> None:
        request_id = self._invocation.request_id if self._invocation else None
        self._emit(
            Output(at_s=self._clock.now_s(), origin=self._plan.origin, request_id=request_id, lines=lines)
        )

    async def _reset(self) -> None:
        """Take the runtime away; /tmp stays."""
        self._reporting.reset()
        if self._state is State.SHUTDOWN:
            return
        await self._stop_runtime()
        # `stop` may have come in between.
        if self.state in (State.INIT, State.INVOKE, State.READY):
            self._move(State.RESET)

    async def _stop_runtime(self) -> None:
        self._deadline.close()
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await runtime.stop()


def restore_failure(end: End) -> ServiceError:
    """Return the error of an invocation for which an environment could not be restored."""
    if isinstance(end, TimedOut):
        return SnapStartTimeoutException("The restore took longer than the timeout of 10 seconds.")
    return SnapStartException(
        "The afterRestore runtime hook encountered an error. For more information, check the Amazon CloudWatch logs."
    )


def _tail_text(facts: list[Fact]) -> bytes:
    text = "".join(line.text for fact in facts for line in lines_of(fact)).encode("utf-8", "replace")
    # A character that the cut went through is no character any more.
    return text[-LOG_TAIL_MAX_BYTES:].decode("utf-8", "ignore").encode()


def next_response(invocation: Invocation, *, deadline_s: float) -> bytes:
    """The HTTP response that hands the runtime an invocation."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Lambda-Runtime-Aws-Request-Id: {invocation.request_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {int(deadline_s * 1000)}\r\n"
        f"Lambda-Runtime-Invoked-Function-Arn: {invocation.invoked_arn}\r\n"
        f"Lambda-Runtime-Trace-Id: {invocation.trace_id}\r\n"
        f"Content-Length: {len(invocation.payload)}\r\n"
    )
    if invocation.client_context:
        head += f"Lambda-Runtime-Client-Context: {_one_line(invocation.client_context)}\r\n"
    if invocation.tenant_id is not None:
        head += f"Lambda-Runtime-Aws-Tenant-Id: {_one_line(invocation.tenant_id)}\r\n"
    return head.encode("utf-8") + b"\r\n" + invocation.payload


def _one_line(text: str) -> str:
    # A line break inside JSON is white space; in a header it would be an injection.
    return text.replace("\r", " ").replace("\n", " ").replace("\0", " ")
