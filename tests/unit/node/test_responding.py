"""Streamed responses over the Runtime API: bytes go on when they come, and every end is told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

import pytest

from lambent.node.responding import GRACE_S
from lambent.node.runtime_api import Answer, RuntimeState
from lambent.response_stream import BUFFER_MAX_BYTES, ResponseStream
from unit.node.test_runtime_api import EVENT, NEXT, PATIENCE_S, PREFIX, Conversation, Runtime, post, tell

STREAMING = "Lambda-Runtime-Function-Response-Mode: streaming"
HEAD = (
    f"POST {PREFIX}/invocation/one/response HTTP/1.1\r\nHost: runtime\r\nContent-Type: text/plain\r\n{STREAMING}\r\n"
    "Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\r\n"
).encode()
END = b"0\r\n\r\n"

Story = Callable[[Conversation, Runtime, ResponseStream, "asyncio.Future[Answer]"], Awaitable[None]]


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def stream(story: Story, *, max_bytes: int = 1_000_000, takes_everything: bool = False) -> None:
    """Tell a story of an invocation whose response may be streamed."""

    async def run(conversation: Conversation, runtime: Runtime) -> None:
        into = ResponseStream(max_bytes=max_bytes, takes_everything=takes_everything)
        answered = conversation.api.exchange(request_id="one", next_response=EVENT, into=into)
        assert await runtime.ask(NEXT) == (200, b"{}")
        async with asyncio.timeout(PATIENCE_S):
            await story(conversation, runtime, into, answered)

    tell(run)


def test_bytes_go_on_before_the_response_is_complete() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.send(HEAD)
        assert await into.begun()
        assert into.content_type == "text/plain"
        await runtime.send(chunk(b"one"))
        assert await into.read() == b"one"
        assert (answered.done(), conversation.api.state) == (False, RuntimeState.RESPONDING)
        await runtime.send(chunk(b"two") + END + NEXT)
        assert await answered == Answer(body=b"", is_error=False)
        assert await into.read() == b"two"
        assert conversation.answered == ["Ready", "Responded"]
        assert conversation.api.is_waiting

    stream(story)


def test_an_error_after_the_first_byte_comes_in_the_trailers() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        payload = b'{"errorType":"Late","errorMessage":"no"}'
        trailers = (
            b"0\r\nLambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: "
            + base64.b64encode(payload)
            + b"\r\n\r\n"
        )
        status, _ = await runtime.ask(HEAD + chunk(b"one") + trailers)
        assert status == 202
        assert await answered == Answer(body=payload, is_error=True, error_type="Late")

    stream(story)


@pytest.mark.parametrize("takes_everything", [False, True])
def test_what_is_not_announced_as_a_stream_is_one_only_where_everything_is(takes_everything: bool) -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.ask(post("/invocation/one/response", b'{"a":1}', "Content-Type: application/json"))
        assert (await answered).body == (b"" if takes_everything else b'{"a":1}')
        into.finish()
        assert await into.read() == (b'{"a":1}' if takes_everything else b"")
        assert into.content_type == ("application/json" if takes_everything else None)

    stream(story, takes_everything=takes_everything)


def test_an_error_never_is_a_stream() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.ask(post("/invocation/one/error", b'{"errorType":"E"}', STREAMING))
        assert await answered == Answer(body=b'{"errorType":"E"}', is_error=True, error_type="E")
        assert into.content_type is None

    stream(story, takes_everything=True)


def test_without_a_stream_a_streamed_response_comes_as_a_whole() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = conversation.api.exchange(request_id="one", next_response=EVENT)
        await runtime.ask(NEXT)
        assert (await runtime.ask(HEAD + chunk(b"one") + chunk(b"two") + END))[0] == 202
        assert (await answered).body == b"onetwo"

    tell(story)


@pytest.mark.parametrize(
    "request_",
    [
        post("/invocation/one/response", b"2"),
        post("/invocation/one/error", b"{}"),
        NEXT,
        HEAD + END,
    ],
    ids=["response", "error", "next", "stream"],
)
def test_while_it_responds_a_runtime_can_do_nothing_else(request_: bytes) -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.send(HEAD)
        assert await into.begun()
        other = await conversation.connect()
        assert await other.refusal(request_) == (403, "InvalidStateTransition")
        assert not answered.done()
        await runtime.send(chunk(b"one") + END)
        assert not (await answered).is_error
        assert await into.read() == b"one"

    stream(story)


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"POST", b"GET"),
        HEAD.replace(b"/one/", b"/two/"),
        HEAD.replace(b"/response", b"/responses"),
    ],
    ids=["method", "id", "path"],
)
def test_no_other_request_becomes_the_stream(head: bytes) -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        status, body = await runtime.ask(head + chunk(b"one") + END)
        assert status in (400, 404)
        assert json.loads(body)["errorType"] in ("InvalidRequestID", "InvalidRequest")
        assert into.content_type is None
        await runtime.ask(HEAD + END)
        assert not (await answered).is_error

    stream(story)


def test_a_runtime_whose_reader_is_slow_is_held() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        piece, pieces = bytes(65_536), 64
        content = HEAD + chunk(piece) * pieces + END
        sending = asyncio.create_task(runtime.send(content))
        await into.begun()
        # Nothing more can happen until somebody reads: what the sockets hold is less than what is to come.
        held_bytes = -1
        while into.size_bytes != held_bytes:
            held_bytes = into.size_bytes
            for _ in range(20):
                await asyncio.sleep(0)
        assert BUFFER_MAX_BYTES < held_bytes < 3 * BUFFER_MAX_BYTES
        assert not sending.done()
        read_bytes = 0
        while read_bytes < len(piece) * pieces:
            read_bytes += len(await into.read())
        await sending
        assert not (await answered).is_error

    stream(story, max_bytes=10_000_000)


def test_a_connection_is_read_on_when_a_response_has_ended_that_nobody_has_read_yet() -> None:
    """Its end came with more than is kept, so it was held; what comes next is another invocation's."""

    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        # All of it lies in the socket before anything is read of it.
        head, rest = HEAD + chunk(bytes(1_000)), chunk(bytes(BUFFER_MAX_BYTES)) + END + NEXT
        await runtime.send(head)
        await runtime.send(rest)
        assert not (await answered).is_error
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        assert (await runtime.response())[0] == 202
        assert await runtime.response() == (200, b"{}")
        await runtime.send(post("/invocation/two/response", b"2"))
        assert (await answered).body == b"2"
        assert len(await into.read()) == BUFFER_MAX_BYTES + 1_000

    stream(story)


