"""HTTP as clients may speak it: every request is answered once and in turn, and nobody can stop that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from uvicorn.server import ServerState

from lambent.busy_poll import BusyPoll
from lambent.gateway import connection
from lambent.gateway.connection import HttpConnection
from lambent.wire.http import HttpRequest, HttpResponse

GET = b"GET /a?b=c HTTP/1.1\r\nHost: here\r\n\r\n"


class Transport:
    """The other end of a connection: what was written, and what the connection did to it."""

    def __init__(self) -> None:
        self.written = b""
        self.is_reading = True
        self.is_closed = False

    def get_extra_info(self, name: str) -> Any:
        return {"sockname": ("127.0.0.1", 4566), "peername": ("127.0.0.9", 50_000)}.get(name)

    def write(self, content: bytes) -> None:
        assert not self.is_closed
        self.written += content

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Application:
    """Answers with the body of the request, after a while if a test says so."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.headers: list[tuple[str, str]] = []
        self.status = 200

    async def answer(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        await self.go_on.wait()
        if request.path == "/bug":
            raise RuntimeError("a bug")
        return HttpResponse(status=self.status, headers=self.headers, body=request.body)


@dataclass
class Client:
    """A connection, seen from outside."""

    application: Application
    connection: HttpConnection
    transport: Transport
    state: ServerState

    async def send(self, *contents: bytes) -> bytes:
        """Send bytes in these pieces and return what comes back."""
        self.transport.written = b""
        for content in contents:
            self.connection.data_received(content)
            await self.rest()
        return self.transport.written

    async def rest(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


def client() -> Client:
    application, state, transport = Application(), ServerState(), Transport()
    made = HttpConnection(application, state, BusyPoll(span_s=0.0))
    made.connection_made(transport)  # type: ignore[arg-type]
    return Client(application, made, transport, state)


def run(story: Callable[[Client], Awaitable[None]]) -> None:
    """Tell a story with a connection of its own, and see it end."""

    async def tell() -> None:
        met = client()
        await story(met)
        met.transport.is_closed = True
        met.connection.connection_lost(None)
        await met.rest()
        assert not met.state.connections
        assert not met.state.tasks

    asyncio.run(tell())


def test_who_works_on_an_answer_can_know_that_nobody_waits_for_it_any_more() -> None:
    async def story(met: Client) -> None:
        met.application.go_on.clear()
        await met.send(GET)
        gone = met.application.requests[0].gone
        assert gone is not None
        waiting = gone()
        assert isinstance(waiting, asyncio.Future)
        assert not waiting.done()
        assert met.connection.eof_received(), "the answer is still written: it may be half gone"
        assert waiting.done()
        later = gone()
        assert isinstance(later, asyncio.Future)
        assert later.done()
        met.application.go_on.set()
        await met.rest()

    run(story)


def post(body: bytes, *, path: bytes = b"/p", head: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: h\r\n%bContent-Length: %d\r\n\r\n%b" % (path, head, len(body), body)


def test_a_request_is_handed_on_as_it_came() -> None:
    async def story(met: Client) -> None:
        head = b"X-A: 1\r\nx-a: 2\r\nX-B: \xfc\r\n"
        await met.send(post(b"body", path=b"/%66?q=%20", head=head))
        (request,) = met.application.requests
        assert (request.method, request.path, request.query, request.body) == (
            "POST",
            "/%66",
            "q=%20",
            b"body",
        )
        assert request.headers == {"host": "h", "x-a": "1,2", "x-b": "ü", "content-length": "4"}
        assert (request.base_url, request.client_address) == ("http://127.0.0.1:4566", "127.0.0.9")

    run(story)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"http://host:1/a?b", "/a", "b"),
        (b"/a?b#c", "/a", "b"),
        (b"*", "*", ""),
        (b"//a", "//a", ""),
    ],
)
def test_every_form_of_a_target_is_understood(target: bytes, path: str, query: str) -> None:
    async def story(met: Client) -> None:
        await met.send(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        assert [(it.path, it.query) for it in met.application.requests] == [(path, query)]

    run(story)


def test_however_a_request_is_cut_it_is_the_same() -> None:
    async def story(met: Client) -> None:
        content = post(b"some body", head=b"X-A: 1\r\n")
        whole = await met.send(content)
        assert await met.send(*(content[at : at + 1] for at in range(len(content)))) == whole
        first, second = met.application.requests
        assert first == second

    run(story)


def test_an_answer_is_one_write_with_its_length_and_one_line_for_each_header() -> None:
    async def story(met: Client) -> None:
        met.state.default_headers = [(b"date", b"today")]
        met.application.headers = [("X-Own", "a\r\nb: c ü€")]
        expected = "HTTP/1.1 200 OK\r\ndate: today\r\nX-Own: a  b: c ü?\r\ncontent-length: 4\r\n\r\nbody"
        assert await met.send(post(b"body")) == expected.encode("latin-1")

    run(story)


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    async def story(met: Client) -> None:
        answer = await met.send(post(b"body").replace(b"POST", b"HEAD"))
        assert answer.endswith(b"content-length: 4\r\n\r\n")

    run(story)


def test_requests_that_do_not_wait_are_answered_in_turn_and_hold_up_their_client() -> None:
    async def story(met: Client) -> None:
        met.application.go_on.clear()
        assert await met.send(post(b"1") + post(b"2") + post(b"3")) == b""
        assert [request.body for request in met.application.requests] == [b"1"]
        assert not met.transport.is_reading
        met.application.go_on.set()
        await met.rest()
        assert [part[-1:] for part in met.transport.written.split(b"HTTP/1.1")[1:]] == [b"1", b"2", b"3"]
        assert met.transport.is_reading

    run(story)


def test_a_client_that_does_not_read_gets_no_second_answer_until_it_does() -> None:
    async def story(met: Client) -> None:
        met.connection.pause_writing()
        assert await met.send(post(b"1") + post(b"2")) == b""
        met.connection.resume_writing()
        await met.rest()
        assert met.transport.written.count(b"HTTP/1.1 200") == 2

    run(story)


@pytest.mark.parametrize("head", [b"Connection: close\r\n", b"Connection: Close, x\r\n"])
def test_a_client_that_wants_its_connection_closed_gets_that(head: bytes) -> None:
    async def story(met: Client) -> None:
        answer = await met.send(post(b"1", head=head) + post(b"2"))
        assert b"connection: close\r\n" in answer
        assert met.transport.is_closed
        assert len(met.application.requests) == 1

    run(story)


def test_http_1_0_gets_one_answer() -> None:
    async def story(met: Client) -> None:
        await met.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert met.transport.is_closed

    run(story)


def test_a_body_that_is_held_back_is_asked_for_when_its_turn_has_come() -> None:
    async def story(met: Client) -> None:
        request = post(b"body", head=b"Expect: 100-Continue\r\n")
        head, body = request[:-4], request[-4:]
        assert await met.send(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await met.send(body)).endswith(b"body")
        met.application.go_on.clear()
        assert await met.send(post(b"1"), head) == b""
        met.application.go_on.set()
        await met.rest()
        assert met.transport.written.endswith(b"1HTTP/1.1 100 Continue\r\n\r\n")

    run(story)


@pytest.mark.parametrize(
    "broken", [b"garbage\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n", b"GET http://[ HTTP/1.1\r\nHost: h\r\n\r\n"]
)
def test_what_is_no_request_is_refused_after_the_answers_before_it(broken: bytes) -> None:
    async def story(met: Client) -> None:
        met.application.go_on.clear()
        await met.send(post(b"1") + broken, b"more of it")
        met.application.go_on.set()
        await met.rest()
        first, second = met.transport.written.split(b"HTTP/1.1 ")[1:]
        assert (first[:3], first[-1:], second[:3]) == (b"200", b"1", b"400")
        assert met.transport.is_closed

    run(story)


def test_heads_have_a_limit_and_bodies_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_MAX_BYTES", 1_000)

    async def story(met: Client) -> None:
        request = post(b"x" * 5_000)
        answer = await met.send(
            request[:900], *(request[at : at + 500] for at in range(900, len(request), 500))
        )
        assert answer.startswith(b"HTTP/1.1 200")
        answer = await met.send(GET[:-2] + b"X: " + b"x" * 900, b"x" * 100)
        assert answer.startswith(b"HTTP/1.1 400")
        assert met.transport.is_closed

    run(story)


def test_a_body_at_the_limit_is_kept_and_a_larger_one_is_read_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "BODY_MAX_BYTES", 1_000)

    async def story(met: Client) -> None:
        await met.send(post(b"x" * 1_000), post(b"x" * 900), post(b"y" * 900 + b"z" * 101))
        kept = [(len(request.body), request.is_complete) for request in met.application.requests]
        assert kept == [(1_000, True), (900, True), (0, False)]

    run(story)


