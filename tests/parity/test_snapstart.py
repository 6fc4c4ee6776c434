"""SnapStart: one init for all environments of a published version (AWS page "Improving startup performance …")."""

from __future__ import annotations

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.exceptions
import pytest

from harness import Invoked, Server, create, invoke

SNAP_START = {"ApplyOn": "PublishedVersions"}
ON = SNAP_START | {"OptimizationStatus": "On"}
OFF = SNAP_START | {"OptimizationStatus": "Off"}
PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def needs_walls(lambent: Server) -> None:
    if "NO WALLS" in lambent.start_block:
        pytest.skip("there are no snapshots without walls")


def publish(client: Any, name: str, source: str, **options: Any) -> dict[str, Any]:
    """Create a function, publish it and return the version's configuration when it is settled."""
    create(client, name, source, SnapStart=SNAP_START, **options)
    answer = client.publish_version(FunctionName=name)
    assert (answer["State"], answer["StateReasonCode"], answer["SnapStart"]) == ("Pending", "Creating", OFF)
    return settled(client, name, answer["Version"])


def settled(client: Any, name: str, version: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        found = client.get_function_configuration(FunctionName=name, Qualifier=version)
        if found["State"] != "Pending":
            return found
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)


def first_of_each(client: Any, name: str, count: int) -> list[Invoked]:
    """The first answers of this many environments, of a handler that sleeps for its event, in seconds.

    Invocations that come at once run at once, unless the first has ended before the last has begun: then they are
    told to sleep longer.
    """
    found: list[Invoked] = []
    sleep_s = 0.1
    with ThreadPoolExecutor(count) as pool:
        while len(found) < count:
            assert sleep_s < PATIENCE_S
            asked = [pool.submit(invoke, client, name, sleep_s, Qualifier="1") for _ in range(count)]
            answers = [answer.result() for answer in asked]
            found += [answer for answer in answers if "x-lambent-cold-start-reason" in answer.headers]
            sleep_s *= 2
    return found[:count]


def report_of(answer: Invoked) -> str:
    return next(line for line in answer.log.splitlines() if line.startswith("REPORT"))


def test_environments_of_a_version_share_one_init_and_differ_afterwards(lambent: Server, name: str) -> None:
    source = """
import os, random, time, uuid
made = str(uuid.uuid4())
def handler(event, context):
    time.sleep(event)
    return [made, random.random(), os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.log_stream_name]
"""
    client = lambent.client("lambda")
    configuration = publish(client, name, source)
    assert (configuration["State"], configuration["SnapStart"]) == ("Active", ON)
    answers = first_of_each(client, name, 3)
    made, numbers, types, streams = (
        set(column) for column in zip(*(it.payload for it in answers), strict=True)
    )
    assert (len(made), len(numbers), types, len(streams)) == (1, 3, {"snap-start"}, 3)
    for answer in answers:
        line = report_of(answer)
        found = re.search(
            r"\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\t.*"
            r"\tRestore Duration: ([\d.]+) ms\tBilled Restore Duration: (\d+) ms\t$",
            line,
        )
        assert found, line
        duration_ms, billed_ms, restore_ms, billed_restore_ms = (float(it) for it in found.groups())
        assert billed_ms in (int(duration_ms) + billed_restore_ms, int(duration_ms) + billed_restore_ms + 1)
        assert billed_restore_ms <= restore_ms + 1
        assert "Init Duration" not in line
        # 0.5 GB restored, on top of duration and request.
        gb_s = 0.5 * billed_ms / 1000
        price = 0.0000002 + gb_s * 0.0000166667 + 0.5 * 0.0001397998
        assert float(answer.headers["x-lambent-price-usd"]) == pytest.approx(price)
    warm = invoke(client, name, 0, Qualifier="1")
    assert "Restore" not in report_of(warm)


