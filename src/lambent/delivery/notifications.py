"""What is published to topics, until every subscriber has it.

Whatever is published lies in its topic's queue first, and is durable there. From there it is copied into a queue for
each subscription that it is meant for, and leaves the topic's when all of them have it. Each subscription's queue
is taken from by itself, so that an endpoint that never answers is nobody else's problem; a message that cannot be
delivered is tried again as the delivery policy says, and ends in the subscription's dead-letter queue, if it has one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from lambent.clock import Clock
from lambent.delivery import Delivery, Undeliverable
from lambent.delivery.http_endpoints import Send, post
from lambent.delivery.signing import Signing
from lambent.delivery.takers import Takers
from lambent.domain.delivery_policy import TO_RESOURCES, RetryPolicy, effective_policy
from lambent.domain.filter_policy import is_meant
from lambent.domain.message_queue import dead_letter_arn
from lambent.domain.parcel import Parcel, Sender
from lambent.domain.publication import (
    Notification,
    Publication,
    Signature,
    envelope,
    event,
    members_of,
    sequence_number,
    string_to_sign,
    subscribe_url,
)
from lambent.domain.subscription import Subscription
from lambent.domain.topic import Topic
from lambent.store.messages import Message, NewMessage, Sent
from lambent.store.queues import Queues
from lambent.store.topics import Topics

_log = logging.getLogger(__name__)

_SERVICE = "sns.amazonaws.com"
_UNSENT = {
    "application": "mobile push",
    "email": "mail",
    "email-json": "mail",
    "firehose": "records to Firehose",
    "sms": "text messages",
}
"""What AWS sends by other protocols."""
_SHOWN_MAX = 1_000
_COPIED_AT_ONCE_MAX = 10
_SENT_AT_ONCE_MAX = 5
"""Messages of one subscription."""


class Notifications:
    """Owns what is published and what is on its way to subscribers. Use `start` and `close`."""

    def __init__(
        self,
        *,
        queues: Queues,
        topics: Topics,
        delivery: Delivery,
        tell: Callable[[Sequence[Parcel]], Awaitable[None]],
        send: Send,
        signing: Signing,
        clock: Clock,
        drain_timeout_s: float = 2.0,
    ) -> None:
        """Make it.

        Args:
            queues: the queue engine.
            topics: where topics and subscriptions are kept.
            delivery: takes what goes to queues and functions.
            tell: takes dead letters, durably.
            send: sends HTTP requests.
            signing: signs messages.
            clock: the time.
            drain_timeout_s: how long closing waits for deliveries that are going on; the others are begun anew
                by the next server.
        """
        self._queues = queues
        self._topics = topics
        self._delivery = delivery
        self._tell = tell
        self._send = send
        self._signing = signing
        self._clock = clock
        self._copying = Takers(
            queues=queues,
            prefix="topics/",
            handle=self._copy,
            at_once_max=_COPIED_AT_ONCE_MAX,
            is_fifo=_is_fifo,
            drain_timeout_s=drain_timeout_s,
        )
        self._sending = Takers(
            queues=queues,
            prefix="subscriptions/",
            handle=self._deliver,
            at_once_max=_SENT_AT_ONCE_MAX,
            is_fifo=_is_fifo,
            drain_timeout_s=drain_timeout_s,
        )
        self._next_s: dict[str, float] = {}
        """When a subscription that limits its rate may be sent to again."""

    async def publish(self, topic: Topic, publications: Sequence[Publication]) -> list[Sent]:
        """Keep messages durably; from then on they are on their way. Returns what became of each, in order."""
        scope = topic.attributes.get("FifoThroughputScope")
        sent = await self._queues.send(
            topic.publications,
            [_kept(one, is_fifo=topic.is_fifo, is_by_group=scope == "MessageGroup") for one in publications],
        )
        self._copying.wake(topic.publications)
        return sent

    async def notify(self, subscription: Subscription, notification: Notification) -> None:
        """Keep something that one subscriber is to be sent, durably."""
        await self._notify(subscription, _copied(notification))

    async def forget(self, topic: Topic | None, subscriptions: Sequence[Subscription]) -> None:
        """Drop what is on its way to subscriptions, and from a topic."""
        if topic is not None:
            await self._queues.clear(topic.publications)
        for subscription in subscriptions:
            await self._queues.clear(subscription.notifications)
            self._next_s.pop(subscription.id, None)

    def report_unsent(self, protocol: str, endpoint: str, about: str, text: str) -> None:
        """Write to the log what AWS would send by a protocol by which nothing is sent here."""
        shown = text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
        _log.warning(
            "Not sent, as Lambent sends no %s: %s to %s: %r", _UNSENT[protocol], about, endpoint, shown
        )

    async def start(self) -> None:
        """Begin to deliver, first what an earlier server left."""
        await self._sending.start()
        await self._copying.start()

    async def close(self) -> None:
        """Stop; what is kept is delivered by the next server."""
        await self._copying.close()
        await self._sending.close()

    async def _copy(self, queue: str, message: Message) -> None:
        """Give every subscription its copy of a message."""
        publication = msgspec.msgpack.decode(message.body, type=Publication)
        sequence = sequence_number(message.receipt.sequence) if publication.group_id is not None else None
        copy = _copied(Notification(publication=publication, sequence_number=sequence))
        subscriptions = await self._topics.subscriptions(queue.partition("/")[2])
        await asyncio.gather(
            *(self._notify(one, copy) for one in subscriptions if _is_meant(one, publication))
        )
        await self._queues.delete(queue, [message.receipt])

    async def _notify(self, subscription: Subscription, copy: NewMessage) -> None:
        await self._queues.send(subscription.notifications, [copy])
        self._sending.wake(subscription.notifications)

    async def _deliver(self, queue: str, message: Message) -> None:
        notification = Notification.decode(message.body)
        subscription = await self._topics.subscription(queue.partition("/")[2])
        topic = await self._topics.find(notification.publication.topic_arn)
        if subscription is None or topic is None or _is_stale(notification, subscription):
            await self._queues.delete(queue, [message.receipt])
            return
        try:
            await self._deliver_to(topic, subscription, notification)
        except Undeliverable as error:
            delay_s = None
            if not error.is_final and not error.is_missing:
                delay_s = _retries(topic, subscription).delay_s(message.receive_count)
            if delay_s is not None:
                await self._sending.put_back(queue, message, delay_s=delay_s)
                return
            await self._give_up(topic, subscription, notification, str(error))
        await self._queues.delete(queue, [message.receipt])

    async def _deliver_to(self, topic: Topic, subscription: Subscription, notification: Notification) -> None:
        if subscription.protocol in _UNSENT:
            text = notification.publication.text_for(subscription.protocol)
            if notification.token:
                text = f"{text} {subscribe_url(notification.publication, notification.token)}"
            self.report_unsent(subscription.protocol, subscription.endpoint, _about(notification), text)
            return
        body = await self._body(topic, subscription, notification)
        if not subscription.is_http:
            await self._delivery.deliver(_parcel(subscription.endpoint, body, subscription, notification))
            return
        policy = effective_policy(topic, subscription)
        if policy.per_second_max:
            await self._wait_turn(subscription, 1 / policy.per_second_max)
        await post(self._send, notification, subscription, body, content_type=policy.content_type)

    async def _wait_turn(self, subscription: Subscription, distance_s: float) -> None:
        now_s = self._clock.monotonic_s()
        turn_s = max(now_s, self._next_s.get(subscription.id, 0.0))
        self._next_s[subscription.id] = turn_s + distance_s
        if turn_s > now_s:
            await self._clock.sleep(turn_s - now_s)

    async def _body(self, topic: Topic, subscription: Subscription, notification: Notification) -> bytes:
        if subscription.is_raw and notification.kind == "Notification":
            return notification.publication.text_for(subscription.protocol).encode()
        if subscription.protocol == "lambda":
            return event(notification, subscription, await self._signed(topic, subscription, notification))
        signature = None if topic.is_fifo else await self._signed(topic, subscription, notification)
        return envelope(notification, subscription, signature)

    async def _signed(
        self, topic: Topic, subscription: Subscription, notification: Notification
    ) -> Signature:
        return await self._signing.sign(
            string_to_sign(members_of(notification, subscription)),
            version=topic.signature_version,
            endpoint_url=notification.publication.endpoint_url,
        )

    async def _give_up(
        self, topic: Topic, subscription: Subscription, notification: Notification, why: str
    ) -> None:
        """Report what could not be delivered, and hand it to the dead-letter queue."""
        dead_letters = dead_letter_arn(subscription.attributes.get("RedrivePolicy"))
        is_kept = dead_letters is not None and notification.kind != "UnsubscribeConfirmation"
        _log.error(
            "Given up delivering %s to %s %s%s: %s.",
            _about(notification),
            subscription.protocol,
            subscription.endpoint,
            f" (kept in {dead_letters})" if is_kept else "",
            why,
        )
        if dead_letters is not None and is_kept:
            body = await self._body(topic, subscription, notification)
            await self._tell([_parcel(dead_letters, body, subscription, notification)])


def _is_fifo(queue: str) -> bool:
    """The names of ordered queues have the name of their FIFO topic in them."""
    return queue.split("/")[3].endswith(".fifo")


def _kept(publication: Publication, *, is_fifo: bool, is_by_group: bool) -> NewMessage:
    """Return a publication as its topic's queue keeps it; that drops what was published twice."""
    scope = f"{publication.group_id}\0" if is_by_group else ""
    deduplication_id = publication.deduplication_id
    return NewMessage(
        message_id=publication.message_id,
        body=msgspec.msgpack.encode(publication),
        group=publication.group_id if is_fifo else None,
        deduplication_id=scope + deduplication_id if is_fifo and deduplication_id else None,
    )


