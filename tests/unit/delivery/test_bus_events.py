"""Events of buses: every target of a rule that means them gets them, and nobody waits for another."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from lambent.delivery import Delivery, Undeliverable
from lambent.delivery.bus_events import BusEvents
from lambent.delivery.buses import BusTarget
from lambent.domain.bus_event import BusEvent
from lambent.domain.event_bus import EventBus
from lambent.domain.function import FunctionKey
from lambent.domain.parcel import Parcel, Sender
from lambent.domain.rule import Rule, RuleTarget
from lambent.store.event_buses import EventBuses
from lambent.store.queues import Queues
from lambent.testing import ManualClock, MemoryMessages, MemoryStore

ACCOUNT, OTHER, REGION = "000000000000", "111111111111", "us-east-1"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"
DEAD = f"{QUEUE}dead"


class Target:
    """A target that fails as it is told to."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.failures: dict[str, Exception] = {}

    async def deliver(self, parcel: Parcel) -> None:
        if parcel.arn in self.failures:
            raise self.failures[parcel.arn]
        self.parcels.append(parcel)


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.buses = EventBuses(self.store)
        self.queues = Queues(MemoryMessages(), self.clock, waiting=self.clock)
        self.target = Target()
        self.numbers = itertools.count()
        self.dead: list[Parcel] = []
        self.events = self.new()

    def new(self) -> BusEvents:
        targets: dict[str, Any] = {"sqs": self.target}
        events = BusEvents(
            queues=self.queues,
            buses=self.buses,
            delivery=Delivery(targets),
            tell=self.tell,
            clock=self.clock,
            drain_timeout_s=0.0,
        )
        self.bus_target = targets["events"] = BusTarget(buses=self.buses, events=events, clock=self.clock)
        return events

    async def tell(self, parcels: Sequence[Parcel]) -> None:
        self.dead += parcels

    async def bus(self, name: str, *, account: str = ACCOUNT, policy: str = "") -> EventBus:
        bus = EventBus(account=account, region=REGION, name=name, policy=policy)
        await self.buses.put_new(bus, others_max=99)
        return bus

    async def rule(
        self,
        name: str,
        *targets: dict[str, Any],
        bus: str = "default",
        account: str = ACCOUNT,
        **members: Any,
    ) -> Rule:
        given = {"pattern": '{"source": [{"exists": true}]}', "since_s": self.clock.now_s(), **members}
        rule = Rule(
            account=account,
            region=REGION,
            bus=bus,
            name=name,
            created_by=account,
            targets=tuple(
                RuleTarget(members={"Id": str(number), **target}) for number, target in enumerate(targets)
            ),
            **given,
        )
        await self.buses.change_rule(rule.key, lambda _: rule)
        return rule

    async def put(self, *details: str, bus: str = "default", source: str = "shop", **members: Any) -> None:
        found = await self.buses.get(f"{ACCOUNT}/{REGION}/{bus}")
        assert found is not None
        await self.events.put(
            found,
            [
                BusEvent(
                    id=f"id-{next(self.numbers)}",
                    source=source,
                    detail_type="Order",
                    account=ACCOUNT,
                    region=REGION,
                    time_s=self.clock.now_s(),
                    detail=json.dumps({"is": detail}),
                    received_ms=int(self.clock.now_s() * 1000),
                    **members,
                )
                for detail in details
            ],
        )
        await settle()

    async def pass_time(self, seconds: float) -> None:
        await settle()
        await self.clock.advance(seconds)
        await settle()

    def got(self, name: str) -> list[str]:
        return [
            json.loads(parcel.body)["detail"]["is"]
            for parcel in self.target.parcels
            if parcel.arn == QUEUE + name
        ]

    def letter(self) -> dict[str, str]:
        """The attributes of the only dead letter."""
        (parcel,) = self.dead
        assert parcel.arn == DEAD
        return {name: value for name, _, value in parcel.attributes}


async def settle() -> None:
    for _ in range(300):
        await asyncio.sleep(0)


