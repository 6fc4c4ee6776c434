"""The Runtime API (version 2018-06-01) of one execution environment.

The one place where Lambda's control is inverted: the runtime *asks* for work (``GET …/next``) and *reports* the
result. `RuntimeApi` turns this around into one awaitable exchange per invocation. Its HTTP is `runtime_connection`'s,
and nobody above sees it. It is served on an inherited socket to our own runtimes and on TCP inside the environment to
all others.

Source: AWS page "Using the Lambda runtime API for custom runtimes"; state errors as in AWS's runtime interface
emulator. A request is checked before the state moves: moves are irreversible.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from lambent.node.responding import DEFAULT_TYPE, GRACE_S, Responding, is_for
from lambent.response_stream import ResponseStream

if TYPE_CHECKING:
    from lambent.node.runtime_connection import Connection, RuntimeRequest

_ERROR_TYPE, _ERROR_BODY = "lambda-runtime-function-error-type", "lambda-runtime-function-error-body"
_LAST = "lambent-runtime-last"


class Restoring(Enum):
    """What a runtime of a version with SnapStart, which asks for ``/restore/next``, gets."""

    AT_ONCE = "at once"
    """An answer: there is no snapshot, it goes on as if restored."""
    TEMPLATE = "template"
    """None: its copies go on. For `RuntimeApi.ready` its init is over."""
    COPY = "copy"
    """It has had its answer: it is a copy."""


class RuntimeState(Enum):
    """Where the runtime stands, by its own requests."""

    STARTED = "Started"
    RESTORING = "Restoring"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESPONDING = "Responding"
    """Its response is being streamed."""
    RESPONDED = "Responded"


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the runtime reported for an invocation, or for its init when that failed."""

    body: bytes
    is_error: bool
    error_type: str | None = None
    """The ``Lambda-Runtime-Function-Error-Type`` header, or the payload's ``errorType``."""
    is_too_large: bool = False
    """The body was over the response limit and is not kept."""
    is_last: bool = False
    """The runtime has said that it ends now (our own clients do, after an error that nobody caught)."""


