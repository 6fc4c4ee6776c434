"""Topics as targets: what goes to one is published."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from lambent.delivery import Undeliverable
from lambent.delivery.topics import TopicTarget
from lambent.domain.parcel import Parcel
from lambent.domain.publication import Publication
from lambent.domain.topic import Topic
from lambent.store.topics import Topics
from lambent.testing import ManualClock, MemoryStore

ARN = "arn:aws:sns:us-east-1:000000000000:"


class Published:
    def __init__(self) -> None:
        self.publications: list[Publication] = []

    async def publish(self, topic: Topic, publications: Sequence[Publication]) -> list[Any]:
        self.publications += publications
        return []


def deliver(*parcels: Parcel) -> list[Publication]:
    published: Any = Published()

    async def run() -> None:
        store = MemoryStore()
        topics = Topics(store)
        for name in ("t", "t.fifo"):
            topic = Topic(account="000000000000", region="us-east-1", name=name)
            await topics.put(topic, expect_revision=0)
        target = TopicTarget(
            topics=topics, notifications=published, clock=ManualClock(), endpoint_url="http://h"
        )
        with contextlib.closing(store):
            for parcel in parcels:
                await target.deliver(parcel)

    asyncio.run(run())
    return published.publications


def test_a_dead_letter_becomes_a_message_with_its_attributes() -> None:
    attributes = (("RequestID", "String", "r"), ("ErrorCode", "Number", "200"))
    parcel = Parcel(arn=f"{ARN}t", body=b'{"a": 1}', attributes=attributes, trace_header="Root=1", about="")
    (publication,) = deliver(parcel)
    assert (publication.text, publication.trace_header) == ('{"a": 1}', "Root=1")
    assert {name: one.text for name, one in publication.attributes.items()} == {
        "RequestID": "r",
        "ErrorCode": "200",
    }


@pytest.mark.parametrize(
    ("name", "body", "text", "is_final"),
    [
        ("none", b"{}", "there is no such topic", False),
        ("t.fifo", b"{}", "a FIFO topic takes no records", True),
        ("t", b"x" * 262_145, "262145 bytes are too large for the topic", True),
    ],
)
def test_what_cannot_be_published_is_undeliverable(name: str, body: bytes, text: str, is_final: bool) -> None:
    with pytest.raises(Undeliverable, match=text) as caught:
        deliver(Parcel(arn=ARN + name, body=body, about=""))
    assert caught.value.is_final is is_final
