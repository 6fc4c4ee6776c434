"""Every subject is measured alike: in turn, warm or cold as asked, and no more than needed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest

from lambent.cli import measure
from lambent.cli.blueprint import Blueprint
from lambent.cli.client import Connection, Target
from lambent.cli.measure import Measuring, Procedure, Subject
from lambent.cli.temporary import Temporaries
from lambent.cli.terminal import CommandError
from unit.cli.stand_in import Asked, Reply, StandIn

BLUEPRINT = Blueprint(parameters={"Runtime": "python3.12", "Code": {}}, label="f", package_bytes=1)


@dataclass(slots=True)
class Made:
    """Stands for the temporary functions: whoever is renewed is cold."""

    cold: set[str] = field(default_factory=set)
    renewed: list[str] = field(default_factory=list)

    def renew(self, name: str, label: str, number: int) -> None:
        del label, number
        self.renewed.append(name)
        self.cold.add(name)


def answer(
    duration_ms: float = 1.0, *, is_cold: bool = False, body: bytes = b"null", error: str = ""
) -> Reply:
    init = "Init Duration: 9.00 ms\t" if is_cold else ""
    report = (
        f"REPORT RequestId: 1\tDuration: {duration_ms} ms\tBilled Duration: {int(duration_ms) + 1} ms\t"
        f"Memory Size: 128 MB\tMax Memory Used: 30 MB\t{init}\n"
    )
    headers = {"X-Amz-Log-Result": base64.b64encode(report.encode()).decode()}
    if error:
        headers["X-Amz-Function-Error"] = "Unhandled"
        body = json.dumps({"errorType": error, "errorMessage": "no"}).encode()
    return Reply(body=body, headers=headers)


class World:
    """Subjects behind a stand-in for the API, and what they were asked."""

    def __init__(self, aws: StandIn) -> None:
        self.aws = aws
        self.made = Made()
        self.subjects: list[Subject] = []

    def add(self, name: str, reply: Callable[[Asked], Reply], **options: Any) -> Subject:
        def answered(asked: Asked) -> Reply:
            reply_ = reply(asked)
            self.made.cold.discard(name)
            return reply_

        self.aws.on("POST", rf"/2015-03-31/functions/{name}/invocations.*", answered)
        subject = Subject(name=name, blueprint=BLUEPRINT, memory_mb=128, **options)
        self.subjects.append(subject)
        return subject

    def run(self, **procedure: Any) -> Measuring:
        chosen = {"payloads": (b"{}",), "order": (0,) * 5, "warm_ups": 1} | procedure
        connection = Connection(
            Target(
                endpoint=self.aws.endpoint, region="us-east-1", access_key_id="0" * 12, secret_access_key="x"
            )
        )
        measuring = Measuring(connection, cast("Temporaries", self.made), Procedure(**chosen), Random(1))
        measuring.run(self.subjects)
        return measuring

    def order(self) -> list[str]:
        return [asked.path.split("/")[3] for asked in self.aws.asked]


@pytest.fixture
def world(aws: StandIn) -> World:
    return World(aws)


def test_subjects_take_turns_and_warm_ups_do_not_count(world: World) -> None:
    one, other = (world.add(name, lambda _: answer()) for name in ("a", "b"))
    world.run(warm_ups=2)
    assert len(one.samples) == len(other.samples) == 5
    order = world.order()
    assert len(order) == 14
    # Whatever slows the machine for a while slows both: in every round, each comes once.
    assert all(set(order[at : at + 2]) == {"a", "b"} for at in range(0, 14, 2))
    assert one.spent_usd == pytest.approx(7 * one.samples[0].price_usd)


def test_a_cold_start_among_warm_invocations_is_repeated(world: World) -> None:
    count = iter(range(100))
    subject = world.add("a", lambda _: answer(is_cold=next(count) in (0, 3)))
    world.run()
    assert len(subject.samples) == 5
    assert not any(sample.is_cold for sample in subject.samples)
    assert len(world.order()) == 7


def test_cold_starts_are_made_one_by_one(world: World) -> None:
    subject = world.add("a", lambda _: answer(10.0, is_cold="a" in world.made.cold))
    world.run(is_cold=True)
    assert world.made.renewed == ["a"] * 5
    assert [sample.duration_ms for sample in subject.samples] == [19.0] * 5


def test_a_function_that_never_gets_cold_is_no_endless_loop(world: World) -> None:
    world.add("a", lambda _: answer())
    with pytest.raises(CommandError, match="Too many invocations of f at 128 MB were warm"):
        world.run(is_cold=True)


def test_who_fails_three_times_is_given_up(world: World) -> None:
    failing = world.add("a", lambda _: answer(error="Runtime.OutOfMemory"))
    fine = world.add("b", lambda _: answer())
    world.run()
    assert failing.is_given_up
    assert failing.samples == []
    assert world.order().count("a") == 3
    assert len(fine.samples) == 5
    assert failing.spent_usd > 0


def test_where_each_payload_is_of_interest_only_the_failing_one_is_left_out(world: World) -> None:
    subject = world.add("a", lambda asked: answer(error="KeyError" if asked.body == b"0" else ""))
    world.run(payloads=(b"0", b"1"), order=(0,) * 5 + (1,) * 5, warm_ups=0, gives_up=False)
    assert [failure.payload for failure in subject.failures] == [0] * 3
    assert [sample.payload for sample in subject.samples] == [1] * 5


def test_a_throttled_invocation_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.time, "sleep", lambda _: None)
    count = iter(range(100))

    def throttled(_: Asked) -> Reply:
        if next(count) % 2:
            return Reply(status=429, body=b"{}", headers={"x-amzn-ErrorType": "TooManyRequestsException"})
        return answer()

    subject = world.add("a", throttled)
    measuring = world.run()
    assert len(subject.samples) == 5
    assert measuring.throttled == 5


def test_processors_come_before_and_after_and_are_not_measured(world: World) -> None:
    subject = world.add("a", lambda asked: answer(body=b'"of ' + asked.body.strip(b'"') + b'"'))
    subjects = list(world.subjects)
    world.add("before", lambda _: answer(500.0, body=b'"made"'))
    world.add("after", lambda _: answer(500.0))
    world.subjects = subjects
    world.run(warm_ups=0, pre_processor="before", post_processor="after")
    assert world.order()[:3] == ["before", "a", "after"]
    assert [asked.body for asked in world.aws.asked[:3]] == [b"{}", b'"made"', b'"of made"']
    assert [sample.duration_ms for sample in subject.samples] == [1.0] * 5


def test_a_processor_that_answers_nothing_leaves_the_payload(world: World) -> None:
    world.add("a", lambda _: answer())
    subjects = list(world.subjects)
    world.add("before", lambda _: answer(body=b"null"))
    world.subjects = subjects
    world.run(warm_ups=0, order=(0,), pre_processor="before")
    assert [asked.body for asked in world.aws.asked] == [b"{}", b"{}"]


def test_a_processor_that_fails_ends_it(world: World) -> None:
    world.add("a", lambda _: answer())
    subjects = list(world.subjects)
    world.add("before", lambda _: answer(error="KeyError"))
    world.subjects = subjects
    with pytest.raises(CommandError, match="before failed: KeyError; no"):
        world.run(pre_processor="before")


def test_several_at_once_are_all_measured(world: World) -> None:
    subject = world.add("a", lambda _: answer(), at_once=4)
    world.run(order=(0,) * 10)
    assert len(subject.samples) == 10
    assert len(world.order()) == 14


def test_without_a_report_nothing_is_made_up(world: World) -> None:
    world.add("a", lambda _: Reply(body=b"null"))
    with pytest.raises(CommandError, match="has no REPORT line"):
        world.run()
