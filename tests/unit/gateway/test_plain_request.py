"""Promises of requests known at sight: the parser would have said the same."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.gateway.plain_request import plain_request

INVOKE = (
    b"POST /2015-03-31/functions/hello/invocations?Qualifier=live HTTP/1.1\r\nHost: localhost:4566\r\n"
    b"X-Amz-Invocation-Type: RequestResponse\r\nContent-Length: 2\r\n\r\n{}"
)


class Parser:
    """What httptools makes of the bytes of a connection."""

    def __init__(self, data: bytes) -> None:
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.complete = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def test_an_invocation_is_known_at_sight() -> None:
    assert plain_request(INVOKE) == (
        "POST",
        "/2015-03-31/functions/hello/invocations",
        "Qualifier=live",
        {"host": "localhost:4566", "x-amz-invocation-type": "RequestResponse", "content-length": "2"},
        b"{}",
    )


def test_a_request_without_a_body_is_known_at_sight() -> None:
    assert plain_request(b"GET /2015-03-31/functions HTTP/1.1\r\nHost: x\r\n\r\n") == (
        "GET",
        "/2015-03-31/functions",
        "",
        {"host": "x"},
        b"",
    )


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"{}", b"{"),
        (b"{}", b"{}G"),
        (b"{}", b"{}" + INVOKE),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"POST", b"BREW"),
        (b"POST ", b"POST  "),
        (b" /2015", b" http://localhost/2015"),
        (b"=live", b"=live#"),
        (b"=live", b"=li\xc3\xa4ve"),
        (b"Host:", b"Host :"),
        (b"Host: ", b"Host:"),
        (b"Host: ", b"Host:  "),
        (b"Host: ", b"Host:\t"),
        (b"Host: localhost:4566", b"Host: "),
        (b"Host: localhost:4566", b"Host"),
        (b"Host: localhost:4566", b"Host: x "),
        (b"Host: localhost:4566", b"Host: \xe4"),
        (b"Host: localhost:4566", b"Host: a\r\n b"),
        (b"Host: localhost:4566", b"Host: a\rb"),
        (b"Host: localhost:4566", b"Host: a\nb"),
        (b"Host: localhost:4566", b"Host: a\0b"),
        (b"Host: localhost:4566", b"Host: a\r\nhost: b"),
        (b"Host: localhost:4566", b"Connection: close"),
        (b"Host: localhost:4566", b"Connection: keep-alive"),
        (b"Host: localhost:4566", b"Upgrade: h2c"),
        (b"Host: localhost:4566", b"Expect: 100-continue"),
        (b"Host: localhost:4566", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 2", b"Content-Length: 02"),
        (b"Content-Length: 2", b"Content-Length: +2"),
        (b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 2"),
        (b"\r\n", b"\n"),
    ],
)
def test_what_differs_in_anything_is_left_to_the_parser(was: bytes, becomes: bytes) -> None:
    assert was in INVOKE
    assert plain_request(INVOKE.replace(was, becomes)) is None


_NEAR_HTTP = st.text(alphabet='aZ0-:_ /?#%&=\t\r\n\0"<>{}|\\^`~é,;', max_size=8).map(
    lambda text: text.encode("latin-1")
)
_NAMES = st.one_of(st.sampled_from([b"Host", b"X-Amz-Date", b"content-length", b"Accept"]), _NEAR_HTTP)


@given(
    method=st.sampled_from(
        [b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE", b"get"]
    ),
    target=_NEAR_HTTP.map(lambda text: b"/" + text),
    headers=st.lists(
        st.tuples(_NAMES, st.sampled_from([b": ", b":", b" : ", b":  "]), _NEAR_HTTP), max_size=4
    ),
    body=st.binary(max_size=8),
    length=st.one_of(st.none(), st.integers(0, 8)),
)
def test_of_what_is_known_at_sight_the_parser_says_the_same(
    method: bytes, target: bytes, headers: list[tuple[bytes, bytes, bytes]], body: bytes, length: int | None
) -> None:
    lines = [b"%b %b HTTP/1.1" % (method, target), *(b"".join(header) for header in headers)]
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    data = b"\r\n".join([*lines, b"", body])
    found = plain_request(data)
    if found is None:
        return
    parsed = Parser(data)
    assert parsed.complete == 1
    assert parsed.parser.should_keep_alive()
    path, _, query = parsed.target.decode("latin-1").partition("?")
    assert found == (
        parsed.parser.get_method().decode(),
        path,
        query,
        dict(parsed.headers),
        parsed.body,
    )
    assert len(parsed.headers) == len(found[3])