def test_the_log_tells_of_the_snapshot_and_of_each_restore(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    publish(client, name, "print('init')\ndef handler(event, context): print('handled')")
    invoke(client, name, Qualifier="1")
    logs = lambent.client("logs")
    deadline_s = time.monotonic() + PATIENCE_S
    lines: dict[str, list[str]] = {}
    while not any("REPORT" in stream for stream in lines.values()):
        assert time.monotonic() < deadline_s
        lines = {}
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            for event in logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]:
                lines.setdefault(event["logStreamName"], []).append(event["message"].split()[0])
    restore = ["RESTORE_START", "RESTORE_REPORT"]
    snapshot, *restored = sorted(lines.values())
    assert snapshot == ["INIT_START", "init", "INIT_REPORT"]
    assert [*restore, "START", "handled", "END", "REPORT"] in restored
    # Another one may wait ahead of the next invocation.
    assert all(it == restore[: len(it)] for it in restored if "START" not in it)


def test_hooks_run_around_the_snapshot_in_awss_order(lambent: Server, name: str) -> None:
    source = """
import os
from snapshot_restore_py import register_after_restore, register_before_snapshot
seen = []
def note(what, where=None): seen.append([what, where, os.environ["AWS_LAMBDA_LOG_STREAM_NAME"][-4:]])
register_before_snapshot(note, "before 1"); register_before_snapshot(note, "before 2", where="named")
register_after_restore(note, "after 1"); register_after_restore(note, "after 2")
def handler(event, context): return [seen, os.environ["AWS_LAMBDA_LOG_STREAM_NAME"][-4:]]
"""
    client = lambent.client("lambda")
    publish(client, name, source)
    seen, stream = invoke(client, name, Qualifier="1").payload
    assert [it[0] for it in seen] == ["before 2", "before 1", "after 1", "after 2"]
    assert seen[0][1] == "named"
    assert {it[2] for it in seen[2:]} == {stream}
    assert stream not in {it[2] for it in seen[:2]}


def test_what_init_has_left_in_tmp_is_in_every_environment(lambent: Server, name: str) -> None:
    source = """
import os, time
os.makedirs("/tmp/d"); open("/tmp/d/model", "w").write("m")
def handler(event, context):
    time.sleep(event)
    had = os.listdir("/tmp/d"); open("/tmp/d/" + context.aws_request_id, "w").write("x")
    return [had, open("/tmp/d/model").read(), os.stat("/tmp/d/model").st_uid]
"""
    client = lambent.client("lambda")
    publish(client, name, source)
    assert [answer.payload for answer in first_of_each(client, name, 2)] == [[["model"], "m", 993]] * 2


def test_a_client_that_init_has_made_finds_credentials_and_the_endpoint(lambent: Server, name: str) -> None:
    source = """
import os, boto3
sts = boto3.client("sts"); before = sts.get_caller_identity()["Arn"]
def handler(event, context):
    return [before, sts.get_caller_identity()["Arn"], "AWS_ACCESS_KEY_ID" in os.environ]
"""
    client = lambent.client("lambda")
    publish(client, name, source)
    answer = invoke(client, name, Qualifier="1")
    arn = f"arn:aws:sts::000000000000:assumed-role/lambent-tests/{name}"
    assert answer.payload == [arn, arn, False], answer.log


