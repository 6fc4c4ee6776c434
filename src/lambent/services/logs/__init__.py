"""CloudWatch Logs: groups, streams and events, as far as functions write them and people read them.

Logs Insights queries and deliveries are not served. Whoever writes a function's own log (`lambent.telemetry.logs`)
shares the stores with this service, not its code, and tells the same `LogSubscriptions` of what it writes.
"""

from __future__ import annotations

from lambent.clock import Clock
from lambent.services import OperationMethod, operations_of
from lambent.services.logs.groups import Groups
from lambent.services.logs.lookup import Lookup
from lambent.services.logs.metric_filters import MetricFilters
from lambent.services.logs.query_definitions import QueryDefinitions
from lambent.services.logs.read import Reading
from lambent.services.logs.resource_policies import ResourcePolicies
from lambent.services.logs.retention import Retention, expire_logs
from lambent.services.logs.streams import Streams
from lambent.services.logs.subscriptions import SubscriptionFilters
from lambent.services.logs.tags import Tags
from lambent.services.logs.write import Writing
from lambent.store import Documents, LogEvents
from lambent.store.functions import Functions
from lambent.telemetry.log_subscriptions import LogSubscriptions

__all__ = ["expire_logs", "logs_service"]


def logs_service(
    *,
    documents: Documents,
    log_events: LogEvents,
    functions: Functions,
    subscriptions: LogSubscriptions,
    clock: Clock,
) -> dict[str, OperationMethod]:
    """Return the operations of CloudWatch Logs.

    Args:
        documents: where log groups are kept.
        log_events: where streams and their events are kept.
        functions: functions, as subscribers: whether they let CloudWatch Logs in.
        subscriptions: are told of what is written.
        clock: dates what is made and says what is too old.
    """
    lookup = Lookup(documents, log_events)
    return operations_of(
        Groups(lookup, log_events, clock),
        Retention(lookup),
        Tags(lookup),
        Streams(lookup, log_events, clock),
        Writing(lookup, log_events, clock, subscriptions),
        Reading(lookup, log_events, clock),
        MetricFilters(lookup, clock),
        SubscriptionFilters(lookup, functions, clock),
        ResourcePolicies(documents, lookup, clock),
        QueryDefinitions(documents, clock),
    )