def _copied(notification: Notification) -> NewMessage:
    """Return a notification as a subscription's queue keeps it; a second copy of an ordered one is dropped."""
    publication = notification.publication
    is_ordered = notification.sequence_number is not None
    return NewMessage(
        message_id=publication.message_id,
        body=notification.encode(),
        group=publication.group_id if is_ordered else None,
        deduplication_id=publication.message_id if is_ordered else None,
    )


def _is_meant(subscription: Subscription, publication: Publication) -> bool:
    return (
        subscription.state == "confirmed"
        and subscription.confirmed_ms <= publication.published_ms
        and is_meant(
            subscription.attributes.get("FilterPolicy", ""),
            subscription.filter_scope,
            text=publication.text_for(subscription.protocol),
            attributes=publication.attributes,
        )
    )


def _is_stale(notification: Notification, subscription: Subscription) -> bool:
    """Whether a subscription is no longer what it was when something was put on its way to it."""
    wanted = {
        "Notification": "confirmed",
        "SubscriptionConfirmation": "pending",
        "UnsubscribeConfirmation": "deleted",
    }
    return subscription.state != wanted[notification.kind]


def _retries(topic: Topic, subscription: Subscription) -> RetryPolicy:
    return effective_policy(topic, subscription).retry if subscription.is_http else TO_RESOURCES


def _parcel(arn: str, body: bytes, subscription: Subscription, notification: Notification) -> Parcel:
    publication = notification.publication
    attributes = publication.attributes.items() if subscription.is_raw else ()
    return Parcel(
        arn=arn,
        body=body,
        attributes=tuple((name, one.data_type, one.as_text) for name, one in attributes),
        trace_header=publication.trace_header,
        about=_about(notification),
        sender=Sender(
            service=_SERVICE,
            source_arn=publication.topic_arn,
            source_account=publication.topic_arn.split(":")[4],
        ),
        group_id=publication.group_id,
        deduplication_id=publication.deduplication_id,
    )


def _about(notification: Notification) -> str:
    publication = notification.publication
    if notification.kind == "Notification":
        return f"message {publication.message_id} of {publication.topic_arn}"
    return f"the {notification.kind} of {publication.topic_arn}"