def test_numpys_generator_gives_each_environment_numbers_of_its_own(lambent: Server, name: str) -> None:
    """With a stand-in for numpy: what counts is that its seed is renewed."""
    files = {
        "app.py": "import time, numpy.random\ndef handler(event, context):\n"
        "    time.sleep(event)\n    return numpy.random.seeds",
        "numpy/__init__.py": "",
        "numpy/random.py": "import os\nseeds = []\ndef seed(): seeds.append(os.urandom(4).hex())",
    }
    client = lambent.client("lambda")
    create(client, name, files, SnapStart=SNAP_START)
    settled(client, name, client.publish_version(FunctionName=name)["Version"])
    first, second = (answer.payload for answer in first_of_each(client, name, 2))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_version_whose_init_fails_is_failed_and_says_so(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    configuration = publish(client, name, "import nowhere\ndef handler(event, context): pass")
    assert configuration["State"] == "Failed"
    assert configuration["StateReasonCode"] == "FunctionError.RuntimeInitError"
    assert "Runtime.ImportModuleError" in configuration["StateReason"]
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        invoke(client, name, Qualifier="1")
    assert caught.value.response["Error"]["Code"] == "ResourceConflictException"


def test_a_version_cannot_be_invoked_before_its_snapshot_is_there(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    create(
        client, name, "import time\ntime.sleep(1)\ndef handler(event, context): pass", SnapStart=SNAP_START
    )
    client.publish_version(FunctionName=name)
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        invoke(client, name, Qualifier="1")
    assert caught.value.response["Error"]["Code"] == "SnapStartNotReadyException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_an_after_restore_hook_that_fails_fails_the_invocation(lambent: Server, name: str) -> None:
    source = """
from snapshot_restore_py import register_after_restore
register_after_restore(lambda: 1 / 0)
def handler(event, context): pass
"""
    client = lambent.client("lambda")
    assert publish(client, name, source)["State"] == "Active"
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        invoke(client, name, Qualifier="1")
    assert caught.value.response["Error"]["Code"] == "SnapStartException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_before_snapshot_hook_that_fails_fails_the_version(lambent: Server, name: str) -> None:
    source = """
from snapshot_restore_py import register_before_snapshot
register_before_snapshot(lambda: 1 / 0)
def handler(event, context): pass
"""
    configuration = publish(lambent.client("lambda"), name, source)
    assert configuration["State"] == "Failed"
    assert "Runtime.BeforeSnapshotError" in configuration["StateReason"]


def test_a_function_that_cannot_be_copied_runs_without_a_snapshot_and_says_why(
    lambent: Server, name: str
) -> None:
    source = """
import threading, time, uuid
from snapshot_restore_py import register_after_restore
register_after_restore(lambda: restored.append(1)); restored = []
threading.Thread(target=lambda: time.sleep(600), daemon=True).start()
made = str(uuid.uuid4())
def handler(event, context):
    time.sleep(event)
    return [made, restored]
"""
    client = lambent.client("lambda")
    configuration = publish(client, name, source)
    assert (configuration["State"], configuration["SnapStart"]) == ("Active", OFF)
    first, second = first_of_each(client, name, 2)
    assert first.payload[0] != second.payload[0]
    assert first.payload[1] == [1]
    assert "Init Duration" in report_of(first)
    events = lambent.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert any("LAMBENT_SNAPSHOT" in event["message"] and "thread" in event["message"] for event in events)


def test_an_environment_is_restored_again_after_a_timeout_with_tmp_kept(lambent: Server, name: str) -> None:
    source = """
import os, time, uuid
made = str(uuid.uuid4()); calls = []
def handler(event, context):
    calls.append(1); left = os.listdir("/tmp"); open("/tmp/left", "w").close()
    time.sleep(event)
    return [made, len(calls), left]
"""
    client = lambent.client("lambda")
    publish(client, name, source, Timeout=1)
    made = invoke(client, name, 0, Qualifier="1").payload[0]
    timed_out = invoke(client, name, 5, Qualifier="1")
    assert timed_out.payload["errorType"] == "Sandbox.Timedout"
    again = invoke(client, name, 0, Qualifier="1")
    assert again.payload == [made, 1, ["left"]]
    assert "Restore Duration" in report_of(again)
    assert again.headers["x-lambent-cold-start-reason"] == "reset"


def test_latest_is_not_optimized(lambent: Server, name: str) -> None:
    client = lambent.client("lambda")
    source = "import os\ndef handler(e, c): return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']"
    create(client, name, source, SnapStart=SNAP_START)
    assert client.get_function_configuration(FunctionName=name)["SnapStart"] == OFF
    answer = invoke(client, name)
    assert answer.payload == "on-demand"
    assert "Init Duration" in report_of(answer)
