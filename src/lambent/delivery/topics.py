"""Topics as targets: a parcel is published."""

from __future__ import annotations

import uuid

from lambent.clock import Clock
from lambent.delivery import Undeliverable
from lambent.delivery.notifications import Notifications
from lambent.delivery.senders import check_sender
from lambent.domain.parcel import Parcel
from lambent.domain.publication import Publication
from lambent.domain.queue_message import message_attribute
from lambent.store.topics import Topics


class TopicTarget:
    """See `lambent.delivery.Target`.

    Args:
        topics: says whether there is such a topic.
        notifications: takes what is published.
        clock: the time.
        endpoint_url: where this server is reached, for the links in messages.
        is_strict: whether a topic's policy has to let services in; else it may only keep them out.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        notifications: Notifications,
        clock: Clock,
        endpoint_url: str,
        is_strict: bool = False,
    ) -> None:
        self._topics = topics
        self._notifications = notifications
        self._clock = clock
        self._endpoint_url = endpoint_url
        self._is_strict = is_strict

    async def deliver(self, parcel: Parcel) -> None:
        topic = await self._topics.find(parcel.arn)
        if topic is None:
            raise Undeliverable("there is no such topic", is_missing=True)
        check_sender(
            parcel, topic.policy, action="sns:Publish", whose="the topic's", is_strict=self._is_strict
        )
        if topic.is_fifo:
            raise Undeliverable("a FIFO topic takes no records and no events", is_final=True)
        attributes = {name: message_attribute(kind, value) for name, kind, value in parcel.attributes}
        size = len(parcel.body) + sum(len(n) + a.size_bytes for n, a in attributes.items())
        if size > topic.message_max_bytes:
            raise Undeliverable(f"{size} bytes are too large for the topic", is_final=True)
        publication = Publication(
            message_id=str(uuid.uuid4()),
            topic_arn=topic.arn,
            text=parcel.body.decode(errors="replace"),
            attributes=attributes,
            published_ms=int(self._clock.now_s() * 1000),
            trace_header=parcel.trace_header,
            endpoint_url=self._endpoint_url,
        )
        await self._notifications.publish(topic, [publication])
