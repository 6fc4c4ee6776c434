"""Parcels: delivered by the table, retried, reported, and never in each other's way."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from lambent.delivery import Delivery, Undeliverable
from lambent.delivery.functions import FunctionTarget
from lambent.delivery.message_queues import QueueTarget
from lambent.delivery.outbox import Outbox
from lambent.domain.function import Function, FunctionKey
from lambent.domain.function_facts import DeliveryFailed, FunctionFact
from lambent.domain.message_queue import MessageQueue
from lambent.domain.parcel import Parcel, Sender
from lambent.domain.queue_message import Envelope
from lambent.domain.queued_event import QueuedEvent
from lambent.domain.resource_policy import ResourcePolicy
from lambent.store.functions import Functions
from lambent.store.message_queues import MessageQueues, take_of
from lambent.store.queues import Queues
from lambent.testing import ManualClock, MemoryMessages, MemoryStore
from samples import KEY, VERSION

QUEUE = "arn:aws:sqs:us-east-1:000000000000:results"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:after"
DEFAULTS = {
    "DelaySeconds": "0",
    "VisibilityTimeout": "30",
    "MessageRetentionPeriod": "345600",
    "MaximumMessageSize": "1048576",
}


class Fickle:
    """A target that fails as often as it is told to."""

    def __init__(self) -> None:
        self.delivered: list[bytes] = []
        self.failures: dict[bytes, int] = {}

    async def deliver(self, parcel: Parcel) -> None:
        if self.failures.get(parcel.body, 0) > 0:
            self.failures[parcel.body] -= 1
            raise Undeliverable("nobody opens")
        self.delivered.append(parcel.body)


class Silent:
    """A target that never answers."""

    async def deliver(self, parcel: Parcel) -> None:
        await asyncio.Event().wait()


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queues = Queues(MemoryMessages(), self.clock, waiting=self.clock)
        self.target = Fickle()
        self.facts: list[FunctionFact] = []
        self.outbox = self.new_outbox()

    def new_outbox(self) -> Outbox:
        delivery = Delivery({"sqs": self.target, "s3": Silent()})
        return Outbox(queues=self.queues, delivery=delivery, emit=self.facts.append)

    async def send(self, *bodies: bytes, arn: str = QUEUE) -> None:
        await self.outbox.send([Parcel(arn=arn, body=body, about="the outcome of r-1") for body in bodies])
        await settle()

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()


async def settle() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


def told(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        world = World()
        await world.outbox.start()
        await story(world)
        await world.outbox.close()

    asyncio.run(tell())


def test_parcels_are_delivered_as_they_come() -> None:
    async def story(world: World) -> None:
        await world.send(b"1", b"2")
        assert sorted(world.target.delivered) == [b"1", b"2"]
        assert (await world.queues.counts("parcels")).total == 0

    told(story)


def test_a_failing_delivery_is_retried_and_holds_up_no_other() -> None:
    async def story(world: World) -> None:
        world.target.failures[b"late"] = 2
        await world.send(b"late", *(str(number).encode() for number in range(20)))
        assert len(world.target.delivered) == 20
        await world.pass_time(1.1)
        await world.pass_time(2.1)
        assert world.target.delivered[-1] == b"late"

    told(story)


def test_a_bucket_that_does_not_answer_holds_up_nobody_else() -> None:
    async def story(world: World) -> None:
        await world.send(*(b"%d" % number for number in range(20)), arn="arn:aws:s3:::slow")
        await world.send(b"quick")
        assert world.target.delivered == [b"quick"]

    told(story)


def test_what_is_never_delivered_is_reported_and_given_up(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        world.target.failures[b"x"] = 1000
        await world.send(b"x")
        for seconds in (1.1, 2.1, 4.1, 8.1):
            assert caplog.text == ""
            await world.pass_time(seconds)
        assert (await world.queues.counts("parcels")).total == 0

    told(story)
    assert "Given up delivering the outcome of r-1 to arn:aws:sqs" in caplog.text
    assert "nobody opens" in caplog.text


@pytest.mark.parametrize("is_dead_letter", [True, False])
def test_what_is_given_up_is_a_fact_about_the_function_of_the_event(is_dead_letter: bool) -> None:
    async def story(world: World) -> None:
        nowhere = "arn:aws:events:us-east-1:000000000000:event-bus/default"
        for function in (KEY, None):
            parcel = Parcel(
                arn=nowhere, body=b"x", about="", function=function, is_dead_letter=is_dead_letter
            )
            await world.outbox.send([parcel])
            await settle()
        assert world.facts == [DeliveryFailed(function=KEY, is_dead_letter=is_dead_letter)]

    told(story)


def test_what_cannot_be_delivered_to_is_reported_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        await world.send(b"x", arn="arn:aws:events:us-east-1:000000000000:event-bus/default")
        assert "nothing is delivered to events yet" in caplog.text

    told(story)


def test_the_next_server_delivers_what_is_left() -> None:
    async def story(world: World) -> None:
        await world.outbox.close()
        await world.send(b"1")
        assert world.target.delivered == []
        world.outbox = world.new_outbox()
        await world.outbox.start()
        await settle()
        assert world.target.delivered == [b"1"]

    told(story)


def refusal_of(deliver: Awaitable[None]) -> tuple[str, bool]:
    with pytest.raises(Undeliverable) as caught:
        asyncio.run(deliver)  # type: ignore[arg-type]
    return str(caught.value), caught.value.is_final


def test_a_parcel_becomes_a_message_with_its_attributes_and_trace() -> None:
    store, clock = MemoryStore(), ManualClock()
    queues, message_queues = Queues(MemoryMessages(), clock), MessageQueues(store)
    target = QueueTarget(message_queues=message_queues, queues=queues)
    queue = MessageQueue(
        account="000000000000",
        region="us-east-1",
        name="results",
        attributes=DEFAULTS,
        created_s=0,
        modified_s=0,
    )
    parcel = Parcel(
        arn=QUEUE, body=b"{}", attributes=(("RequestID", "String", "r"),), trace_header="Root=1", about=""
    )
    assert refusal_of(target.deliver(parcel)) == ("there is no such queue", False)

    async def deliver() -> None:
        await message_queues.put(queue, expect_revision=0)
        await target.deliver(parcel)
        (message,) = await queues.receive(queue.messages, take_of(queue, limit=1))
        envelope = Envelope.decode(message.attributes)
        assert (message.body, envelope.trace_header) == (b"{}", "Root=1")
        assert envelope.attributes["RequestID"].text == "r"

    asyncio.run(deliver())
    big = Parcel(arn=QUEUE, body=b"x" * 1_048_577, about="")
    assert refusal_of(target.deliver(big)) == ("1048577 bytes are too large for the queue", True)
    store.close()


def test_a_parcel_for_a_function_that_does_not_exist_is_undeliverable() -> None:
    store = MemoryStore()

    async def accept(event: QueuedEvent, payload: bytes) -> None:
        raise AssertionError

    target = FunctionTarget(functions=Functions(store), accept=accept, clock=ManualClock())
    parcel = Parcel(arn=FUNCTION, body=b"{}", about="")
    assert refusal_of(target.deliver(parcel)) == ("there is no such function", False)
    layer = Parcel(arn=FUNCTION.replace("function:", "layer:"), body=b"{}", about="")
    assert refusal_of(target.deliver(layer)) == ("it is no function's ARN", True)
    store.close()


SENDER = Sender(
    service="sns.amazonaws.com", source_arn="arn:aws:sns:us-east-1:1:t", source_account="000000000000"
)


def policy(effect: str, action: str, resource: str) -> str:
    statement = {
        "Effect": effect,
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnEquals": {"aws:SourceArn": SENDER.source_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("effect", "is_strict", "is_let_in"),
    [(None, False, True), (None, True, False), ("Allow", True, True), ("Deny", False, False)],
)
def test_a_queue_s_policy_lets_services_in_or_keeps_them_out(
    effect: str | None, is_strict: bool, is_let_in: bool
) -> None:
    attributes = DEFAULTS | ({"Policy": policy(effect, "sqs:SendMessage", QUEUE)} if effect else {})

    async def deliver() -> None:
        with contextlib.closing(MemoryStore()) as store:
            message_queues = MessageQueues(store)
            queue = MessageQueue(
                account="000000000000",
                region="us-east-1",
                name="results",
                attributes=attributes,
                created_s=0,
                modified_s=0,
            )
            await message_queues.put(queue, expect_revision=0)
            queues = Queues(MemoryMessages(), ManualClock())
            target = QueueTarget(message_queues=message_queues, queues=queues, is_strict=is_strict)
            await target.deliver(Parcel(arn=QUEUE, body=b"x", about="", sender=SENDER))

    if is_let_in:
        asyncio.run(deliver())
    else:
        text, is_final = refusal_of(deliver())
        assert "does not allow sqs:SendMessage to sns.amazonaws.com" in text
        assert is_final


@pytest.mark.parametrize("is_open", [True, False])
def test_a_function_s_policy_has_to_let_services_in(is_open: bool) -> None:
    accepted: list[bytes] = []

    async def accept(event: QueuedEvent, payload: bytes) -> None:
        accepted.append(payload)

    async def deliver() -> None:
        with contextlib.closing(MemoryStore()) as store:
            functions = Functions(store)
            key = FunctionKey(account="000000000000", region="us-east-1", name="after")
            text = policy("Allow", "lambda:InvokeFunction", FUNCTION)
            policies = {"$LATEST": ResourcePolicy(text=text, revision_id="r")} if is_open else {}
            await functions.put(Function(key=key, latest=replace(VERSION, key=key), policies=policies))
            target = FunctionTarget(functions=functions, accept=accept, clock=ManualClock())
            await target.deliver(Parcel(arn=FUNCTION, body=b"{}", about="", sender=SENDER))

    if is_open:
        asyncio.run(deliver())
        assert accepted == [b"{}"]
    else:
        text, is_final = refusal_of(deliver())
        assert "does not allow lambda:InvokeFunction to sns.amazonaws.com" in text
        assert is_final
