"""Figures of response streaming: how long a byte takes from the function to the client, and how many go in a second.

The client reads the body of a function URL from a socket. What a function writes is the time at which it does, by the
clock that both sides share.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.bench.goals import LAMBENT, Figure
from tests.bench.load import LoadFailed
from tests.bench.measuring import MB, Bench, distribution
from tests.bench.peers import Lambent

STREAMS = """import time


def handler(event, context):
    return pieces() if event["rawPath"] == "/pieces" else words()


def words():
    yield str(time.time_ns())
    for _ in range(20):
        time.sleep(0.01)
        yield str(time.time_ns())


def pieces():
    piece = bytes(65_536)
    for _ in range(1600):
        yield piece
"""
_STREAMED_MB = 100
_DIGITS = 19
"""Of a time in nanoseconds."""


def streams(bench: Bench) -> list[Figure]:
    """Streamed bytes from the function that writes them to the client of its URL."""
    lambent = bench.lambent
    lambent.create("streams", STREAMS)
    host = _host(lambent, "streams")
    first_s: list[float] = []
    later_s: list[float] = []
    for _ in range(bench.effort.cold_starts + 1):
        head, *rest = _word_latencies_s(lambent, host)
        first_s.append(head)
        later_s += rest
    rates = [_rate_mb_s(lambent, host) for _ in range(bench.effort.rounds)]
    return [
        distribution("first streamed byte, written to read", first_s[1:], "function URL; environment ready"),
        distribution("later streamed byte, written to read", later_s, "10 ms after the one before"),
        Figure(
            name="streamed response",
            unit="MB/s",
            values={LAMBENT: statistics.median(rates)},
            more_is_better=True,
            note=f"{_STREAMED_MB} MB in pieces of 64 KB, one client, function URL",
        ),
    ]


def _host(lambent: Lambent, name: str) -> str:
    lambent.client.add_permission(
        FunctionName=name,
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    url = lambent.client.create_function_url_config(
        FunctionName=name, AuthType="NONE", InvokeMode="RESPONSE_STREAM"
    )
    return urlsplit(url["FunctionUrl"]).netloc


@contextmanager
def _asked(lambent: Lambent, host: str, path: str) -> Generator[socket.socket]:
    with socket.create_connection(("127.0.0.1", lambent.server.port), timeout=30) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        yield client


def _word_latencies_s(lambent: Lambent, host: str) -> list[float]:
    """How long each word took, of one request."""
    found: list[float] = []
    with _asked(lambent, host, "/words") as client:
        while piece := client.recv(65_536):
            now_ns = time.time_ns()
            # What comes late comes together, in chunks of its own.
            found += [
                (now_ns - int(line)) / 1e9
                for line in piece.split(b"\r\n")
                if len(line) == _DIGITS and line.isdigit()
            ]
    return found


def _rate_mb_s(lambent: Lambent, host: str) -> float:
    started_s = time.perf_counter()
    received = 0
    with _asked(lambent, host, "/pieces") as client:
        buffer = bytearray(1_048_576)
        while size := client.recv_into(buffer):
            received += size
    ended_s = time.perf_counter()
    if received < _STREAMED_MB * MB:
        raise LoadFailed(f"sent {received} bytes of {_STREAMED_MB} MB.")
    return received / MB / (ended_s - started_s)
