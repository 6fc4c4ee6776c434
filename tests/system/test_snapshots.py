"""Snapshots are processes: they come back after a restart, and go with their version."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from family import below, read_or_nothing
from harness import Server, create, invoke

SOURCE = "import uuid\nmade = str(uuid.uuid4())\ndef handler(event, context): return made"
PATIENCE_S = 20.0


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    server = new_server()
    if "NO WALLS" in server.start_block:
        pytest.skip("there are no snapshots without walls")
    return server


def publish(client: Any, name: str = "f") -> str:
    create(client, name, SOURCE, SnapStart={"ApplyOn": "PublishedVersions"})
    version = client.publish_version(FunctionName=name)["Version"]
    waiter = client.get_waiter("published_version_active")
    waiter.wait(FunctionName=name, Qualifier=version, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    return version


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_killed_server_takes_its_snapshots_with_it_and_the_next_one_takes_them_anew(server: Server) -> None:
    client = server.client("lambda")
    version = publish(client)
    made = invoke(client, "f", Qualifier=version).payload
    left = below(server.process.pid)
    server.kill()
    until(lambda: not set(left) & set(below(1)))

    server.start()
    client = server.client("lambda")
    again = invoke(client, "f", Qualifier=version)
    assert again.payload != made
    assert "Restore Duration" in again.log
    assert client.get_function_configuration(FunctionName="f", Qualifier=version)["State"] == "Active"


def snapshot_processes(server: Server) -> set[int]:
    """Templates and their copies: a copy's process namespace lies in its template's."""
    found: set[int] = set()
    for pid in below(server.process.pid):
        status = dict(
            line.split(":\t", 1)
            for line in read_or_nothing(Path(f"/proc/{pid}/status")).splitlines()
            if ":\t" in line
        )
        depth = len(status.get("NSpid", "").split())
        if depth >= len(Path("/proc/self/status").read_text().split("NSpid:")[1].splitlines()[0].split()) + 3:
            found |= {pid, int(status["PPid"])}
    return found


def test_a_deleted_version_leaves_no_process_behind(server: Server) -> None:
    client = server.client("lambda")
    version = publish(client)
    invoke(client, "f", Qualifier=version)
    living = snapshot_processes(server)
    assert len(living) >= 3  # the template, and both processes of an environment
    client.delete_function(FunctionName="f", Qualifier=version)
    until(lambda: not living & set(below(server.process.pid)))
    assert invoke(client, "f").payload  # the function itself goes on


def test_a_stopped_server_leaves_nothing_of_its_snapshots(server: Server) -> None:
    client = server.client("lambda")
    invoke(client, "f", Qualifier=publish(client))
    left = below(server.process.pid)
    assert server.stop() == 0
    assert not set(left) & set(below(1))
    assert [path.name for path in (server.data_directory / "run").iterdir()] == ["root"]


def test_to_delete_what_is_becoming_a_snapshot_is_no_fault_and_leaves_nothing(server: Server) -> None:
    client = server.client("lambda")
    create(client, "f", f"import time\ntime.sleep(60)\n{SOURCE}", SnapStart={"ApplyOn": "PublishedVersions"})
    client.publish_version(FunctionName="f")
    until(lambda: "INIT_START" in logged(server, "f"))
    client.delete_function(FunctionName="f")
    assert server.stop() == 0
    assert "Traceback" not in Path(server.errors.name).read_text()


def logged(server: Server, name: str) -> str:
    logs = server.client("logs")
    try:
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return ""
    return "\n".join(event["message"] for event in found)
