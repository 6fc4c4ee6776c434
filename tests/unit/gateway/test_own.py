"""Lambent's own paths: health, and links to code that are good for whoever has one, for ten minutes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from lambent.clock import Clock, VirtualClock
from lambent.domain.code_link import code_link
from lambent.domain.limits import CODE_LINK_VALID_S
from lambent.gateway.own import OwnPaths
from lambent.services.lambda_.filter_patterns import explain_filter
from lambent.testing import ManualClock, MemoryStore
from lambent.wire.http import HttpRequest, HttpResponse

SECRET = b"secret"
CONTENT = b"PK and the rest of a zip"


class Own:
    """The paths over a store that holds one package."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.store = MemoryStore()
        self.clock = clock or ManualClock()
        self.paths = OwnPaths(
            describe=lambda: {"version": "9"},
            blobs=self.store,
            secret=SECRET,
            clock=self.clock,
            find_certificate=self.certificate,
        )
        self.blob = asyncio.run(self.store.put(CONTENT))

    async def certificate(self, name: str) -> bytes | None:
        return b"PEM" if name == "ours.pem" else None

    def link(self) -> str:
        return code_link(SECRET, self.blob, endpoint_url="http://here:1", now_s=self.clock.now_s())

    def ask(self, path: str, *, query: str = "", method: str = "GET", body: bytes = b"") -> HttpResponse:
        request = HttpRequest(method=method, path=path, query=query, headers={}, body=body)
        return asyncio.run(self.paths.answer(request))

    def follow(self, link: str) -> HttpResponse:
        parts = urlsplit(link)
        return self.ask(parts.path, query=parts.query)


@pytest.fixture
def own() -> Iterator[Own]:
    own = Own()
    yield own
    own.store.close()


def test_health_says_that_it_runs_and_what(own: Own) -> None:
    answer = own.ask("/_lambent/health")
    assert answer.status == 200
    assert json.loads(answer.body) == {"status": "running", "version": "9"}


def test_metrics_are_for_everybody_or_for_who_has_the_token(own: Own) -> None:
    def asked(token: str | None, **headers: str) -> tuple[int, bytes]:
        paths = OwnPaths(
            describe=dict,
            blobs=own.store,
            secret=SECRET,
            clock=own.clock,
            metrics=lambda: "counted 1\n",
            metrics_token=token,
        )
        request = HttpRequest(method="GET", path="/_lambent/metrics", query="", headers=headers, body=b"")
        answer = asyncio.run(paths.answer(request))
        return answer.status, answer.body

    assert asked(None) == (200, b"counted 1\n")
    assert asked("t", authorization="Bearer t") == (200, b"counted 1\n")
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": "t"}, {"authorization": "\xff"}):
        assert asked("t", **headers)[0] == 401


def test_a_filter_pattern_is_explained(own: Own) -> None:
    paths = OwnPaths(
        describe=dict, blobs=own.store, secret=SECRET, clock=own.clock, explain_filter=explain_filter
    )

    def asked(content: Any, method: str = "POST") -> tuple[int, Any]:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        request = HttpRequest(
            method=method, path="/_lambent/pattern/explain", query="", headers={}, body=body
        )
        answer = asyncio.run(paths.answer(request))
        return answer.status, json.loads(answer.body)

    event = {"body": {"kind": "other"}}
    status, answer = asked({"pattern": {"body": {"kind": ["order"]}}, "event": event})
    assert (status, answer) == (
        200,
        {"matches": False, "reason": 'body.kind is "other" and not ["order"].'},
    )
    status, answer = asked({"pattern": {"body": {"kind": ["other"]}}, "event": event})
    assert (status, answer) == (200, {"matches": True, "reason": None})
    for pattern in ({"body": "x"}, {"a": [{"wildcard": "*"}]}, None, [], "text"):
        answer = asked({"pattern": pattern, "event": event})
        assert answer == (400, {"message": "Invalid filter pattern definition."})
    for body in (b"", b"{}", b"[" * 100_000, b'{"pattern": {}, "event": {}, "x": 1}', b"\xff"):
        assert asked(body)[0] == 400
    assert asked({}, method="GET")[0] == 405