class RuntimeApi:
    """State of the conversation with one runtime."""

    def __init__(
        self,
        *,
        response_max_bytes: int,
        on_answer: Callable[[], None],
        restoring: Restoring = Restoring.AT_ONCE,
        credentials: bytes | None = None,
    ) -> None:
        """Start the conversation.

        Args:
            response_max_bytes: a longer response is refused with 413.
            on_answer: called before an answer is handed on, so that output written before it can be collected.
            restoring: what the runtime has to do with snapshots.
            credentials: JSON for those who ask for the container's credentials; None: there are none here.
        """
        self._loop = asyncio.get_running_loop()
        self.response_max_bytes = response_max_bytes
        self.ready: asyncio.Future[Answer | None] = self._loop.create_future()
        """Done when init is over: None, or the error that the runtime reported."""
        self.state = RuntimeState.RESTORING if restoring is Restoring.COPY else RuntimeState.STARTED
        self._restoring = restoring
        self._credentials = credentials
        self._on_answer = on_answer
        self._parked: Connection | None = None
        self._next_response: bytes | None = None
        self._request_id = ""
        self._answered: asyncio.Future[Answer] | None = None
        self.into: ResponseStream | None = None
        """Where the response goes, if it may be streamed."""
        self._responding: Responding | None = None
        self._connections: set[Connection] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether the runtime has asked for an invocation and has none."""
        return self._parked is not None

    def exchange(
        self, *, request_id: str, next_response: bytes, into: ResponseStream | None = None
    ) -> asyncio.Future[Answer]:
        """Give the runtime an invocation and return its answer to come.

        Args:
            request_id: the invocation's id.
            next_response: the complete HTTP response to the runtime's ``next`` request.
            into: takes the response while it comes; None: it comes as a whole. Errors always do.
        """
        assert self._answered is None or self._answered.done(), "one invocation at a time"
        self._request_id, self.into = request_id, into
        self._answered = self._loop.create_future()
        if self._parked is not None:
            connection, self._parked = self._parked, None
            self.state = RuntimeState.RUNNING
            connection.write(next_response)
        else:
            self._next_response = next_response
        return self._answered

    def interrupt(self, reason: Exception) -> bool:
        """Raise this to whoever waits for the runtime; False when nobody does."""
        for waiting in (self._answered, self.ready):
            if waiting is not None and not waiting.done():
                waiting.set_exception(reason)
                return True
        return False

    async def drained(self) -> None:
        """Wait for what a runtime that has ended still said of the response that it was streaming, if it was."""
        if self._responding is not None:
            await self._responding.drained()

    def close(self) -> None:
        """Drop the connections and any answer still awaited."""
        for connection in list(self._connections):
            connection.abort()
        if self._answered is not None:
            self._answered.cancel()
            self._answered = None
        self.ready.cancel()

    # Called by connections ---------------------------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        """A runtime process opened a connection."""
        self._connections.add(connection)

    def is_parked(self, connection: Connection) -> bool:
        """Whether this connection's ``next`` request waits for an invocation."""
        return self._parked is connection

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone; its parked ``next`` with it."""
        self._connections.discard(connection)
        if self._parked is connection:
            self._parked = None
        if self._responding is not None and self._responding.source is connection:
            self._responding.lose()
            # Either its process has ended, which is told apart from this and says more, or it has given up.
            self._loop.call_later(GRACE_S, self._end_stream, self._responding, _TRUNCATED)

    def open_stream(
        self, connection: Connection, method: bytes, path: bytes, headers: dict[str, str]
    ) -> ResponseStream | None:
        """Return where the body goes that begins now; None: it is kept until it is complete."""
        into = self.into
        if (
            into is None
            or self.state is not RuntimeState.RUNNING
            or method != b"POST"
            or path.partition(b"?")[0].decode("latin-1")
            != f"/2018-06-01/runtime/invocation/{self._request_id}/response"
            or not is_for(into, headers)
        ):
            return None
        self.state = RuntimeState.RESPONDING
        self._responding = Responding(connection, into)
        into.begin(headers.get("content-type") or DEFAULT_TYPE, connection)
        return into

    def overflow(self) -> None:
        """Note that a streamed response is over the limit: it ends there and then, and its runtime with it."""
        if self._responding is not None:
            self._end_stream(self._responding, _OVERFLOW)

    def _end_stream(self, responding: Responding, answer: Answer) -> None:
        """End a streamed response, unless it has ended, in our words instead of the runtime's."""
        if self._responding is not responding or self._answered is None or self._answered.done():
            return
        self._leave_stream(responding)
        self.state = RuntimeState.RESPONDED
        self._on_answer()
        self._answered.set_result(answer)

    def take_turn(self, connection: Connection, request_id: bytes, body: bytes) -> bool:
        """Take a response and the request for the next invocation behind it; False: they have to be looked at.

        It comes to what `handle` comes to with the one and then the other, wherever those would be welcome.
        """
        answered = self._answered
        if (
            self.state is not RuntimeState.RUNNING
            or self.into is not None
            or self._parked is not None
            or self._next_response is not None
            or answered is None
            or answered.done()
            or len(body) > self.response_max_bytes
            or request_id != self._request_id.encode()
        ):
            return False
        self.state = RuntimeState.READY
        self._parked = connection
        connection.accept()
        self._on_answer()
        answered.set_result(Answer(body=body, is_error=False))
        return True

    def handle(self, connection: Connection, request: RuntimeRequest) -> None:
        """Answer one request of the runtime."""
        match [request.method, *request.path.partition("?")[0].split("/")[1:]]:
            case ["POST", "2018-06-01", "runtime", "invocation", request_id, verb]:
                self._report(connection, request, request_id, verb)
            case ["GET", "2018-06-01", "runtime", "invocation", "next"]:
                self._next(connection)
            case ["POST", "2018-06-01", "runtime", "init" | "restore", "error"]:
                self._init_error(connection, request)
            case ["GET", "2018-06-01", "runtime", "restore", "next"]:
                self._restore_next(connection)
            case ["GET", "2021-04-23", "credentials"] if self._credentials is not None:
                connection.give_json(self._credentials)
            case _:
                connection.refuse(404, "InvalidRequest", f"There is no {request.method} {request.path} here")

    def _restore_next(self, connection: Connection) -> None:
        if self.state is not RuntimeState.STARTED:
            connection.refuse(
                403, "InvalidStateTransition", f"State transition from {self.state.value} to Restoring failed"
            )
            return
        self.state = RuntimeState.RESTORING
        if self._restoring is not Restoring.TEMPLATE:
            connection.give_json(b"{}")
        elif not self.ready.done():
            self._on_answer()
            self.ready.set_result(None)

    def _next(self, connection: Connection) -> None:
        if self.state in _NOT_NEXT or self._parked is not None:
            connection.refuse(
                403, "InvalidStateTransition", f"State transition from {self.state.value} to Ready failed"
            )
            return
        self.state = RuntimeState.READY
        if not self.ready.done():
            self._on_answer()
            self.ready.set_result(None)
        if self._next_response is not None:
            next_response, self._next_response = self._next_response, None
            self.state = RuntimeState.RUNNING
            connection.write(next_response)
        else:
            self._parked = connection

    def _init_error(self, connection: Connection, request: RuntimeRequest) -> None:
        if self.state not in (RuntimeState.STARTED, RuntimeState.RESTORING):
            connection.refuse(
                403, "InvalidStateTransition", f"State transition from {self.state.value} to InitError failed"
            )
            return
        self.state = RuntimeState.INIT_ERROR
        connection.accept()
        self._on_answer()
        if not self.ready.done():
            self.ready.set_result(_answer_of(request, is_error=True))

    def _report(self, connection: Connection, request: RuntimeRequest, request_id: str, verb: str) -> None:
        if verb not in ("response", "error"):
            connection.refuse(404, "InvalidRequest", f"There is no {request.path} here")
        elif self.state is not RuntimeState.RUNNING and not self._is_responding_on(connection):
            connection.refuse(
                403, "InvalidStateTransition", f"State transition from {self.state.value} to Responded failed"
            )
        elif request_id != self._request_id:
            connection.refuse(400, "InvalidRequestID", "Invalid request ID")
        else:
            self._accept_report(connection, request, is_error=verb == "error")

    def _leave_stream(self, responding: Responding) -> None:
        """End the stream, which lets go of the connection: the runtime may have asked for more behind its response."""
        responding.into.finish()
        self._responding = None

    def _is_responding_on(self, connection: Connection) -> bool:
        return self._responding is not None and self._responding.source is connection

    def _accept_report(self, connection: Connection, request: RuntimeRequest, *, is_error: bool) -> None:
        if self._responding is not None:
            self._leave_stream(self._responding)
        self.state = RuntimeState.RESPONDED
        answer = _answer_of(request, is_error=is_error)
        if request.is_too_large:
            connection.refuse(
                413,
                "RequestEntityTooLarge",
                f"Exceeded maximum allowed payload size ({self.response_max_bytes} bytes).",
            )
        else:
            connection.accept()
        self._on_answer()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(answer)


