"""Invoke: from the caller's parameters to an `Invocation`, and from its `Outcome` to the answer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Protocol

from lambent.domain.call import Call
from lambent.domain.concurrency import Provisioned
from lambent.domain.function import Function, FunctionVersion
from lambent.domain.function_facts import EmitFunctionFact, LoopEnded
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.trace import Trace, trace_of
from lambent.errors import (
    InvalidParameterValueException,
    InvalidRequestContentException,
    RecursiveInvocationException,
)
from lambent.invoke.streamed import Streamed
from lambent.services import Members
from lambent.services.lambda_.events import Accept, queued, refuse_recursion
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.payloads import (
    check_payload_json,
    check_payload_size,
    decode_client_context,
    is_plainly_json,
)
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.response_events import ResponseEvents
from lambent.services.lambda_.states import check_invocable
from lambent.services.lambda_.unserved import refuse_unserved
from lambent.services.lambda_.usage import AccountUsage, provisioned_of
from lambent.services.lambda_.versions import invocable_version

RESPONSE_HEADERS = "ResponseHeaders"
"""The member of a result whose texts become response headers; no model knows it."""
DEBUG_HEADER = "x-lambent-debug"
"""Ours: the port of this machine at which the caller wants to attach a debugger before the function is run."""
TRACE_HEADER = "X-Amzn-Trace-Id"
_TRACE_HEADER_LOWER = TRACE_HEADER.lower()
_EMPTY_EVENT = b"{}"
_OPERATIONS = ("Invoke", "InvokeWithResponseStream")


class Invoker(Protocol):
    """The path to an execution environment, as `lambent.invoke` offers it."""

    async def invoke(
        self,
        invocation: Invocation,
        *,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
    ) -> Outcome:
        """Run one invocation to its end.

        Args:
            invocation: what to run.
            reserved_concurrency: the function's ReservedConcurrentExecutions.
            provisioned_concurrency: how many invocations of the version its environments are kept ready for.
            unreserved_concurrency: what functions without a reservation share; None: all of the account's.

        Raises:
            TooManyRequestsException: no concurrency is left, requests come too quickly, or there is no memory.
            ServiceError: the version cannot be run.
        """
        ...

    async def stream(
        self,
        invocation: Invocation,
        *,
        takes_everything: bool,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        unreserved_concurrency: int | None = None,
    ) -> Streamed:
        """Run one invocation and return when its response begins, or when it has ended without one.

        Args:
            invocation: as for `invoke`, and so are the limits, and what is raised.
            takes_everything: whether also what its runtime has not announced as a stream comes as one.
        """
        ...

    async def provision(self, version: FunctionVersion, count: int) -> None:
        """Keep this many environments ready; see `lambent.services.lambda_.provisioning.Environments`."""
        ...

    def provisioned(self, version: FunctionVersion) -> Provisioned:
        """Return what is kept ready of a version now."""
        ...


class InvocationOperations:
    """The operations that run functions.

    Args:
        accept: keeps an event that is to be run later.
        draw: random numbers from 0.0 up to 1.0, by which aliases with weights choose a version.
        emit: is told of loops that are ended.
    """

    def __init__(
        self,
        *,
        records: Records,
        invoker: Invoker,
        usage: AccountUsage,
        accept: Accept,
        draw: Callable[[], float],
        emit: EmitFunctionFact,
    ) -> None:
        self._records = records
        self._emit = emit
        self._accept = accept
        self._invoker = invoker
        self._usage = usage
        self._draw = draw

    async def invoke_with_response_stream(self, call: Call, parameters: Members) -> Members:
        """Run a function and answer while it does (API page InvokeWithResponseStream).

        Whatever its runtime sends is passed on as it comes, made for a stream or not; how it ended comes last.

        Raises:
            ServiceError: as `invoke`, before the response begins.
        """
        return await self.invoke(call, parameters, is_streamed=True)

    async def invoke(self, call: Call, parameters: Members, *, is_streamed: bool = False) -> Members:
        """Run a function, now or later (API page Invoke).

        An ``Event`` is run later: the answer says that it is kept, durably.

        A failure of the function is an answer with ``FunctionError``. The answer also says what the invocation
        cost, in headers of our own (``x-lambent-…``). With one of ours in the request, ``x-lambent-debug``, it runs
        under a debugger.

        Raises:
            ResourceNotFoundException: no such function or version.
            RequestTooLargeException: the payload is over the limit of the invocation type.
            InvalidRequestContentException: payload or client context are not JSON, the request id is no UUID.
            ResourceConflictException: the function is pending or failed.
            TooManyRequestsException: no concurrency is left, requests come too quickly, or there is no memory.
            RecursiveInvocationException: the function has been invoked too often in one chain.
        """
        target = resolve(
            call, parameters["FunctionName"], parameters.get("Qualifier"), operation=_OPERATIONS[is_streamed]
        )
        invocation_type = parameters.get("InvocationType", "RequestResponse")
        payload = parameters.get("Payload") or _EMPTY_EVENT
        if "x-amzn-requestid" in call.headers:
            _check_request_id(call)
        check_payload_size(payload, invocation_type)
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        version = invocable_version(function, target, self._draw)
        header = parameters.get("ClientContext")
        client_context = decode_client_context(header) if header else None
        if not is_plainly_json(payload):
            await check_payload_json(payload)
        check_invocable(version)
        tenant_id = parameters.get("TenantId")
        refuse_unserved(version, qualifier=target.qualifier, tenant_id=tenant_id)
        if "DurableExecutionName" in parameters:
            raise InvalidParameterValueException(
                "The invoked function is not enabled with durable configuration."
            )
        if invocation_type == "DryRun":
            return {"StatusCode": 204}
        trace = trace_of(call.headers.get(_TRACE_HEADER_LOWER, ""), at_s=call.at_s)
        if invocation_type == "Event":
            event = queued(call, target, trace, tenant_id=tenant_id)
            await self._accept(event, payload)
            return {"StatusCode": 202, RESPONSE_HEADERS: {TRACE_HEADER: trace.for_caller}}
        if trace.lineage:
            self._end_loop(function, trace)
        invocation = Invocation(
            request_id=call.request_id,
            version=version,
            invoked_arn=target.arn,
            payload=payload,
            client_context=client_context,
            tenant_id=tenant_id,
            trace_id=trace.header_through(target.key.arn),
            wants_log_tail=parameters.get("LogType") == "Tail",
            debug_port=_debug_port(call.headers[DEBUG_HEADER]) if DEBUG_HEADER in call.headers else None,
        )
        if is_streamed:
            streamed = await self._invoker.stream(
                invocation,
                takes_everything=True,
                reserved_concurrency=function.reserved_concurrency,
                provisioned_concurrency=provisioned_of(function, version.version),
                unreserved_concurrency=self._usage.unreserved(target.key.account, target.key.region),
            )
            return {
                "StatusCode": 200,
                "ExecutedVersion": version.version,
                "EventStream": ResponseEvents(streamed, wants_log_tail=invocation.wants_log_tail),
                RESPONSE_HEADERS: {TRACE_HEADER: trace.for_caller},
            }
        outcome = await self._invoker.invoke(
            invocation,
            reserved_concurrency=function.reserved_concurrency,
            provisioned_concurrency=provisioned_of(function, version.version),
            unreserved_concurrency=self._usage.unreserved(target.key.account, target.key.region),
        )
        return _answer(parameters, version, outcome, trace)

    def _end_loop(self, function: Function, trace: Trace) -> None:
        """Let an invocation by a function pass, unless that is a loop."""
        try:
            refuse_recursion(function, trace)
        except RecursiveInvocationException:
            self._emit(LoopEnded(function=function.key))
            raise


def _check_request_id(call: Call) -> None:
    """An id that the caller chose is either adopted or refused, never replaced."""
    if call.headers.get("x-amzn-requestid", call.request_id) != call.request_id:
        raise InvalidRequestContentException("The x-amzn-RequestId header must be a valid UUID.")


def _debug_port(text: str) -> int:
    if not text.isdecimal() or len(text) > len("65535") or int(text) > 65535:
        raise InvalidParameterValueException(f"{DEBUG_HEADER} must be a port from 0 to 65535, not {text!r}.")
    return int(text)


@lru_cache(maxsize=4096)
def _bill(billed_ms: int, gb_seconds: Decimal, price_usd: Decimal) -> Mapping[str, str]:
    """Return the headers that tell what an invocation costs; most cost the same."""
    return {
        "x-lambent-billed-duration-ms": str(billed_ms),
        "x-lambent-gb-seconds": f"{gb_seconds:f}",
        "x-lambent-price-usd": f"{price_usd:f}",
    }


def _answer(
    parameters: Members, version: FunctionVersion, outcome: Outcome, trace: Trace
) -> Mapping[str, Any]:
    report = outcome.report
    headers = {
        TRACE_HEADER: trace.for_caller,
        **_bill(report.billed_duration_ms, report.gb_seconds, report.price_usd),
    }
    if report.cold_start_reason is not None:
        headers["x-lambent-cold-start-reason"] = report.cold_start_reason
    if report.is_spillover:
        headers["x-lambent-spillover"] = "true"
    result: dict[str, Any] = {
        "StatusCode": 200,
        "ExecutedVersion": version.version,
        "Payload": outcome.payload,
        RESPONSE_HEADERS: headers,
    }
    if outcome.function_error is not None:
        result["FunctionError"] = outcome.function_error
    if parameters.get("LogType") == "Tail":
        result["LogResult"] = base64.b64encode(outcome.log_tail).decode()
    return result