def test_headers_behind_a_body_are_none() -> None:
    async def story(met: Client) -> None:
        head = b"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        await met.send(head + b"4\r\nbody\r\n0\r\nAuthorization: nobody\r\n\r\n")
        (request,) = met.application.requests
        assert request.body == b"body"
        assert "authorization" not in request.headers

    run(story)


def test_a_client_that_goes_away_in_the_middle_of_its_request_asked_for_nothing() -> None:
    """Half an invocation's payload may be valid JSON, and half a DELETE has no body at all."""

    async def story(met: Client) -> None:
        await met.send(post(b"{}1234")[:-4])
        assert met.connection.eof_received() is False

    run(story)


def test_a_client_that_has_said_all_still_gets_its_answers() -> None:
    async def story(met: Client) -> None:
        met.application.go_on.clear()
        await met.send(post(b"1") + post(b"2"))
        assert met.connection.eof_received() is True
        met.application.go_on.set()
        await met.rest()
        assert met.transport.written.count(b"HTTP/1.1 200") == 2
        assert met.transport.is_closed

    run(story)


def test_whoever_asks_for_another_protocol_is_answered_in_this_one() -> None:
    async def story(met: Client) -> None:
        answer = await met.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")

    run(story)


def test_a_bug_is_a_500_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def story(met: Client) -> None:
        answer = await met.send(post(b"1", path=b"/bug"))
        assert answer.startswith(b"HTTP/1.1 500")
        assert b"a bug" not in answer
        assert met.transport.is_closed

    run(story)
    assert "a bug" in caplog.text


