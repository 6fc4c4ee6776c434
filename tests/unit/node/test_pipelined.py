"""Promises of what is known at sight of our own runtime clients: HTTP's parser would have said the same."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import httptools
import pytest

from lambent.node.pipelined import response_in

REPORT = (
    b"POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response HTTP/1.1\r\n"
    b"Host: runtime\r\nContent-Length: 4\r\nContent-Type: application/json\r\n\r\nnull"
)
NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n"
CLIENTS = Path(__file__).parents[3] / "src/lambent/runtimes"


def _bootstrap() -> ModuleType:
    """The Python client, loaded as it is inside an environment: with its own directory on the path."""
    directory = CLIENTS / "python/client"
    sys.path.insert(0, str(directory))
    try:
        spec = importlib.util.spec_from_file_location("bootstrap", directory / "bootstrap.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(directory))
    return module


def test_a_response_with_the_request_for_more_is_known_at_sight() -> None:
    assert response_in(REPORT + NEXT) == (b"8476a536-e9f4-11e8-9739-2dfe598c3fcd", b"null")


def test_the_python_client_writes_this_form() -> None:
    bootstrap = _bootstrap()
    request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
    answer = bootstrap.request(
        "POST", f"/invocation/{request_id}/response", (("Content-Type", "application/json"),), b"null"
    )
    assert answer + bootstrap.request("GET", "/invocation/next", (), b"") == REPORT + NEXT


def test_the_python_client_knows_the_answer_at_sight() -> None:
    from lambent.node import runtime_connection

    assert runtime_connection._ACCEPTED == _bootstrap()._ACCEPTED  # type: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    "data",
    [
        REPORT,
        NEXT,
        REPORT[:-1] + NEXT,
        REPORT + b" " + NEXT,
        REPORT + NEXT + NEXT,
        (REPORT + NEXT)[:-1],
        REPORT.replace(b"Content-Length: 4", b"Content-Length: 5") + NEXT,
        REPORT.replace(b"Content-Length: 4", b"Content-Length: -4") + NEXT,
        REPORT.replace(b"/response", b"/error") + NEXT,
        REPORT.replace(b"/response", b"/response?x") + NEXT,
        REPORT.replace(b"2dfe", b"2d/fe") + NEXT,
        REPORT.replace(b"\r\n\r\n", b"\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n", 1)
        + NEXT,
        REPORT.replace(b"\r\n\r\n", b"\r\nLambda-Runtime-Function-Error-Type: E\r\n\r\n", 1) + NEXT,
        REPORT.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked") + NEXT,
    ],
)
def test_what_differs_in_anything_is_left_to_the_parser(data: bytes) -> None:
    assert response_in(data) is None


@pytest.mark.parametrize("body", [b"", b"null", NEXT, REPORT + NEXT, bytes(range(256))])
def test_the_parser_says_the_same(body: bytes) -> None:
    report = REPORT.replace(b"Content-Length: 4", b"Content-Length: %d" % len(body))[:-4] + body
    bodies: list[bytes] = []
    paths: list[bytes] = []

    class Parser:
        def on_message_begin(self) -> None:
            bodies.append(b"")

        def on_body(self, part: bytes) -> None:
            bodies[-1] += part

        def on_url(self, url: bytes) -> None:
            paths.append(url)

    httptools.HttpRequestParser(Parser()).feed_data(report + NEXT)
    found = response_in(report + NEXT)
    assert found is not None
    request_id, content = found
    assert bodies == [content, b""]
    assert paths == [
        b"/2018-06-01/runtime/invocation/%b/response" % request_id,
        b"/2018-06-01/runtime/invocation/next",
    ]
