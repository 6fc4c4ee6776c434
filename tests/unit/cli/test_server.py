"""The demo's server is stopped whatever happens, and says why when it does not start."""

from __future__ import annotations

import os
import select
import signal
import sys
import urllib.request
from pathlib import Path

import pytest

from lambent.cli import server
from lambent.cli.terminal import CommandError

# Stands in for `lambent up`: healthy, with a child of its own, and deaf to SIGTERM when told so.
SCRIPT = """
import http.server, os, pathlib, signal, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/_lambent/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass
if sys.argv[3] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if not child:
    time.sleep(600)
pathlib.Path(sys.argv[2], "pids").write_text(f"{os.getpid()} {child}")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(params=["obedient", "deaf"])
def stand_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(port: int, folder: Path) -> list[str]:
        return [sys.executable, "-c", SCRIPT, str(port), str(folder), request.param]

    monkeypatch.setattr(server, "_command", command)
    monkeypatch.setattr(server, "STOP_TIMEOUT_S", 0.2)


def pids(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def has_ended(pid: int, within_s: float = 5.0) -> bool:
    """Wait for the end of a process that need not be our child; a killed one takes a moment to be gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)


def test_a_server_answers_and_leaves_no_process_behind(stand_in: None, tmp_path: Path) -> None:
    with server.running(tmp_path) as endpoint:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(f"{endpoint}/_lambent/health").status == 200
        assert not any(has_ended(pid, within_s=0) for pid in pids(tmp_path))
    assert all(has_ended(pid) for pid in pids(tmp_path))


def test_ctrl_c_stops_the_server(stand_in: None, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), server.running(tmp_path):
        raise KeyboardInterrupt
    assert all(has_ended(pid) for pid in pids(tmp_path))


def test_a_signal_to_end_stops_the_server_and_is_the_exit_code(stand_in: None, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, server.running(tmp_path):
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 128 + signal.SIGTERM
    assert all(has_ended(pid) for pid in pids(tmp_path))
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_server_that_does_not_start_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LAMBENT_IDLE_TIMEOUT_S", "soon")
    with (
        pytest.raises(
            CommandError, match=r"ended at once .exit code 2.*LAMBENT_IDLE_TIMEOUT_S must be a number"
        ),
        server.running(tmp_path),
    ):
        pass
