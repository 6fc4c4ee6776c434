"""A streamed answer of a function as the answer of its URL: the prelude becomes status and headers, the rest the body.

AWS page "Response streaming for Lambda functions": a stream of the type `url_payload.PRELUDE_TYPE` begins with metadata
of JSON, which ends with eight NUL bytes; any other stream is the body of a 200 as it is.
"""

from __future__ import annotations

import logging

from lambent.domain.invocation import Outcome
from lambent.domain.url_payload import (
    PRELUDE_END,
    PRELUDE_MAX_BYTES,
    PRELUDE_TYPE,
    BadResponse,
    UrlResponse,
    prelude_of,
)
from lambent.errors import ServiceError
from lambent.invoke.streamed import Streamed
from lambent.wire.http import BrokenBody

_log = logging.getLogger(__name__)


class UrlBody:
    """The body of one streamed answer."""

    def __init__(self, streamed: Streamed, first: bytes) -> None:
        self._streamed = streamed
        self._first = first

    async def read(self) -> bytes:
        """Wait for bytes and return them; none at the end.

        Raises:
            BrokenBody: the function failed. Its status has been sent, so all that can be said is that this is not all.
        """
        if self._first:
            first, self._first = self._first, b""
            return first
        chunk = await self._streamed.read()
        if not (chunk or self._streamed.is_abandoned or await _is_success(self._streamed)):
            raise BrokenBody
        return chunk

    def abandon(self) -> None:
        """Read no more; the function runs on. May be repeated."""
        self._streamed.abandon()


async def _is_success(streamed: Streamed) -> bool:
    try:
        return (await streamed.outcome()).function_error is None
    except ServiceError as error:
        _log.warning("A streamed invocation broke off: %s", error)
        return False


async def answer_of(streamed: Streamed) -> tuple[UrlResponse, UrlBody] | Outcome:
    """Return what a function's answer begins with and the body that follows; its outcome, where it does not stream.

    Raises:
        BadResponse: the prelude is none. The function runs on.
    """
    if streamed.content_type is None:
        return await streamed.outcome()
    if streamed.content_type.partition(";")[0].strip().lower() != PRELUDE_TYPE:
        response = UrlResponse(status=200, headers=(("content-type", streamed.content_type),))
        return response, UrlBody(streamed, b"")
    try:
        prelude, rest = await _prelude(streamed)
        return prelude_of(prelude), UrlBody(streamed, rest)
    except BadResponse:
        streamed.abandon()
        raise


async def _prelude(streamed: Streamed) -> tuple[bytes, bytes]:
    """Read until the prelude is complete, and return it and what came with its end."""
    found = b""
    while chunk := await streamed.read():
        # The end may come in two pieces.
        start = max(0, len(found) - len(PRELUDE_END))
        found += chunk
        end = found.find(PRELUDE_END, start)
        if end >= 0:
            return found[:end], found[end + len(PRELUDE_END) :]
        if len(found) > PRELUDE_MAX_BYTES:
            raise BadResponse("The metadata before a streamed body is too long.")
    raise BadResponse("A streamed answer ended before its metadata did.")
