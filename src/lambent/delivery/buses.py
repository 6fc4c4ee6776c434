"""Event buses as targets: a parcel becomes an event, be it of the same account or of another one that lets it in."""

from __future__ import annotations

import msgspec

from lambent.clock import Clock
from lambent.delivery import Undeliverable
from lambent.delivery.bus_events import BusEvents
from lambent.domain.bus_event import EVENT_MAX_BYTES, BusEvent, compact_object
from lambent.domain.event_bus import EventBus, bus_key
from lambent.domain.parcel import Parcel
from lambent.domain.policy import decide_for_account
from lambent.store.event_buses import EventBuses


class BusTarget:
    """See `lambent.delivery.Target`.

    Args:
        buses: says whether there is such a bus.
        events: takes what is put on it.
        clock: the time.
    """

    def __init__(self, *, buses: EventBuses, events: BusEvents, clock: Clock) -> None:
        self._buses = buses
        self._events = events
        self._clock = clock

    async def deliver(self, parcel: Parcel) -> None:
        key = bus_key(parcel.arn)
        if key is None or parcel.event is None:
            raise Undeliverable("it is no bus's ARN, or nothing that becomes an event", is_final=True)
        bus = await self._buses.get(key)
        if bus is None:
            raise Undeliverable("there is no such event bus", is_missing=True)
        _check_policy(bus, parcel, parcel.event)
        detail = compact_object(parcel.body.decode(errors="replace"))
        if detail is None:
            raise Undeliverable("an event's detail has to be a JSON object", is_final=True)
        received_ms = int(self._clock.now_s() * 1000)
        event = msgspec.structs.replace(parcel.event, detail=detail, received_ms=received_ms)
        if event.size_bytes > EVENT_MAX_BYTES:
            raise Undeliverable(f"{event.size_bytes} bytes are too large for an event bus", is_final=True)
        await self._events.put(bus, [event])


def _check_policy(bus: EventBus, parcel: Parcel, event: BusEvent) -> None:
    """An account's own buses take what it sends unless their policy denies it; those of others have to allow it."""
    sender = parcel.sender
    account = bus.account
    if sender is not None:
        account = sender.source_account
    elif parcel.function is not None:
        account = parcel.function.account
    context = {
        "events:source": (event.source,),
        "events:detail-type": (event.detail_type,),
        "events:eventbusinvocation": (str(sender is not None).lower(),),
    }
    if sender is not None:
        context["aws:sourcearn"] = (sender.source_arn,)
        context["aws:sourceaccount"] = (account,)
    decision = decide_for_account(
        bus.policy,
        account=account,
        role_arn=sender.role_arn if sender is not None else None,
        action="events:PutEvents",
        resource=bus.arn,
        context=context,
    )
    if not decision.is_allowed:
        raise Undeliverable(
            f"the bus's policy does not allow events:PutEvents to account {account} (see events put-permission)",
            is_forbidden=True,
        )
