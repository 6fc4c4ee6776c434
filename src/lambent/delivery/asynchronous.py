"""Asynchronous events and the delivery of their outcomes, put together: a function may be a destination, too."""

from __future__ import annotations

from lambent.clock import Clock
from lambent.delivery import Delivery, Target
from lambent.delivery.functions import FunctionTarget
from lambent.delivery.message_queues import QueueTarget
from lambent.delivery.outbox import Outbox
from lambent.invoke.queue import EventQueue, Invoke
from lambent.store.functions import Functions
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues


def asynchronous(
    *,
    queues: Queues,
    message_queues: MessageQueues,
    functions: Functions,
    invoke: Invoke,
    clock: Clock,
    concurrency: int,
    retry_base_s: float,
    drain_timeout_s: float,
) -> tuple[Outbox, EventQueue]:
    """Return the outbox and the event queue; neither does anything before its `start`.

    Args:
        queues: the queue engine.
        message_queues: SQS's queues, as destinations.
        functions: functions, as destinations.
        invoke: the path of every invocation.
        clock: the time.
        concurrency: how many events run at one moment.
        retry_base_s: the delay before the first retry after a function error.
        drain_timeout_s: how long closing waits for events that run.
    """
    targets: dict[str, Target] = {"sqs": QueueTarget(message_queues=message_queues, queues=queues)}
    outbox = Outbox(queues=queues, delivery=Delivery(targets))
    events = EventQueue(
        queues=queues,
        invoke=invoke,
        tell=outbox.send,
        clock=clock,
        concurrency=concurrency,
        retry_base_s=retry_base_s,
        drain_timeout_s=drain_timeout_s,
    )
    targets["lambda"] = FunctionTarget(functions=functions, accept=events.accept, clock=clock)
    return outbox, events
