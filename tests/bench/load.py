"""The load generator: raw HTTP/1.1 over kept-open connections, the same for every server.

Requests are bytes made in advance and answers are cut at their Content-Length, so that the generator costs little
beside what it measures. It knows no server and no figure; `figures` uses it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import uvloop

_CONNECT_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 30.0
_Measured = TypeVar("_Measured")


class LoadFailed(Exception):
    """A server refused, closed a connection, was too slow, or answered something else than it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP response."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, or None."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name:
                return value.strip()
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a request goes and what must come back."""

    port: int
    request: bytes
    answer: bytes | None = None
    """The body that is right; None takes any body of a response with status 200."""

    def with_event(self, event: bytes) -> Target:
        """Return the same request with another body, whatever the answer may be then."""
        head, _, _ = self.request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        lines.append(b"Content-Length: %d" % len(event))
        return Target(port=self.port, request=b"\r\n".join([*lines, b"", b""]) + event)

    def check(self, answer: Answer) -> None:
        """Refuse to count a wrong answer as a fast one.

        Raises:
            LoadFailed: it is wrong.
        """
        is_wrong = self.answer is not None and answer.body != self.answer
        if answer.status != 200 or is_wrong:
            raise LoadFailed(f"answered {answer.status}: {answer.body[:300]!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What came of sending requests for a while."""

    latencies_s: tuple[float, ...]
    elapsed_s: float

    @property
    def per_s(self) -> float:
        """Answers per second, over all connections."""
        return len(self.latencies_s) / self.elapsed_s


@dataclass(slots=True)
class Spent:
    """How often something was asked, and the time until the answers, of all callers together."""

    count: int = 0
    seconds: float = 0.0


