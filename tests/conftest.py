"""Fixtures: one Lambent for everything that only needs a running one, and fresh ones on demand."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Server


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a worker waits a third of its time for what it started."""
    return len(os.sched_getaffinity(0)) + 1


@pytest.fixture(scope="session")
def lambent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running Lambent, shared by the session: tests use names of their own in it."""
    server = Server(tmp_path_factory.mktemp("shared") / "data")
    yield server
    code = server.stop()
    assert code == 0, server.error_text() if not server.errors.closed else code


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own; whatever still runs at its end is stopped."""
    servers: list[Server] = []

    def start(*flags: str, data: str = "data", **options: Any) -> Server:
        server = Server(tmp_path / data, *flags, **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture
def name() -> str:
    """A name that nobody else uses."""
    return f"test-{uuid.uuid4().hex[:12]}"