def test_a_response_over_the_limit_ends_there_and_its_runtime_with_it() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.send(HEAD + chunk(bytes(600)) + chunk(bytes(600)))
        answer = await answered
        assert (answer.is_too_large, answer.is_error, answer.is_last) == (True, True, True)
        assert len(await into.read()) == into.size_bytes == 1_000

    stream(story, max_bytes=1_000)


def test_a_response_of_the_largest_size_is_complete() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.ask(HEAD + chunk(bytes(1_000)) + END)
        assert not (await answered).is_too_large
        assert into.size_bytes == 1_000

    stream(story, max_bytes=1_000)


def test_a_response_that_breaks_off_is_an_error() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.send(HEAD + chunk(b"one"))
        await into.begun()
        for writer in conversation.writers:
            writer.close()
        answer = await answered
        assert (answer.is_error, answer.error_type) == (True, "Runtime.TruncatedResponse")
        assert await into.read() == b"one"

    stream(story)


def test_who_looks_for_the_end_of_a_process_hears_first_what_it_had_said() -> None:
    async def story(
        conversation: Conversation, runtime: Runtime, into: ResponseStream, answered: asyncio.Future[Answer]
    ) -> None:
        await runtime.send(HEAD + chunk(b"one"))
        await into.begun()
        await runtime.send(chunk(b"last words"))
        for writer in conversation.writers:
            writer.close()
        async with asyncio.timeout(GRACE_S / 2):
            await conversation.api.drained()
        assert await into.read() == b"onelast words"
        assert conversation.api.interrupt(RuntimeError("it has ended"))
        with pytest.raises(RuntimeError):
            await answered

    stream(story)
