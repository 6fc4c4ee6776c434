"""Events: accepted with what the caller asked for, and made ready by what the function is when they run."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from lambent.domain.queued_event import QueuedEvent
from lambent.domain.trace import Trace, trace_of
from lambent.errors import (
    InvalidRequestContentException,
    RecursiveInvocationException,
    RequestTooLargeException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.invoke.queue import Attempt
from unit.services.lambda_.world import ARN, KEY, NAME, OTHER_ZIP, World, a_call, story

QUEUE = "arn:aws:sqs:us-east-1:111111111111:dead"


async def event(world: World, **parameters: str | bytes) -> QueuedEvent:
    answer = await world.ask("invoke", **{"FunctionName": NAME, "InvocationType": "Event", **parameters})
    assert answer["StatusCode"] == 202
    return world.accepted[-1][0]


async def attempt(world: World, queued: QueuedEvent) -> Attempt:
    prepared = await world.service.events.prepare(queued, b"{}")
    assert prepared is not None
    return prepared


def gone_through(times: int) -> Trace:
    trace = trace_of("", at_s=0)
    for _ in range(times):
        trace = trace.through(ARN)
    return trace


@story
async def test_an_event_is_kept_with_what_the_caller_asked_for_and_nothing_runs(world: World) -> None:
    await world.create_active()
    queued = await event(world, Payload=b'{"a":1}', Qualifier="$LATEST")
    assert world.accepted == [(queued, b'{"a":1}')]
    assert (queued.request_id, queued.key, queued.qualifier) == (a_call().request_id, KEY, "$LATEST")
    assert (queued.accepted_s, queued.attempts) == (a_call().at_s, 0)
    assert world.echo.invocations == []


@story
async def test_a_client_context_is_for_synchronous_invocations_and_dropped_from_events(world: World) -> None:
    await world.create_active()
    queued = await event(world, ClientContext=base64.b64encode(b'{"custom": {"a": "b"}}').decode())
    assert (await attempt(world, queued)).invocation.client_context is None
    with pytest.raises(InvalidRequestContentException):
        await event(world, ClientContext="?")


@story
async def test_the_old_operation_accepts_events_too(world: World) -> None:
    await world.create_active()
    assert await world.ask("invoke_async", FunctionName=NAME, InvokeArgs=b"[1]") == {"Status": 202}
    assert world.accepted[0][1] == b"[1]"
    for payload, error in (
        (b"{", InvalidRequestContentException),
        (b"1" * 1_048_577, RequestTooLargeException),
    ):
        with pytest.raises(error):
            await world.ask("invoke_async", FunctionName=NAME, InvokeArgs=payload)
    with pytest.raises(ResourceNotFoundException):
        await world.ask("invoke_async", FunctionName="nobody", InvokeArgs=b"{}")
    assert len(world.accepted) == 1


@story
async def test_an_event_runs_the_code_of_the_moment_at_which_it_runs(world: World) -> None:
    await world.create_active()
    queued = await event(world)
    before = await attempt(world, queued)
    await world.ask("update_function_code", FunctionName=NAME, ZipFile=OTHER_ZIP)
    await world.settled()
    after = await attempt(world, queued)
    assert before.invocation.version.code != after.invocation.version.code
    assert before.invocation.request_id == after.invocation.request_id == queued.request_id


@story
async def test_an_attempt_knows_the_settings_of_its_qualifier_and_the_dead_letter_queue(world: World) -> None:
    await world.create_active(DeadLetterConfig={"TargetArn": QUEUE}, Publish=True)
    await world.ask("put_function_event_invoke_config", FunctionName=NAME, MaximumRetryAttempts=1)
    await world.ask("put_function_concurrency", FunctionName=NAME, ReservedConcurrentExecutions=5)
    found = await attempt(world, await event(world))
    assert found.config is not None
    assert (found.config.maximum_retry_attempts, found.dead_letter_arn) == (1, QUEUE)
    assert found.reserved_concurrency == 5
    assert (await attempt(world, await event(world, Qualifier="1"))).config is None


@story
async def test_an_event_of_what_is_gone_is_nobodys(world: World) -> None:
    await world.create_active()
    queued = await event(world)
    assert await world.service.events.prepare(replace(queued, qualifier="7"), b"{}") is None
    await world.ask("delete_function", FunctionName=NAME)
    assert await world.service.events.prepare(queued, b"{}") is None


@story
async def test_an_event_of_a_pending_function_has_to_wait(world: World) -> None:
    await world.create_active()
    queued = await event(world)
    await world.ask("delete_function", FunctionName=NAME)
    world.gate.clear()
    await world.create()
    with pytest.raises(ResourceConflictException):
        await world.service.events.prepare(queued, b"{}")
    world.gate.set()


@story
async def test_a_chain_goes_through_a_function_sixteen_times_and_no_more(world: World) -> None:
    await world.create_active()
    for times, is_recursive in ((15, False), (16, True)):
        header = {"x-amzn-trace-id": str(gone_through(times))}
        await world.ask("invoke", a_call(headers=header), FunctionName=NAME, InvocationType="Event")
        found = await attempt(world, world.accepted[-1][0])
        assert found.is_recursive == is_recursive
        assert trace_of(found.invocation.trace_id, at_s=0).rounds(ARN) == times + 1


@story
async def test_a_caller_in_a_loop_is_told_unless_the_function_allows_loops(world: World) -> None:
    await world.create_active()
    call = a_call(headers={"x-amzn-trace-id": str(gone_through(16))})
    with pytest.raises(RecursiveInvocationException):
        await world.ask("invoke", call, FunctionName=NAME)
    assert world.echo.invocations == []
    await world.ask("put_function_recursion_config", FunctionName=NAME, RecursiveLoop="Allow")
    await world.ask("invoke", call, FunctionName=NAME)
    assert trace_of(world.echo.invocations[0].trace_id, at_s=0).rounds(ARN) == 17