def test_a_link_gives_the_package(own: Own) -> None:
    answer = own.follow(own.link())
    assert (answer.status, answer.body) == (200, CONTENT)
    assert ("Content-Type", "application/zip") in answer.headers


def test_a_link_expires(own: Own) -> None:
    link = own.link()
    asyncio.run(own.clock.advance(CODE_LINK_VALID_S - 1))
    assert own.follow(link).status == 200
    asyncio.run(own.clock.advance(2))
    assert own.follow(link).status == 403


def test_a_forged_link_gives_nothing(own: Own) -> None:
    link = own.link()
    parts = urlsplit(link)
    other = "0" * 64
    for forged in (
        link.replace(own.blob, other),
        link.replace("Expires=1", "Expires=2"),
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.partition("?")[0],
        f"{parts.path}?Expires=&Signature=",
        f"{parts.path}?Expires=9999999999&Signature={'0' * 64}",
        f"{parts.path}?Expires=never&Signature=%ff%00",
        code_link(b"other", own.blob, endpoint_url="", now_s=own.clock.now_s()),
        link.replace("/code/", "/code/../code/"),
        link.replace(own.blob, own.blob.upper()),
    ):
        answer = own.follow(forged)
        assert (answer.status, CONTENT in answer.body) == (403, False), forged


def test_code_that_was_deleted_is_gone(own: Own) -> None:
    link = own.link()
    asyncio.run(own.store.delete(own.blob))
    assert own.follow(link).status == 404


@pytest.mark.parametrize("path", ["/_lambent/", "/_lambent/nothing", "/_lambent/health/", "/_lambent/../etc"])
def test_there_is_nothing_else(own: Own, path: str) -> None:
    assert own.ask(path).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed_here(own: Own, method: str) -> None:
    assert own.ask("/_lambent/health", method=method).status == 405


def test_the_machines_clock_can_be_read_and_not_moved(own: Own) -> None:
    answer = own.ask("/_lambent/clock")
    assert json.loads(answer.body) == {"clock": "system", "now": "2026-01-02T03:04:05.678Z"}
    assert own.ask("/_lambent/clock", method="POST", body=b'{"advance_s": 1}').status == 409
    assert own.ask("/_lambent/clock", method="PUT").status == 405


def test_a_virtual_clock_is_moved_on_and_never_back() -> None:
    clock = VirtualClock()
    own = Own(clock)
    before_s = clock.now_s()
    answer = own.ask("/_lambent/clock", method="POST", body=b'{"advance_s": 120.5}')
    assert answer.status == 200
    assert json.loads(answer.body)["clock"] == "virtual"
    assert 120.5 <= clock.now_s() - before_s < 122
    for body in (b"", b"{}", b'{"advance_s": -1}', b'{"advance_s": 1e99}', b'{"advance_s": 1, "x": 2}'):
        assert own.ask("/_lambent/clock", method="POST", body=body).status == 400
    assert clock.now_s() - before_s < 122
    own.store.close()


def test_the_certificate_of_messages_is_there_under_its_name_only(own: Own) -> None:
    answer = own.ask("/_lambent/sns/ours.pem")
    assert (answer.status, answer.body) == (200, b"PEM")
    assert own.ask("/_lambent/sns/other.pem").status == 404


def test_an_invocation_that_nobody_debugs_is_not_found(own: Own) -> None:
    """Whoever knows the request id of one that somebody does is told more: tests/system/test_debug.py."""
    assert own.ask("/_lambent/debug/11111111-2222-3333-4444-555555555555").status == 404
    assert own.ask("/_lambent/debug/x", method="DELETE").status == 404
    assert own.ask("/_lambent/debug/x", method="POST").status == 405