class Caller:
    """Asks one thing after another, over a connection that is opened anew whenever the server closes it."""

    def __init__(self, port: int) -> None:
        """Make it; it connects with its first request."""
        self._port = port
        self._connection: _Connection | None = None
        self.spent: dict[str, Spent] = {}

    async def ask(self, what: str, request: bytes) -> Answer:
        """Return the answer to a request; its time, that of connecting included, is counted under `what`.

        Raises:
            LoadFailed: it is a refusal.
        """
        started_s = time.perf_counter()
        if self._connection is None:
            self._connection = await _connect(self._port)
        answer = await self._connection.ask(request)
        if answer.header("connection") == "close" or answer.head.startswith(b"HTTP/1.0"):
            self.close()
        spent = self.spent.setdefault(what, Spent())
        spent.count += 1
        spent.seconds += time.perf_counter() - started_s
        if not 200 <= answer.status < 300:
            raise LoadFailed(f"answered {what} with {answer.status}: {answer.body[:300]!r}")
        return answer

    def close(self) -> None:
        """Close its connection, if it has one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def conversations(
    port: int,
    converse: Callable[[Caller], Awaitable[None]],
    *,
    callers: int,
    duration_s: float,
    warmup: int = 5,
) -> tuple[dict[str, Spent], float]:
    """Let callers side by side have one conversation after another for a while.

    Args:
        port: with whom.
        converse: one conversation: what is asked may depend on what was answered.
        callers: how many, each with a connection of its own.
        duration_s: for how long after the warm-up.
        warmup: conversations of each that are not counted.

    Returns:
        What was spent on each kind of request, and the seconds that all took.

    Raises:
        LoadFailed: a request was refused.
    """

    async def repeat(caller: Caller, turns: Iterator[int] | range) -> None:
        for _ in turns:
            await converse(caller)

    async def measure() -> tuple[dict[str, Spent], float]:
        everybody = [Caller(port) for _ in range(callers)]
        try:
            await asyncio.gather(*(repeat(caller, range(warmup)) for caller in everybody))
            for caller in everybody:
                caller.spent.clear()
            started_s = time.perf_counter()
            deadline_s = started_s + duration_s
            await asyncio.gather(*(repeat(caller, _until(deadline_s)) for caller in everybody))
            elapsed_s = time.perf_counter() - started_s
        finally:
            for caller in everybody:
                caller.close()
        return _sum(caller.spent for caller in everybody), elapsed_s

    return _run(measure)


def _sum(parts: Iterable[dict[str, Spent]]) -> dict[str, Spent]:
    total: dict[str, Spent] = {}
    for part in parts:
        for what, spent in part.items():
            of_all = total.setdefault(what, Spent())
            of_all.count += spent.count
            of_all.seconds += spent.seconds
    return total


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answered: asyncio.Future[Answer] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        if self._transport.is_closing():
            self._answered.set_exception(LoadFailed("closed the connection"))
        else:
            self._transport.write(request)
        return self._answered

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports are not asyncio's classes

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(LoadFailed("closed the connection without an answer"))

    def data_received(self, data: bytes) -> None:
        answer = self._take(data)
        if answer is not None and self._answered is not None and not self._answered.done():
            self._answered.set_result(answer)

    def _take(self, data: bytes) -> Answer | None:
        """Return the answer that is complete with this."""
        received = self._received + data if self._received else data
        end = received.find(b"\r\n\r\n")
        size = end + 4 + _content_length(received[:end]) if end >= 0 else 0
        if end < 0 or len(received) < size:
            self._received = received
            return None
        self._received = received[size:]
        return Answer(status=int(received[9:12]), head=received[:end], body=received[end + 4 : size])


_AnyConnection = TypeVar("_AnyConnection", bound=_Connection)


def one_after_another(target: Target, *, duration_s: float, warmup: int = 50) -> Load:
    """Send requests over one connection, each when the one before is answered.

    Raises:
        LoadFailed: not every answer was right.
    """
    return _run(lambda: _repeat(target, 1, duration_s, warmup))


def side_by_side(target: Target, *, connections: int, duration_s: float, warmup: int = 20) -> Load:
    """Send requests over several connections at once, one after another on each.

    Args:
        target: where to.
        connections: how many.
        duration_s: for how long after the warm-up.
        warmup: requests per connection that are not counted.

    Raises:
        LoadFailed: not every answer was right.
    """
    return _run(lambda: _repeat(target, connections, duration_s, warmup))


def once(target: Target) -> tuple[float, Answer]:
    """Send one request over a connection that is open already; return seconds until the answer, and the answer.

    Raises:
        LoadFailed: the answer was wrong.
    """
    ((latency_s, answer),) = all_at_once(target, count=1)
    return latency_s, answer


def all_at_once(target: Target, *, count: int) -> list[tuple[float, Answer]]:
    """Send one request over each of many open connections at the same moment.

    Raises:
        LoadFailed: not every answer was right.
    """

    async def measure() -> list[tuple[float, Answer]]:
        connections = [await _connect(target.port) for _ in range(count)]
        try:
            return await asyncio.gather(*(_timed(connection, target) for connection in connections))
        finally:
            for connection in connections:
                connection.close()

    return _run(measure)


def in_turn(target: Target, *, count: int, read: Callable[[float, Answer], _Measured]) -> list[_Measured]:
    """Send requests over one open connection, each when the one before is answered; see `staggered`.

    Raises:
        LoadFailed: not every answer was right.
    """

    async def measure() -> list[_Measured]:
        connection = await _connect(target.port)
        found: list[_Measured] = []
        try:
            for _ in range(count):
                at_s = time.time()
                answer = await connection.ask(target.request)
                target.check(answer)
                found.append(read(at_s, answer))
        finally:
            connection.close()
        return found

    return _run(measure)


def staggered(
    target: Target, *, count: int, pause_s: float, read: Callable[[float, Answer], _Measured]
) -> list[_Measured]:
    """Send requests over open connections, one a moment after the other, whether that one is answered or not.

    Args:
        target: where to.
        count: how many.
        pause_s: between two of them.
        read: is handed when a request was sent (seconds since the epoch) and its answer, when all are answered.

    Raises:
        LoadFailed: not every answer was right.
    """

    async def measure() -> list[_Measured]:
        connections = [await _connect(target.port) for _ in range(count)]
        sent: list[tuple[float, asyncio.Future[Answer]]] = []
        try:
            for connection in connections:
                sent.append((time.time(), connection.ask(target.request)))
                await asyncio.sleep(pause_s)
            answers = await asyncio.gather(*(answered for _, answered in sent))
        finally:
            for connection in connections:
                connection.close()
        for answer in answers:
            target.check(answer)
        return [read(at_s, answer) for (at_s, _), answer in zip(sent, answers, strict=True)]

    return _run(measure)


def by_timetable(targets: Sequence[Target], at_s: Sequence[float]) -> list[tuple[float, float, Answer]]:
    """Send each request at its time, whether others are answered or not.

    Args:
        targets: where to.
        at_s: when, in seconds from the start on, rising.

    Returns:
        For each when it was sent (seconds from the start on), seconds until its answer, and the answer.

    Raises:
        LoadFailed: not every answer was right.
    """

    async def measure() -> list[tuple[float, float, Answer]]:
        started_s = time.perf_counter()

        async def send(target: Target) -> tuple[float, float, Answer]:
            # Over connections of their own: a server closes those that idle for long.
            connection = await _connect(target.port)
            try:
                sent_s = time.perf_counter() - started_s
                return sent_s, *await _timed(connection, target)
            finally:
                connection.close()

        sending: list[asyncio.Task[tuple[float, float, Answer]]] = []
        for target, due_s in zip(targets, at_s, strict=True):
            await asyncio.sleep(max(0.0, started_s + due_s - time.perf_counter()))
            sending.append(asyncio.create_task(send(target)))
        return await asyncio.gather(*sending)

    return _run(measure, limit_s=at_s[-1] + _ANSWER_TIMEOUT_S)


class _Repeating(_Connection):
    """A connection that sends the next request by itself as soon as an answer has come.

    Without a task to wake for each answer: what the generator costs is missing to what it measures, which shares the
    processors with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._target: Target | None = None
        self._started_s = 0.0
        self._left = 0
        self._deadline_s = 0.0
        self._latencies_s: list[float] = []
        self._ended: asyncio.Future[list[float]] | None = None

    def repeat(
        self, target: Target, *, count: int = 0, deadline_s: float = 0.0
    ) -> asyncio.Future[list[float]]:
        """Return, in the end, the seconds of each answer: of so many, and of more until the deadline."""
        self._target, self._left, self._deadline_s, self._latencies_s = target, count, deadline_s, []
        self._ended = asyncio.get_running_loop().create_future()
        self._next(time.perf_counter())
        return self._ended

    def _next(self, now_s: float) -> None:
        assert self._target is not None and self._ended is not None and self._transport is not None
        if self._left <= 0 and now_s >= self._deadline_s:
            self._ended.set_result(self._latencies_s)
        elif self._transport.is_closing():
            self._ended.set_exception(LoadFailed("closed the connection"))
        else:
            self._left -= 1
            self._started_s = now_s
            self._transport.write(self._target.request)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(LoadFailed("closed the connection without an answer"))

    def data_received(self, data: bytes) -> None:
        assert self._ended is not None and self._target is not None
        answer = self._take(data)
        if answer is None or self._ended.done():
            return
        now_s = time.perf_counter()
        self._latencies_s.append(now_s - self._started_s)
        try:
            self._target.check(answer)
        except LoadFailed as error:
            self._ended.set_exception(error)
        else:
            self._next(now_s)


