"""What is told of an asynchronous invocation that has ended, and to whom. Pure.

The record is that of AWS's page "Capturing records of Lambda asynchronous invocations"; what goes to a
dead-letter queue is the event itself with three attributes.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import msgspec

from lambent.clock import iso_ms
from lambent.domain.bus_event import BusEvent
from lambent.domain.event_bus import bus_key
from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.invocation import Outcome
from lambent.domain.parcel import Parcel
from lambent.invoke.retry import Ended

_ERROR_MESSAGE_MAX_BYTES = 1_024
_STATUS = 200
"""Of the response that carried the outcome: a function error is one, too."""
_RECORDS = uuid.UUID("5f0c3a60-5d5c-4f0e-9c43-6a3a0e6d8a11")
"""The namespace of records' names."""


class _Error(msgspec.Struct):
    """The members of an error payload that are told."""

    errorMessage: str = ""  # noqa: N815 - AWS's spelling


def parcels(
    ended: Ended,
    payload: bytes,
    *,
    outcome: Outcome | None,
    executed_version: str,
    config: EventInvokeConfig | None,
    dead_letter_arn: str | None,
    now_s: float,
) -> list[Parcel]:
    """Return what is to be delivered after an event has ended.

    Args:
        ended: how.
        payload: the event.
        outcome: that of the last attempt; None when the function never ran with it now.
        executed_version: the version that ran last.
        config: the settings of the qualifier, if there are any.
        dead_letter_arn: the function's dead-letter queue, if it has one.
        now_s: the time.
    """
    told: list[Parcel] = []
    destination = None
    if config is not None:
        destination = config.on_success if ended.is_success else config.on_failure
    about = (
        f"the outcome ({ended.condition}) of request {ended.event.request_id} to {ended.event.recorded_arn}"
    )
    if destination is not None:
        record = _record(ended, payload, outcome, executed_version, now_s)
        told.append(
            Parcel(
                arn=destination,
                body=record,
                trace_header=ended.event.trace_header,
                about=about,
                function=ended.event.key,
                key=_object_key(ended, now_s),
                event=_bus_event(ended, destination, now_s),
            )
        )
    if dead_letter_arn is not None and not ended.is_success:
        told.append(
            Parcel(
                arn=dead_letter_arn,
                body=payload,
                attributes=_dead_letter_attributes(ended, outcome),
                trace_header=ended.event.trace_header,
                about=about,
                function=ended.event.key,
                is_dead_letter=True,
            )
        )
    return told


def _bus_event(ended: Ended, destination: str, now_s: float) -> BusEvent | None:
    """Return the event that a record becomes on an event bus; delivering it again gives it the same id."""
    if bus_key(destination) is None:
        return None
    outcome = "Success" if ended.is_success else "Failure"
    return BusEvent(
        id=str(_record_id(ended, now_s)),
        source="lambda",
        detail_type=f"Lambda Function Invocation Result - {outcome}",
        account=ended.event.key.account,
        region=ended.event.key.region,
        time_s=now_s,
        resources=(destination, ended.event.recorded_arn),
        detail="",
        received_ms=int(now_s * 1000),
    )


def _record_id(ended: Ended, now_s: float) -> uuid.UUID:
    return uuid.uuid5(_RECORDS, f"{ended.event.request_id} {now_s}")


def _object_key(ended: Ended, now_s: float) -> str:
    """Return the key of the object that a record becomes in a bucket; delivering it again replaces it."""
    moment = datetime.fromtimestamp(now_s, UTC)
    unique = _record_id(ended, now_s)
    name = ended.event.key.name
    return f"aws/lambda/async/{name}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{unique}"


def _record(
    ended: Ended, payload: bytes, outcome: Outcome | None, executed_version: str, now_s: float
) -> bytes:
    record: dict[str, object] = {
        "version": "1.0",
        "timestamp": iso_ms(now_s),
        "requestContext": {
            "requestId": ended.event.request_id,
            "functionArn": ended.event.recorded_arn,
            "condition": ended.condition,
            "approximateInvokeCount": ended.event.attempts,
        },
        "requestPayload": msgspec.Raw(payload),
    }
    if outcome is not None:
        context: dict[str, object] = {"statusCode": _STATUS, "executedVersion": executed_version}
        if outcome.function_error is not None:
            context["functionError"] = outcome.function_error
        record["responseContext"] = context
        record["responsePayload"] = _json(outcome.payload)
    return msgspec.json.encode(record)


def _json(payload: bytes) -> object:
    """A response is JSON by contract; what a runtime sends instead is told as text."""
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except msgspec.DecodeError:
        return payload.decode(errors="replace")
    return msgspec.Raw(payload)


def _dead_letter_attributes(ended: Ended, outcome: Outcome | None) -> tuple[tuple[str, str, str], ...]:
    message = ended.condition
    if outcome is not None:
        try:
            message = msgspec.json.decode(outcome.payload, type=_Error).errorMessage or message
        except msgspec.DecodeError:
            message = outcome.payload.decode(errors="replace")
    short = message.encode()[:_ERROR_MESSAGE_MAX_BYTES].decode(errors="ignore")
    return (
        ("RequestID", "String", ended.event.request_id),
        ("ErrorCode", "Number", str(_STATUS)),
        ("ErrorMessage", "String", short),
    )
