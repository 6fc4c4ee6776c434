"""SNS's topics and subscriptions as documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from lambent.arn import parse_arn
from lambent.domain.subscription import Subscription
from lambent.domain.topic import Topic
from lambent.store import Delete, Documents, Put

KIND = "topic"
SUBSCRIPTION_KIND = "subscription"
_REMEMBERED_MAX = 10_000
_PAGE = 1_000


class Topics:
    """Typed access to stored topics and subscriptions. Remembers them: every message asks for its topic's."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._remembered: dict[str, tuple[int, Topic]] = {}
        self._subscriptions: dict[str, dict[str, Subscription]] = {}
        self._changing = asyncio.Lock()
        """Held while subscriptions are read or changed, so that what is remembered is what is kept."""

    async def find(self, arn: str) -> Topic | None:
        """Return the topic of an ARN, or None."""
        parts = parse_arn(arn)
        if parts is None or parts.service != "sns":
            return None
        found = await self.get_with_revision(f"{parts.account}/{parts.region}/{parts.resource}")
        return found[1] if found else None

    async def get_with_revision(self, key: str) -> tuple[int, Topic] | None:
        """Return a topic with the revision that `put` may expect, or None."""
        if (remembered := self._remembered.get(key)) is not None:
            return remembered
        document = await self._documents.get(KIND, key)
        if document is None:
            return None
        return self._remember(document.revision, msgspec.json.decode(document.body, type=Topic))

    async def put(self, topic: Topic, *, expect_revision: int) -> None:
        """Keep a topic durably.

        Raises:
            RevisionConflict: it is not at this revision (0: there is one already).
        """
        self._remembered.pop(topic.key, None)
        (revision,) = await self._documents.apply(_put_topic(topic, expect_revision))
        self._remember(revision, topic)

    async def delete(self, topic: Topic) -> list[Subscription]:
        """Forget a topic and its subscriptions, which are returned."""
        async with self._changing:
            ended = list((await self._of(topic.key)).values())
            self._forget(topic.key)
            await self._documents.apply(
                Delete(kind=KIND, key=topic.key),
                *(Delete(kind=SUBSCRIPTION_KIND, key=one.key) for one in ended),
            )
            self._forget(topic.key)
        return ended

    async def list(self, account: str, region: str, *, after: str = "", limit: int) -> list[Topic]:
        """Return topics of an account and region in the order of their names."""
        place = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=place, after=place + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=Topic) for document in documents]

    async def subscriptions(self, topic_key: str) -> list[Subscription]:
        """Return a topic's subscriptions in the order of their ids, those that wait or are deleted among them."""
        if (remembered := self._subscriptions.get(topic_key)) is not None:
            return list(remembered.values())
        async with self._changing:
            return list((await self._of(topic_key)).values())

    async def subscription(self, key: str) -> Subscription | None:
        """Return a subscription, or None."""
        topic_key, _, identifier = key.rpartition("/")
        async with self._changing:
            return (await self._of(topic_key)).get(identifier)

    async def subscribe(self, subscription: Subscription) -> Subscription:
        """Keep a new subscription durably, and return it, or the one that its endpoint has already."""
        async with self._changing:
            known = await self._of(_topic_key(subscription))
            for other in known.values():
                if (other.protocol, other.endpoint) == (
                    subscription.protocol,
                    subscription.endpoint,
                ) and other.state != "deleted":
                    return other
            await self._keep(subscription)
        return subscription

    async def put_subscription(self, subscription: Subscription) -> bool:
        """Keep a subscription that there is; False when it is gone meanwhile."""
        async with self._changing:
            if subscription.id not in await self._of(_topic_key(subscription)):
                return False
            await self._keep(subscription)
        return True

    async def end_subscription(self, subscription: Subscription, *, as_deleted: Subscription | None) -> None:
        """Count a subscription as deleted, and forget it, unless it is to be kept so.

        Args:
            subscription: which.
            as_deleted: what is kept of it; None: nothing.
        """
        async with self._changing:
            known = await self._of(_topic_key(subscription))
            topic = await self.get_with_revision(_topic_key(subscription))
            if subscription.id not in known:
                return
            changes: list[Put | Delete] = [Delete(kind=SUBSCRIPTION_KIND, key=subscription.key)]
            if as_deleted is not None:
                changes = [_put_subscription(as_deleted)]
            if topic is not None:
                counted = replace(topic[1], deleted_subscriptions=topic[1].deleted_subscriptions + 1)
                changes.append(_put_topic(counted, topic[0]))
            self._forget(_topic_key(subscription))
            await self._documents.apply(*changes)

    async def page(self, *, after: str, limit: int) -> Sequence[Subscription]:
        """Return subscriptions of whichever topic in the order of their keys."""
        documents = await self._documents.list(SUBSCRIPTION_KIND, after=after, limit=limit)
        return [msgspec.json.decode(document.body, type=Subscription) for document in documents]

    async def forget_old(self, *, before_s: float) -> list[Subscription]:
        """Forget what could be confirmed until before this time and was not, and return it."""
        old: list[Subscription] = []
        after = ""
        while page := await self.page(after=after, limit=_PAGE):
            old += [one for one in page if one.state != "confirmed" and one.token_s < before_s]
            after = page[-1].key
        async with self._changing:
            for one in old:
                self._forget(_topic_key(one))
                await self._documents.apply(Delete(kind=SUBSCRIPTION_KIND, key=one.key))
        return old

    async def _of(self, topic_key: str) -> dict[str, Subscription]:
        """Return a topic's subscriptions by id; whoever asks holds the lock."""
        if (remembered := self._subscriptions.get(topic_key)) is not None:
            return remembered
        found: dict[str, Subscription] = {}
        after = ""
        while documents := await self._documents.list(
            SUBSCRIPTION_KIND, prefix=f"{topic_key}/", after=after, limit=_PAGE
        ):
            for document in documents:
                one = msgspec.json.decode(document.body, type=Subscription)
                found[one.id] = one
            after = documents[-1].key
        if len(self._subscriptions) >= _REMEMBERED_MAX:
            self._subscriptions.clear()
        self._subscriptions[topic_key] = found
        return found

    async def _keep(self, subscription: Subscription) -> None:
        await self._documents.apply(_put_subscription(subscription))
        known = await self._of(_topic_key(subscription))
        known[subscription.id] = subscription

    def _remember(self, revision: int, topic: Topic) -> tuple[int, Topic]:
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[topic.key] = revision, topic
        return revision, topic

    def _forget(self, topic_key: str) -> None:
        self._remembered.pop(topic_key, None)
        self._subscriptions.pop(topic_key, None)


def _put_topic(topic: Topic, expect_revision: int) -> Put:
    return Put(kind=KIND, key=topic.key, body=msgspec.json.encode(topic), expect_revision=expect_revision)


def _put_subscription(subscription: Subscription) -> Put:
    return Put(kind=SUBSCRIPTION_KIND, key=subscription.key, body=msgspec.json.encode(subscription))


def _topic_key(subscription: Subscription) -> str:
    return subscription.key.rpartition("/")[0]