def test_a_server_that_stops_lets_answers_end_and_closes_what_idles() -> None:
    async def story(met: Client) -> None:
        met.application.go_on.clear()
        await met.send(post(b"1"))
        met.connection.shutdown()
        assert not met.transport.is_closed
        met.application.go_on.set()
        await met.rest()
        assert met.transport.written.endswith(b"1")
        assert met.transport.is_closed

    async def idle(met: Client) -> None:
        await met.send(GET)
        met.connection.shutdown()
        assert met.transport.is_closed

    run(story)
    run(idle)


def test_a_connection_on_which_nothing_follows_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.01)

    async def story(met: Client) -> None:
        await met.send(GET)
        await asyncio.sleep(0.02)
        assert met.transport.is_closed

    async def receiving(met: Client) -> None:
        await met.send(GET, GET[:5])
        await asyncio.sleep(0.02)
        assert not met.transport.is_closed

    run(story)
    run(receiving)


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_sends_none(status: int) -> None:
    """What followed its head would be taken for the next answer."""

    async def story(met: Client) -> None:
        met.application.status = status
        post = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"
        found = await met.send(post)
        assert found.startswith(b"HTTP/1.1 %d " % status)
        assert found.endswith(b"\r\n\r\n")
        assert b"content-length" not in found
        met.application.status = 200
        assert (await met.send(post)).endswith(b"content-length: 4\r\n\r\nbody")

    run(story)


def test_a_status_that_has_no_name_is_sent_without_one() -> None:
    async def story(met: Client) -> None:
        met.application.status = 299
        assert (await met.send(GET)).startswith(b"HTTP/1.1 299 \r\n")

    run(story)


def test_cookies_that_come_in_several_headers_are_cookies_each() -> None:
    async def story(met: Client) -> None:
        await met.send(
            b"GET / HTTP/1.1\r\nHost: here\r\nCookie: a=1; b=2\r\nX: 1\r\nCookie: c=3\r\nX: 2\r\n\r\n"
        )
        headers = met.application.requests[0].headers
        assert (headers["cookie"], headers["x"]) == ("a=1; b=2; c=3", "1,2")

    run(story)
