"""Promises of an execution environment, with a runtime that is a coroutine behind a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from lambent.busy_poll import BusyPoll
from lambent.clock import SystemClock
from lambent.domain.facts import EnvironmentStopped, Fact, InitReport, Output, Report, Start
from lambent.domain.invocation import Outcome
from lambent.domain.log_line import lines_of
from lambent.domain.pricing import price_of, price_of_stream
from lambent.node.crowd import Crowd
from lambent.node.environment import Environment, State
from lambent.node.plan import Plan, Surroundings
from lambent.response_stream import ResponseStream
from lambent.sandbox import Enforcement, ExitStatus, SandboxError, SandboxProcess, SandboxSpec, Tmp
from lambent.testing import ManualClock
from samples import ORIGIN, VERSION, invocation

PREFIX = "/2018-06-01/runtime"
NEXT = f"GET {PREFIX}/invocation/next HTTP/1.1\r\n\r\n".encode()
PATIENCE_S = 10.0


class Runtime:
    """What the scripted runtime of a test can do."""

    def __init__(self, descriptors: dict[int, int], number: int) -> None:
        self.number = number
        """Which start of the environment's runtime this is, from 1."""
        self._descriptors = descriptors

    async def open(self) -> None:
        connection = socket.socket(fileno=self._descriptors.pop(3))
        connection.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=connection)

    def close(self) -> None:
        self._writer.close()
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def print(self, text: str) -> None:
        os.write(self._descriptors[1], text.encode())

    async def next(self) -> tuple[str, bytes]:
        self._writer.write(NEXT)
        headers, body = await self._response()
        return headers["lambda-runtime-aws-request-id"], body

    async def respond(self, request_id: str, body: bytes) -> None:
        await self._post(f"/invocation/{request_id}/response", body)

    async def stream(self, request_id: str, *pieces: bytes) -> None:
        """Begin a streamed response that has no end yet."""
        self._writer.write(
            f"POST {PREFIX}/invocation/{request_id}/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n".encode()
        )
        for piece in pieces:
            self._writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await self._writer.drain()

    async def end_stream(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._response()

    async def fail_init(self, error_type: str) -> None:
        await self._post("/init/error", json.dumps({"errorType": error_type}).encode())

    async def _post(self, path: str, body: bytes) -> None:
        head = f"POST {PREFIX}{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        await self._response()

    async def _response(self) -> tuple[dict[str, str], bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        pairs = [line.split(": ", 1) for line in head.split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, value in pairs}
        return headers, await self._reader.readexactly(int(headers["content-length"]))


Script = Callable[[Runtime], Awaitable[int]]
"""Runs as the runtime and returns its exit code."""


class ScriptedProcess:
    """A `SandboxProcess` that is a task; killing it is cancelling it."""

    def __init__(self, runtime: Runtime, script: Script) -> None:
        self.listeners: tuple[socket.socket, ...] = ()
        self.addresses: tuple[tuple[str, int], ...] = ()
        self.is_closed = False
        self.cpu_share = 0.0
        self.is_frozen = False
        self.is_patient = False
        self.freezes = 0
        self.given: dict[int, int] = {}
        self._runtime = runtime
        self._task = asyncio.create_task(self._run(script))

    async def _run(self, script: Script) -> ExitStatus:
        await self._runtime.open()
        try:
            return ExitStatus(code=await script(self._runtime))
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            return ExitStatus(signal=int(signal.SIGKILL))
        finally:
            self._runtime.close()

    def take_given(self) -> dict[int, int]:
        given, self.given = self.given, {}
        return given

    async def wait(self) -> ExitStatus:
        return await asyncio.shield(self._task)

    def kill(self) -> None:
        self._task.cancel()

    def terminate(self) -> None:
        self.kill()

    def limit_cpu(self, share: float) -> None:
        self.cpu_share = share

    def set_patient(self, is_patient: bool) -> None:
        self.is_patient = is_patient

    def freeze(self) -> None:
        self.is_frozen = True
        self.freezes += 1

    def thaw(self) -> None:
        self.is_frozen = False

    def peak_memory_bytes(self) -> int:
        return 50 * 1024 * 1024

    def out_of_memory(self) -> bool:
        return False

    async def close(self) -> None:
        self.kill()
        await asyncio.wait([self._task])
        self.is_closed = True


class ScriptedTmp:
    """A `Tmp` that knows whether it is there."""

    path = "/tmp"
    max_file_bytes = 0
    is_closed = False

    async def close(self) -> None:
        self.is_closed = True


class ScriptedSandbox:
    """A `Sandbox` whose commands are one script."""

    kind = "process"
    enforcement: tuple[Enforcement, ...] = ()
    task_paths_are_virtual = False

    def __init__(self, script: Script) -> None:
        self.script = script
        self.specs: list[SandboxSpec] = []
        self.processes: list[ScriptedProcess] = []
        self.error: SandboxError | None = None
        self.starts_ahead = False

    async def open(self) -> None:
        return

    async def make_tmp(self, size_bytes: int, *, copy_of: Tmp | None = None) -> Tmp:
        raise AssertionError("an environment gets its /tmp from its node")

    async def start(self, spec: SandboxSpec) -> SandboxProcess:
        if self.error is not None:
            raise self.error
        self.specs.append(spec)
        given: dict[int, int] = {}
        descriptors = {inside: os.dup(outside) for outside, inside in spec.inherited}
        if self.starts_ahead:
            descriptors, given = self._own_descriptors(descriptors)
        process = ScriptedProcess(Runtime(descriptors, len(self.specs)), self.script)
        process.given = given
        self.processes.append(process)
        return process

    @staticmethod
    def _own_descriptors(inherited: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
        """What a runtime has that was started before these were made, and the other ends."""
        for descriptor in inherited.values():
            os.close(descriptor)
        (ours, theirs), (read, write) = socket.socketpair(), os.pipe()
        outputs = {number: os.dup(write) for number in inherited if number != 3}
        os.close(write)
        return {3: theirs.detach(), **outputs}, {3: ours.detach(), 1: read}

    async def close(self) -> None:
        return


@dataclass
class World:
    """An environment with everything around it."""

    environment: Environment
    sandbox: ScriptedSandbox
    tmp: ScriptedTmp
    crowd: Crowd
    crowd_clock: ManualClock
    facts: list[Fact] = field(default_factory=list[Fact])

    async def invoke(self, **changes: Any) -> Outcome:
        async with asyncio.timeout(PATIENCE_S):
            return await self.environment.invoke(invocation(version=VERSION, **changes))

    def of(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.facts if type(fact) is kind]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110 - what is waited for says nothing when it happens
                await asyncio.sleep(0.001)


def tell(
    tmp_path: Path,
    script: Script,
    story: Callable[[World], Awaitable[None]],
    *,
    freeze_after_s: float = 0.0,
    **changes: Any,
) -> World:
    """Run a story with an environment whose runtime follows a script; it is stopped at the end."""

    async def run() -> World:
        sandbox = ScriptedSandbox(script)
        facts: list[Fact] = []

        async def serve_endpoint(_: socket.socket) -> Any:
            raise AssertionError("there is no network here")

        tmp, clock = ScriptedTmp(), ManualClock()
        crowd = Crowd(processors=2, monotonic_s=clock.monotonic_s)
        spec = SandboxSpec(
            name="e",
            command=("/runtime",),
            environment={},
            working_directory="/",
            tmp_directory=tmp.path,
            memory_bytes=1,
        )
        plan = Plan(
            version=replace(VERSION, **changes),
            origin=ORIGIN,
            spec=spec,
            tmp=tmp,
            speaks_over_socket=True,
            cpu_share=0.25,
            cold_start_reason="first",
        )
        around = Surroundings(
            sandbox=sandbox,
            clock=SystemClock(),
            emit=facts.append,
            busy_poll=BusyPoll(span_s=0.0),
            crowd=crowd,
            hold_memory=lambda _: Mock(),
            freeze_after_s=freeze_after_s,
            serve_endpoint=serve_endpoint,
        )
        world = World(Environment(plan, around), sandbox, tmp, crowd, clock, facts)
        try:
            await story(world)
        finally:
            await world.environment.stop("shutdown")
        return world

    return asyncio.run(run())


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def echo(runtime: Runtime) -> int:
    while True:
        request_id, event = await runtime.next()
        runtime.print(f"start {runtime.number}\n")
        await runtime.respond(request_id, event)


def test_an_invocation_is_answered_by_the_runtime(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        assert world.environment.state is State.READY
        outcome = await world.invoke(payload=b'{"a": 1}')
        assert (outcome.payload, outcome.function_error) == (b'{"a": 1}', None)
        assert world.environment.state is State.READY

    tell(tmp_path, echo, story)


def test_a_runtime_that_was_started_ahead_is_heard_over_what_it_has_itself(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        runtime.print("loading\n")
        return await echo(runtime)

    async def story(world: World) -> None:
        world.sandbox.starts_ahead = True
        await world.environment.start()
        assert (await world.invoke(payload=b"[1]")).payload == b"[1]"
        assert [line.text for fact in world.of(Output) for line in fact.lines] == ["loading", "start 1"]

    tell(tmp_path, script, story)


def test_only_the_first_report_speaks_of_init(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        first, second = [(await world.invoke()).report for _ in range(2)]
        assert first.init_duration_ms is not None
        assert first.cold_start_reason == "first"
        assert first.billed_duration_ms >= first.duration_ms + first.init_duration_ms
        assert second.init_duration_ms is None
        assert second.cold_start_reason is None

    tell(tmp_path, echo, story)


def test_init_is_not_throttled_and_what_comes_after_it_is(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        assert world.sandbox.specs[0].cpu_share == 0.0
        assert world.sandbox.processes[0].cpu_share == 0.25

    tell(tmp_path, echo, story)


def test_output_belongs_to_the_invocation_in_which_it_was_written(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        runtime.print("loading\n")
        while True:
            request_id, event = await runtime.next()
            runtime.print(f"{event.decode()} without newline")
            await runtime.respond(request_id, b"null")

    async def story(world: World) -> None:
        await world.environment.start()
        ids = ["00000000-0000-0000-0000-00000000000" + digit for digit in "12"]
        for request_id in ids:
            await world.invoke(request_id=request_id, payload=request_id[-1].encode())
        written = [(fact.request_id, line.text) for fact in world.of(Output) for line in fact.lines]
        assert written == [
            (None, "loading"),
            (ids[0], "1 without newline"),
            (ids[1], "2 without newline"),
        ]

    tell(tmp_path, script, story)


def test_the_log_tail_is_the_end_of_this_invocations_log(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        while True:
            request_id, event = await runtime.next()
            runtime.print(event.decode() * 3_000 + "\n")
            await runtime.respond(request_id, b"null")

    async def story(world: World) -> None:
        await world.environment.start()
        assert (await world.invoke(payload=b"1")).log_tail == b""
        tail = (await world.invoke(payload="€".encode(), wants_log_tail=True)).log_tail
        assert 4_093 <= len(tail) <= 4_096
        text = tail.decode()
        assert "1111" not in text
        assert text.startswith("€")
        assert "REPORT RequestId" in text

    tell(tmp_path, script, story)


class Streaming:
    """An invocation into a stream."""

    def __init__(self, world: World, *, timeout_s: float = 10, payload: bytes = b"{}") -> None:
        version = replace(VERSION, timeout_s=timeout_s)  # type: ignore[arg-type]  # AWS's minimum is a second.
        self.into = ResponseStream(max_bytes=10_000_000, takes_everything=False)
        self.running = asyncio.ensure_future(
            world.environment.invoke(invocation(version=version, payload=payload), self.into)
        )

    async def outcome(self) -> Outcome:
        async with asyncio.timeout(PATIENCE_S):
            return await self.running


def test_a_streamed_response_is_read_while_the_invocation_runs_and_counted_at_its_end(tmp_path: Path) -> None:
    go_on = asyncio.Event()

    async def script(runtime: Runtime) -> int:
        while True:
            request_id, _ = await runtime.next()
            await runtime.stream(request_id, b"one", bytes(7_000_000))
            await go_on.wait()
            await runtime.end_stream()

    async def story(world: World) -> None:
        await world.environment.start()
        met = Streaming(world)
        async with asyncio.timeout(PATIENCE_S):
            read_bytes = len(await met.into.read())
            assert not met.running.done()
            while read_bytes < 7_000_003:
                read_bytes += len(await met.into.read())
        go_on.set()
        outcome = await met.outcome()
        assert (outcome.payload, outcome.function_error) == (b"", None)
        report = outcome.report
        assert report.streamed_bytes == 7_000_003
        without = price_of(
            architecture=VERSION.architecture,
            memory_mb=VERSION.memory_mb,
            billed_duration_ms=report.billed_duration_ms,
        )
        assert report.price_usd == without.price_usd + price_of_stream(7_000_003)
        assert report.response_bytes == 7_000_003
        assert world.environment.state is State.READY

    tell(tmp_path, script, story)


def test_a_response_that_is_no_stream_is_in_the_outcome_and_nothing_is_counted(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        outcome = await Streaming(world, payload=b"1").outcome()
        assert (outcome.payload, outcome.report.streamed_bytes) == (b"1", None)

    tell(tmp_path, echo, story)


def test_a_runtime_that_exits_while_it_responds_has_said_what_it_said(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        request_id, _ = await runtime.next()
        await runtime.stream(request_id, b"last words")
        return 7

    async def story(world: World) -> None:
        await world.environment.start()
        met = Streaming(world)
        outcome = await met.outcome()
        assert outcome.function_error == "Unhandled"
        assert b"exit status 7" in outcome.payload
        assert outcome.report.streamed_bytes == 10
        assert await met.into.read() == b"last words"
        assert world.environment.state is State.RESET

    tell(tmp_path, script, story)


def test_a_stream_does_not_outlive_the_timeout_and_neither_does_one_that_nobody_reads(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        request_id, _ = await runtime.next()
        await runtime.stream(request_id, bytes(9_000_000))
        return 0

    async def story(world: World) -> None:
        await world.environment.start()
        outcome = await Streaming(world, timeout_s=0.05).outcome()
        assert outcome.report.status == "timeout"
        assert 0 < (outcome.report.streamed_bytes or 0) < 1_000_000
        assert world.environment.state is State.RESET

    tell(tmp_path, script, story)


def test_a_stream_over_the_limit_is_too_large_by_its_own_limit(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        request_id, _ = await runtime.next()
        await runtime.stream(request_id, bytes(11_000_000))
        return 0

    async def story(world: World) -> None:
        await world.environment.start()
        met = Streaming(world)
        met.into.abandon()
        outcome = await met.outcome()
        assert outcome.report.error_type == "Function.ResponseSizeTooLarge"
        assert b"(10000000 bytes)" in outcome.payload
        assert outcome.report.streamed_bytes == 10_000_000
        assert world.environment.state is State.RESET

    tell(tmp_path, script, story)


def test_a_runtime_that_exits_fails_its_invocation_and_the_next_one_starts_another(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        if runtime.number == 1:
            await runtime.next()
            return 3
        return await echo(runtime)

    async def story(world: World) -> None:
        await world.environment.start()
        failed = await world.invoke()
        assert failed.function_error == "Unhandled"
        assert json.loads(failed.payload)["errorMessage"].endswith("exit status 3")
        assert world.environment.state is State.RESET
        assert world.environment.is_usable
        assert not world.tmp.is_closed, "/tmp stays"
        assert world.sandbox.processes[0].is_closed
        good = await world.invoke(payload=b"1")
        assert (good.payload, good.report.cold_start_reason) == (b"1", "reset")
        assert [fact.phase for fact in world.of(InitReport)] == ["init", "invoke"]

    tell(tmp_path, script, story)


def test_a_runtime_that_exits_while_it_idles_is_replaced_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    exits: list[asyncio.Event] = []

    async def script(runtime: Runtime) -> int:
        exits.append(asyncio.Event())
        asking = asyncio.create_task(echo(runtime))
        await exits[-1].wait()
        asking.cancel()
        return 0

    async def story(world: World) -> None:
        await world.environment.start()
        descriptors = open_descriptors()
        for number in range(1, 4):
            assert (await world.invoke(payload=b"1")).payload == b"1"
            exits[-1].set()
            await world.until(lambda: world.environment.state is State.RESET)
            assert len(world.sandbox.processes) == number
        assert (await world.invoke(payload=b"2")).payload == b"2"
        assert open_descriptors() == descriptors
        assert [process.is_closed for process in world.sandbox.processes] == [True, True, True, False]

    tell(tmp_path, script, story)


@pytest.mark.parametrize("turns", range(6))
def test_a_runtime_that_exits_right_after_its_answer_is_never_waited_for(tmp_path: Path, turns: int) -> None:
    """Whenever it is noticed: the next invocation starts another runtime, or says at once that this one exited."""

    async def script(runtime: Runtime) -> int:
        if runtime.number > 1:
            return await echo(runtime)
        await runtime.respond(*await runtime.next())
        for _ in range(turns):
            await asyncio.sleep(0)
        return 0

    async def story(world: World) -> None:
        await world.environment.start()
        assert (await world.invoke(payload=b"1")).payload == b"1"
        second = await world.invoke(payload=b"2")
        assert second.payload == b"2" or second.report.error_type == "Runtime.ExitError"
        assert (await world.invoke(payload=b"3")).payload == b"3"

    tell(tmp_path, script, story)


def test_a_runtime_waits_for_its_turn_while_more_run_than_there_are_processors(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        (process,) = world.sandbox.processes
        await world.invoke()
        assert not process.is_patient
        for _ in range(2):
            world.crowd.enter()
        await world.invoke()
        assert process.is_patient
        for _ in range(2):
            world.crowd.leave()
        await world.invoke()
        assert process.is_patient, "it was crowded a moment ago"
        await world.crowd_clock.advance(2)
        await world.invoke()
        assert not process.is_patient
        assert [world.crowd.enter() for _ in range(3)] == [False, False, True], "all that ran are counted off"

    tell(tmp_path, echo, story)


def test_a_runtime_that_is_started_again_is_told_again(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        if runtime.number == 1:
            await runtime.next()
            return 1
        return await echo(runtime)

    async def story(world: World) -> None:
        await world.environment.start()
        for _ in range(2):
            world.crowd.enter()
        assert (await world.invoke()).function_error == "Unhandled"
        assert world.sandbox.processes[0].is_patient
        await world.invoke()
        assert world.sandbox.processes[1].is_patient, "the new one has been told, too"

    tell(tmp_path, script, story)


def test_a_timeout_takes_the_runtime_away_and_is_billed_in_full(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        if runtime.number == 1:
            await runtime.next()
            runtime.print("still busy")
            await asyncio.Event().wait()
        return await echo(runtime)

    async def story(world: World) -> None:
        await world.environment.start()
        version = replace(VERSION, timeout_s=0.05)  # type: ignore[arg-type]  # AWS's minimum is a second.
        outcome = await world.environment.invoke(invocation(version=version))
        assert json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
        assert outcome.report.status == "timeout"
        assert outcome.report.duration_ms == pytest.approx(50)
        assert [line.text for fact in world.of(Output) for line in fact.lines] == ["still busy"]
        assert (await world.invoke(payload=b"1")).payload == b"1"

    tell(tmp_path, script, story)


def test_a_failed_init_is_repeated_inside_the_first_invocation(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        await runtime.fail_init("Runtime.ImportModuleError")
        return 1

    async def story(world: World) -> None:
        await world.environment.start()
        assert world.environment.state is State.RESET
        outcome = await world.invoke()
        assert json.loads(outcome.payload) == {"errorType": "Runtime.ImportModuleError"}
        assert outcome.report.error_type == "Runtime.ImportModuleError"
        reports = [(fact.phase, fact.status, fact.error_type) for fact in world.of(InitReport)]
        error_type = "Runtime.ImportModuleError"
        assert reports == [("init", "error", error_type), ("invoke", "error", error_type)]
        assert len(world.of(Start)) == 1

    tell(tmp_path, script, story)


def test_an_init_that_works_the_second_time_is_no_failure(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        return 1 if runtime.number == 1 else await echo(runtime)

    async def story(world: World) -> None:
        await world.environment.start()
        outcome = await world.invoke(payload=b"1")
        assert (outcome.payload, outcome.function_error) == (b"1", None)

    tell(tmp_path, script, story)


def test_a_sandbox_that_cannot_be_started_again_leaves_nothing_and_is_not_used_again(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        return 1

    async def story(world: World) -> None:
        await world.environment.start()
        descriptors = open_descriptors()
        world.sandbox.error = SandboxError("clone", "no memory")
        with pytest.raises(SandboxError):
            await world.invoke()
        assert open_descriptors() == descriptors
        assert not world.environment.is_usable

    tell(tmp_path, script, story)


def test_stopping_ends_a_running_invocation_and_removes_everything(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        await runtime.next()
        await asyncio.Event().wait()
        return 0

    async def story(world: World) -> None:
        await world.environment.start()
        running = asyncio.create_task(world.invoke())
        await world.until(lambda: world.environment.state is State.INVOKE)
        await world.environment.stop("shutdown")
        await world.environment.stop("shutdown")
        outcome = await running
        assert json.loads(outcome.payload)["errorMessage"].endswith("signal: killed")
        assert world.tmp.is_closed
        assert [fact.reason for fact in world.of(EnvironmentStopped)] == ["shutdown"]
        assert world.environment.state is State.SHUTDOWN

    tell(tmp_path, script, story)


def test_everything_that_happened_was_stated_in_order(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        await world.invoke()

    world = tell(tmp_path, echo, story)
    assert [type(fact).__name__ for fact in world.facts] == [
        "InitStart",
        "InitReport",
        "Start",
        "Output",
        "Report",
        "EnvironmentStopped",
    ]
    (report,) = world.of(Report)
    assert report.max_memory_used_mb == 50
    assert [line.text.split(" ")[0] for fact in world.facts for line in lines_of(fact)][-1] == "REPORT"


def test_an_environment_that_idles_is_frozen_until_its_next_invocation(tmp_path: Path) -> None:
    async def script(runtime: Runtime) -> int:
        while True:
            request_id, _ = await runtime.next()
            frozen.append(worlds[0].sandbox.processes[0].is_frozen)
            await runtime.respond(request_id, b"null")

    frozen: list[bool] = []
    worlds: list[World] = []

    async def story(world: World) -> None:
        worlds.append(world)
        await world.environment.start()
        (process,) = world.sandbox.processes
        for count in (1, 2):
            await world.until(lambda: process.is_frozen)
            assert process.freezes == count
            await world.invoke()
        assert frozen == [False, False]

    tell(tmp_path, script, story, freeze_after_s=0.01)


def test_a_busy_environment_is_not_frozen_in_between(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        for _ in range(50):
            await world.invoke()
        assert world.sandbox.processes[0].freezes == 0

    tell(tmp_path, echo, story, freeze_after_s=5.0)


def test_one_that_has_answered_but_works_on_is_not_frozen(tmp_path: Path) -> None:
    """It is frozen once it has asked for the next invocation, as on AWS."""
    working: list[asyncio.Event] = []

    async def script(runtime: Runtime) -> int:
        request_id, _ = await runtime.next()
        await runtime.respond(request_id, b"null")
        working.append(asyncio.Event())
        await working[0].wait()
        return await echo(runtime)

    async def story(world: World) -> None:
        await world.environment.start()
        await world.invoke()
        (process,) = world.sandbox.processes
        before = process.freezes
        await asyncio.sleep(0.03)  # nothing happens, which is the point
        assert process.freezes == before
        working[0].set()
        await world.until(lambda: process.is_frozen)

    tell(tmp_path, script, story, freeze_after_s=0.01)


def test_a_death_in_the_cold_is_noticed_and_the_next_invocation_starts_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.environment.start()
        await world.until(lambda: world.sandbox.processes[0].is_frozen)
        world.sandbox.processes[0].kill()
        await world.until(lambda: world.environment.state is State.RESET)
        assert (await world.invoke(payload=b"1")).payload == b"1"
        await world.until(lambda: world.sandbox.processes[1].is_frozen)

    tell(tmp_path, echo, story, freeze_after_s=0.01)
