"""Notifications: every subscriber gets what is meant for it, in order if need be, and nobody waits for another."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lambent.delivery import Delivery, Undeliverable
from lambent.delivery.notifications import Notifications
from lambent.delivery.signing import Signing
from lambent.domain.parcel import Parcel
from lambent.domain.publication import Notification, Publication
from lambent.domain.queue_message import MessageAttribute
from lambent.domain.subscription import Subscription
from lambent.domain.topic import Topic
from lambent.store.queues import Queues
from lambent.store.topics import Topics
from lambent.testing import ManualClock, MemoryMessages, MemoryStore
from lambent.wire.outgoing import Answer, NoAnswer

ACCOUNT, REGION = "000000000000", "us-east-1"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
SILENT = "http://silent/"


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    """One key for all: making it takes a while."""
    return Signing(tmp_path_factory.mktemp("key") / "key.pem", lambda: 1_767_323_045.0)


class Queue:
    """A target that fails as it is told to."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.failures: dict[str, Undeliverable] = {}

    async def deliver(self, parcel: Parcel) -> None:
        if parcel.arn in self.failures:
            raise self.failures[parcel.arn]
        self.parcels.append(parcel)


class World:
    def __init__(self, signing: Signing) -> None:
        self.signing = signing
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.topics = Topics(self.store)
        self.queues = Queues(MemoryMessages(), self.clock, waiting=self.clock)
        self.target = Queue()
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.numbers = itertools.count()
        self.dead: list[Parcel] = []
        self.notifications = self.new()

    def new(self) -> Notifications:
        return Notifications(
            queues=self.queues,
            topics=self.topics,
            delivery=Delivery({"sqs": self.target, "lambda": self.target}),
            tell=self.tell,
            send=self.send,
            signing=self.signing,
            clock=self.clock,
            drain_timeout_s=0.0,
        )

    async def tell(self, parcels: Sequence[Parcel]) -> None:
        self.dead += parcels

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: bytes, *, timeout_s: float
    ) -> Answer:
        assert (method, timeout_s) == ("POST", 15.0)
        if url == SILENT:
            await asyncio.Event().wait()
        if url.startswith("http://nobody"):
            raise NoAnswer("no answer: Connection refused")
        self.posted.append((url, headers, body))
        return Answer(status=self.statuses.pop(0) if self.statuses else 200, headers={}, body=b"")

    async def topic(self, name: str = "t", **attributes: str) -> Topic:
        topic = Topic(account=ACCOUNT, region=REGION, name=name, attributes=attributes)
        await self.topics.put(topic, expect_revision=0)
        return topic

    async def subscribe(self, topic: Topic, protocol: str, endpoint: str, **members: Any) -> Subscription:
        subscription = Subscription(
            topic_arn=topic.arn,
            id=f"id-{endpoint.rpartition(':')[2].strip('/')}",
            protocol=protocol,
            endpoint=endpoint,
            owner=ACCOUNT,
            principal="p",
            **members,
        )
        return await self.topics.subscribe(subscription)

    async def publish(self, topic: Topic, *texts: str, **members: Any) -> list[Any]:
        made = [
            Publication(
                message_id=f"{text}-{next(self.numbers)}",
                topic_arn=topic.arn,
                text=text,
                published_ms=int(self.clock.now_s() * 1000),
                endpoint_url="http://h",
                **members,
            )
            for text in texts
        ]
        sent = await self.notifications.publish(topic, made)
        await settle()
        return sent

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    def texts(self, arn: str) -> list[str]:
        return [json.loads(parcel.body)["Message"] for parcel in self.target.parcels if parcel.arn == arn]

    def posts(self, url: str) -> list[str]:
        return [json.loads(body)["Message"] for posted, _, body in self.posted if posted == url]


async def settle() -> None:
    # The key is read in a thread the first time.
    await asyncio.sleep(0.001)
    for _ in range(300):
        await asyncio.sleep(0)


@pytest.fixture
def told(signing: Signing) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    def run(story: Callable[[World], Awaitable[None]]) -> None:
        async def tell() -> None:
            world = World(signing)
            await world.signing.sign("", version="1", endpoint_url="")
            await world.notifications.start()
            try:
                await story(world)
            finally:
                await world.notifications.close()
                world.store.close()

        signing.__init__(signing._file, signing._now_s)  # a lock belongs to one event loop
        asyncio.run(tell())

    return run


Told = Callable[[Callable[[World], Awaitable[None]]], None]


