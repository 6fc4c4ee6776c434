"""An invocation under a debugger ends with the command that asked for it, however that is interrupted."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from lambent.cli.debugging import DebuggedInvocation

NEWS = {"host": "127.0.0.1", "port": 5678, "family": "python", "task_root": "/var/task", "is_attached": False}
WHILE_IT_WAITS_S = 0.05


class Server(ThreadingHTTPServer):
    """Tells of an invocation that waits for a debugger, and ends it when it is asked to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.has_ended = threading.Event()

    def ask(self, _client: Any) -> str:
        """Run the invocation, as the command's client does."""
        assert self.has_ended.wait(30)
        return "ended"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer()
        # Where the command is most of the time: waiting for the invocation, for a moment, between two questions.
        threading.Timer(WHILE_IT_WAITS_S, os.kill, (os.getpid(), signal.SIGUSR2)).start()

    def do_DELETE(self) -> None:
        self.server.has_ended.set()
        self._answer()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        body = json.dumps(NEWS).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR2, interrupt)
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
    signal.signal(signal.SIGUSR2, before)


def test_ctrl_c_while_no_debugger_has_attached_ends_the_invocation(server: Server) -> None:
    target = SimpleNamespace(endpoint=f"http://127.0.0.1:{server.server_port}")
    connection: Any = SimpleNamespace(target=target, new_client=lambda *_, **__: None)
    invocation = DebuggedInvocation(connection, 0, server.ask)
    with pytest.raises(KeyboardInterrupt):
        invocation.wait_until_attached()
    invocation.end()
    assert server.has_ended.is_set()
    assert invocation.result() == "ended"
