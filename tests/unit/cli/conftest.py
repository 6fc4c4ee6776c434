"""A stand-in for the API, and a way to run a command without a process of its own."""

from __future__ import annotations

import functools
import io
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.loaders import create_loader

from lambent.cli import main
from unit.cli.stand_in import Asked, Ran, Run, StandIn


@pytest.fixture
def aws() -> Iterator[StandIn]:
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            reply = stand_in.reply_to(Asked(method=self.command, path=self.path, headers=headers, body=body))
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield stand_in
    server.shutdown()
    thread.join()
    server.server_close()


_read_once = functools.cache(create_loader)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Run a command in an environment that says nothing about AWS; its stdin is a pipe with these bytes."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "LAMBENT_", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    # Every command has a session of its own, as in a process of its own, but AWS's models are the same files.
    monkeypatch.setattr("botocore.session.create_loader", _read_once)

    def run_command(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Ran(code=code, out=captured.out, err=captured.err.decode())

    return run_command


@pytest.fixture
def ask(run: Run, aws: StandIn) -> Run:
    """Run a command against the stand-in."""

    def run_command(command: str, *arguments: object, stdin: bytes = b"") -> Ran:
        return run("--endpoint", aws.endpoint, command, *arguments, stdin=stdin)

    return run_command
