"""The HTTP server: uvicorn, held in our hands.

Listens on the address of the settings and, for functions, on sockets inside their environments. Stopping lets
running requests end first.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_BACKLOG = 2048
HEAD_MAX_BYTES = 1024 * 1024 + 262_144
"""Request line and headers: AWS's 1 MB, and what one read may hold of a body that follows."""


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the application decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class _JoinedWrites:
    """A transport that sends a response's head together with its body.

    Uvicorn writes them one after the other and uvloop sends each at once: two system calls here, and a client
    that is woken twice.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, content: bytes) -> None:
        """Send, or hold a head back until the body comes or this turn of the event loop ends."""
        if not self._held and content.startswith(b"HTTP/1."):
            self._held = content
            asyncio.get_running_loop().call_soon(self.flush)
        else:
            self._transport.write(self._held + content)
            self._held = b""

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._transport.write(self._held)
            self._held = b""

    def close(self) -> None:
        """Send what is held, then close."""
        self.flush()
        self._transport.close()


class _Protocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, with joined writes and a limit for what stands before a body."""

    _head_bytes = 0
    """Received since the last request or the last part of a body."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        joined: Any = _JoinedWrites(transport)
        super().connection_made(joined)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_MAX_BYTES:
            self.send_400_response("The request's headers are too large.")
            self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        super().on_message_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: whoever asks for a WebSocket is answered in HTTP, and no package would change that."""


class HttpServer:
    """Serves an ASGI application. Use as an async context manager."""

    def __init__(self, application: Any, listening: socket.socket, *, drain_timeout_s: float) -> None:
        """Make the server.

        Args:
            application: the ASGI application.
            listening: a bound socket; see `bind`.
            drain_timeout_s: how long stopping waits for running requests.
        """
        self._socket = listening
        self._config = uvicorn.Config(
            application,
            http=_Protocol,
            proxy_headers=False,
            ws="none",
            lifespan="off",
            loop="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(drain_timeout_s)),
            backlog=_BACKLOG,
        )
        self._server = _Server(self._config)
        self._serving: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HttpServer:
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
                raise RuntimeError("the HTTP server stopped while it was starting")
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving

    async def serve_also(self, listening: socket.socket) -> asyncio.Server:
        """Serve the application on a further listening socket, until the returned server is closed."""
        protocol: Any = self._config.http_protocol_class

        def make() -> asyncio.Protocol:
            return protocol(config=self._config, server_state=self._server.server_state, app_state={})

        return await asyncio.get_running_loop().create_server(make, sock=listening)


def bind(host: str, port: int) -> socket.socket:
    """Bind a TCP socket.

    Raises:
        OSError: the address is in use or is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening
