"""The services beside Lambda, over the same stores."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from lambent.clock import Clock
from lambent.delivery.asynchronous import Asynchronous
from lambent.domain.resource_policy import GuardedResource
from lambent.services import OperationMethod
from lambent.services.events import events_service
from lambent.services.iam import iam_service
from lambent.services.logs import expire_logs, logs_service
from lambent.services.sns import sns_service
from lambent.services.sqs import sqs_service
from lambent.services.sts import sts_service
from lambent.settings import Settings
from lambent.store.event_buses import EventBuses
from lambent.store.functions import Functions
from lambent.store.identities import Identities
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.sqlite.documents import SqliteDocuments
from lambent.store.sqlite.log_events import SqliteLogEvents
from lambent.store.topics import Topics
from lambent.telemetry.log_subscriptions import LogSubscriptions

NEIGHBOURS = ("logs", "iam", "sts", "sqs", "sns", "events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """What the other rooms need of them, by the service's name where there are several."""

    operations: dict[str, dict[str, OperationMethod]]
    find_resource: dict[str, Callable[[str], Awaitable[GuardedResource | None]]]
    resume: Callable[[], Awaitable[None]]
    """Go on with what a server before this one left."""
    expirations: Sequence[Callable[[], Awaitable[None]]]
    """Let go what has expired; to be called now and then."""


def build_neighbours(
    stack: contextlib.AsyncExitStack,
    *,
    settings: Settings,
    secret: bytes,
    documents: SqliteDocuments,
    log_events: SqliteLogEvents,
    functions: Functions,
    identities: Identities,
    message_queues: MessageQueues,
    queues: Queues,
    topics: Topics,
    buses: EventBuses,
    events: Asynchronous,
    subscriptions: LogSubscriptions,
    clock: Clock,
) -> Neighbours:
    """Build them, and have closed with the stack what must be."""
    logs = logs_service(
        documents=documents,
        log_events=log_events,
        functions=functions,
        subscriptions=subscriptions,
        clock=clock,
    )
    sts = sts_service(
        identities=identities,
        secret=secret,
        clock=clock,
        believes_tokens=settings.server.auth == "open",
    )
    sqs = sqs_service(
        documents=documents,
        message_queues=message_queues,
        queues=queues,
        clock=clock,
        cooldown_s=settings.server.sqs_cooldown_s,
    )
    stack.push_async_callback(sqs.close)
    sns = sns_service(topics=topics, documents=documents, notifications=events.notifications, clock=clock)
    event_bridge = events_service(
        buses=buses, events=events.bus_events, schedules=events.schedules, clock=clock
    )
    return Neighbours(
        operations={
            "logs": logs,
            "iam": iam_service(documents=documents, identities=identities, clock=clock),
            "sts": sts,
            "sqs": sqs.operations,
            "sns": sns.operations,
            "events": event_bridge.operations,
        },
        find_resource={
            "sqs": sqs.find_resource,
            "sns": sns.find_resource,
            "events": event_bridge.find_resource,
        },
        resume=sqs.resume,
        expirations=(
            partial(expire_logs, documents=documents, log_events=log_events, clock=clock),
            sns.expire,
        ),
    )
