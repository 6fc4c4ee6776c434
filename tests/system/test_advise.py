"""The adviser and the simulator beside a real server: its ledger is replayed, and an init is really profiled."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from harness import Server, create, invoke

SOURCE = """import decimal
import time

time.sleep(0.03)
print("INIT RAN")


def handler(event, context):
    print("HANDLER RAN")
    if event:
        raise ValueError("asked for")
"""
BROKEN = "raise ImportError('not today')\n"


def lambent_json(server: Server, *arguments: str) -> Any:
    """Run a command of the command line and return the JSON that it prints."""
    command = [sys.executable, "-m", "lambent", *arguments, "--json"]
    ran = subprocess.run(
        command, env=server.environ(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture
def invoked(lambent: Server, name: str) -> str:
    client = lambent.client("lambda")
    create(client, name, SOURCE, MemorySize=256)
    for event in (0, 0, 0, 1):
        invoke(client, name, event)
    return name


def test_what_was_invoked_is_replayed_from_the_ledger_at_once(lambent: Server, invoked: str) -> None:
    found = lambent_json(lambent, "simulate", "--history", invoked, "--validate")
    (run,) = found["runs"]
    assert run["invocations"] == found["observed"]["invocations"] == 4
    assert run["cold_starts"] == found["observed"]["cold_starts"] == 1
    assert run["platform"]["memory_mb"] == 256
    assert run["latency_ms"]["max"] == pytest.approx(found["observed"]["latency_ms"]["max"])


def test_an_init_is_profiled_by_a_clone_whose_handler_never_runs_and_that_is_gone_afterwards(
    lambent: Server, invoked: str
) -> None:
    (found,) = lambent_json(lambent, "advise", invoked, "--imports")
    answers = {answer["question"]: answer for answer in found["answers"]}
    assert answers["errors"]["verdict"].startswith("1 (25%) of the invocations failed")
    figures = answers["package and imports"]["figures"]
    # Its own code sleeps for 30 ms.
    own_ms = float(figures["importing the handler's module"].rpartition(", ")[2].split()[0])
    assert own_ms >= 30
    assert leftovers(lambent, invoked) == []


def test_a_profile_of_an_init_that_fails_is_one_sentence_and_leaves_nothing(
    lambent: Server, name: str
) -> None:
    client = lambent.client("lambda")
    create(client, name, BROKEN)
    invoke(client, name)
    ran = subprocess.run(
        [sys.executable, "-m", "lambent", "advise", name, "--imports"],
        env=lambent.environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    assert (
        f"The init of {name} failed (FUNCTION_ERROR_INIT_FAILURE): see `lambent logs {name}`." in ran.stderr
    )
    assert leftovers(lambent, name) == []


def leftovers(server: Server, name: str) -> list[str]:
    """Return what is left of clones of a function: functions and log groups."""
    found = [
        one["FunctionName"]
        for page in server.client("lambda").get_paginator("list_functions").paginate()
        for one in page["Functions"]
        if one["FunctionName"].startswith(f"lambent-temporary-{name}")
    ]
    prefix = f"/aws/lambda/lambent-temporary-{name}"
    groups = server.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return found + [group["logGroupName"] for group in groups]