def test_everybody_who_is_confirmed_and_meant_gets_a_copy(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        await world.subscribe(topic, "sqs", QUEUE + "all")
        await world.subscribe(topic, "sqs", QUEUE + "pending", state="pending")
        await world.subscribe(topic, "sqs", QUEUE + "picky", attributes={"FilterPolicy": '{"kind": ["big"]}'})
        big = {"kind": MessageAttribute(data_type="String", text="big")}
        await world.publish(topic, "small")
        await world.publish(topic, "large", attributes=big)
        assert world.texts(QUEUE + "all") == ["small", "large"]
        assert world.texts(QUEUE + "picky") == ["large"]
        assert world.texts(QUEUE + "pending") == []
        assert (await world.queues.counts(topic.publications)).total == 0

    told(story)


def test_what_was_published_before_a_subscription_is_none_of_its_business(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        await world.notifications.close()
        await world.publish(topic, "before")
        await world.pass_time(1)
        now_ms = int(world.clock.now_s() * 1000)
        await world.subscribe(topic, "sqs", QUEUE + "late", confirmed_ms=now_ms)
        await world.publish(topic, "after")
        world.notifications = world.new()
        await world.notifications.start()
        await settle()
        assert world.texts(QUEUE + "late") == ["after"]

    told(story)


def test_raw_messages_are_sent_as_they_are_with_their_attributes(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        attributes = {
            "a": MessageAttribute(data_type="String", text="x"),
            "b": MessageAttribute(data_type="Binary", binary=b"\xff"),
        }
        raw = {"attributes": {"RawMessageDelivery": "true"}}
        await world.subscribe(topic, "sqs", QUEUE + "q", **raw)
        await world.subscribe(topic, "http", "http://a/", **raw)
        await world.publish(topic, "plain", attributes=attributes, trace_header="Root=1")
        (parcel,) = world.target.parcels
        assert (parcel.body, parcel.trace_header) == (b"plain", "Root=1")
        assert parcel.attributes == (("a", "String", "x"), ("b", "Binary", "/w=="))
        assert parcel.sender is not None
        assert (parcel.sender.service, parcel.sender.source_arn) == ("sns.amazonaws.com", topic.arn)
        ((_, headers, body),) = world.posted
        assert (body, headers["x-amz-sns-rawdelivery"]) == (b"plain", "true")

    told(story)


def test_a_subscriber_that_never_answers_is_nobody_else_s_problem(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        await world.subscribe(topic, "http", SILENT)
        await world.subscribe(topic, "http", "http://b/")
        await world.publish(topic, *(str(number) for number in range(30)))
        assert sorted(world.posts("http://b/"), key=int) == [str(number) for number in range(30)]

    told(story)


def test_an_address_is_tried_again_as_its_policy_says_and_then_given_up(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    policy = {
        "healthyRetryPolicy": {
            "numRetries": 3,
            "numNoDelayRetries": 1,
            "minDelayTarget": 5,
            "maxDelayTarget": 10,
        }
    }

    async def story(world: World) -> None:
        topic = await world.topic()
        attributes = {
            "DeliveryPolicy": json.dumps(policy),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE + "dead"}),
        }
        await world.subscribe(topic, "http", "http://b/", attributes=attributes)
        world.statuses = [500, 503, 429, 502]
        await world.publish(topic, "x")
        # At once, and once more without delay.
        assert len(world.posted) == 2
        for seconds, posted in ((4.0, 2), (1.1, 3), (9.0, 3), (1.1, 4)):
            assert world.dead == []
            await world.pass_time(seconds)
            assert len(world.posted) == posted
        (letter,) = world.dead
        assert (letter.arn, letter.body) == (QUEUE + "dead", world.posted[0][2])

    told(story)
    assert "status 502" in caplog.text
    assert f"kept in {QUEUE}dead" in caplog.text


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_what_an_address_refuses_is_not_offered_again(
    told: Told, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        await world.subscribe(topic, "http", "http://b/")
        world.statuses = [status]
        await world.publish(topic, "x")
        await world.pass_time(4000)
        assert len(world.posted) == 1

    told(story)
    assert f"status {status}" in caplog.text


def test_a_queue_that_is_gone_or_closed_makes_a_dead_letter_at_once(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        redrive = {"attributes": {"RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE + "dead"})}}
        for name in ("gone", "closed"):
            await world.subscribe(topic, "sqs", QUEUE + name, **redrive)
        world.target.failures[QUEUE + "gone"] = Undeliverable("there is no such queue", is_missing=True)
        world.target.failures[QUEUE + "closed"] = Undeliverable("not allowed", is_final=True)
        await world.publish(topic, "x")
        assert [json.loads(letter.body)["Message"] for letter in world.dead] == ["x", "x"]

    told(story)
    assert "there is no such queue" in caplog.text


def test_a_queue_in_trouble_is_tried_until_it_is_not(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        await world.subscribe(topic, "sqs", QUEUE + "q")
        world.target.failures[QUEUE + "q"] = Undeliverable("the disk is full")
        await world.publish(topic, "x")
        del world.target.failures[QUEUE + "q"]
        await world.pass_time(1.1)
        assert world.texts(QUEUE + "q") == ["x"]

    told(story)


def test_messages_of_a_group_keep_their_order_though_one_has_to_wait(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic("t.fifo")
        await world.subscribe(topic, "sqs", QUEUE + "q.fifo")
        await world.subscribe(topic, "sqs", QUEUE + "other.fifo")
        world.target.failures[QUEUE + "q.fifo"] = Undeliverable("the disk is full")
        sent = []
        for number in range(4):
            sent += await world.publish(
                topic, str(number), group_id="a" if number < 3 else "b", deduplication_id=str(number)
            )
        del world.target.failures[QUEUE + "q.fifo"]
        assert world.texts(QUEUE + "other.fifo") == ["0", "1", "2", "3"]
        for _ in range(4):
            await world.pass_time(1.1)
        delivered = world.texts(QUEUE + "q.fifo")
        assert [text for text in delivered if text != "3"] == ["0", "1", "2"]
        assert "3" in delivered
        parcel = next(parcel for parcel in world.target.parcels if parcel.arn.endswith("q.fifo"))
        assert (parcel.group_id, parcel.deduplication_id) == ("a", "0")
        numbers = [json.loads(parcel.body)["SequenceNumber"] for parcel in world.target.parcels]
        assert all(len(number) == 20 for number in numbers)

    told(story)


@pytest.mark.parametrize(("scope", "expected"), [("Topic", ["x"]), ("MessageGroup", ["x", "x"])])
def test_what_is_published_twice_is_delivered_once_within_its_scope(
    told: Told, scope: str, expected: list[str]
) -> None:
    async def story(world: World) -> None:
        topic = await world.topic("t.fifo", FifoThroughputScope=scope)
        await world.subscribe(topic, "sqs", QUEUE + "q.fifo")
        (first,) = await world.publish(topic, "x", group_id="a", deduplication_id="1")
        (again,) = await world.publish(topic, "x", group_id="a", deduplication_id="1")
        await world.publish(topic, "x", group_id="b", deduplication_id="1")
        assert (again.message_id, again.sequence) == (first.message_id, first.sequence)
        assert world.texts(QUEUE + "q.fifo") == expected

    told(story)


def test_the_next_server_delivers_what_is_left(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        await world.subscribe(topic, "http", SILENT)
        await world.publish(topic, "x")
        await world.notifications.close()
        await world.publish(topic, "y")
        # Where nobody answered somebody does now.
        (subscription,) = await world.topics.subscriptions(topic.key)
        await world.topics.put_subscription(replace(subscription, endpoint="http://b/"))
        world.notifications = world.new()
        await world.notifications.start()
        await settle()
        assert sorted(world.posts("http://b/")) == ["x", "y"]

    told(story)


def test_a_subscription_is_sent_to_no_quicker_than_it_wants(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        policy = json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 2}})
        await world.subscribe(topic, "http", "http://b/", attributes={"DeliveryPolicy": policy})
        await world.publish(topic, *"abcdefgh")
        counts = []
        for _ in range(5):
            counts.append(len(world.posted))
            await world.pass_time(0.5)
        assert counts == [1, 2, 3, 4, 5]

    told(story)


def test_confirmations_go_to_those_whom_they_concern_and_to_nobody_after(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        pending = await world.subscribe(topic, "http", "http://b/", state="pending", token="t")
        publication = Publication(
            message_id="m", topic_arn=topic.arn, text="please", published_ms=0, endpoint_url="http://h"
        )
        invitation = Notification(kind="SubscriptionConfirmation", publication=publication, token="t")
        await world.notifications.notify(pending, invitation)
        await settle()
        ((_, headers, body),) = world.posted
        assert headers["x-amz-sns-message-type"] == json.loads(body)["Type"] == "SubscriptionConfirmation"
        assert "x-amz-sns-subscription-arn" not in headers
        await world.topics.put_subscription(replace(pending, state="confirmed"))
        await world.notifications.notify(pending, invitation)
        await settle()
        assert len(world.posted) == 1

    told(story)


def test_what_is_on_its_way_to_nobody_any_more_is_dropped(told: Told) -> None:
    async def story(world: World) -> None:
        topic = await world.topic()
        subscription = await world.subscribe(topic, "http", "http://b/")
        world.statuses = [500]
        await world.publish(topic, "x")
        await world.topics.end_subscription(subscription, as_deleted=None)
        await world.notifications.forget(None, [subscription])
        await world.pass_time(100)
        assert len(world.posted) == 1
        assert (await world.queues.counts(subscription.notifications)).total == 0
        found = await world.topics.find(topic.arn)
        assert found is not None
        assert found.deleted_subscriptions == 1

    told(story)
