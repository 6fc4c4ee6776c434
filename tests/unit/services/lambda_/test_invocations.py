"""Invoke: what reaches the function, and what the caller gets back."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import Any

import pytest

from lambent.domain.invocation import Outcome
from lambent.errors import (
    InvalidParameterValueException,
    InvalidRequestContentException,
    RequestTooLargeException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services.lambda_ import RESPONSE_HEADERS
from samples import replace, report
from unit.services.lambda_.world import ARN, NAME, World, a_call, story


async def invoke(world: World, **parameters: Any) -> dict[str, Any]:
    return await world.ask("invoke", **{"FunctionName": NAME, **parameters})


async def refused(world: World, error: type[ServiceError], **parameters: Any) -> str:
    with pytest.raises(error) as caught:
        await invoke(world, **parameters)
    assert world.echo.invocations == []
    return caught.value.message


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@story
async def test_the_payload_passes_through_untouched(world: World) -> None:
    await world.create_active()
    payload = b' {"b": 1.0, "a": "\xc3\xa9\\u00e9", "a": 1e400 }\n'
    answer = await invoke(world, Payload=payload)
    assert world.echo.invocations[0].payload == payload
    assert answer["Payload"] == payload
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert "LogResult" not in answer


@story
async def test_a_request_id_that_is_none_is_refused_and_not_replaced(world: World) -> None:
    await world.create_active()
    adopted = a_call(headers={"x-amzn-requestid": a_call().request_id})
    await world.ask("invoke", adopted, FunctionName=NAME)
    assert world.echo.invocations.pop().request_id == adopted.request_id
    with pytest.raises(InvalidRequestContentException):
        await world.ask("invoke", a_call(headers={"x-amzn-requestid": "not-a-uuid"}), FunctionName=NAME)
    assert world.echo.invocations == []


@story
async def test_without_a_payload_the_function_gets_an_empty_object(world: World) -> None:
    await world.create_active()
    for parameters in ({}, {"Payload": b""}):
        await invoke(world, **parameters)
        assert world.echo.invocations[-1].payload == b"{}"


@story
async def test_the_request_id_is_the_calls(world: World) -> None:
    await world.create_active()
    call = a_call(request_id="0f0e0d0c-0b0a-4908-8706-050403020100")
    await world.ask("invoke", call, FunctionName=NAME)
    assert world.echo.invocations[0].request_id == call.request_id


@pytest.mark.parametrize(
    ("named", "arn"),
    [
        ({"FunctionName": NAME}, ARN),
        ({"FunctionName": ARN}, ARN),
        ({"FunctionName": f"{NAME}:$LATEST"}, f"{ARN}:$LATEST"),
        ({"FunctionName": NAME, "Qualifier": "$LATEST"}, f"{ARN}:$LATEST"),
    ],
)
@story
async def test_the_function_learns_how_it_was_named(world: World, named: dict[str, str], arn: str) -> None:
    await world.create_active()
    await invoke(world, **named)
    assert world.echo.invocations[0].invoked_arn == arn


@story
async def test_a_failure_of_the_function_is_an_answer(world: World) -> None:
    await world.create_active()
    world.echo.outcome = lambda invocation: Outcome(
        payload=b'{"errorType": "E"}', report=report(invocation), function_error="Unhandled"
    )
    answer = await invoke(world)
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert answer["Payload"] == b'{"errorType": "E"}'


@story
async def test_the_log_tail_comes_when_asked_for(world: World) -> None:
    await world.create_active()
    answer = await invoke(world, LogType="Tail")
    assert world.echo.invocations[0].wants_log_tail
    assert base64.b64decode(answer["LogResult"]) == b"the log"
    assert "LogResult" not in await invoke(world, LogType="None")


@story
async def test_the_answer_says_what_it_cost(world: World) -> None:
    await world.create_active()
    world.echo.outcome = lambda invocation: Outcome(
        payload=b"1",
        report=replace(
            report(invocation),
            billed_duration_ms=12,
            gb_seconds=Decimal("0.0000015"),
            price_usd=Decimal("2E-7"),
            cold_start_reason="first",
        ),
    )
    headers = (await invoke(world))[RESPONSE_HEADERS]
    assert headers["x-lambent-billed-duration-ms"] == "12"
    assert headers["x-lambent-gb-seconds"] == "0.0000015"
    assert headers["x-lambent-price-usd"] == "0.0000002"
    assert headers["x-lambent-cold-start-reason"] == "first"


@story
async def test_a_warm_answer_gives_no_reason_for_a_cold_start(world: World) -> None:
    await world.create_active()
    assert "x-lambent-cold-start-reason" not in (await invoke(world))[RESPONSE_HEADERS]


@story
async def test_a_new_trace_begins_when_the_caller_has_none(world: World) -> None:
    await world.create_active()
    header = (await invoke(world))[RESPONSE_HEADERS]["X-Amzn-Trace-Id"]
    root = header.removeprefix("Root=").removesuffix(";Sampled=0")
    assert root.startswith(f"1-{1_767_323_045:08x}-")
    assert world.echo.invocations[0].trace_id.startswith(f"Root={root};Parent=")


@story
async def test_the_callers_trace_is_continued(world: World) -> None:
    await world.create_active()
    root = "1-5bdb40ca-556d8b0c50dc66f0511bf520"
    given = f"Root={root};Parent=0123456789abcdef;Sampled=1"
    answer = await world.ask("invoke", a_call(headers={"x-amzn-trace-id": given}), FunctionName=NAME)
    assert re.fullmatch(re.escape(given) + ";Lineage=[0-9a-f]{8}:1", world.echo.invocations[0].trace_id)
    assert answer[RESPONSE_HEADERS]["X-Amzn-Trace-Id"] == f"Root={root};Sampled=1"


@story
async def test_the_client_context_is_decoded(world: World) -> None:
    await world.create_active()
    context = '{"client": {"snap": ["crackle", "pop"]}, "custom": {"é": 1}}'
    for header in (encoded(context), encoded(context).rstrip("=")):
        await invoke(world, ClientContext=header)
        assert world.echo.invocations[-1].client_context == context
    await invoke(world)
    assert world.echo.invocations[-1].client_context is None


@pytest.mark.parametrize("header", ["not base64!", encoded("[]"), encoded("{"), encoded('{"a":1} x'), "/w=="])
@story
async def test_a_client_context_that_is_no_object_is_refused(world: World, header: str) -> None:
    await world.create_active()
    message = await refused(world, InvalidRequestContentException, ClientContext=header)
    assert message == "Client context must be a valid Base64-encoded JSON object."


@story
async def test_a_client_context_of_3583_bytes_is_the_longest(world: World) -> None:
    await world.create_active()
    too_long = "A" * 3584
    await refused(world, InvalidRequestContentException, ClientContext=too_long)
    longest = encoded('{"a": "' + "x" * 2678 + '"}').rstrip("=")
    assert len(longest) == 3583
    await invoke(world, ClientContext=longest)


@pytest.mark.parametrize(
    ("invocation_type", "limit"),
    [("RequestResponse", 6_291_456), ("DryRun", 6_291_456), ("Event", 1_048_576)],
)
@story
async def test_a_payload_over_the_limit_is_too_large(world: World, invocation_type: str, limit: int) -> None:
    await world.create_active()
    payload = b'"' + b"x" * (limit - 1) + b'"'
    message = await refused(world, RequestTooLargeException, Payload=payload, InvocationType=invocation_type)
    assert message == (
        f"{limit + 1} byte payload is too large for the {invocation_type} invocation type (limit {limit} bytes)"
    )


@story
async def test_a_payload_of_exactly_six_mebibytes_passes(world: World) -> None:
    await world.create_active()
    payload = b'"' + b"x" * (6_291_456 - 2) + b'"'
    assert (await invoke(world, Payload=payload))["Payload"] == payload


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (
            b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt",
            "Invalid UTF-8 start byte 0x87\n at [Source: REDACTED "
            "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 3]",
        ),
        (
            b"\x99\xeb,j\x07\xa1zYh",
            "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, "
            "Object or token 'null', 'true' or 'false')\n at [Source: REDACTED "
            "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]",
        ),
        (
            b'{"a": "\xff"}',
            "Invalid UTF-8 start byte 0xff\n at [Source: REDACTED "
            "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 9]",
        ),
    ],
)
@story
async def test_a_payload_that_is_not_json_is_refused(world: World, payload: bytes, fault: str) -> None:
    await world.create_active()
    message = await refused(world, InvalidRequestContentException, Payload=payload)
    assert message == f"Could not parse request body into json: Could not parse payload into json: {fault}"


@story
async def test_a_long_payload_that_is_not_json_is_refused_too(world: World) -> None:
    await world.create_active()
    message = await refused(world, InvalidRequestContentException, Payload=b"[" + b"1," * 50_000)
    assert "Unexpected end-of-input within/between Array entries" in message


@story
async def test_what_the_quick_check_cannot_judge_is_judged_again(world: World) -> None:
    await world.create_active()
    for payload in (b'"\\ud800"', b"[" * 999 + b"]" * 999):
        assert (await invoke(world, Payload=payload))["Payload"] == payload


@story
async def test_a_dry_run_checks_everything_and_runs_nothing(world: World) -> None:
    await world.create_active()
    assert await invoke(world, InvocationType="DryRun") == {"StatusCode": 204}
    assert world.echo.invocations == []
    await refused(world, InvalidRequestContentException, InvocationType="DryRun", Payload=b"{")


@story
async def test_what_is_not_served_yet_says_so(world: World) -> None:
    await world.create_active()
    await refused(world, InvalidParameterValueException, TenantId="a")
    await refused(world, InvalidParameterValueException, DurableExecutionName="a")


@story
async def test_what_does_not_exist_is_not_invoked(world: World) -> None:
    message = await refused(world, ResourceNotFoundException)
    assert message == f"Function not found: {ARN}"
    message = await refused(world, ResourceNotFoundException, Qualifier="$LATEST")
    assert message == f"Function not found: {ARN}:$LATEST"
    await world.create_active()
    message = await refused(world, ResourceNotFoundException, Qualifier="non-existent-alias")
    assert message == f"Function not found: {ARN}:non-existent-alias"


@story
async def test_reserved_concurrency_travels_along(world: World) -> None:
    await world.create_active()
    stored = await world.stored()
    assert stored is not None
    await world.service.records.change(stored.key, lambda f: replace(f, reserved_concurrency=7))
    await invoke(world)
    assert world.echo.reserved == [7]
