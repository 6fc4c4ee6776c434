"""Asynchronous events and the delivery of their outcomes, put together: a function may be a destination, too."""

from __future__ import annotations

from lambent.clock import Clock
from lambent.delivery import Delivery, Target
from lambent.delivery.functions import FunctionTarget
from lambent.delivery.message_queues import QueueTarget
from lambent.delivery.outbox import Outbox
from lambent.invoke.queue import EventQueue, Invoke, PrepareAttempt
from lambent.store.functions import Functions
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues


class Asynchronous:
    """The event queue and the outbox, which know each other."""

    def __init__(
        self,
        *,
        queues: Queues,
        message_queues: MessageQueues,
        functions: Functions,
        invoke: Invoke,
        clock: Clock,
        concurrency: int,
        retry_base_s: float,
        drain_timeout_s: float,
    ) -> None:
        """Make both; neither does anything before `start`.

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
        self._outbox = Outbox(queues=queues, delivery=Delivery(targets))
        self._events = EventQueue(
            queues=queues,
            invoke=invoke,
            tell=self._outbox.send,
            clock=clock,
            concurrency=concurrency,
            retry_base_s=retry_base_s,
            drain_timeout_s=drain_timeout_s,
        )
        self.accept = self._events.accept
        self.send = self._outbox.send
        targets["lambda"] = FunctionTarget(functions=functions, accept=self.accept, clock=clock)

    async def start(self, prepare: PrepareAttempt) -> None:
        """Begin to deliver and to run, first what an earlier server left; `prepare` as of `EventQueue.start`."""
        await self._outbox.start()
        await self._events.start(prepare)

    async def close(self) -> None:
        """Stop both; what is kept is taken up by the next server."""
        await self._events.close()
        await self._outbox.close()
