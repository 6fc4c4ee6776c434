"""Lambent's own paths, under ``/_lambent``.

Health, metrics, the clock, code that GetFunction links to, invocations under a debugger, and the certificate of what
signs messages of topics. Those of the ledger are `accounting`'s.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from lambent.clock import Clock, VirtualClock, iso_ms
from lambent.domain.code_link import verify_code_link
from lambent.errors import ServiceError
from lambent.gateway.accounting import Accounting
from lambent.invoke.debugging import Debugging
from lambent.store import Blobs
from lambent.wire.http import HttpRequest, HttpResponse

_CODE_PREFIX = "/_lambent/code/"
_CERTIFICATE_PREFIX = "/_lambent/sns/"
_CLOCK = "/_lambent/clock"
_EXPLAIN = "/_lambent/pattern/explain"
_HEALTH = "/_lambent/health"
_METRICS = "/_lambent/metrics"
_ONLY_WITH = "Authorization must be Bearer and the token that is in the data directory's file metrics-token."
_DEBUG_PREFIX = "/_lambent/debug/"
_ADVANCE_MAX_S = 10 * 366 * 86_400.0


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted to the clock."""

    advance_s: float


class _Explain(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted to have a pattern explained."""

    pattern: Any
    event: Any


ExplainFilter = Callable[[Any, Any], str | None]


class OwnPaths:
    """Answers ``/_lambent/…``."""

    def __init__(
        self,
        *,
        describe: Callable[[], Mapping[str, Any]],
        blobs: Blobs,
        secret: bytes,
        clock: Clock,
        accounting: Accounting | None = None,
        metrics: Callable[[], str] = str,
        metrics_token: str | None = None,
        explain_filter: ExplainFilter = lambda pattern, event: None,
        find_certificate: Callable[[str], Awaitable[bytes | None]] | None = None,
        debugging: Debugging | None = None,
    ) -> None:
        """Make it.

        Args:
            describe: the state of the server, for the health answer.
            blobs: where code lies.
            secret: what links are signed with.
            clock: the time.
            accounting: answers what is asked of the ledger; None: there is none.
            metrics: what is counted, in Prometheus' text format.
            metrics_token: who asks for that has to show this; None: nobody has to.
            explain_filter: says why a record is not wanted by a filter.
            find_certificate: returns the certificate of a name as PEM; None: there are none.
            debugging: knows the invocations that run under a debugger; None: there are none.
        """
        self._explain_filter = explain_filter
        self._metrics = metrics
        self._metrics_token = metrics_token
        self._find_certificate = find_certificate
        self._debugging = debugging or Debugging.impossible()
        self._describe = describe
        self._blobs = blobs
        self._secret = secret
        self._clock = clock
        # What can be posted to, and what can only be read.
        self._asked = {_CLOCK: self._answer_clock, _EXPLAIN: self._answer_explain}
        self._read = {_HEALTH: self._answer_health, _METRICS: self._answer_metrics}
        self._below: list[_Below] = [
            (lambda path: path.startswith(_CODE_PREFIX), self._code),
            (lambda path: path.startswith(_CERTIFICATE_PREFIX), self._certificate),
        ]
        # What has methods of its own.
        self._of_their_own: list[_Below] = [(lambda path: path.startswith(_DEBUG_PREFIX), self._answer_debug)]
        if accounting is not None:
            self._of_their_own.append((accounting.serves, accounting.answer))

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Return the answer to one request."""
        if (answer := self._asked.get(request.path)) is not None:
            return answer(request)
        if (answer := _under(self._of_their_own, request)) is not None:
            return await answer(request)
        if request.method not in ("GET", "HEAD"):
            return _json(405, {"message": f"{request.method} is not possible here."})
        if (answer := self._read.get(request.path)) is not None:
            return answer(request)
        if (answer := _under(self._below, request)) is not None:
            return await answer(request)
        return _nothing_at(request)

    def _answer_health(self, _: HttpRequest) -> HttpResponse:
        return _json(200, {"status": "running", **self._describe()})

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

    def _answer_explain(self, request: HttpRequest) -> HttpResponse:
        """Say whether an event is wanted by a filter pattern, and why not."""
        if request.method != "POST":
            return _json(405, {"message": f"{request.method} is not possible here."})
        try:
            asked = msgspec.json.decode(request.body, type=_Explain)
            reason = self._explain_filter(asked.pattern, asked.event)
        except (msgspec.DecodeError, RecursionError) as error:
            return _json(400, {"message": f'The body must be {{"pattern": …, "event": …}}: {error}.'})
        except ServiceError as error:
            return _json(400, {"message": error.message})
        return _json(200, {"matches": reason is None, "reason": reason})

    def _answer_metrics(self, request: HttpRequest) -> HttpResponse:
        shown = request.headers.get("authorization", "").encode("latin-1", "replace")
        wanted = f"Bearer {self._metrics_token}".encode()
        if self._metrics_token is not None and not hmac.compare_digest(shown, wanted):
            return _json(401, {"message": _ONLY_WITH})
        headers = [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]
        return HttpResponse(status=200, headers=headers, body=self._metrics().encode())

    async def _certificate(self, request: HttpRequest) -> HttpResponse:
        name = request.path.removeprefix(_CERTIFICATE_PREFIX)
        certificate = await self._find_certificate(name) if self._find_certificate is not None else None
        if certificate is None:
            return _nothing_at(request)
        return HttpResponse(
            status=200, headers=[("Content-Type", "application/x-pem-file")], body=certificate
        )

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


_Below = tuple[Callable[[str], bool], Callable[[HttpRequest], Awaitable[HttpResponse]]]
"""Whether a path is served, and what answers."""


def _under(
    table: Iterable[_Below], request: HttpRequest
) -> Callable[[HttpRequest], Awaitable[HttpResponse]] | None:
    return next((answer for serves, answer in table if serves(request.path)), None)


def _nothing_at(request: HttpRequest) -> HttpResponse:
    return _json(404, {"message": f"There is nothing at {request.path}."})
