"""Asynchronous events, the delivery of their outcomes, and what is published to topics and put on buses, put
together: a function may be a destination, too, a subscriber and a target, and so may a topic and a bus.
"""

from __future__ import annotations

from lambent.clock import Clock
from lambent.delivery import Delivery, Target
from lambent.delivery.buckets import BucketTarget
from lambent.delivery.bus_events import BusEvents
from lambent.delivery.buses import BusTarget
from lambent.delivery.functions import FunctionTarget
from lambent.delivery.http_endpoints import Send
from lambent.delivery.log_groups import LogGroupTarget
from lambent.delivery.message_queues import QueueTarget
from lambent.delivery.notifications import Notifications
from lambent.delivery.outbox import Outbox
from lambent.delivery.schedules import Schedules
from lambent.delivery.signing import Signing
from lambent.delivery.topics import TopicTarget
from lambent.domain.function_facts import EmitFunctionFact
from lambent.invoke.queue import EventQueue, Invoke, PrepareAttempt
from lambent.store.event_buses import EventBuses
from lambent.store.functions import Functions
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues
from lambent.store.topics import Topics


class Asynchronous:
    """The event queue, the outbox, the notifications and the events of buses, which know each other."""

    def __init__(
        self,
        *,
        queues: Queues,
        message_queues: MessageQueues,
        functions: Functions,
        topics: Topics,
        buses: EventBuses,
        buckets: BucketTarget,
        log_groups: LogGroupTarget,
        invoke: Invoke,
        send: Send,
        signing: Signing,
        endpoint_url: str,
        is_strict: bool,
        clock: Clock,
        concurrency: int,
        retry_base_s: float,
        drain_timeout_s: float,
        catches_up: bool,
        emit: EmitFunctionFact,
    ) -> None:
        """Make them; none does anything before `start`.

        Args:
            queues: the queue engine.
            message_queues: SQS's queues, as destinations.
            functions: functions, as destinations.
            topics: SNS's topics, as destinations.
            buses: EventBridge's buses, as destinations.
            buckets: S3's buckets, as destinations.
            log_groups: CloudWatch Logs' groups, as targets of rules.
            invoke: the path of every invocation.
            send: sends HTTP requests to subscribers.
            signing: signs what subscribers are sent.
            endpoint_url: where this server is reached, for links in messages.
            is_strict: whether policies of queues and topics have to let services in.
            clock: the time.
            concurrency: how many events run at one moment.
            retry_base_s: the delay before the first retry after a function error.
            drain_timeout_s: how long closing waits for events that run.
            catches_up: whether scheduled rules make up for what a clock leaps over.
            emit: is told what becomes of events and parcels.
        """
        targets: dict[str, Target] = {
            "sqs": QueueTarget(message_queues=message_queues, queues=queues, is_strict=is_strict),
            "s3": buckets,
            "logs": log_groups,
        }
        delivery = Delivery(targets)
        self._outbox = Outbox(queues=queues, delivery=delivery, emit=emit)
        self.notifications = Notifications(
            queues=queues,
            topics=topics,
            delivery=delivery,
            tell=self._outbox.send,
            send=send,
            signing=signing,
            clock=clock,
        )
        self.bus_events = BusEvents(
            queues=queues, buses=buses, delivery=delivery, tell=self._outbox.send, clock=clock
        )
        self.schedules = Schedules(buses=buses, events=self.bus_events, clock=clock, catches_up=catches_up)
        self._events = EventQueue(
            queues=queues,
            invoke=invoke,
            tell=self._outbox.send,
            clock=clock,
            concurrency=concurrency,
            retry_base_s=retry_base_s,
            drain_timeout_s=drain_timeout_s,
            emit=emit,
        )
        self.accept = self._events.accept
        self.send = self._outbox.send
        targets["lambda"] = FunctionTarget(functions=functions, accept=self.accept, clock=clock)
        targets["sns"] = TopicTarget(
            topics=topics,
            notifications=self.notifications,
            clock=clock,
            endpoint_url=endpoint_url,
            is_strict=is_strict,
        )
        targets["events"] = BusTarget(buses=buses, events=self.bus_events, clock=clock)

    async def start(self, prepare: PrepareAttempt) -> None:
        """Begin to deliver and to run, first what an earlier server left; `prepare` as of `EventQueue.start`."""
        await self._outbox.start()
        await self.notifications.start()
        await self.bus_events.start()
        await self.schedules.start()
        await self._events.start(prepare)

    async def close(self) -> None:
        """Stop them; what is kept is taken up by the next server."""
        await self._events.close()
        await self.schedules.close()
        await self.bus_events.close()
        await self.notifications.close()
        await self._outbox.close()
