"""Pollers over the real queue engine in memory: what reaches the function, and what is left in the queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from lambent.domain.function_facts import FunctionFact, RecordsCounted
from lambent.domain.invocation import Invocation, Outcome
from lambent.domain.mapping import EventSourceMapping
from lambent.domain.message_queue import MessageQueue
from lambent.domain.queue_message import Envelope, MessageAttribute
from lambent.domain.queued_event import QueuedEvent
from lambent.errors import TooManyRequestsException
from lambent.invoke.queue import Attempt
from lambent.sources.poller import Pollers
from lambent.sources.sqs import NO_QUEUE, SqsSource
from lambent.store.message_queues import MessageQueues, new_message
from lambent.store.queues import Queues
from lambent.testing import ManualClock, MemoryMessages, MemoryStore
from samples import KEY, VERSION, report

QUEUE = MessageQueue(
    account=KEY.account,
    region=KEY.region,
    name="q",
    attributes={"DelaySeconds": "0", "VisibilityTimeout": "30", "MessageRetentionPeriod": "345600"},
    created_s=0,
    modified_s=0,
)
MAPPING = EventSourceMapping(
    account=KEY.account,
    region=KEY.region,
    uuid="u-1",
    source="sqs",
    function_arn=KEY.qualified_arn("live"),
    event_source_arn=QUEUE.arn,
    settings={"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "FunctionResponseTypes": []},
    state="Enabled",
    settles_in="Enabled",
    last_modified_s=0,
)


class World:
    def __init__(self, queue: MessageQueue = QUEUE) -> None:
        self.queue = queue
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.queues = Queues(MemoryMessages(), self.clock, waiting=self.clock)
        self.message_queues = MessageQueues(self.store)
        self.batches: list[list[dict[str, Any]]] = []
        self.invocations: list[Invocation] = []
        self.answer: Callable[[Invocation], Any] = lambda invocation: None
        self.facts: list[FunctionFact] = []
        self.is_failing = False
        self.is_recursive = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0
        self.at_once_max = 0
        self.pollers = Pollers(
            openers={
                "sqs": lambda mapping: SqsSource(
                    mapping.event_source_arn or "", message_queues=self.message_queues, queues=self.queues
                )
            },
            invoke=self.invoke,
            clock=self.clock,
            most_at_once=16,
            emit=self.facts.append,
        )

    async def prepare(self, event: QueuedEvent, payload: bytes) -> Attempt | None:
        invocation = Invocation(
            request_id=event.request_id, version=VERSION, invoked_arn=event.invoked_arn, payload=payload
        )
        return Attempt(
            invocation=invocation,
            config=None,
            dead_letter_arn=None,
            reserved_concurrency=None,
            provisioned_concurrency=0,
            unreserved_concurrency=None,
            is_recursive=self.is_recursive,
        )

    async def invoke(self, invocation: Invocation, **_: int | None) -> Outcome:
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        self.invocations.append(invocation)
        self.batches.append(json.loads(invocation.payload)["Records"])
        try:
            await self.gate.wait()
            answer = json.dumps(self.answer(invocation)).encode()
        finally:
            self.at_once -= 1
        error = "Unhandled" if self.is_failing else None
        return Outcome(payload=answer, report=report(invocation), function_error=error)

    async def send(self, *bodies: str, group: str | None = None, **envelope: Any) -> None:
        full = Envelope(sender_id="s", group_id=group, **envelope)
        messages = [new_message(self.queue, body.encode(), full, delay_ms=None) for body in bodies]
        await self.queues.send(self.queue.messages, messages)
        await settle()

    async def start(self, **settings: Any) -> None:
        await self.message_queues.put(self.queue, expect_revision=0)
        mapping = replace(with_settings(**settings), event_source_arn=self.queue.arn)
        self.pollers.start([mapping], self.prepare)
        await settle()

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    async def left(self) -> int:
        return (await self.queues.counts(self.queue.messages)).total

    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in batch] for batch in self.batches]


def with_settings(**settings: Any) -> EventSourceMapping:
    return replace(MAPPING, settings={**MAPPING.settings, **settings})


async def settle() -> None:
    for _ in range(80):
        await asyncio.sleep(0)


def told(story: Callable[[World], Awaitable[None]], queue: MessageQueue = QUEUE) -> None:
    async def tell() -> None:
        world = World(queue)
        try:
            await story(world)
        finally:
            world.gate.set()
            await world.pollers.close()
            world.store.close()

    asyncio.run(tell())


def test_what_becomes_of_records_is_counted() -> None:
    async def story(world: World) -> None:
        await world.start(
            FilterCriteria={"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]},
            FunctionResponseTypes=["ReportBatchItemFailures"],
        )
        world.answer = lambda invocation: {
            "batchItemFailures": [
                {"itemIdentifier": json.loads(invocation.payload)["Records"][0]["messageId"]}
            ]
        }
        await world.send('{"a": 1}', '{"a": 2}', '{"a": 1}')
        counted = {fact.metric: fact.count for fact in world.facts if isinstance(fact, RecordsCounted)}
        assert counted == {
            "PolledEventCount": 3,
            "FilteredOutEventCount": 1,
            "InvokedEventCount": 2,
            "FailedInvokeEventCount": 1,
            "DeletedEventCount": 1,
        }
        assert {fact.function for fact in world.facts} == {KEY}

    told(story)


def test_messages_reach_the_function_in_awss_shape_and_are_deleted() -> None:
    async def story(world: World) -> None:
        await world.start()
        attributes = {
            "t": MessageAttribute(data_type="String", text="v"),
            "b": MessageAttribute(data_type="Binary", binary=b"\0"),
        }
        await world.send("hello", attributes=attributes, trace_header="Root=1")
        ((record,),) = world.batches
        assert (
            record.pop("messageId") and record.pop("receiptHandle") and record.pop("md5OfMessageAttributes")
        )
        now = str(world.queues.now_ms)
        assert record == {
            "body": "hello",
            "attributes": {
                "ApproximateReceiveCount": "1",
                "AWSTraceHeader": "Root=1",
                "SentTimestamp": now,
                "SenderId": "s",
                "ApproximateFirstReceiveTimestamp": now,
            },
            "messageAttributes": {
                "t": {
                    "stringValue": "v",
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": "String",
                },
                "b": {
                    "binaryValue": "AA==",
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": "Binary",
                },
            },
            "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE.arn,
            "awsRegion": "us-east-1",
        }
        assert world.invocations[0].invoked_arn == MAPPING.function_arn
        assert await world.left() == 0

    told(story)


def test_a_failed_batch_comes_back_when_it_is_visible_again() -> None:
    async def story(world: World) -> None:
        world.is_failing = True
        await world.start()
        await world.send("a")
        await world.pass_time(29)
        assert world.bodies() == [["a"]]
        world.is_failing = False
        await world.pass_time(2)
        assert world.bodies() == [["a"], ["a"]]
        assert world.batches[1][0]["attributes"]["ApproximateReceiveCount"] == "2"
        assert await world.left() == 0

    told(story)


def test_only_reported_failures_come_back() -> None:
    async def story(world: World) -> None:
        await world.message_queues.put(world.queue, expect_revision=0)
        await world.send("good", "bad")

        def report_bad(invocation: Invocation) -> Any:
            records = json.loads(invocation.payload)["Records"]
            bad = [record["messageId"] for record in records if record["body"] == "bad"]
            return {"batchItemFailures": [{"itemIdentifier": its} for its in bad]}

        world.answer = report_bad
        reporting = with_settings(FunctionResponseTypes=["ReportBatchItemFailures"])
        world.pollers.start([reporting], world.prepare)
        await settle()
        await world.pass_time(31)
        assert world.bodies() == [["good", "bad"], ["bad"]]
        assert await world.left() == 1

    told(story)


def test_what_no_filter_wants_is_deleted_and_costs_no_invocation() -> None:
    async def story(world: World) -> None:
        pattern = json.dumps({"body": {"kind": ["order"]}})
        await world.start(FilterCriteria={"Filters": [{"Pattern": pattern}]})
        await world.send('{"kind": "other"}', "plain text")
        assert (world.batches, await world.left()) == ([], 0)
        await world.send('{"kind": "order"}')
        assert world.bodies() == [['{"kind": "order"}']]

    told(story)


def test_a_window_gathers_records_until_it_closes_or_the_batch_is_full() -> None:
    async def story(world: World) -> None:
        await world.start(MaximumBatchingWindowInSeconds=1, BatchSize=12)
        await world.send("1", "2")
        await world.send("3")
        assert world.batches == []
        await world.send(*(str(number) for number in range(4, 13)))
        assert [len(batch) for batch in world.batches] == [12]

    told(story)


def test_no_more_batches_run_at_once_than_the_mapping_allows() -> None:
    async def story(world: World) -> None:
        world.gate.clear()
        await world.start(BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
        await world.send(*"abcdef")
        assert world.at_once == 2
        world.gate.set()
        for _ in range(5):
            await settle()
        assert (len(world.batches), world.at_once_max) == (6, 2)

    told(story)


def test_of_a_fifo_group_one_batch_runs_at_a_time() -> None:
    async def story(world: World) -> None:
        world.gate.clear()
        await world.start(BatchSize=1)
        await world.send("a1", "a2", group="a")
        await world.send("b1", group="b")
        assert sorted(world.bodies()) == [["a1"], ["b1"]]
        world.gate.set()
        for _ in range(5):
            await settle()
        assert world.bodies()[2:] == [["a2"]]

    told(story, replace(QUEUE, name="q.fifo"))


def test_a_throttled_batch_comes_back_and_the_poller_asks_less_often(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(world: World) -> None:
        def refuse(invocation: Invocation) -> Any:
            raise TooManyRequestsException("Rate Exceeded.")

        world.answer = refuse
        await world.start()
        await world.send("a")
        assert await world.left() == 1
        assert "Rate Exceeded." in caplog.text

    told(story)


def test_a_recursive_batch_is_not_run_and_stays_for_the_queues_own_redrive() -> None:
    async def story(world: World) -> None:
        world.is_recursive = True
        await world.start()
        await world.send("a")
        assert (world.invocations, await world.left()) == ([], 1)

    told(story)


def test_a_disabled_or_deleted_mapping_takes_nothing_and_an_enabled_one_goes_on() -> None:
    async def story(world: World) -> None:
        await world.start()
        world.pollers.changed(replace(MAPPING, state="Disabled"))
        await settle()
        await world.send("a")
        assert world.batches == []
        world.pollers.changed(MAPPING)
        await settle()
        assert world.bodies() == [["a"]]
        world.pollers.changed(replace(MAPPING, state="Deleted"))
        await settle()
        await world.send("b")
        assert world.bodies() == [["a"]]

    told(story)


def test_a_mapping_of_a_queue_that_is_not_there_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        world.pollers.start([MAPPING, replace(MAPPING, uuid="u-2", source="kinesis")], world.prepare)
        await settle()
        assert caplog.text.count(f"{MAPPING.arn} cannot be polled: {NO_QUEUE}") == 1
        assert world.pollers.problem_of("u-1") == NO_QUEUE
        assert world.pollers.problem_of("u-2") is None

    told(story)


def test_a_source_that_does_not_wait_is_not_asked_over_and_over() -> None:
    class Hasty:
        asked = 0

        async def take(self, *, limit: int, wait_s: float) -> list[Any]:
            self.asked += 1
            await asyncio.sleep(0)
            return []

    async def story(world: World) -> None:
        hasty: Any = Hasty()
        pollers = Pollers(
            openers={"sqs": lambda _: hasty}, invoke=world.invoke, clock=world.clock, most_at_once=16
        )
        pollers.start([MAPPING], world.prepare)
        await settle()
        assert hasty.asked == 1
        await pollers.close()

    told(story)
