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

from lambent.busy_poll import BusyPoll
from lambent.gateway.connection import Application, HttpConnection

_BACKLOG = 2048


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the application decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class HttpServer:
    """Serves an application. Use as an async context manager."""

    def __init__(
        self,
        application: Application,
        listening: socket.socket,
        *,
        drain_timeout_s: float,
        busy_poll: BusyPoll,
    ) -> None:
        """Make the server.

        Args:
            application: answers the requests.
            listening: a bound socket; see `bind`.
            drain_timeout_s: how long stopping waits for running requests.
            busy_poll: looks for the next request of a connection for a moment.
        """
        self._socket = listening
        self._application = application
        self._busy_poll = busy_poll
        connect: Any = self._connect
        self._config = uvicorn.Config(
            _unused,
            http=connect,
            interface="asgi3",
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
        return await asyncio.get_running_loop().create_server(self._connect, sock=listening)

    def _connect(self, **_: object) -> HttpConnection:
        """Make a connection, whatever uvicorn would have it know of its own ways of serving an application."""
        return HttpConnection(self._application, self._server.server_state, self._busy_poll)


async def _unused(scope: object, receive: object, send: object) -> None:
    """Stand where uvicorn wants an ASGI application: connections ask ours themselves."""
    raise AssertionError("connections know their application")


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
