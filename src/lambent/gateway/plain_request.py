"""A whole request that one look is enough for: what nearly every read from a client of AWS's services holds.

The parser of `connection` calls back for every header; this takes the common form apart in a few steps: one read with
one request in HTTP/1.1, a body of known length or none, and headers that say nothing about the connection itself, each
once, in printable ASCII. Whatever differs is the parser's, and of what does not, the parser would say the same
(`tests/unit/gateway/test_plain_request.py` asks it). Lines are remembered: most of them a client sends each time.
"""

from __future__ import annotations

import re
from functools import lru_cache

_END = b"\r\n\r\n"
_HEAD_MAX_BYTES = 16_384
_LINE_MAX_LENGTH = 1_024
_REMEMBERED_LINES_MAX = 2_048
_REQUEST_LINE = re.compile(
    r"(GET|POST|PUT|DELETE|HEAD|PATCH|OPTIONS) (/[!\"$->@-~]*)(?:\?([!\"$-~]*))? HTTP/1\.1"
)
_HEADER_LINE = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+): ([!-~](?:[ -~]*[!-~])?)")
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

PlainRequest = tuple[str, str, str, dict[str, str], bytes]
"""Method; path and query as they came; header values by lower-case name; body."""


class _NotPlain(Exception):
    """It is for the parser."""


def plain_request(data: bytes) -> PlainRequest | None:
    """Return the request that the data are; None: they are something else, or have to be looked at."""
    end = data.find(_END, 0, _HEAD_MAX_BYTES)
    if end < 0:
        return None
    lines = data[:end].decode("latin-1").split("\r\n")
    try:
        method, path, query = _request_line(lines.pop(0))
        headers = dict(map(_header_line, lines))
    except _NotPlain:
        return None
    body = data[end + 4 :]
    if len(headers) != len(lines) or headers.get("content-length", "0") != str(len(body)):
        return None
    return method, path, query, headers, body


@lru_cache(maxsize=_REMEMBERED_LINES_MAX)
def _request_line(line: str) -> tuple[str, str, str]:
    """Return method, path and query.

    Raises:
        _NotPlain: the parser may know better.
    """
    found = _REQUEST_LINE.fullmatch(line) if len(line) <= _LINE_MAX_LENGTH else None
    if found is None:
        raise _NotPlain
    return found[1], found[2], found[3] or ""


@lru_cache(maxsize=_REMEMBERED_LINES_MAX)
def _header_line(line: str) -> tuple[str, str]:
    """Return a header's name in lower case, and its value.

    Raises:
        _NotPlain: it is none, or one that the parser must know.
    """
    found = _HEADER_LINE.fullmatch(line) if len(line) <= _LINE_MAX_LENGTH else None
    if found is None or (name := found[1].lower()) in _OF_THE_CONNECTION:
        raise _NotPlain
    return name, found[2]
