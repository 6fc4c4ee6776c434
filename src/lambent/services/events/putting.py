"""Events: put on buses, up to ten at a time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.delivery.bus_events import BusEvents
from lambent.domain.bus_event import EVENT_MAX_BYTES, BusEvent, compact_object, entry_bytes
from lambent.domain.call import Call
from lambent.domain.event_bus import EventBus, bus_key
from lambent.errors import NotImplemented_, ValidationException
from lambent.services import Members
from lambent.services.events.lookup import Lookup, bus_key_of

_TRACE_HEADER = "x-amzn-trace-id"
_REQUIRED = ("Source", "DetailType", "Detail")


class PutOperations:
    """The operation that puts events."""

    def __init__(self, *, lookup: Lookup, events: BusEvents, clock: Clock) -> None:
        self._lookup = lookup
        self._events = events
        self._clock = clock

    async def put_events(self, call: Call, parameters: Members) -> Members:
        """Keep events durably; they are on their way to targets then (API page PutEvents).

        Each has its own answer: its id, or what is wrong with it. What is put on a bus that is not there has
        an id, and goes nowhere. Whether the caller may use the buses of other accounts was asked before.

        Raises:
            ValidationException: they are too large together.
            NotImplemented_: they would go to a global endpoint.
        """
        if parameters.get("EndpointId"):
            raise NotImplemented_("Lambent has no global endpoints.")
        entries: Sequence[Members] = parameters["Entries"]
        if sum(_size(entry) for entry in entries) > EVENT_MAX_BYTES:
            raise ValidationException("Total size of the entries in the request is over the limit.")
        results: list[dict[str, Any]] = []
        by_bus: dict[str, list[BusEvent]] = {}
        for entry in entries:
            failure = _failure(entry)
            if failure is not None:
                results.append(failure)
                continue
            event = self._event(call, entry)
            by_bus.setdefault(_bus_key(call, entry), []).append(event)
            results.append({"EventId": event.id})
        buses = await asyncio.gather(*(self._lookup.buses.get(key) for key in by_bus))
        await asyncio.gather(
            *(self._put(bus, events) for bus, events in zip(buses, by_bus.values(), strict=True))
        )
        return {"FailedEntryCount": sum("ErrorCode" in one for one in results), "Entries": results}

    async def _put(self, bus: EventBus | None, events: Sequence[BusEvent]) -> None:
        if bus is not None:
            await self._events.put(bus, events)

    def _event(self, call: Call, entry: Members) -> BusEvent:
        now_s = self._clock.now_s()
        time: datetime | None = entry.get("Time")
        arn = parse_arn(entry.get("EventBusName") or "")
        return BusEvent(
            id=str(uuid.uuid4()),
            source=entry["Source"],
            detail_type=entry["DetailType"],
            account=call.account,
            region=call.region if arn is None else arn.region,
            time_s=now_s if time is None else time.timestamp(),
            resources=tuple(entry.get("Resources") or ()),
            detail=compact_object(entry["Detail"]) or "{}",
            received_ms=int(now_s * 1000),
            trace_header=entry.get("TraceHeader") or call.headers.get(_TRACE_HEADER, ""),
        )


def _size(entry: Members) -> int:
    return entry_bytes(
        entry.get("Source") or "",
        entry.get("DetailType") or "",
        entry.get("Detail") or "",
        entry.get("Resources") or (),
        has_time=entry.get("Time") is not None,
    )


def _failure(entry: Members) -> dict[str, Any] | None:
    for name in _REQUIRED:
        if not entry.get(name):
            reason = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": reason}
    if compact_object(entry["Detail"]) is None:
        return {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."}
    if entry["Source"].lower().startswith("aws."):
        return {
            "ErrorCode": "NotAuthorizedForSourceException",
            "ErrorMessage": "Not authorized for the source.",
        }
    return None


def _bus_key(call: Call, entry: Members) -> str:
    name: str | None = entry.get("EventBusName")
    return bus_key(name or "") or bus_key_of(call, name)
