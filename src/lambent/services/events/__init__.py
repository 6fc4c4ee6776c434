"""EventBridge: event buses, rules and targets, and the events that are put on buses.

Buses and rules are documents; events on their way are the affair of `lambent.delivery.bus_events`, and rules with
schedules that of `lambent.delivery.schedules`. A family of operations per file; the files of rules are pure.
Archives, connections, API destinations, global endpoints and partner event sources are not served.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambent.clock import Clock
from lambent.delivery.bus_events import BusEvents
from lambent.delivery.schedules import Schedules
from lambent.domain.event_bus import bus_key
from lambent.domain.resource_policy import GuardedResource
from lambent.domain.rule import rule_key
from lambent.services import OperationMethod, operations_of
from lambent.services.events.buses import BusOperations, PermissionOperations
from lambent.services.events.lookup import Lookup
from lambent.services.events.putting import PutOperations
from lambent.services.events.rules import RuleOperations
from lambent.services.events.tags import TagOperations
from lambent.services.events.targets import TargetOperations
from lambent.store.event_buses import EventBuses

__all__ = ["EventsService", "events_service"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsService:
    """The service, and what others ask of it."""

    operations: dict[str, OperationMethod]
    find_resource: Callable[[str], Awaitable[GuardedResource | None]]
    """Returns what decisions about access have to know of the bus or rule with an ARN."""


def events_service(
    *, buses: EventBuses, events: BusEvents, schedules: Schedules, clock: Clock
) -> EventsService:
    """Build the service.

    Args:
        buses: where buses and rules are kept.
        events: takes what is put on buses.
        schedules: fires rules by the clock.
        clock: the time.
    """
    lookup = Lookup(buses)

    async def find_resource(arn: str) -> GuardedResource | None:
        """A rule is guarded by the policy of its bus."""
        key = rule_key(arn)
        rule = await buses.rule(key) if key is not None else None
        bus = await buses.get(bus_key(arn) or (key or "").rpartition("/")[0] or "//")
        if bus is None:
            return None
        tagged = bus if key is None else rule
        return GuardedResource(policy=bus.policy or None, tags=tagged.tags if tagged is not None else {})

    return EventsService(
        operations=operations_of(
            BusOperations(lookup=lookup, events=events, clock=clock),
            PermissionOperations(lookup=lookup, clock=clock),
            RuleOperations(lookup=lookup, schedules=schedules, clock=clock),
            TargetOperations(lookup=lookup, events=events),
            PutOperations(lookup=lookup, events=events, clock=clock),
            TagOperations(lookup=lookup),
        ),
        find_resource=find_resource,
    )
