"""A stream between a runtime and a client: nothing is lost, little is kept, and nobody waits in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lambent.response_stream import BUFFER_MAX_BYTES, ResponseStream

PATIENCE_S = 10.0


class Writer:
    """The other side, which counts how often it is held and let go."""

    def __init__(self) -> None:
        self.is_held = False
        self.holds = 0

    def pause_reading(self) -> None:
        assert not self.is_held
        self.is_held = True
        self.holds += 1

    def resume_reading(self) -> None:
        assert self.is_held
        self.is_held = False


def tell(
    story: Callable[[ResponseStream, Writer], Awaitable[None]], *, max_bytes: int = 10 * BUFFER_MAX_BYTES
) -> None:
    async def run() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story(ResponseStream(max_bytes=max_bytes, takes_everything=True), Writer())

    asyncio.run(run())


def test_what_is_written_is_read_in_order_and_the_end_is_told_every_time() -> None:
    async def story(stream: ResponseStream, writer: Writer) -> None:
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        stream.begin("text/plain", writer)
        stream.write(b"one ")
        assert await reading == b"one "
        stream.write(b"two ")
        stream.write(b"three")
        stream.finish()
        assert await stream.read() == b"two three"
        assert [await stream.read(), await stream.read()] == [b"", b""]
        assert stream.size_bytes == 13

    tell(story)


def test_its_beginning_can_be_waited_for_and_so_can_that_it_never_begins() -> None:
    async def story(stream: ResponseStream, writer: Writer) -> None:
        waiting = asyncio.ensure_future(stream.begun())
        await asyncio.sleep(0)
        stream.begin("text/plain", writer)
        assert await waiting
        assert stream.content_type == "text/plain"

        other = ResponseStream(max_bytes=1, takes_everything=False)
        waiting = asyncio.ensure_future(other.begun())
        await asyncio.sleep(0)
        other.finish()
        assert not await waiting

    tell(story)


def test_a_writer_is_held_while_too_much_waits_and_let_go_when_it_is_read() -> None:
    async def story(stream: ResponseStream, writer: Writer) -> None:
        stream.begin("text/plain", writer)
        stream.write(bytes(BUFFER_MAX_BYTES))
        assert not writer.is_held
        stream.write(b"x")
        stream.write(b"and what had been read of the socket by then")
        assert (writer.is_held, writer.holds) == (True, 1)
        await stream.read()
        assert not writer.is_held

    tell(story)


def test_who_reads_no_more_neither_holds_the_writer_nor_fills_memory_and_bytes_are_counted_on() -> None:
    async def story(stream: ResponseStream, writer: Writer) -> None:
        stream.begin("text/plain", writer)
        stream.write(bytes(BUFFER_MAX_BYTES + 1))
        reading = asyncio.ensure_future(stream.read())
        await reading
        stream.write(bytes(BUFFER_MAX_BYTES + 1))
        stream.abandon()
        assert not writer.is_held
        stream.write(bytes(BUFFER_MAX_BYTES + 1))
        assert not writer.is_held
        assert stream.size_bytes == 3 * (BUFFER_MAX_BYTES + 1)
        assert await stream.read() == b""
        stream.abandon()

    tell(story)


def test_a_reader_that_waits_is_told_when_somebody_abandons_the_stream() -> None:
    async def story(stream: ResponseStream, writer: Writer) -> None:
        stream.begin("text/plain", writer)
        reading = asyncio.ensure_future(stream.read())
        await asyncio.sleep(0)
        stream.abandon()
        assert await reading == b""

    tell(story)


def test_a_stream_of_the_largest_size_is_whole_and_one_byte_more_is_too_much() -> None:
    async def story(stream: ResponseStream, writer: Writer) -> None:
        stream.begin("text/plain", writer)
        stream.write(b"12345")
        stream.write(b"67890")
        assert (stream.is_too_large, stream.size_bytes) == (False, 10)
        stream.write(b"1")
        assert (stream.is_too_large, stream.size_bytes) == (True, 10)
        assert await stream.read() == b"1234567890"

    tell(story, max_bytes=10)


def test_a_writer_that_is_through_is_not_held_by_what_waits() -> None:
    """It has other things to say on its connection: the next invocation's response."""

    async def story(stream: ResponseStream, writer: Writer) -> None:
        stream.begin("text/plain", writer)
        stream.write(bytes(BUFFER_MAX_BYTES + 1))
        stream.finish()
        assert not writer.is_held
        assert len(await stream.read()) == BUFFER_MAX_BYTES + 1
        stream.abandon()
        assert writer.holds == 1

    tell(story)
