"""Topics and subscriptions as documents: what is remembered is what is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from lambent.domain.subscription import Subscription
from lambent.domain.topic import Topic
from lambent.store.topics import Topics
from lambent.testing import MemoryStore

TOPIC = Topic(account="000000000000", region="us-east-1", name="t")


def subscription(endpoint: str, number: int = 0, *, topic: Topic = TOPIC) -> Subscription:
    return Subscription(
        topic_arn=topic.arn,
        id=f"{endpoint}-{number}",
        protocol="http",
        endpoint=endpoint,
        owner="000000000000",
        principal="p",
    )


def told(story: Callable[[Topics, Topics], Awaitable[None]]) -> None:
    async def tell() -> None:
        with contextlib.closing(MemoryStore()) as store:
            topics = Topics(store)
            await topics.put(TOPIC, expect_revision=0)
            await story(topics, Topics(store))

    asyncio.run(tell())


def test_of_two_who_subscribe_an_endpoint_at_once_both_get_the_same_subscription() -> None:
    async def story(topics: Topics, _: Topics) -> None:
        first, second = await asyncio.gather(
            topics.subscribe(subscription("a", 1)), topics.subscribe(subscription("a", 2))
        )
        assert first == second
        assert await topics.subscriptions(TOPIC.key) == [first]

    told(story)


def test_another_server_finds_what_this_one_kept() -> None:
    async def story(topics: Topics, fresh: Topics) -> None:
        for endpoint in ("a", "b"):
            await topics.subscribe(subscription(endpoint))
        await topics.put_subscription(replace(subscription("a"), state="pending"))
        found = {one.endpoint: one.state for one in await fresh.subscriptions(TOPIC.key)}
        assert found == {"a": "pending", "b": "confirmed"}
        assert await fresh.find(TOPIC.arn) == TOPIC

    told(story)


def test_a_subscription_that_ends_is_counted_and_its_endpoint_can_come_again() -> None:
    async def story(topics: Topics, fresh: Topics) -> None:
        kept = await topics.subscribe(subscription("a", 1))
        await topics.end_subscription(kept, as_deleted=replace(kept, state="deleted", token_s=5.0))
        again = await topics.subscribe(subscription("a", 2))
        assert again.id == "a-2"
        assert not await topics.put_subscription(subscription("a", 3))
        topic = await fresh.find(TOPIC.arn)
        assert topic is not None
        assert topic.deleted_subscriptions == 1
        assert [one.id for one in await topics.forget_old(before_s=6.0)] == ["a-1"]
        assert [one.id for one in await topics.subscriptions(TOPIC.key)] == ["a-2"]

    told(story)


def test_a_topic_takes_its_subscriptions_with_it() -> None:
    async def story(topics: Topics, fresh: Topics) -> None:
        other = replace(TOPIC, name="t2")
        await topics.put(other, expect_revision=0)
        await topics.subscribe(subscription("a"))
        await topics.subscribe(subscription("b", topic=other))
        assert [one.endpoint for one in await topics.delete(TOPIC)] == ["a"]
        assert await topics.find(TOPIC.arn) is None
        assert [one.endpoint for one in await fresh.page(after="", limit=10)] == ["b"]

    told(story)
