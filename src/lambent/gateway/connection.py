"""One HTTP/1.1 connection of a client: bytes in, requests out, answers back, in turn.

Parsed by httptools, but for what `plain_request` knows at sight. Knows HTTP and nothing of AWS; it is made by
`server`, whose uvicorn accepts connections, ends them and counts what still runs. A connection has one
task for as long as it lives: what a request costs here is paid by every operation.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Protocol, cast

import httptools
from uvicorn.server import ServerState

from lambent.busy_poll import BusyPoll
from lambent.gateway.plain_request import plain_request
from lambent.wire.http import BrokenBody, HttpRequest, HttpResponse, StreamedBody

_log = logging.getLogger(__name__)

HEAD_MAX_BYTES = 1024 * 1024 + 262_144
"""Request line and headers: AWS's 1 MB, and what one read may hold of a body that follows."""
TARGET_MAX_BYTES = 65_535
"""Path and query."""
BODY_MAX_BYTES = 70_167_211
"""The largest request that any operation takes: AWS's limit for CreateFunction."""
KEEP_ALIVE_S = 5.0
"""A connection on which nothing follows an answer is closed after this time."""
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_WITHOUT_BODY = (204, 304)
"""Statuses whose responses end with their head, whatever it says."""
_CHUNKED = b"transfer-encoding: chunked\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Application(Protocol):
    """What answers requests."""

    def answer(self, request: HttpRequest) -> Awaitable[HttpResponse]:
        """Return the answer to come. An exception is a bug; the client sees a 500 and the end of its connection."""
        ...


