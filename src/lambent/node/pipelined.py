"""A response with the request for the next invocation right behind it, as our own runtime clients write them.

They do so in one write, in one form (`runtimes/python/client/bootstrap.py`, `runtimes/nodejs/client/channel.js`), so
one look tells what nearly every read from them holds. Whatever differs in a single byte is HTTP as any other, and for
the parser: the form is a part of HTTP, and means here what it means there.
"""

from __future__ import annotations

import re

_PREFIX = rb"/2018-06-01/runtime/invocation/"
_HEAD = re.compile(
    rb"POST " + _PREFIX + rb"([\x21-\x2e\x30-\x3e\x40-\x7e]+)/response HTTP/1\.1\r\nHost: runtime\r\n"
    rb"Content-Length: ([0-9]{1,8})\r\nContent-Type: [\x21-\x7e]+\r\n\r\n"
)
_NEXT = b"GET " + _PREFIX + b"next HTTP/1.1\r\nHost: runtime\r\n\r\n"


def response_in(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the request id and the body, if the data are a response and the request for more, and nothing else."""
    head = _HEAD.match(data)
    if head is None:
        return None
    request_id, length = head.groups()
    start = head.end()
    end = start + int(length)
    return (request_id, data[start:end]) if data[end:] == _NEXT else None
