"""Streamed answers at a function URL: metadata become the head, and the rest is the body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lambent.domain.invocation import Outcome
from lambent.domain.url_payload import PRELUDE_MAX_BYTES, PRELUDE_TYPE, BadResponse, UrlResponse
from lambent.errors import ServiceException
from lambent.gateway.url_streams import UrlBody, answer_of
from lambent.invoke.streamed import begun
from lambent.response_stream import ResponseStream
from lambent.wire.http import BrokenBody
from samples import invocation, report
from unit.services.lambda_.world import Unheld

PRELUDE = b'{"statusCode": 201, "headers": {"X-A": "1"}}' + bytes(8)


class Answering:
    """A function that answers."""

    def __init__(self) -> None:
        self.into = ResponseStream(max_bytes=10_000_000, takes_everything=False)
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def begin(self, content_type: str) -> None:
        self.into.begin(content_type, Unheld())

    def end(self, *, function_error: str | None = None, payload: bytes = b"") -> None:
        self.into.finish()
        self.outcome.set_result(
            Outcome(payload=payload, report=report(invocation()), function_error=function_error)
        )

    async def answer(self) -> tuple[UrlResponse, UrlBody] | Outcome:
        async def running() -> Outcome:
            return await self.outcome

        return await answer_of(await begun(self.into, asyncio.create_task(running())))

    async def streamed(self) -> tuple[UrlResponse, UrlBody]:
        found = await self.answer()
        assert not isinstance(found, Outcome)
        return found


def tell(story: Callable[[Answering], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            await story(Answering())

    asyncio.run(run())


async def read(body: UrlBody) -> bytes:
    found = b""
    while piece := await body.read():
        found += piece
    return found


@pytest.mark.parametrize("size", [1, 7, 20, len(PRELUDE), 1000])
def test_metadata_may_come_in_pieces_and_the_body_is_what_follows_them(size: int) -> None:
    async def story(met: Answering) -> None:
        content = PRELUDE + b"\0body\0"

        async def write() -> None:
            for start in range(0, len(content), size):
                met.into.write(content[start : start + size])
                await asyncio.sleep(0)
            met.end()

        met.begin(f"{PRELUDE_TYPE}; charset=utf-8")
        writing = asyncio.create_task(write())
        response, body = await met.streamed()
        assert (response.status, dict(response.headers)["x-a"]) == (201, "1")
        assert await read(body) == b"\0body\0"
        await writing

    tell(story)


def test_a_head_is_there_before_the_body_is() -> None:
    async def story(met: Answering) -> None:
        met.begin(PRELUDE_TYPE)
        met.into.write(PRELUDE)
        response, body = await met.streamed()
        assert response.status == 201
        met.into.write(b"later")
        assert await body.read() == b"later"
        met.end()
        assert await body.read() == b""

    tell(story)


def test_a_stream_of_any_other_type_is_the_body_of_a_success() -> None:
    async def story(met: Answering) -> None:
        met.begin("text/event-stream")
        met.into.write(PRELUDE)
        response, body = await met.streamed()
        assert response == UrlResponse(status=200, headers=(("content-type", "text/event-stream"),))
        met.end()
        assert await read(body) == PRELUDE

    tell(story)


def test_what_does_not_stream_is_an_outcome() -> None:
    async def story(met: Answering) -> None:
        met.end(payload=b"{}")
        found = await met.answer()
        assert isinstance(found, Outcome)
        assert found.payload == b"{}"

    tell(story)


def test_a_function_that_fails_after_the_first_byte_breaks_the_body_off() -> None:
    async def story(met: Answering) -> None:
        met.begin("text/plain")
        met.into.write(b"one")
        _, body = await met.streamed()
        assert await body.read() == b"one"
        met.end(function_error="Unhandled")
        with pytest.raises(BrokenBody):
            await body.read()

    tell(story)


def test_so_does_a_platform_that_fails() -> None:
    async def story(met: Answering) -> None:
        met.begin("text/plain")
        _, body = await met.streamed()
        met.into.finish()
        met.outcome.set_exception(ServiceException("no more"))
        with pytest.raises(BrokenBody):
            await body.read()

    tell(story)


def test_who_abandons_a_body_does_not_wait_for_the_function() -> None:
    async def story(met: Answering) -> None:
        met.begin("text/plain")
        _, body = await met.streamed()
        body.abandon()
        assert await body.read() == b""
        met.end()

    tell(story)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"{}" + bytes(7), b"[1]" + bytes(8), b"x" * (PRELUDE_MAX_BYTES + 1)],
    ids=["nothing", "no end", "seven", "no object", "too long"],
)
def test_metadata_that_are_none_are_refused_and_hold_nobody(content: bytes) -> None:
    async def story(met: Answering) -> None:
        async def write() -> None:
            for start in range(0, len(content), 100_000):
                met.into.write(content[start : start + 100_000])
                await asyncio.sleep(0)
            met.end()

        met.begin(PRELUDE_TYPE)
        writing = asyncio.create_task(write())
        with pytest.raises(BadResponse):
            await met.streamed()
        assert met.into.is_abandoned
        await writing

    tell(story)
