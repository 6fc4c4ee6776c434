"""Promises of the Runtime API, spoken over a real socket as runtimes speak it."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lambent.node.runtime_api import Answer, RuntimeApi, RuntimeState
from lambent.node.runtime_connection import Connection

PREFIX = "/2018-06-01/runtime"
NEXT = f"GET {PREFIX}/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n".encode()
LIMIT_BYTES = 1_000
EVENT = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: one\r\nContent-Length: 2\r\n\r\n{}"
PATIENCE_S = 10.0


def post(path: str, body: bytes, *headers: str) -> bytes:
    head = [f"POST {PREFIX}{path} HTTP/1.1", "Host: runtime", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


class Conversation:
    """A runtime at one end of a socket and the API at the other."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.api = RuntimeApi(
            response_max_bytes=LIMIT_BYTES, on_answer=lambda: self.answered.append(self.api.state.value)
        )
        self.writers: list[asyncio.StreamWriter] = []

    async def connect(self) -> Runtime:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: Connection(self.api), sock=ours)
        reader, writer = await asyncio.open_unix_connection(sock=theirs)
        self.writers.append(writer)
        return Runtime(reader, writer)

    async def close(self) -> None:
        self.api.close()
        for writer in self.writers:
            writer.close()


class Runtime:
    """What a runtime does: write requests, read responses."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def response(self) -> tuple[int, bytes]:
        async with asyncio.timeout(PATIENCE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status = int(head.split(" ", 2)[1])
            lengths = [line for line in head.split("\r\n") if line.lower().startswith("content-length:")]
            body = await self._reader.readexactly(int(lengths[0].split(":")[1])) if lengths else b""
        return status, body

    async def ask(self, content: bytes) -> tuple[int, bytes]:
        await self.send(content)
        return await self.response()

    async def refusal(self, content: bytes) -> tuple[int, str]:
        """The status of a refused request and the error type in its body."""
        status, body = await self.ask(content)
        error = json.loads(body)
        assert set(error) == {"errorMessage", "errorType"}
        return status, error["errorType"]

    async def is_closed(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self._reader.read() == b""
            except ConnectionResetError:
                return True


Story = Callable[[Conversation, Runtime], Awaitable[None]]


def tell(story: Story) -> None:
    """Run a story with one connected runtime."""

    async def run() -> None:
        conversation = Conversation()
        try:
            await story(conversation, await conversation.connect())
        finally:
            await conversation.close()

    asyncio.run(run())


async def running(conversation: Conversation, runtime: Runtime) -> asyncio.Future[Answer]:
    """Bring the runtime to where it runs invocation `one`."""
    answered = conversation.api.exchange(request_id="one", next_response=EVENT)
    assert await runtime.ask(NEXT) == (200, b"{}")
    assert conversation.api.state is RuntimeState.RUNNING
    return answered


def test_the_runtime_gets_an_event_and_its_response_is_the_answer() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        status, body = await runtime.ask(post("/invocation/one/response", b'{"a": 1}'))
        assert (status, json.loads(body)) == (202, {"status": "OK"})
        assert await answered == Answer(body=b'{"a": 1}', is_error=False)

    tell(story)


def test_asking_for_the_first_event_ends_init() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        await runtime.send(NEXT)
        assert await asyncio.wait_for(conversation.api.ready, PATIENCE_S) is None
        conversation.api.exchange(request_id="one", next_response=EVENT)
        assert await runtime.response() == (200, b"{}")

    tell(story)


def test_a_response_and_the_request_for_more_may_come_in_one_write() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        await runtime.send(post("/invocation/one/response", b"1") + NEXT)
        assert (await answered).body == b"1"
        # Who has asked for more waits for that anyway: both answers leave together.
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        assert (await runtime.response())[0] == 202
        assert await runtime.response() == (200, b"{}")
        await runtime.send(post("/invocation/two/response", b"2") + NEXT)
        assert (await answered).body == b"2"

    tell(story)


def in_one_go(request_id: str, body: bytes) -> bytes:
    """What our own runtime clients write when a handler has returned."""
    return post(f"/invocation/{request_id}/response", body, "Content-Type: application/json") + NEXT


def test_what_our_own_clients_write_in_one_go_is_an_answer_and_asks_for_more() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        await runtime.send(in_one_go("one", b"1"))
        assert await answered == Answer(body=b"1", is_error=False)
        assert conversation.api.is_waiting
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        assert (await runtime.response())[0] == 202
        assert await runtime.response() == (200, b"{}")
        await runtime.send(in_one_go("two", b"2"))
        assert (await answered).body == b"2"

    tell(story)


def test_what_our_own_clients_write_in_one_go_is_held_to_the_same_rules() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        assert await runtime.refusal(in_one_go("other", b"1")) == (400, "InvalidRequestID")
        assert (await runtime.response())[0] == 403  # of `next`: the invocation still runs
        assert await runtime.refusal(in_one_go("one", b"x" * (LIMIT_BYTES + 1))) == (
            413,
            "RequestEntityTooLarge",
        )
        assert (await answered).is_too_large
        assert await runtime.refusal(in_one_go("one", b"1")) == (403, "InvalidStateTransition")

    tell(story)


def test_in_pieces_it_means_the_same() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        content = in_one_go("one", b'{"a": 1}')
        for piece in (content[:70], content[70:-20], content[-20:]):
            await runtime.send(piece)
            await asyncio.sleep(0.01)
        assert await answered == Answer(body=b'{"a": 1}', is_error=False)
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        assert (await runtime.response())[0] == 202
        assert await runtime.response() == (200, b"{}")
        await runtime.send(in_one_go("two", b"2"))
        assert (await answered).body == b"2"

    tell(story)


def test_an_error_carries_its_type_from_the_header_else_from_the_payload() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        payload = b'{"errorType": "ValueError"}'
        for request_id, headers, error_type in (
            ("one", ("Lambda-Runtime-Function-Error-Type: Runtime.Bad",), "Runtime.Bad"),
            ("two", (), "ValueError"),
        ):
            answered = conversation.api.exchange(request_id=request_id, next_response=EVENT)
            await runtime.ask(NEXT)
            assert (await runtime.ask(post(f"/invocation/{request_id}/error", payload, *headers)))[0] == 202
            assert await answered == Answer(body=payload, is_error=True, error_type=error_type)

    tell(story)


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'"text"', b"\xff", b"{}", b"[" * 900])
def test_an_error_without_a_type_is_still_an_error(body: bytes) -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        assert (await runtime.ask(post("/invocation/one/error", body)))[0] == 202
        assert await answered == Answer(body=body, is_error=True, error_type=None)

    tell(story)


def test_an_init_error_ends_init() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        body = b'{"errorType": "Runtime.ImportModuleError"}'
        assert (await runtime.ask(post("/init/error", body)))[0] == 202
        answer = await conversation.api.ready
        assert answer == Answer(body=body, is_error=True, error_type="Runtime.ImportModuleError")
        assert await runtime.refusal(NEXT) == (403, "InvalidStateTransition")
        assert await runtime.refusal(post("/init/error", body)) == (403, "InvalidStateTransition")

    tell(story)


def test_output_is_collected_before_an_answer_is_handed_on() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        assert conversation.answered == ["Ready"]
        answered.add_done_callback(lambda _: conversation.answered.append("handed on"))
        await runtime.ask(post("/invocation/one/response", b"1"))
        await answered
        await asyncio.sleep(0)
        assert conversation.answered == ["Ready", "Responded", "handed on"]

    tell(story)


def test_a_call_in_the_wrong_state_is_refused_and_changes_nothing() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        refused = (403, "InvalidStateTransition")
        assert await runtime.refusal(post("/invocation/one/response", b"1")) == refused
        assert await runtime.refusal(post("/invocation/one/error", b"1")) == refused
        assert conversation.api.state is RuntimeState.STARTED
        answered = await running(conversation, runtime)
        assert await runtime.refusal(NEXT) == refused
        assert await runtime.refusal(post("/init/error", b"{}")) == refused
        assert conversation.api.state is RuntimeState.RUNNING
        assert not answered.done()
        assert (await runtime.ask(post("/invocation/one/response", b"1")))[0] == 202
        assert await runtime.refusal(post("/invocation/one/response", b"2")) == refused
        assert (await answered).body == b"1"

    tell(story)


def test_only_one_event_can_be_asked_for_at_a_time() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        await runtime.send(NEXT)
        await conversation.api.ready
        other = await conversation.connect()
        assert await other.refusal(NEXT) == (403, "InvalidStateTransition")
        conversation.api.exchange(request_id="one", next_response=EVENT)
        assert await runtime.response() == (200, b"{}")

    tell(story)


def test_an_answer_for_another_invocation_is_refused() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        for verb in ("response", "error"):
            assert await runtime.refusal(post(f"/invocation/two/{verb}", b"1")) == (400, "InvalidRequestID")
        assert not answered.done()
        await runtime.ask(post("/invocation/one/response", b"1"))
        assert (await answered).body == b"1"

    tell(story)


def test_a_late_answer_is_not_taken_for_the_next_invocations() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        await runtime.send(post("/invocation/one/response", b"1") + NEXT)
        await answered
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        assert [(await runtime.response())[0] for _ in range(2)] == [202, 200]
        assert await runtime.refusal(post("/invocation/one/response", b"1")) == (400, "InvalidRequestID")
        assert not answered.done()

    tell(story)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/2018-06-01/runtime/invocation"),
        ("POST", "/2018-06-01/runtime/invocation/next"),
        ("GET", "/2018-06-01/runtime/init/error"),
        ("POST", "/2018-06-01/runtime/invocation/one/apology"),
        ("POST", "/2018-06-01/runtime/invocation/one/response/again"),
        ("GET", "/2018-06-01/runtime/../secret"),
        ("GET", "/"),
        ("DELETE", "/2020-01-01/extension/register"),
    ],
)
def test_what_is_not_there_is_not_found(method: str, path: str) -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        await running(conversation, runtime)
        request = f"{method} {path} HTTP/1.1\r\nHost: runtime\r\nContent-Length: 0\r\n\r\n".encode()
        assert await runtime.refusal(request) == (404, "InvalidRequest")

    tell(story)


def test_a_response_at_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        await runtime.ask(post("/invocation/one/response", b"x" * LIMIT_BYTES))
        assert (await answered).body == b"x" * LIMIT_BYTES
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        await runtime.ask(NEXT)
        body = b"x" * (LIMIT_BYTES + 1)
        assert await runtime.refusal(post("/invocation/two/response", body)) == (413, "RequestEntityTooLarge")
        assert await answered == Answer(body=b"", is_error=False, is_too_large=True)

    tell(story)


@pytest.mark.parametrize("size_bytes", [LIMIT_BYTES * 1000, 80_000_000])
def test_a_runtime_goes_on_after_a_response_that_is_much_too_large(size_bytes: int) -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        await runtime.send(post("/invocation/one/response", b"x" * size_bytes))
        assert (await runtime.response())[0] == 413
        assert (await answered).is_too_large
        answered = conversation.api.exchange(request_id="two", next_response=EVENT)
        assert await runtime.ask(NEXT) == (200, b"{}")
        await runtime.ask(post("/invocation/two/response", b"small"))
        assert (await answered).body == b"small"

    tell(story)


def test_a_body_may_come_in_chunks_and_in_any_number_of_writes() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        head = f"POST {PREFIX}/invocation/one/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        for byte in head.encode() + b"3\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n":
            await runtime.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await runtime.response())[0] == 202
        assert (await answered).body == b"abcde"

    tell(story)


def test_chunks_are_counted_against_the_limit_too() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        head = f"POST {PREFIX}/invocation/one/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = (b"100\r\n" + b"x" * 256 + b"\r\n") * 5
        assert (await runtime.ask(head.encode() + chunks + b"0\r\n\r\n"))[0] == 413
        assert (await answered).is_too_large

    tell(story)


def test_a_runtime_that_waits_for_100_continue_gets_it() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        head = post("/invocation/one/response", b"", "Expect: 100-continue").replace(
            b"Length: 0", b"Length: 4"
        )
        assert await runtime.ask(head) == (100, b"")
        assert (await runtime.ask(b"body"))[0] == 202
        assert (await answered).body == b"body"

    tell(story)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\0" * 100,
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_bytes_that_are_not_http_close_the_connection_and_hurt_nobody_else(garbage: bytes) -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        stranger = await conversation.connect()
        assert await stranger.refusal(garbage) == (400, "InvalidRequest")
        assert await stranger.is_closed()
        assert not answered.done()
        assert (await runtime.ask(post("/invocation/one/response", b"1")))[0] == 202

    tell(story)


def test_endless_headers_close_the_connection() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        await runtime.send(b"GET / HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    await runtime.send(b"x" * 65_536)

    tell(story)


def test_an_upgrade_is_not_possible() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        await runtime.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            for _ in range(2):
                await runtime.response()

    tell(story)


def test_an_event_that_has_nobody_waiting_goes_to_whoever_asks_next() -> None:
    """A runtime may drop its connection and come back on another one."""

    async def story(conversation: Conversation, runtime: Runtime) -> None:
        await runtime.send(NEXT)
        await conversation.api.ready
        conversation.writers[0].close()
        await asyncio.wait_for(conversation.writers[0].wait_closed(), PATIENCE_S)
        other = await conversation.connect()
        answered = conversation.api.exchange(request_id="one", next_response=EVENT)
        assert await other.ask(NEXT) == (200, b"{}")
        await other.ask(post("/invocation/one/response", b"1"))
        assert (await answered).body == b"1"

    tell(story)


def test_an_interruption_wakes_whoever_waits_and_says_if_nobody_does() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        answered = await running(conversation, runtime)
        assert conversation.api.interrupt(TimeoutError("over"))
        with pytest.raises(TimeoutError, match="over"):
            await answered
        assert not conversation.api.interrupt(TimeoutError("over"))

    tell(story)


def test_an_interruption_during_init_ends_init() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        assert conversation.api.interrupt(TimeoutError("over"))
        with pytest.raises(TimeoutError, match="over"):
            await conversation.api.ready

    tell(story)


def test_closing_closes_every_connection() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        other = await conversation.connect()
        await runtime.send(NEXT)
        await conversation.api.ready
        conversation.api.close()
        assert await runtime.is_closed()
        assert await other.is_closed()

    tell(story)


def test_every_refusal_is_json_with_the_words_of_the_runtime_api() -> None:
    async def story(conversation: Conversation, runtime: Runtime) -> None:
        status, body = await runtime.ask(post("/invocation/one/response", b"1"))
        found: dict[str, Any] = json.loads(body)
        assert status == 403
        assert found["errorMessage"] == "State transition from Started to Responded failed"

    tell(story)


def test_what_was_said_is_forgotten_with_the_last_word() -> None:
    """Without waiting for a garbage collection: answers have megabytes, and the server collects hardly ever."""

    async def run() -> None:
        conversation = Conversation()
        runtime = await conversation.connect()
        await running(conversation, runtime)
        assert (await runtime.ask(post("/invocation/one/response", b"x" * LIMIT_BYTES)))[0] == 202
        api = weakref.ref(conversation.api)
        await conversation.close()
        del conversation.api, runtime
        # The transport says good-bye to its connection in the next turn of the loop.
        for _ in range(10):
            await asyncio.sleep(0)
        assert api() is None

    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
