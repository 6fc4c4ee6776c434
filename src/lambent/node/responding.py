"""A response that a runtime streams: how it is announced, and where it travels until it ends.

AWS page "Building a custom runtime for AWS Lambda", "Implementing response streaming in a custom runtime": mode and
chunks are announced by headers, an error after the first byte comes in trailers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from lambent.response_stream import ResponseStream, Writer

MODE = "lambda-runtime-function-response-mode"
DEFAULT_TYPE = "application/octet-stream"
GRACE_S = 0.5
"""How far apart the end of a process and the end of what it says may be."""


class Responding:
    """The streamed response of one invocation, while it comes."""

    def __init__(self, source: Writer, into: ResponseStream) -> None:
        self.source = source
        self.into = into
        self._is_lost = asyncio.Event()

    def lose(self) -> None:
        """Note that the connection is gone before the response was complete."""
        self._is_lost.set()

    async def drained(self) -> None:
        """Wait until everything has been read that a process which is gone has said, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._is_lost.wait()


def is_for(into: ResponseStream, headers: Mapping[str, str]) -> bool:
    """Return whether a response with these headers, by lower-case name, goes into a stream."""
    return into.takes_everything or headers.get(MODE, "").lower() == "streaming"