async def _repeat(target: Target, connections: int, duration_s: float, warmup: int) -> Load:
    opened = [await _connect(target.port, _Repeating) for _ in range(connections)]
    try:
        await asyncio.gather(*(connection.repeat(target, count=warmup) for connection in opened))
        started_s = time.perf_counter()
        deadline_s = started_s + duration_s
        counted = await asyncio.gather(
            *(connection.repeat(target, deadline_s=deadline_s) for connection in opened)
        )
        elapsed_s = time.perf_counter() - started_s
    finally:
        for connection in opened:
            connection.close()
    return Load(latencies_s=tuple(latency_s for part in counted for latency_s in part), elapsed_s=elapsed_s)


async def _timed(connection: _Connection, target: Target) -> tuple[float, Answer]:
    started_s = time.perf_counter()
    answer = await connection.ask(target.request)
    latency_s = time.perf_counter() - started_s
    target.check(answer)
    return latency_s, answer


def _until(deadline_s: float) -> Iterator[int]:
    turn = 0
    while time.perf_counter() < deadline_s:
        yield turn
        turn += 1


async def _connect(port: int, kind: type[_AnyConnection] = _Connection) -> _AnyConnection:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(kind, "127.0.0.1", port)
    except OSError as error:
        raise LoadFailed(f"cannot be reached: {error}") from error
    return connection


def _content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"\r\ncontent-length:")
    if start < 0:
        raise LoadFailed("answered without a Content-Length")
    return int(lower[start + 17 :].split(b"\r\n", 1)[0])


def _run(measure: Callable[[], Awaitable[_Measured]], *, limit_s: float = _ANSWER_TIMEOUT_S) -> _Measured:
    """Run in a loop of its own, bounded: a server that stops answering must not stop the bench."""

    async def bounded() -> _Measured:
        try:
            async with asyncio.timeout(limit_s):
                return await measure()
        except TimeoutError as error:
            raise LoadFailed(f"did not finish within {limit_s:g} s") from error

    return uvloop.run(bounded())
