"""Requests that the server sends: bounded in time and size, and only to where they may go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from lambent.wire.outgoing import Answer, NoAnswer, Outgoing

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi"


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Serve on a free port; every connection is over when the context is."""
    running: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        with suppress(OSError, asyncio.IncompleteReadError):
            await serve(reader, writer)
            await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            if running:
                await asyncio.wait(running, timeout=5)


def exchange(
    answer: bytes | None,
    *,
    url: str = "http://127.0.0.1:{port}/a?b=c",
    outgoing: Callable[[], Outgoing] = Outgoing,
    timeout_s: float = 5.0,
    headers: dict[str, str] | None = None,
) -> tuple[Answer, bytes]:
    """Send a request to a server that answers so, and return the answer and what the server was sent."""

    async def run() -> tuple[Answer, bytes]:
        seen = bytearray()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.extend(await reader.readuntil(b"\r\n\r\n"))
            seen.extend(await reader.readexactly(4))
            if answer is not None:
                writer.write(answer)
                return
            await reader.read()

        async with serving(serve) as port:
            found = await outgoing().send(
                "POST", url.format(port=port), headers or {"A": "b"}, b"body", timeout_s=timeout_s
            )
        return found, bytes(seen)

    return asyncio.run(run())


def reason(**options: Any) -> str:
    with pytest.raises(NoAnswer) as caught:
        exchange(options.pop("answer", OK), **options)
    return str(caught.value)


def test_a_request_is_sent_whole_and_its_answer_read() -> None:
    answer, seen = exchange(OK)
    assert (answer.status, answer.headers["x-a"], answer.body) == (200, "b", b"hi")
    head, _, body = seen.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a?b=c HTTP/1.1"
    assert lines[1].startswith("Host: 127.0.0.1:")
    assert {"A: b", "Content-Length: 4", "Connection: close"} <= set(lines)
    assert body == b"body"


def test_a_name_is_looked_up_and_every_address_of_it_tried() -> None:
    """On most machines ``localhost`` is ``::1`` first, where nobody listens."""
    assert exchange(OK, url="http://localhost:{port}/")[0].status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 500 Oh\r\n\r\nuntil the end",
        b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000,
    ],
)
def test_answers_of_any_form_have_a_status(answer: bytes) -> None:
    found, _ = exchange(answer)
    assert found.status == 500
    assert len(found.body) <= 65_536


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"what?\r\n\r\n", "the answer is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "the connection ended before"),
        (b"", "the connection ended before"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 400_000, "no"),
    ],
)
def test_what_is_no_answer_is_none(answer: bytes, text: str) -> None:
    assert text in reason(answer=answer)


def test_nobody_is_waited_for_longer_than_was_said() -> None:
    assert reason(answer=None, timeout_s=0.05) == "no answer within 0.05 s"


def test_a_port_where_nobody_listens_gives_no_answer() -> None:
    assert "refused" in reason(url="http://127.0.0.1:1/").lower()


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.1.1]"])
def test_link_local_addresses_are_never_sent_to(host: str) -> None:
    assert "may not be sent to" in reason(url=f"http://{host}/latest/meta-data")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1", "192.168.1.1", "[::1]"])
def test_private_addresses_are_sent_to_only_where_that_is_allowed(host: str) -> None:
    text = reason(url=f"http://{host}/", outgoing=lambda: Outgoing(reaches_private=False))
    assert "may not be sent to" in text


def test_a_header_cannot_smuggle_another_one_in() -> None:
    assert "line break" in reason(headers={"A": "b\r\nC: d"})


def test_only_so_many_requests_are_on_their_way_at_one_moment() -> None:
    most = 0

    async def run() -> None:
        now = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.01)
            now -= 1
            writer.write(OK)

        async with serving(serve) as port:
            outgoing = Outgoing(at_once_max=2)
            sends: list[Awaitable[Answer]] = [
                outgoing.send("GET", f"http://127.0.0.1:{port}/", {}, b"", timeout_s=5) for _ in range(6)
            ]
            await asyncio.gather(*sends)

    asyncio.run(run())
    assert most == 2
