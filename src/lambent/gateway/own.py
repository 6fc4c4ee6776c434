"""Lambent's own paths, under ``/_lambent``: health, the clock, invocations under a debugger, and the download of code
that GetFunction links to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from lambent.clock import Clock, VirtualClock, iso_ms
from lambent.domain.code_link import verify_code_link
from lambent.invoke.debugging import Debugging
from lambent.store import Blobs
from lambent.wire.http import HttpRequest, HttpResponse

_CODE_PREFIX = "/_lambent/code/"
_CLOCK = "/_lambent/clock"
_DEBUG_PREFIX = "/_lambent/debug/"
_ADVANCE_MAX_S = 10 * 366 * 86_400.0


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted to the clock."""

    advance_s: float


class OwnPaths:
    """Answers ``/_lambent/…``."""

    def __init__(
        self,
        *,
        describe: Callable[[], Mapping[str, Any]],
        blobs: Blobs,
        secret: bytes,
        clock: Clock,
        debugging: Debugging | None = None,
    ) -> None:
        """Make it.

        Args:
            describe: the state of the server, for the health answer.
            blobs: where code lies.
            secret: what links are signed with.
            clock: the time.
            debugging: knows the invocations that run under a debugger; None: there are none.
        """
        self._debugging = debugging or Debugging.impossible()
        self._describe = describe
        self._blobs = blobs
        self._secret = secret
        self._clock = clock

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the answer to one request."""
        if request.path == _CLOCK:
            return self._answer_clock(request)
        if request.path.startswith(_DEBUG_PREFIX):
            return await self._answer_debug(request)
        if request.method not in ("GET", "HEAD"):
            return _json(405, {"message": f"{request.method} is not possible here."})
        if request.path == "/_lambent/health":
            return _json(200, {"status": "running", **self._describe()})
        if request.path.startswith(_CODE_PREFIX):
            return await self._code(request)
        return _json(404, {"message": f"There is nothing at {request.path}."})

    def _answer_clock(self, request: HttpRequest) -> HttpResponse:
        """Tell the time, or move it on."""
        clock = self._clock
        if request.method == "POST":
            if not isinstance(clock, VirtualClock):
                return _json(409, {"message": "The clock is the machine's: start with clock = virtual."})
            try:
                seconds = msgspec.json.decode(request.body, type=_Advance).advance_s
            except msgspec.DecodeError as error:
                return _json(400, {"message": f'The body must be {{"advance_s": seconds}}: {error}.'})
            if not 0 <= seconds <= _ADVANCE_MAX_S:
                return _json(400, {"message": f"advance_s must be from 0 to {_ADVANCE_MAX_S:.0f}."})
            clock.advance(seconds)
        elif request.method not in ("GET", "HEAD"):
            return _json(405, {"message": f"{request.method} is not possible here."})
        kind = "virtual" if isinstance(clock, VirtualClock) else "system"
        return _json(200, {"clock": kind, "now": iso_ms(clock.now_s())})

    async def _answer_debug(self, request: HttpRequest) -> HttpResponse:
        """Tell of an invocation under a debugger, or end it. Its request id is the right to: its caller chose it."""
        request_id = request.path.removeprefix(_DEBUG_PREFIX)
        debugger = self._debugging.find(request_id)
        if request.method not in ("GET", "HEAD", "DELETE"):
            return _json(405, {"message": f"{request.method} is not possible here."})
        if debugger is None:
            return _json(404, {"message": "There is no such invocation under a debugger."})
        if request.method == "DELETE":
            await self._debugging.end(request_id)
        host, port = debugger.address
        state = {
            "host": host,
            "port": port,
            "family": debugger.family,
            "task_root": debugger.task_root,
            "is_attached": debugger.is_attached,
        }
        return _json(200, state)

    async def _code(self, request: HttpRequest) -> HttpResponse:
        blob = request.path.removeprefix(_CODE_PREFIX)
        query = parse_qs(request.query)
        expires, signature = query.get("Expires", [""])[0], query.get("Signature", [""])[0]
        if not verify_code_link(self._secret, blob, expires, signature, self._clock.now_s()):
            return _json(403, {"message": "The link has expired or was changed."})
        try:
            content = await asyncio.to_thread(self._blobs.path(blob).read_bytes)
        except (KeyError, OSError):
            return _json(404, {"message": "The code is gone."})
        return HttpResponse(status=200, headers=[("Content-Type", "application/zip")], body=content)


def _json(status: int, content: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(
        status=status, headers=[("Content-Type", "application/json")], body=msgspec.json.encode(content)
    )
