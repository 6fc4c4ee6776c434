"""The floor: what uvicorn costs by itself, with an application that hands back what it was sent.

`uvicorn tests.bench.floor:application`, started by `peers.Floor`. It carries as many response headers as an answer
of Lambent, so that both send about the same bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

_HEADERS = [
    (b"x-amzn-requestid", b"00000000-0000-4000-8000-000000000000"),
    (b"x-amz-executed-version", b"$LATEST"),
    (b"content-type", b"application/json"),
    (b"x-amzn-trace-id", b"Root=1-00000000-000000000000000000000000;Sampled=0"),
    (b"x-lambent-billed-duration-ms", b"1"),
    (b"x-lambent-gb-seconds", b"0.0017275390625"),
    (b"x-lambent-price-usd", b"0.000000228792350390625"),
]


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer the body of the request."""
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [*_HEADERS, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
