"""Events: invocations that are accepted now and run later.

`EventOperations` has the old operation for them, `Events` says what an event means when its time has come: the
code and the configuration are those of that moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lambent.domain.call import Call
from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.function import LATEST, Function, FunctionVersion
from lambent.domain.invocation import Invocation
from lambent.domain.queued_event import QueuedEvent
from lambent.domain.trace import RECURSION_ROUNDS_MAX, Trace, trace_of
from lambent.errors import RecursiveInvocationException, ResourceNotFoundException
from lambent.invoke.queue import Attempt
from lambent.services import Members
from lambent.services.lambda_.names import Target, not_found, resolve
from lambent.services.lambda_.payloads import check_payload_json, check_payload_size
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import check_invocable
from lambent.services.lambda_.unserved import refuse_unserved
from lambent.services.lambda_.usage import AccountUsage, provisioned_of
from lambent.services.lambda_.versions import invocable_version

Accept = Callable[[QueuedEvent, bytes], Awaitable[None]]
"""Keeps an event and its payload; what has returned is durable."""
_RECURSION = (
    "Lambda has detected your function being invoked in a recursive loop with other Amazon Web Services "
    "resources and stopped your function's invocation."
)


def queued(
    call: Call,
    target: Target,
    trace: Trace,
    *,
    tenant_id: str | None = None,
) -> QueuedEvent:
    """Return the event that a call asks to have run later.

    It has no client context: that is for synchronous invocations only (API page Invoke).
    """
    return QueuedEvent(
        request_id=call.request_id,
        key=target.key,
        qualifier=target.qualifier,
        tenant_id=tenant_id,
        trace_header=str(trace),
        accepted_s=call.at_s,
    )


def is_recursive(function: Function, trace: Trace) -> bool:
    """Whether a chain of invocations is to be ended at this function."""
    if function.recursive_loop != "Terminate":
        return False
    return trace.rounds(function.key.arn) >= RECURSION_ROUNDS_MAX


def refuse_recursion(function: Function, trace: Trace) -> None:
    """End a chain of invocations that has come to this function too often.

    Raises:
        RecursiveInvocationException: it has.
    """
    if is_recursive(function, trace):
        raise RecursiveInvocationException(_RECURSION)


class EventOperations:
    """The operation that only ever was asynchronous."""

    def __init__(self, *, records: Records, accept: Accept) -> None:
        self._records = records
        self._accept = accept

    async def invoke_async(self, call: Call, parameters: Members) -> Members:
        """Keep an event that is to be run later (API page InvokeAsync).

        Raises:
            ResourceNotFoundException: no such function or version.
            RequestTooLargeException: the payload is over the limit.
            InvalidRequestContentException: the payload is not JSON.
            ResourceConflictException: the function is pending or failed.
        """
        target = resolve(call, parameters["FunctionName"], operation="InvokeAsync")
        payload = parameters["InvokeArgs"] or b"{}"
        check_payload_size(payload, "Event")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        version = invocable_version(function, target, lambda: 0.0)
        await check_payload_json(payload)
        check_invocable(version)
        refuse_unserved(version, qualifier=target.qualifier)
        await self._accept(queued(call, target, trace_of("", at_s=call.at_s)), payload)
        return {"Status": 202}


class Events:
    """What events mean when they are run.

    Args:
        draw: random numbers from 0.0 up to 1.0, by which aliases with weights choose a version.
    """

    def __init__(self, *, records: Records, usage: AccountUsage, draw: Callable[[], float]) -> None:
        self._records = records
        self._usage = usage
        self._draw = draw

    async def prepare(self, event: QueuedEvent, payload: bytes) -> Attempt | None:
        """Make an event ready to run by the code and configuration of now; None when its function is gone.

        Raises:
            ResourceConflictException: the function is pending or failed.
            NotImplemented_, InvalidParameterValueException: it is kept and shown, and not run.
        """
        function = await self._records.get(event.key)
        target = Target(key=event.key, qualifier=event.qualifier)
        if function is None:
            return None
        try:
            version = invocable_version(function, target, self._draw)
        except ResourceNotFoundException:
            return None
        check_invocable(version)
        refuse_unserved(version, qualifier=event.qualifier, tenant_id=event.tenant_id)
        trace = trace_of(event.trace_header, at_s=event.accepted_s)
        return Attempt(
            invocation=Invocation(
                request_id=event.request_id,
                version=version,
                invoked_arn=event.invoked_arn,
                payload=payload,
                tenant_id=event.tenant_id,
                trace_id=trace.header_through(event.key.arn),
                source=event.source,
                attempt=event.attempts + 1,
            ),
            config=_config(function, event.qualifier),
            dead_letter_arn=_dead_letter_arn(version),
            reserved_concurrency=function.reserved_concurrency,
            provisioned_concurrency=provisioned_of(function, version.version),
            unreserved_concurrency=self._usage.unreserved(event.key.account, event.key.region),
            is_recursive=is_recursive(function, trace),
        )


def _config(function: Function, qualifier: str | None) -> EventInvokeConfig | None:
    return function.event_invoke_configs.get(qualifier or LATEST)


def _dead_letter_arn(version: FunctionVersion) -> str | None:
    arn: str | None = version.passive.get("DeadLetterConfig", {}).get("TargetArn")
    return arn or None