def told(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        world = World()
        await world.events.start()
        try:
            await story(world)
        finally:
            await world.events.close()
            world.store.close()

    asyncio.run(tell())


def to(name: str, **members: Any) -> dict[str, Any]:
    return {"Arn": QUEUE + name, "DeadLetterConfig": {"Arn": DEAD}, **members}


def test_every_target_of_a_rule_that_means_an_event_gets_it() -> None:
    async def story(world: World) -> None:
        await world.bus("b")
        await world.rule("all", to("one"), to("two"))
        await world.rule("bank", to("bank"), pattern='{"source": ["bank"]}')
        await world.rule("off", to("off"), state="DISABLED")
        await world.rule("scheduled", to("scheduled"), pattern="", schedule="rate(1 minute)")
        await world.rule("elsewhere", to("elsewhere"), bus="b")
        await world.put("x")
        assert world.got("one") == world.got("two") == ["x"]
        assert {parcel.arn.rpartition(":")[2] for parcel in world.target.parcels} == {"one", "two"}
        assert (await world.queues.counts(f"buses/{ACCOUNT}/{REGION}/default")).total == 0

    told(story)


def test_events_before_a_rule_are_none_of_its_business() -> None:
    async def story(world: World) -> None:
        await world.events.close()
        await world.put("before")
        await world.pass_time(1)
        await world.rule("late", to("q"))
        await world.put("after")
        world.events = world.new()
        await world.events.start()
        await settle()
        assert world.got("q") == ["after"]

    told(story)


def test_a_parcel_says_who_sends_it_and_carries_the_trace_without_its_lineage() -> None:
    async def story(world: World) -> None:
        rule = await world.rule("r", to("q", SqsParameters={"MessageGroupId": "g"}), to("role", RoleArn="R"))
        await world.put("x", trace_header="Root=1-a-b;Lineage=12345678:3;Sampled=1")
        plain, as_role = sorted(world.target.parcels, key=lambda parcel: parcel.arn)
        sender = Sender(service="events.amazonaws.com", source_arn=rule.arn, source_account=ACCOUNT)
        assert (plain.sender, plain.group_id) == (sender, "g")
        assert plain.trace_header == "Root=1-a-b;Sampled=1"
        assert as_role.sender == replace(sender, role_arn="R")

    told(story)


def test_what_fails_is_tried_again_until_the_retry_policy_has_it_and_holds_up_no_other() -> None:
    async def story(world: World) -> None:
        world.target.failures[QUEUE + "bad"] = Undeliverable("it is asleep")
        rule = await world.rule("r", to("bad", RetryPolicy={"MaximumRetryAttempts": 2}), to("good"))
        await world.put("x")
        assert world.got("good") == ["x"]
        for delay_s in (1, 2):
            assert world.dead == []
            await world.pass_time(delay_s + 0.01)
        assert world.letter() == {
            "RULE_ARN": rule.arn,
            "TARGET_ARN": QUEUE + "bad",
            "ERROR_CODE": "ERROR_FROM_TARGET",
            "ERROR_MESSAGE": "it is asleep",
            "RETRY_ATTEMPTS": "2",
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
        }
        assert json.loads(world.dead[0].body)["detail"] == {"is": "x"}

    told(story)


def test_an_event_is_given_up_when_it_is_too_old() -> None:
    async def story(world: World) -> None:
        world.target.failures[QUEUE + "bad"] = Undeliverable("it is asleep")
        await world.rule("r", to("bad", RetryPolicy={"MaximumEventAgeInSeconds": 60}))
        await world.put("x")
        for _ in range(6):
            await world.pass_time(10)
        assert world.letter()["EXHAUSTED_RETRY_CONDITION"] == "MaximumEventAgeInSeconds"

    told(story)


def test_a_target_that_wakes_up_gets_what_waited() -> None:
    async def story(world: World) -> None:
        world.target.failures[QUEUE + "q"] = Undeliverable("it is asleep")
        await world.rule("r", to("q"))
        await world.put("x")
        world.target.failures.clear()
        await world.pass_time(2)
        assert world.got("q") == ["x"]
        assert world.dead == []

    told(story)


def test_what_trying_again_cannot_mend_is_given_up_at_once() -> None:
    async def story(world: World) -> None:
        for failure, code in (
            (Undeliverable("no", is_forbidden=True), "NO_PERMISSIONS"),
            (Undeliverable("no", is_missing=True), "NO_RESOURCE"),
            (Undeliverable("no", is_final=True), "SDK_CLIENT_ERROR"),
        ):
            world.dead.clear()
            world.target.failures[QUEUE + "q"] = failure
            await world.rule("r", to("q"))
            await world.put("x")
            assert world.letter()["ERROR_CODE"] == code
            assert world.letter()["RETRY_ATTEMPTS"] == "0"
            assert "EXHAUSTED_RETRY_CONDITION" not in world.letter()

    told(story)


def test_a_template_that_becomes_no_json_and_a_target_of_an_unknown_kind_are_dead_letters() -> None:
    async def story(world: World) -> None:
        transformer = {"InputPathsMap": {"a": "$.detail.gone"}, "InputTemplate": '{"a": <a>}'}
        await world.rule("r", to("q", InputTransformer=transformer))
        await world.put("x")
        assert world.letter()["ERROR_CODE"] == "INVALID_JSON"
        world.dead.clear()
        stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"
        await world.rule("r", to("q", Arn=stream))
        await world.put("x")
        assert world.letter()["TARGET_ARN"] == stream

    told(story)


def test_a_target_that_was_removed_gets_nothing_more() -> None:
    async def story(world: World) -> None:
        world.target.failures[QUEUE + "q"] = Undeliverable("it is asleep")
        rule = await world.rule("r", to("q"))
        await world.put("x")
        world.target.failures.clear()
        await world.buses.change_rule(rule.key, lambda _: replace(rule, targets=()))
        await world.pass_time(2)
        assert world.target.parcels == world.dead == []
        assert (await world.queues.counts(rule.deliveries(rule.targets[0]))).total == 0

    told(story)


def test_a_server_that_comes_after_delivers_what_one_before_it_left() -> None:
    async def story(world: World) -> None:
        await world.rule("r", to("q"))
        await world.events.close()
        await world.put("one", "two")
        assert world.target.parcels == []
        world.events = world.new()
        await world.events.start()
        await settle()
        assert sorted(world.got("q")) == ["one", "two"]

    told(story)


def test_an_event_goes_to_another_bus_as_it_is_and_from_there_to_no_third() -> None:
    async def story(world: World) -> None:
        second, third = await world.bus("second"), await world.bus("third")
        await world.rule("forward", {"Arn": second.arn})
        await world.rule("again", to("x", Arn=third.arn), to("q"), bus="second")
        await world.rule("never", to("third"), bus="third")
        await world.put("x")
        (parcel,) = world.target.parcels
        body = json.loads(parcel.body)
        assert (body["id"], body["source"], body["detail"]) == ("id-0", "shop", {"is": "x"})
        assert world.letter()["ERROR_CODE"] == "THIRD_ACCOUNT_HOP_DETECTED"

    told(story)


def opened(effect: str, principal: Any) -> str:
    statement = {"Effect": effect, "Principal": principal, "Action": "events:PutEvents", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_bus_takes_its_own_account_s_events_and_those_of_others_that_its_policy_lets_in() -> None:
    async def story(world: World) -> None:
        event = BusEvent(
            id="i",
            source="s",
            detail_type="d",
            account=ACCOUNT,
            region=REGION,
            time_s=0,
            detail="",
            received_ms=0,
        )
        sender = Sender(service="events.amazonaws.com", source_arn="arn:x", source_account=ACCOUNT)
        role = f"arn:aws:iam::{ACCOUNT}:role/r"
        ours, theirs = {"account": ACCOUNT}, {"account": OTHER}
        for number, (place, policy, sent_by, is_let_in) in enumerate(
            [
                (ours, "", None, True),
                (ours, "", sender, True),
                (ours, opened("Deny", "*"), sender, False),
                (theirs, "", sender, False),
                (theirs, opened("Allow", {"AWS": ACCOUNT}), sender, True),
                (theirs, opened("Allow", {"AWS": role}), sender, False),
                (theirs, opened("Allow", {"AWS": role}), replace(sender, role_arn=role), True),
                (theirs, "", None, False),
            ]
        ):
            bus = await world.bus(f"b{number}", policy=policy, **place)
            function = FunctionKey(account=ACCOUNT, region=REGION, name="f")
            parcel = Parcel(arn=bus.arn, body=b"{}", about="", event=event, sender=sent_by, function=function)
            try:
                await world.bus_target.deliver(parcel)
            except Undeliverable as error:
                assert error.is_forbidden
                assert not is_let_in, number
            else:
                assert is_let_in, number

    told(story)


def test_what_is_no_event_or_no_bus_or_too_large_is_undeliverable() -> None:
    async def story(world: World) -> None:
        event = BusEvent(
            id="i",
            source="s",
            detail_type="d",
            account=ACCOUNT,
            region=REGION,
            time_s=0,
            detail="",
            received_ms=0,
        )
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/"
        for parcel, text in (
            (Parcel(arn=f"{arn}default", body=b"{}", about=""), "nothing that becomes an event"),
            (Parcel(arn=f"{arn}none", body=b"{}", about="", event=event), "no such event bus"),
            (Parcel(arn=f"{arn}default", body=b"[]", about="", event=event), "JSON object"),
            (
                Parcel(arn=f"{arn}default", body=b'{"a":"%s"}' % (b"x" * 2**20), about="", event=event),
                "too large",
            ),
        ):
            try:
                await world.bus_target.deliver(parcel)
            except Undeliverable as error:
                assert text in str(error)
            else:
                raise AssertionError(text)

    told(story)