_NOT_NEXT = (RuntimeState.RUNNING, RuntimeState.RESPONDING, RuntimeState.INIT_ERROR)


_OVERFLOW = Answer(body=b"", is_error=True, is_too_large=True, is_last=True)
_TRUNCATED = Answer(
    body=b'{"errorType":"Runtime.TruncatedResponse","errorMessage":"The response ended before it was complete."}',
    is_error=True,
    error_type="Runtime.TruncatedResponse",
)


def _answer_of(request: RuntimeRequest, *, is_error: bool) -> Answer:
    body, error_type = request.body, None
    if not is_error and _ERROR_TYPE in request.headers:
        # A trailer: the response was streamed, and the function failed before its end.
        is_error, body = True, _error_body_in(request.headers)
    if is_error:
        error_type = request.headers.get(_ERROR_TYPE) or _error_type_in(body)
    return Answer(
        body=body,
        is_error=is_error,
        error_type=error_type,
        is_too_large=request.is_too_large,
        is_last=_LAST in request.headers,
    )


def _error_body_in(trailers: dict[str, str]) -> bytes:
    try:
        return base64.b64decode(trailers.get(_ERROR_BODY, ""), validate=True)
    except ValueError:
        return b""


def _error_type_in(body: bytes) -> str | None:
    try:
        payload: Any = msgspec.json.decode(body)
        return str(payload["errorType"])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError, RecursionError):
        return None
