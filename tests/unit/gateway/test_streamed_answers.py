"""Answers that are made while they are sent: chunk by chunk, at the client's pace, and with an honest end."""

from __future__ import annotations

import asyncio

import pytest

from lambent.wire.http import BrokenBody, HttpResponse
from unit.gateway.test_connection import GET, Client, client, run

HEAD = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"


class Body:
    """A body that the test makes."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.is_abandoned = False
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        piece = await self.pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    def abandon(self) -> None:
        self.is_abandoned = True
        self.pieces.put_nowait(b"")


class Bodies:
    """The bodies of the answers on one connection."""

    def __init__(self, met: Client) -> None:
        self.made: list[Body] = []
        self.status = 200
        met.application.answer = self._answer  # type: ignore[method-assign]

    async def _answer(self, request: object) -> HttpResponse:
        self.made.append(Body())
        return HttpResponse(status=self.status, headers=[("x-a", "1")], body=b"", stream=self.made[-1])


async def grown(met: Client, bodies: Bodies, piece: bytes | Exception) -> bytes:
    """Make a piece of the last body and return what is sent because of it."""
    met.transport.written = b""
    bodies.made[-1].pieces.put_nowait(piece)
    await met.rest()
    return met.transport.written


def test_every_piece_leaves_as_a_chunk_at_once_and_the_connection_goes_on() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        assert await met.send(GET) == HEAD
        assert await grown(met, bodies, b"one") == b"3\r\none\r\n"
        assert await grown(met, bodies, bytes(17)) == b"11\r\n" + bytes(17) + b"\r\n"
        assert await grown(met, bodies, b"") == b"0\r\n\r\n"
        assert not met.transport.is_closed
        assert await met.send(GET) == HEAD
        await grown(met, bodies, b"")

    run(story)


def test_a_request_that_came_meanwhile_is_answered_afterwards() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        assert await met.send(GET, GET) == HEAD
        assert await grown(met, bodies, b"one") == b"3\r\none\r\n"
        assert await grown(met, bodies, b"") == b"0\r\n\r\n" + HEAD
        await grown(met, bodies, b"")

    run(story)


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n", b"Connection: keep-alive\r\n"])
def test_a_client_without_chunks_gets_the_bytes_until_the_connection_ends(header: bytes) -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        assert (
            await met.send(b"GET /a HTTP/1.0\r\nHost: here\r\n" + header + b"\r\n")
            == b"HTTP/1.1 200 OK\r\nx-a: 1\r\nconnection: close\r\n\r\n"
        )
        assert await grown(met, bodies, b"one") == b"one"
        assert await grown(met, bodies, b"") == b""
        assert met.transport.is_closed

    run(story)


def test_a_client_that_wants_its_connection_closed_still_gets_chunks() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        head = await met.send(b"GET /a HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert head.endswith(b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n")
        assert await grown(met, bodies, b"") == b"0\r\n\r\n"
        assert met.transport.is_closed

    run(story)


def test_whoever_asks_for_the_head_alone_gets_no_body_and_holds_nobody() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        assert await met.send(b"HEAD /a HTTP/1.1\r\nHost: here\r\n\r\n") == HEAD
        assert (bodies.made[-1].is_abandoned, bodies.made[-1].reads, met.transport.is_closed) == (
            True,
            0,
            False,
        )

    run(story)


def test_a_body_that_breaks_off_has_no_last_chunk() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        await met.send(GET)
        await grown(met, bodies, b"one")
        assert await grown(met, bodies, BrokenBody()) == b""
        assert met.transport.is_closed

    run(story)


def test_a_bug_while_a_body_is_made_breaks_it_off_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        await met.send(GET)
        assert await grown(met, bodies, RuntimeError("a bug")) == b""
        assert met.transport.is_closed
        assert bodies.made[-1].is_abandoned

    run(story)
    assert "An answer broke off" in caplog.text


def test_while_the_client_does_not_read_nothing_more_is_made() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        await met.send(GET)
        met.connection.pause_writing()
        assert await grown(met, bodies, b"one") == b"3\r\none\r\n"
        assert await grown(met, bodies, b"two") == b""
        assert bodies.made[-1].reads == 1
        met.transport.written = b""
        met.connection.resume_writing()
        await met.rest()
        assert met.transport.written == b"3\r\ntwo\r\n"
        await grown(met, bodies, b"")

    run(story)


def test_a_client_that_goes_is_noticed_although_nothing_is_made() -> None:
    async def tell() -> None:
        met = client()
        bodies = Bodies(met)
        await met.send(GET)
        met.transport.is_closed = True
        met.connection.connection_lost(None)
        await met.rest()
        assert bodies.made[-1].is_abandoned
        assert not met.state.tasks

    asyncio.run(tell())


def test_a_client_that_goes_before_its_answer_begins_is_sent_nothing() -> None:
    async def tell() -> None:
        met = client()
        body = Body()

        async def answer(request: object) -> HttpResponse:
            met.transport.is_closed = True
            met.connection.connection_lost(None)
            return HttpResponse(status=200, headers=[], body=b"", stream=body)

        met.application.answer = answer  # type: ignore[method-assign]
        assert await met.send(GET) == b""
        assert (body.is_abandoned, body.reads) == (True, 0)
        assert not met.state.tasks

    asyncio.run(tell())


def test_a_server_that_stops_lets_a_stream_end_first() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        await met.send(GET)
        met.connection.shutdown()
        assert not met.transport.is_closed
        assert await grown(met, bodies, b"one") == b"3\r\none\r\n"
        assert await grown(met, bodies, b"") == b"0\r\n\r\n"
        assert met.transport.is_closed

    run(story)


def test_a_status_that_has_no_body_ends_with_its_head() -> None:
    async def story(met: Client) -> None:
        bodies = Bodies(met)
        bodies.status = 204
        assert await met.send(GET) == b"HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n"
        assert bodies.made[0].is_abandoned
        bodies.status = 200
        assert await met.send(GET) == HEAD

    run(story)
