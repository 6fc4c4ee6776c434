"""Room on a machine: functions give way to each other, and environments do not live for ever."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import Server, create, invoke
from parity.test_aliases import answer_of

SLEEPER = """
import time

def handler(event, context):
    time.sleep((event or {}).get("seconds", 0))
"""
REASON = "x-lambent-cold-start-reason"


def health(server: Server) -> dict[str, Any]:
    with urllib.request.urlopen(f"{server.endpoint}/_lambent/health", timeout=10) as answer:
        return dict(json.load(answer))


def test_functions_make_room_for_each_other_and_are_throttled_when_nothing_can_go(
    new_server: Callable[..., Server],
) -> None:
    """Of 75 MB, a version of 256 MB takes 64 until it is known to need less: 16 if forked, 30 at most."""
    server = new_server("--memory-budget-mb", "75", "--memory-wait-s", "0.2")
    client = server.client("lambda")
    for name in ("one", "two"):
        create(client, name, SLEEPER, MemorySize=256, Timeout=30)
    assert invoke(client, "one").headers[REASON] == "first"
    memory = health(server)["memory"]
    assert memory["budget_mb"] == 75
    assert 16 <= memory["claimed_mb"] <= 37
    assert invoke(client, "two").headers[REASON] == "first"
    assert health(server)["environments"] == 1
    # Now that both are known, there is room for both.
    assert invoke(client, "one").headers[REASON] == "retired"
    assert REASON not in invoke(client, "two").headers
    assert health(server)["environments"] == 2
    with ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(invoke, client, name, {"seconds": 2}) for name in ("one", "two") * 4]
        refused = [error for call in calls if (error := call.exception())]
    assert 1 <= len(refused) <= 6  # 75 MB are four environments at most, and those that were there two
    for error in refused:
        assert isinstance(error, ClientError)
        assert answer_of(error)["Reason"] == "ConcurrentInvocationLimitExceeded"


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Lambent whose environments do not become old."""
    server = Server(tmp_path_factory.mktemp("young") / "data", "--max-life-s", "0.2")
    yield server
    server.stop()


def test_a_snapshot_takes_memory_as_long_as_its_version_exists(young: Server) -> None:
    client = young.client("lambda")
    create(client, "snapped", SLEEPER, Publish=True, SnapStart={"ApplyOn": "PublishedVersions"})
    waiter = client.get_waiter("published_version_active")
    waiter.wait(FunctionName="snapped", Qualifier="1", WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    taken = health(young)
    assert taken["environments"] == 0
    assert taken["memory"]["claimed_mb"] > 0
    client.delete_function(FunctionName="snapped")
    deadline_s = time.monotonic() + 30
    while health(young)["memory"]["claimed_mb"]:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_an_environment_is_retired_when_it_is_old_enough_and_has_ended_its_invocation(young: Server) -> None:
    client = young.client("lambda")
    create(client, "sleeper", SLEEPER)
    assert invoke(client, "sleeper", {"seconds": 0.3}).headers[REASON] == "first"
    assert invoke(client, "sleeper", {"seconds": 0.3}).headers[REASON] == "retired"


def test_a_snapshot_that_nothing_lives_from_makes_room_and_is_taken_again(
    new_server: Callable[..., Server],
) -> None:
    server = new_server("--memory-budget-mb", "150", "--memory-wait-s", "5", "--idle-timeout-s", "0.3")
    client = server.client("lambda")
    source = f"ballast = bytearray(b'x') * 60_000_000\n{SLEEPER}"
    create(client, "one", source, MemorySize=256, SnapStart={"ApplyOn": "PublishedVersions"})
    client.publish_version(FunctionName="one")
    client.get_waiter("published_version_active").wait(
        FunctionName="one", Qualifier="1", WaiterConfig={"Delay": 0.05}
    )
    assert health(server)["memory"]["claimed_mb"] >= 60
    create(client, "large", f"ballast = bytearray(b'x') * 110_000_000\n{SLEEPER}", MemorySize=512)
    # A version of 512 MB claims 128 until it is known, which does not fit beside the snapshot.
    assert invoke(client, "large").headers[REASON] == "first"
    assert health(server)["memory"]["claimed_mb"] < 150
    answer = invoke(client, "one", Qualifier="1")
    assert answer.error is None
    assert "Restore Duration" in answer.log
