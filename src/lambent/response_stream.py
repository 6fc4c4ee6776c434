"""A response on its way from a runtime to whoever asked for it, bit by bit: one writer, one reader, little memory.

The writer is a connection of a runtime, whose bytes come when they come; while too many wait here, it is held. The
reader takes them at its own pace, or leaves: then they are counted and dropped, and the writer never waits again, as on
AWS, where a function whose client has gone runs on to its end (AWS page "Response streaming for Lambda functions").
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

BUFFER_MAX_BYTES = 262_144
"""While more waits than this, the writer is held. What it had sent by then, one read of a socket, comes on top."""


class Writer(Protocol):
    """Where bytes come from; transports of asyncio are writers."""

    def pause_reading(self) -> None:
        """Let nothing come for now."""
        ...

    def resume_reading(self) -> None:
        """Let it come again."""
        ...


class ResponseStream:
    """A bounded pipe, of one event loop."""

    def __init__(self, *, max_bytes: int, takes_everything: bool) -> None:
        """Make it, before the response has begun.

        Args:
            max_bytes: what is longer ends here.
            takes_everything: whether a response that its runtime has made as a whole travels here, too, or only one
                that it has announced as a stream.
        """
        self.max_bytes = max_bytes
        self.takes_everything = takes_everything
        self.content_type: str | None = None
        """Of the response, once that has begun; None before, and for ever if it does not come this way."""
        self.size_bytes = 0
        """How much has come, within the limit."""
        self.is_too_large = False
        """More has come than may."""
        self.is_abandoned = False
        """Nobody reads."""
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_finished = False
        self._writer: Writer | None = None
        self._is_held = False
        self._reader: asyncio.Future[None] | None = None

    # The writer's ------------------------------------------------------------------------------------------

    def begin(self, content_type: str, writer: Writer) -> None:
        """Say that the response begins, and who can be held."""
        self.content_type, self._writer = content_type, writer
        self._wake()

    def write(self, chunk: bytes) -> None:
        """Take some bytes of the response."""
        room_bytes = self.max_bytes - self.size_bytes
        if len(chunk) > room_bytes:
            self.is_too_large = True
            chunk = chunk[:room_bytes]
        self.size_bytes += len(chunk)
        if self.is_abandoned or not chunk:
            return
        self._chunks.append(chunk)
        self._waiting_bytes += len(chunk)
        if self._waiting_bytes > BUFFER_MAX_BYTES and not self._is_held and self._writer is not None:
            self._is_held = True
            self._writer.pause_reading()
        self._wake()

    def finish(self) -> None:
        """Say that nothing more comes; what the writer has to say otherwise is not held. May be repeated."""
        self._let_go()
        self._is_finished, self._writer = True, None
        self._wake()

    # The reader's ------------------------------------------------------------------------------------------

    async def begun(self) -> bool:
        """Wait until the response has begun; False when it does not come this way."""
        while self.content_type is None and not self._is_finished:
            await self._something()
        return self.content_type is not None

    async def read(self) -> bytes:
        """Wait for bytes and return all that are there; none at the end."""
        while not self._chunks:
            if self._is_finished or self.is_abandoned:
                return b""
            await self._something()
        chunks, self._chunks, self._waiting_bytes = self._chunks, deque(), 0
        self._let_go()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def abandon(self) -> None:
        """Read no more. May be repeated."""
        self.is_abandoned = True
        self._chunks.clear()
        self._waiting_bytes = 0
        self._let_go()
        self._wake()

    def _let_go(self) -> None:
        if self._is_held:
            self._is_held = False
            if self._writer is not None:
                self._writer.resume_reading()

    async def _something(self) -> None:
        self._reader = self._loop.create_future()
        await self._reader

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)
