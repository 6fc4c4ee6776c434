"""Event streams, as AWS's own parser reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import botocore.eventstream
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.wire.eventstream import CONTENT_TYPE, message
from lambent.wire.http import HttpResponse
from lambent.wire.model import load_api
from lambent.wire.serialize import serialize

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


def read(stream: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Return headers and payload of every message, by botocore's parser, which checks lengths and checksums."""
    buffer = botocore.eventstream.EventStreamBuffer()
    buffer.add_data(stream)
    return [(found.headers, found.payload) for found in buffer]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.dictionaries(TEXTS, TEXTS, max_size=4), st.binary(max_size=300)), max_size=4))
def test_what_is_written_is_read_as_it_was(messages: list[tuple[dict[str, str], bytes]]) -> None:
    stream = b"".join(message(headers, payload) for headers, payload in messages)
    assert read(stream) == messages


class Told:
    """The events of a test."""

    def __init__(self, *events: tuple[str, Mapping[str, Any]]) -> None:
        self._events = list(events)
        self.is_abandoned = False

    async def next(self) -> tuple[str, Mapping[str, Any]] | None:
        return self._events.pop(0) if self._events else None

    def abandon(self) -> None:
        self.is_abandoned = True


def answer(events: Told, **members: Any) -> HttpResponse:
    operation = load_api("lambda").operations["InvokeWithResponseStream"]
    result = {"StatusCode": 200, "ExecutedVersion": "7", "EventStream": events, **members}
    return serialize(operation, result, "id")


def body_of(response: HttpResponse) -> bytes:
    async def collect() -> bytes:
        assert response.stream is not None
        found = b""
        while piece := await response.stream.read():
            found += piece
        return found

    return asyncio.run(collect())


def test_events_have_the_headers_and_payloads_of_the_model() -> None:
    events = Told(
        ("PayloadChunk", {"Payload": b"\x00one"}),
        ("InvokeComplete", {"ErrorCode": "Unhandled", "ErrorDetails": "ü"}),
        ("InvokeComplete", {}),
    )
    chunk, failed, complete = read(body_of(answer(events)))
    assert chunk == (
        {
            ":event-type": "PayloadChunk",
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        },
        b"\x00one",
    )
    headers = {
        ":event-type": "InvokeComplete",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert failed == (headers, '{"ErrorCode":"Unhandled","ErrorDetails":"ü"}'.encode())
    assert complete == (headers, b"{}")


def test_the_head_of_a_stream_has_the_members_that_are_headers() -> None:
    response = answer(Told())
    assert (response.status, response.body) == (200, b"")
    assert response.headers == [
        ("x-amzn-RequestId", "id"),
        ("X-Amz-Executed-Version", "7"),
        ("Content-Type", CONTENT_TYPE),
    ]


def test_a_stream_of_another_type_says_so() -> None:
    response = answer(Told(), ResponseStreamContentType="text/plain")
    assert [value for name, value in response.headers if name.lower() == "content-type"] == ["text/plain"]


def test_an_answer_without_content_has_no_stream() -> None:
    response = serialize(load_api("lambda").operations["InvokeWithResponseStream"], {"StatusCode": 204}, "id")
    assert (response.status, response.body, response.stream) == (204, b"", None)


def test_who_abandons_the_body_abandons_the_events() -> None:
    events = Told()
    stream = answer(events).stream
    assert stream is not None
    stream.abandon()
    assert events.is_abandoned