class HttpConnection(asyncio.Protocol):
    """One connection. Its server may call `shutdown`; the rest is asyncio's and the parser's."""

    def __init__(self, application: Application, state: ServerState, busy_poll: BusyPoll) -> None:
        """Make a connection that is not connected yet.

        Args:
            application: answers its requests, one after another.
            state: the server's; connections and tasks register themselves there.
            busy_poll: looks for the next request for a moment.
        """
        self._application = application
        self._state = state
        self._busy_poll = busy_poll
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._parser = httptools.HttpRequestParser(self)
        self._base_url = ""
        self._client_address = ""
        self._turns: deque[_Turn] = deque()
        """What has come whole and waits to be answered."""
        self._waiting: asyncio.Future[None] | None = None
        """The task's, while there is nothing to answer, or while the client does not read."""
        self._streaming: StreamedBody | None = None
        """The body that is being sent while it is made."""
        self._unanswered = 0
        """Requests of which at least the head has come."""
        self._is_receiving = False
        """Whether the last of them is still coming."""
        self._is_between = True
        """Whether the parser is between two requests."""
        self._stays_open = True
        self._is_refused = False
        self._is_read_paused = False
        self._is_write_paused = False
        self._head_bytes = 0
        """Received since the last request or the last part of a body."""
        self._is_quiet = True
        """Whether nothing came since the last answer."""
        self._common_headers: list[tuple[bytes, bytes]] = []
        self._common_bytes = b""
        self._answered_s = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_gone = False
        self._gone: asyncio.Future[None] | None = None
        """Made when somebody wants to know."""

    # uvicorn's -----------------------------------------------------------------------------------------------

    def shutdown(self) -> None:
        """Close, after the answers to requests that are on their way."""
        self._stays_open = False
        if not self._unanswered:
            self._transport.close()

    # asyncio's -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._base_url = _base_url(transport.get_extra_info("sockname"))
        self._client_address = _address(transport.get_extra_info("peername"))[0]
        # uvicorn asks no more of a connection than `shutdown`.
        self._state.connections.add(self)  # type: ignore[arg-type]
        task = self._loop.create_task(self._converse())
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)  # type: ignore[arg-type]
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._leave()
        self._is_write_paused = False
        self._wake()
        if self._streaming is not None:
            self._streaming.abandon()
        del self._parser  # It holds this connection.

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._is_quiet = False
        if self._is_between and not self._unanswered and (plain := plain_request(data)) is not None:
            self._take_whole(*plain)
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # Whoever asks for another protocol is answered in this one.
        except httptools.HttpParserError:
            self._refuse("Invalid HTTP request received.")
        if self._head_bytes > HEAD_MAX_BYTES:
            self._refuse("The request's headers are too large.")

    def eof_received(self) -> bool:
        """Nothing more will come; what has come whole is still answered."""
        self._stays_open = False
        self._leave()
        return self._unanswered > self._is_receiving

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._wake()

    # httptools' ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._is_between = False
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_receiving:
            return  # Behind a body of chunks nobody looks for headers, so there are none.
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers = self._headers
        if key in headers:
            text = f"{headers[key]}{'; ' if key == 'cookie' else ','}{text}"
        headers[key] = text

    def on_headers_complete(self) -> None:
        self._path, self._query = _target(self._url)
        self._is_receiving = True
        self._unanswered += 1
        if self._unanswered > 1:
            # Its turn comes later, and what follows it can wait at the client.
            self._is_read_paused = True
            self._transport.pause_reading()
        elif "expect" in self._headers:
            self._continue()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        self._body_bytes += len(body)
        if self._body_bytes <= BODY_MAX_BYTES:
            self._body.append(body)
        else:
            # Read on, so that the client gets to read its answer, but keep nothing.
            self._body.clear()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        self._is_receiving = False
        self._is_between = True
        parser, body = self._parser, self._body
        request = HttpRequest(
            method=parser.get_method().decode("latin-1"),
            path=self._path,
            query=self._query,
            headers=self._headers,
            body=body[0] if len(body) == 1 else b"".join(body),
            is_complete=self._body_bytes <= BODY_MAX_BYTES,
            base_url=self._base_url,
            client_address=self._client_address,
            gone=self._until_gone,
        )
        stays_open = parser.should_keep_alive()
        takes_chunks = True
        if ("connection" in self._headers or not stays_open) and parser.get_http_version() == "1.0":
            stays_open = takes_chunks = False  # It would have to be told that it stays open.
        self._turns.append((request, stays_open, takes_chunks))
        self._wake()

    def _take_whole(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
        """Take a request for which the parser was not needed."""
        is_complete = len(body) <= BODY_MAX_BYTES
        request = HttpRequest(
            method=method,
            path=path,
            query=query,
            headers=headers,
            body=body if is_complete else b"",
            is_complete=is_complete,
            base_url=self._base_url,
            client_address=self._client_address,
            gone=self._until_gone,
        )
        self._unanswered += 1
        self._turns.append((request, True, True))
        self._wake()

    def _until_gone(self) -> asyncio.Future[None]:
        """Return what is done once the client has gone; who closes its half alone is taken for gone as well."""
        if self._gone is None:
            self._gone = self._loop.create_future()
            if self._is_gone:
                self._gone.set_result(None)
        return self._gone

    def _leave(self) -> None:
        self._is_gone = True
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    # Turn by turn --------------------------------------------------------------------------------------------

    async def _converse(self) -> None:
        """Answer one request after another for as long as there is a connection."""
        try:
            while not self._transport.is_closing():
                if self._is_write_paused or not self._turns:
                    self._waiting = self._loop.create_future()
                    self._busy_poll.watch(self._waiting)
                    await self._waiting
                    continue
                request, stays_open, takes_chunks = self._turns.popleft()
                if isinstance(request, str):
                    self._send(_plain(400, request), stays_open=False)
                    continue
                try:
                    response = await self._application.answer(request)
                except Exception:
                    _log.exception("%s %s could not be answered", request.method, request.path)
                    response, stays_open = _plain(500, "Internal Server Error"), False
                is_head = request.method == "HEAD" or response.status in _WITHOUT_BODY
                if response.stream is not None:
                    await self._stream(
                        response,
                        response.stream,
                        stays_open=stays_open,
                        takes_chunks=takes_chunks,
                        is_head=is_head,
                    )
                else:
                    self._unanswered -= 1
                    self._send(response, stays_open=stays_open, is_head=is_head)
                if self._unanswered:
                    self._read_on()
        finally:
            self._transport.close()

    def _read_on(self) -> None:
        """Take up the request that came before its turn."""
        if self._is_read_paused:
            self._is_read_paused = False
            self._transport.resume_reading()
        if self._is_receiving and "expect" in self._headers:
            self._continue()

    async def _stream(
        self,
        response: HttpResponse,
        body: StreamedBody,
        *,
        stays_open: bool,
        takes_chunks: bool,
        is_head: bool,
    ) -> None:
        """Answer with a body that is still being made, as quickly as the client reads.

        What breaks off ends without a last chunk, or for clients without chunks, with the connection.
        """
        transport = self._transport
        end = _CHUNKED if takes_chunks and response.status not in _WITHOUT_BODY else b""
        if not (stays_open and (self._stays_open or self._unanswered - 1 > self._is_receiving)):
            end = b"connection: close\r\n" + end
        self._streaming = body
        is_whole = False
        try:
            piece = b"".join(
                [_status_line(response.status), self._common(), _lines(response.headers), end, b"\r\n"]
            )
            while piece and not transport.is_closing():
                transport.write(piece)
                while self._is_write_paused:
                    self._waiting = self._loop.create_future()
                    await self._waiting
                piece = b"" if is_head else await body.read()
                is_whole = not piece
                if piece and takes_chunks:
                    piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        except BrokenBody:
            pass
        except Exception:
            _log.exception("An answer broke off")
        finally:
            self._streaming = None
            body.abandon()
        self._unanswered -= 1
        if not transport.is_closing():
            if is_whole and takes_chunks and not is_head:
                transport.write(_LAST_CHUNK)
            self._rest(stays_open=is_whole and stays_open and self._goes_on)

    def _send(self, response: HttpResponse, *, stays_open: bool, is_head: bool = False) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        status, body = response.status, response.body
        end = b"\r\n" if status in _WITHOUT_BODY else b"content-length: %d\r\n\r\n" % len(body)
        if not (stays_open and (self._stays_open or self._goes_on)):
            stays_open, end = False, b"connection: close\r\n" + end
        is_current = self._state.default_headers is self._common_headers
        common = self._common_bytes if is_current else self._common()
        first = _STATUS_LINES.get(status) or _status_line(status)
        head = (first, common, _lines(response.headers), end, b"" if is_head else body)
        transport.write(b"".join(head))
        self._rest(stays_open=stays_open)

    @property
    def _goes_on(self) -> bool:
        """Whether something may follow, or has come and waits for its answer."""
        return self._stays_open or self._unanswered > self._is_receiving

    def _rest(self, *, stays_open: bool) -> None:
        """Be at the end of an answer: wait for the next request, for a while, or close."""
        if not stays_open:
            self._transport.close()
            return
        self._is_quiet = True
        self._answered_s = self._loop.time()
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(KEEP_ALIVE_S, self._end_idling)

    def _common(self) -> bytes:
        """Return the headers that all answers have: the date, which uvicorn renews once in a second."""
        self._common_headers = headers = self._state.default_headers
        self._common_bytes = b"".join([b"%b: %b\r\n" % header for header in headers])
        return self._common_bytes

    def _end_idling(self) -> None:
        """Close if nothing came for long enough; one timer serves all requests."""
        idle_s = self._loop.time() - self._answered_s if self._is_quiet else 0.0
        if idle_s >= KEEP_ALIVE_S:
            self._transport.close()
        else:
            self._idle_timer = self._loop.call_later(KEEP_ALIVE_S - idle_s, self._end_idling)

    def _continue(self) -> None:
        """Ask for the body that a client holds back until it is asked."""
        if self._headers["expect"].lower() == "100-continue":
            self._transport.write(_CONTINUE)

    def _refuse(self, sentence: str) -> None:
        """Answer what is no request, in its turn; nothing behind it can be made out."""
        self._is_refused = True
        self._turns.append((sentence, False, True))
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


_Turn = tuple[HttpRequest | str, bool, bool]
"""A request, or why there is none; whether the connection stays open after the answer; whether that may have chunks."""


def _address(name: Any) -> tuple[str, int]:
    """Return host and port of a socket's name; of a socket that has none, nothing."""
    if not isinstance(name, tuple):
        return "", 0
    host, port, *_ = cast("tuple[Any, ...]", name)
    return str(host), int(port)


def _base_url(name: Any) -> str:
    host, port = _address(name)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _target(url: bytes) -> tuple[str, str]:
    """Return path and query as they came.

    Raises:
        httptools.HttpParserError: it is no URL.
    """
    if len(url) > TARGET_MAX_BYTES:
        raise httptools.HttpParserInvalidURLError("too long")
    if (url.startswith(b"/") and b"#" not in url) or url == b"*":
        path, _, query = url.decode("latin-1").partition("?")
        return path, query
    # As proxies are asked: with scheme and host in front.
    parsed = httptools.parse_url(url)
    return (parsed.path or b"").decode("latin-1"), (parsed.query or b"").decode("latin-1")


def _plain(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(
        status=status, headers=[("content-type", "text/plain; charset=utf-8")], body=sentence.encode()
    )


def _status_line(status: int) -> bytes:
    """Return the status line, of a status without a name as well."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def _lines(headers: list[tuple[str, str]]) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.count("\r") + text.count("\n") != 2 * len(headers):
        # Whatever a message holds, a header is one line of latin-1.
        text = "".join([f"{name}: {_one_line(value)}\r\n" for name, value in headers])
    return text.encode("latin-1", "replace")


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")
