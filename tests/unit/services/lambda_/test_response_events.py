"""InvokeWithResponseStream: the events that an invocation becomes, and what is refused before the first."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lambent.domain.invocation import Invocation, Outcome
from lambent.errors import ResourceNotFoundException, TooManyRequestsException
from lambent.services.lambda_ import RESPONSE_HEADERS
from samples import report
from unit.services.lambda_.world import ARN, NAME, World, story


async def ask(world: World, **parameters: Any) -> dict[str, Any]:
    return await world.ask("invoke_with_response_stream", **{"FunctionName": NAME, **parameters})


async def events_of(answer: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    while (event := await answer["EventStream"].next()) is not None:
        found.append(event)
    return found


@story
async def test_the_response_comes_in_chunks_and_then_its_end(world: World) -> None:
    await world.create_active()
    answer = await ask(world, Payload=b'{"a": 1}')
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert answer[RESPONSE_HEADERS]["X-Amzn-Trace-Id"].startswith("Root=")
    assert await events_of(answer) == [("PayloadChunk", {"Payload": b'{"a": 1}'}), ("InvokeComplete", {})]
    assert world.echo.invocations[0].invoked_arn == ARN


@story
async def test_the_log_tail_comes_with_the_end_when_it_is_asked_for(world: World) -> None:
    await world.create_active()
    answer = await ask(world, LogType="Tail")
    assert (await events_of(answer))[-1] == (
        "InvokeComplete",
        {"LogResult": base64.b64encode(b"the log").decode()},
    )
    assert world.echo.invocations[0].wants_log_tail


@story
async def test_a_failure_comes_with_the_end(world: World) -> None:
    await world.create_active()

    def failed(invocation: Invocation) -> Outcome:
        return Outcome(payload=b'{"errorType":"E"}', report=report(invocation), function_error="Unhandled")

    world.echo.outcome = failed
    assert await events_of(await ask(world)) == [
        ("InvokeComplete", {"ErrorCode": "Unhandled", "ErrorDetails": '{"errorType":"E"}'})
    ]


@story
async def test_a_dry_run_runs_nothing_and_streams_nothing(world: World) -> None:
    await world.create_active()
    assert await ask(world, InvocationType="DryRun") == {"StatusCode": 204}
    assert world.echo.invocations == []


@story
async def test_what_is_refused_is_an_error_and_no_event(world: World) -> None:
    with pytest.raises(ResourceNotFoundException):
        await ask(world)
    await world.create_active()

    def throttled(invocation: Invocation) -> Outcome:
        raise TooManyRequestsException("Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded")

    world.echo.outcome = throttled
    with pytest.raises(TooManyRequestsException):
        await ask(world)


@story
async def test_who_abandons_the_events_gets_no_more_of_them(world: World) -> None:
    await world.create_active()
    answer = await ask(world, Payload=b'{"a": 1}')
    answer["EventStream"].abandon()
    assert await events_of(answer) == []
