"""What every store promises for queued messages: one suite, run against each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lambent.store.messages import (
    DEDUPLICATION_MS,
    Counts,
    DeadLetters,
    Message,
    Messages,
    NewMessage,
    Postponement,
    Receipt,
    Take,
    Taken,
)
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.store.sqlite.messages import SqliteMessages
from lambent.testing import MemoryMessages

NOW_MS = 1_767_323_045_678


class Bench:
    """Messages under test, the loop in which they live, and a time that is set by hand."""

    def __init__(self, messages: Messages, runner: asyncio.Runner) -> None:
        self.messages = messages
        self.run: Callable[[Any], Any] = runner.run
        self.now_ms = NOW_MS

    def send(self, *bodies: str, queue: str = "q", **options: Any) -> list[str]:
        new = [NewMessage(message_id=f"id of {body}", body=body.encode(), **options) for body in bodies]
        return [sent.message_id for sent in self.run(self.messages.send(queue, new, now_ms=self.now_ms))]

    def take(self, queue: str = "q", limit: int = 10, visibility_ms: int = 1000, **rules: Any) -> Taken:
        take = Take(limit=limit, visibility_ms=visibility_ms, **rules)
        return self.run(self.messages.receive(queue, take, now_ms=self.now_ms))

    def receive(self, queue: str = "q", **rules: Any) -> list[Message]:
        return list(self.take(queue, **rules).messages)

    def bodies(self, queue: str = "q", **rules: Any) -> list[str]:
        return [message.body.decode() for message in self.receive(queue, **rules)]

    def delete(self, *receipts: Receipt, queue: str = "q") -> list[bool]:
        return self.run(self.messages.delete(queue, receipts))

    def postpone(self, receipt: Receipt, by_ms: int, **options: Any) -> bool:
        one = Postponement(receipt=receipt, visible_ms=self.now_ms + by_ms, **options)
        (done,) = self.run(self.messages.postpone("q", [one], now_ms=self.now_ms))
        return done

    def validity(self, receipt: Receipt, queue: str = "q") -> str:
        (validity,) = self.run(self.messages.validities(queue, [receipt], now_ms=self.now_ms))
        return validity

    def counts(self, queue: str = "q") -> tuple[int, int, int]:
        counts: Counts = self.run(self.messages.counts(queue, now_ms=self.now_ms))
        return counts.visible, counts.in_flight, counts.delayed


@pytest.fixture(params=["memory", "sqlite"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        if request.param == "memory":
            yield Bench(MemoryMessages(), runner)
        else:
            database = LightDatabase(tmp_path / "queues.db", migrations="queues", full_sync=False)
            stack.enter_context(contextlib.closing(database))
            yield Bench(SqliteMessages(database), runner)


def test_what_was_sent_is_received_whole_and_in_flight(bench: Bench) -> None:
    bench.send("\0any \u20ac", attributes=b"\xff")
    (message,) = bench.receive()
    assert (message.body.decode(), message.attributes) == ("\0any \u20ac", b"\xff")
    assert (message.message_id, message.group, message.source) == ("id of \0any \u20ac", None, None)
    assert (message.sent_ms, message.first_received_ms, message.receive_count) == (NOW_MS, NOW_MS, 1)
    assert bench.receive() == []
    assert bench.counts() == (0, 1, 0)


def test_a_queue_that_was_never_sent_to_is_empty(bench: Bench) -> None:
    assert bench.take() == Taken()
    assert bench.counts() == (0, 0, 0)
    assert bench.delete(Receipt(1, 1)) == [False]


def test_messages_are_received_in_the_order_in_which_they_came_as_many_as_asked_for(bench: Bench) -> None:
    bench.send("a", "b", "c")
    bench.send("d", queue="other")
    assert bench.bodies(limit=2) == ["a", "b"]
    assert bench.bodies(limit=2) == ["c"]


def test_a_message_that_is_not_deleted_comes_back_and_is_counted(bench: Bench) -> None:
    bench.send("a")
    (first,) = bench.receive(visibility_ms=1000)
    bench.now_ms += 999
    assert bench.take().next_ms == NOW_MS + 1000
    bench.now_ms += 1
    (again,) = bench.receive()
    assert (again.receive_count, again.first_received_ms) == (2, NOW_MS)
    assert again.receipt != first.receipt


def test_only_the_last_receipt_deletes(bench: Bench) -> None:
    bench.send("a")
    (first,) = bench.receive(visibility_ms=0)
    (again,) = bench.receive()
    assert bench.delete(first.receipt) == [False]
    assert bench.delete(again.receipt, again.receipt) == [True, False]
    bench.now_ms += 10_000
    assert bench.receive() == []
    assert bench.counts() == (0, 0, 0)


def test_a_receipt_deletes_also_when_it_is_late_but_nobody_received_again(bench: Bench) -> None:
    bench.send("a")
    (message,) = bench.receive(visibility_ms=10)
    bench.now_ms += 20
    assert bench.delete(message.receipt) == [True]


def test_a_receipt_is_good_in_its_own_queue_only(bench: Bench) -> None:
    bench.send("a")
    bench.send("b", queue="other")
    (message,) = bench.receive()
    assert bench.delete(message.receipt, queue="other") == [False]
    assert bench.counts() == (0, 1, 0)


def test_a_receipt_is_valid_while_its_message_is_in_flight_and_then_expired_until_it_is_gone(
    bench: Bench,
) -> None:
    bench.send("a")
    (first,) = bench.receive(visibility_ms=1000)
    assert (bench.validity(first.receipt), bench.validity(first.receipt, queue="other")) == ("valid", "gone")
    bench.now_ms += 1000
    assert bench.validity(first.receipt) == "expired"
    (second,) = bench.receive()
    assert (bench.validity(first.receipt), bench.validity(second.receipt)) == ("expired", "valid")
    bench.delete(second.receipt)
    assert (bench.validity(first.receipt), bench.validity(second.receipt)) == ("gone", "gone")


def test_without_a_visibility_timeout_a_message_is_received_once_at_a_time(bench: Bench) -> None:
    bench.send("a", "b")
    assert bench.bodies(visibility_ms=0) == ["a", "b"]
    assert sorted(bench.bodies(visibility_ms=0)) == ["a", "b"]


def test_a_look_that_takes_nothing_says_when_something_can_be_taken(bench: Bench) -> None:
    bench.send("a")
    assert bench.take(limit=0) == Taken(next_ms=NOW_MS)
    bench.receive(visibility_ms=300)
    assert bench.take(limit=0) == Taken(next_ms=NOW_MS + 300)


def test_a_delayed_message_is_not_seen_before_its_time(bench: Bench) -> None:
    bench.send("a", delay_ms=500)
    assert bench.take() == Taken(next_ms=NOW_MS + 500)
    assert bench.counts() == (0, 0, 1)
    bench.now_ms += 500
    assert bench.bodies() == ["a"]


def test_visibility_can_be_changed_while_in_flight_and_not_after(bench: Bench) -> None:
    bench.send("a")
    (message,) = bench.receive(visibility_ms=1000)
    assert bench.postpone(message.receipt, 5000)
    bench.now_ms += 4999
    assert bench.receive() == []
    bench.now_ms += 1
    assert not bench.postpone(message.receipt, 5000)
    (again,) = bench.receive()
    assert bench.postpone(again.receipt, 0)
    assert bench.bodies() == ["a"]


def test_a_released_message_waits_with_other_attributes_and_its_receipt_is_void(bench: Bench) -> None:
    bench.send("a", attributes=b"1")
    (message,) = bench.receive()
    assert bench.postpone(message.receipt, 60_000, attributes=b"2", is_released=True)
    assert bench.counts() == (0, 0, 1)
    assert bench.delete(message.receipt) == [False]
    bench.now_ms += 60_000
    (again,) = bench.receive()
    assert (again.attributes, again.receive_count) == (b"2", 2)


def test_a_message_that_was_received_too_often_becomes_a_dead_letter(bench: Bench) -> None:
    dead_letters = DeadLetters(queue="dead", max_receive_count=2)
    bench.send("poison")
    for _ in range(2):
        assert bench.bodies(visibility_ms=0, dead_letters=dead_letters) == ["poison"]
    bench.send("good")
    taken = bench.take(limit=1, dead_letters=dead_letters)
    assert ([message.body for message in taken.messages], taken.dead) == ([b"good"], 1)
    (letter,) = bench.receive("dead")
    assert (letter.body, letter.source, letter.receive_count) == (b"poison", "q", 3)
    assert letter.sent_ms == NOW_MS
    assert bench.counts() == (0, 1, 0)
    assert bench.counts("dead") == (0, 1, 0)


def test_old_messages_are_forgotten_however_many(bench: Bench) -> None:
    bench.send(*(f"old {number}" for number in range(1200)))
    bench.now_ms += 60_000
    bench.send("new")
    assert bench.bodies(limit=3, retention_ms=60_000) == ["new"]
    assert bench.counts() == (0, 1, 0)


def test_a_cleared_queue_is_empty_and_can_be_used_again(bench: Bench) -> None:
    bench.send("a", "b", deduplication_id="same")
    bench.send("c", group="g", deduplication_id="other")
    (message, _) = bench.receive()
    bench.run(bench.messages.clear("q"))
    bench.run(bench.messages.clear("q"))
    assert bench.counts() == (0, 0, 0)
    assert bench.delete(message.receipt) == [False]
    assert bench.receive(is_fifo=True) == []
    assert bench.send("again", deduplication_id="same") == ["id of again"]
    assert bench.bodies() == ["again"]


def test_the_same_deduplication_id_is_sent_once_in_five_minutes(bench: Bench) -> None:
    assert bench.send("a", deduplication_id="d") == ["id of a"]
    bench.now_ms += DEDUPLICATION_MS - 1
    assert bench.send("b", deduplication_id="d") == ["id of a"]
    assert bench.send("c", deduplication_id="d", queue="other") == ["id of c"]
    assert bench.bodies() == ["a"]
    bench.now_ms += 1
    assert bench.send("d", deduplication_id="d") == ["id of d"]


def test_two_messages_of_one_send_are_deduplicated_too(bench: Bench) -> None:
    assert bench.send("a", "b", deduplication_id="d") == ["id of a", "id of a"]
    assert bench.bodies() == ["a"]


# Groups ------------------------------------------------------------------------------------------------------


def test_a_group_is_locked_while_one_of_its_messages_is_in_flight(bench: Bench) -> None:
    bench.send("a1", "a2", "a3", group="a")
    bench.send("b1", group="b")
    first = bench.receive(limit=2, is_fifo=True)
    assert [message.body for message in first] == [b"a1", b"a2"]
    assert bench.bodies(is_fifo=True) == ["b1"]
    bench.delete(first[0].receipt)
    assert bench.take(is_fifo=True) == Taken(next_ms=NOW_MS + 1000)
    bench.delete(first[1].receipt)
    assert bench.bodies(is_fifo=True) == ["a3"]


def test_a_group_comes_back_in_its_order(bench: Bench) -> None:
    bench.send("a1", "a2", group="a")
    assert bench.bodies(limit=1, visibility_ms=1000, is_fifo=True) == ["a1"]
    bench.now_ms += 1000
    assert bench.bodies(is_fifo=True) == ["a1", "a2"]


def test_a_message_that_is_visible_again_waits_for_the_others_of_its_batch(bench: Bench) -> None:
    bench.send("a1", "a2", "a3", group="a")
    first = bench.receive(limit=2, is_fifo=True)
    assert bench.postpone(first[0].receipt, 0)
    assert bench.bodies(is_fifo=True) == []
    assert bench.postpone(first[1].receipt, 0)
    assert bench.bodies(is_fifo=True) == ["a1", "a2", "a3"]


def test_a_delayed_message_holds_up_its_group_only(bench: Bench) -> None:
    bench.send("a1", group="a", delay_ms=100)
    bench.send("a2", group="a")
    bench.send("b1", group="b")
    assert bench.bodies(is_fifo=True) == ["b1"]
    bench.now_ms += 100
    assert bench.bodies(is_fifo=True) == ["a1", "a2"]


def test_a_dead_letter_unlocks_its_group_and_keeps_it(bench: Bench) -> None:
    dead_letters = DeadLetters(queue="dead", max_receive_count=1)
    bench.send("a1", "a2", group="a")
    assert bench.bodies(limit=1, visibility_ms=0, is_fifo=True, dead_letters=dead_letters) == ["a1"]
    taken = bench.take(limit=1, is_fifo=True, dead_letters=dead_letters)
    assert ([message.body for message in taken.messages], taken.dead) == ([b"a2"], 1)
    (letter,) = bench.receive("dead", is_fifo=True)
    assert (letter.body, letter.group) == (b"a1", "a")


def test_expired_messages_free_their_group(bench: Bench) -> None:
    bench.send("a1", group="a")
    bench.now_ms += 1000
    bench.send("a2", group="a")
    assert bench.bodies(is_fifo=True, retention_ms=1000) == ["a2"]


# Moves and restarts ------------------------------------------------------------------------------------------


def test_dead_letters_can_be_moved_back_and_start_anew(bench: Bench) -> None:
    dead_letters = DeadLetters(queue="dead", max_receive_count=1)
    bench.send("a")
    bench.send("sent here itself", queue="dead")
    bench.receive(visibility_ms=0, dead_letters=dead_letters)
    bench.receive(dead_letters=dead_letters)
    assert bench.run(bench.messages.sources("dead")) == {"q"}
    assert bench.run(bench.messages.move("dead", None, limit=10, now_ms=bench.now_ms)) == {"q": 1}
    assert bench.run(bench.messages.sources("dead")) == set()
    (message,) = bench.receive(dead_letters=dead_letters)
    assert (message.body, message.receive_count, message.source) == (b"a", 1, None)
    assert bench.counts("dead") == (1, 0, 0)


def test_messages_can_be_moved_to_any_queue_a_few_at_a_time(bench: Bench) -> None:
    bench.send("1", "2", "3", group="g")
    bench.receive(limit=1)
    moves = [bench.run(bench.messages.move("q", "r", limit=1, now_ms=bench.now_ms)) for _ in range(3)]
    assert moves == [{"r": 1}, {"r": 1}, {}]
    assert bench.bodies("r", is_fifo=True) == ["2", "3"]
    assert bench.counts() == (0, 1, 0)


def test_what_a_killed_server_had_in_flight_is_visible_to_the_next_and_what_waits_goes_on_waiting(
    bench: Bench,
) -> None:
    bench.send("in flight", "waits", queue="events/f")
    bench.send("somebody else's", queue="sqs/q")
    _, waits = bench.receive("events/f", visibility_ms=100_000)
    bench.receive("sqs/q")
    one = Postponement(receipt=waits.receipt, visible_ms=NOW_MS + 60_000, is_released=True)
    bench.run(bench.messages.postpone("events/f", [one], now_ms=NOW_MS))
    assert bench.run(bench.messages.resume("events/", now_ms=NOW_MS)) == ["events/f"]
    assert bench.bodies("events/f") == ["in flight"]
    assert bench.receive("sqs/q") == []
    bench.now_ms += 60_000
    assert "waits" in bench.bodies("events/f")
