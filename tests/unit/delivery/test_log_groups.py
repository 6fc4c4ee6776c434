"""Log groups as targets: what goes to one is a line of its log."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lambent.delivery import Undeliverable
from lambent.delivery.log_groups import LogGroupTarget
from lambent.domain.parcel import Parcel, Sender
from lambent.store import LogQuery
from lambent.store.log_groups import LogGroupKey, LogGroups
from lambent.testing import ManualClock, MemoryLogEvents, MemoryStore

ARN = "arn:aws:logs:us-east-1:000000000000:log-group:"


def lines(*parcels: Parcel) -> list[tuple[int, str, str]]:
    """Deliver parcels and return time, stream and text of what the group holds then."""

    async def deliver() -> list[tuple[int, str, str]]:
        with contextlib.closing(MemoryStore()) as store:
            log_events, clock = MemoryLogEvents(), ManualClock(5.0)
            key = LogGroupKey(account="000000000000", region="us-east-1", name="/g")
            group = await LogGroups(store).ensure(key, now_ms=0)
            target = LogGroupTarget(documents=store, log_events=log_events, clock=clock)
            for parcel in parcels:
                await target.deliver(parcel)
            page = await log_events.read(LogQuery(group=group.events_key))
            return [(one.timestamp_ms, one.stream, one.message) for one in page.events]

    return asyncio.run(deliver())


def parcel(body: bytes, *, arn: str = f"{ARN}/g", rule: str = "r") -> Parcel:
    sender = Sender(service="events.amazonaws.com", source_arn=rule, source_account="000000000000")
    return Parcel(arn=arn, body=body, about="", sender=sender)


def test_a_parcel_becomes_a_line_in_its_sender_s_stream() -> None:
    found = lines(parcel(b'{"a": 1}'), parcel(b"text", arn=f"{ARN}/g:*"), parcel(b"x", rule="s"))
    assert [(at_ms, text) for at_ms, _, text in found] == [(5000, '{"a": 1}'), (5000, "text"), (5000, "x")]
    streams = [stream for _, stream, _ in found]
    assert streams[0] == streams[1] != streams[2]


def test_a_line_may_say_its_own_time_and_text() -> None:
    assert [(at, text) for at, _, text in lines(parcel(b'{"timestamp": 7, "message": "m"}'))] == [(7, "m")]
    iso = b'{"timestamp": "2015-11-11T21:29:54Z", "message": "m"}'
    assert [(at, text) for at, _, text in lines(parcel(iso))] == [(1_447_277_394_000, "m")]
    assert lines(parcel(b'{"timestamp": "x", "message": "m"}'))[0][0] == 5000
    assert lines(parcel(b'{"timestamp": 7, "message": "m", "x": 1}'))[0][0] == 5000


@pytest.mark.parametrize(
    ("arn", "text"), [(f"{ARN}/none", "no such log group"), (f"{ARN}/g:log-stream:s", "no log group's ARN")]
)
def test_what_is_no_group_is_undeliverable(arn: str, text: str) -> None:
    with pytest.raises(Undeliverable, match=text):
        lines(parcel(b"x", arn=arn))
