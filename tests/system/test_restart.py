"""Power cuts and restarts: what was acknowledged is there, what ran is gone, and what was pending is completed."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import BadStatusLine, HTTPConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from harness import ROLE, Server, create, invoke, zip_of

PATIENCE_S = 60.0
HANDLER = "def handler(event, context):\n    print('ran')\n    return event\n"
SLEEPER = """
import subprocess, sys, threading, time
def handler(event, context):
    if event.get("children"):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        subprocess.Popen(["/bin/sh", "-c", "sleep 300 & sleep 300"], start_new_session=True)
    time.sleep(event["seconds"])
    return "done"
"""
SETTINGS = {"Runtime": "python3.12", "Handler": "app.handler", "Role": ROLE}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def until(is_so: Callable[[], Any]) -> Any:
    """Wait until something is so, within bounds, and return it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.01)
    return found


def health(server: Server) -> dict[str, Any]:
    with urlopen(f"{server.endpoint}/_lambent/health", timeout=PATIENCE_S) as answer:
        return json.load(answer)


def state(client: Any, name: str) -> str:
    return client.get_function_configuration(FunctionName=name)["State"]


# Processes, by pid and start time, since pids are used again ------------------------------------------------------


def processes() -> dict[tuple[int, str], int]:
    """Every living process of this machine, by (pid, start time), with its parent's pid."""
    found: dict[tuple[int, str], int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name may hold spaces and parentheses; what follows the last one is in columns.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                found[int(entry.name), fields[19]] = int(fields[1])
    return found


def descendants(pid: int) -> set[tuple[int, str]]:
    """Everything that a process started, directly or not."""
    alive = processes()
    family, found = {pid}, set[tuple[int, str]]()
    while True:
        more = {key for key, parent in alive.items() if parent in family} - found
        if not more:
            return found
        found |= more
        family |= {number for number, _ in more}


class Story:
    """Callers at work on a server, and what it has acknowledged to them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = {name: server.client(name) for name in ("lambda", "iam", "logs")}
        self.functions: dict[str, dict[str, Any]] = {}
        self.roles: list[str] = []
        self.events: list[str] = []
        self.invocations: list[int] = []
        self.is_over = threading.Event()

    def run_until_killed(self, *, acknowledged: int) -> None:
        """Let all of them work and kill the server when each has had so many answers."""
        workers = [self.create_functions, self.change_a_function, self.create_roles, self.log, self.call]
        with ThreadPoolExecutor(len(workers)) as pool:
            running = [pool.submit(self._work, worker) for worker in workers]
            try:
                until(
                    lambda: (
                        min(len(self.functions), len(self.roles), len(self.events), len(self.invocations))
                        >= acknowledged
                    )
                )
                self.server.kill()
            finally:
                self.is_over.set()
            for work in running:
                work.result(PATIENCE_S)

    def _work(self, work: Callable[[int], None]) -> None:
        number = 0
        while not self.is_over.is_set():
            number += 1
            try:
                work(number)
            except (BotoCoreError, ConnectionError):
                # Not acknowledged: it may have happened or not.
                if not self.is_over.wait(PATIENCE_S):
                    raise

    def create_functions(self, number: int) -> None:
        name = f"f{number}"
        self.client["lambda"].create_function(
            FunctionName=name,
            Code={"ZipFile": zip_of({"app.py": HANDLER + f"# {number}\n"})},
            Tags={"number": str(number)},
            **SETTINGS,
        )
        self.functions[name] = {"Description": ""}

    def change_a_function(self, number: int) -> None:
        try:
            self.client["lambda"].update_function_configuration(
                FunctionName="changing", Description=str(number)
            )
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceConflictException"  # The last one goes on.
            return
        self.functions["changing"] = {"Description": str(number)}

    def create_roles(self, number: int) -> None:
        self.client["iam"].create_role(RoleName=f"r{number}", AssumeRolePolicyDocument=TRUST)
        self.roles.append(f"r{number}")

    def log(self, number: int) -> None:
        self.client["logs"].put_log_events(
            logGroupName="/mine",
            logStreamName="stream",
            logEvents=[{"timestamp": int(time.time() * 1000), "message": f"event {number}"}],
        )
        self.events.append(f"event {number}")

    def call(self, number: int) -> None:
        assert invoke(self.client["lambda"], "calling", number).payload == number
        self.invocations.append(number)


def test_what_was_acknowledged_survives_kill_9_and_still_works(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.client("lambda")
    for name in ("changing", "calling"):
        create(client, name, HANDLER)
    server.client("logs").create_log_group(logGroupName="/mine")
    server.client("logs").create_log_stream(logGroupName="/mine", logStreamName="stream")
    before: list[str] = []
    story = Story(server)
    story.functions["changing"] = {"Description": ""}
    invoke(client, "calling", 0)
    until(lambda: before.extend(ran_lines(server)) or before)

    story.run_until_killed(acknowledged=8)
    server.start()

    client = server.client("lambda")
    for name, members in story.functions.items():
        found = client.get_function(FunctionName=name)
        if name != "changing":
            assert found["Tags"] == {"number": name.removeprefix("f")}
            assert found["Configuration"]["Description"] == members["Description"]
    # The change that was under way when the power went may have been made or not.
    described = client.get_function(FunctionName="changing")["Configuration"]["Description"] or "0"
    assert int(described) >= int(story.functions["changing"]["Description"] or "0")
    roles = {role["RoleName"] for role in server.client("iam").list_roles(MaxItems=1000)["Roles"]}
    assert roles >= set(story.roles)
    logged = server.client("logs").get_log_events(
        logGroupName="/mine", logStreamName="stream", startFromHead=True
    )["events"]
    messages = [event["message"] for event in logged]
    assert messages[: len(story.events)] == story.events
    assert len(messages) <= len(story.events) + 1
    assert ran_lines(server)[: len(before)] == before
    for name in ("changing", "calling", *list(story.functions)[-3:]):
        until(lambda name=name: state(client, name) == "Active")
        assert invoke(client, name, {"after": name}).payload == {"after": name}
    assert server.stop() == 0
    assert "Traceback" not in Path(server.errors.name).read_text()


def ran_lines(server: Server) -> list[str]:
    """The log lines of the function `calling` so far."""
    try:
        found = server.client("logs").filter_log_events(
            logGroupName="/aws/lambda/calling", filterPattern="ran"
        )
    except ClientError:
        return []
    return [event["eventId"] for event in found["events"]]


def test_creations_that_were_pending_are_completed_after_the_restart(
    new_server: Callable[..., Server],
) -> None:
    server = new_server()
    client = server.client("lambda")
    # Enough to unpack that the last ones are certainly not done when the power goes.
    files: dict[str, str | bytes] = {f"lib/module{number}.py": "x = 1\n" for number in range(200)}
    names = [f"f{number}" for number in range(4)]
    for name in names:
        code = zip_of({"app.py": HANDLER, **files, "name.txt": name})
        answer = client.create_function(FunctionName=name, Code={"ZipFile": code}, **SETTINGS)
        assert answer["State"] == "Pending"
    server.kill()
    server.start()
    client = server.client("lambda")
    for name in names:
        until(lambda name=name: state(client, name) == "Active")
        assert invoke(client, name, name).payload == name
    left = [path.name for path in (server.data_directory / "code").iterdir() if path.name.startswith(".")]
    assert left == [], "what was half unpacked is gone"


def test_a_restarted_server_runs_functions_from_its_first_answer_on(
    new_server: Callable[..., Server], name: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = new_server("--port", str(port))
    create(server.client("lambda"), name, HANDLER)
    server.kill()

    def first_answer() -> int | None:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        try:
            connection.request("POST", f"/2015-03-31/functions/{name}/invocations", body=b"{}")
            return connection.getresponse().status
        except (ConnectionError, BadStatusLine):
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(until, first_answer)
        server.start()
        assert asking.result() == 200


def test_no_process_of_a_killed_server_survives_it(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.client("lambda")
    create(client, "sleeper", SLEEPER, Timeout=300)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(invoke, client, "sleeper", {"seconds": 300, "children": True}) for _ in range(2)]
        until(lambda: health(server)["running_invocations"] == 2)
        # Two runtimes, and in each environment: one child, and a shell with two of its own.
        until(lambda: len(descendants(server.process.pid)) >= 2 * 5)
        family = descendants(server.process.pid)
        server.kill()
        for call in calls:
            with pytest.raises(BotoCoreError):
                call.result(PATIENCE_S)
    until(lambda: not family & processes().keys())
    server.start()
    assert list((server.data_directory / "run").glob("*/tmp")) == [], "their directories are gone too"


def test_sigterm_lets_a_running_invocation_end_and_exits_with_0(new_server: Callable[..., Server]) -> None:
    server = new_server()
    client = server.client("lambda")
    create(client, "sleeper", SLEEPER, Timeout=60)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(invoke, client, "sleeper", {"seconds": 1.5})
        until(lambda: health(server)["running_invocations"] == 1)
        family = descendants(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        answer = call.result(PATIENCE_S)
    assert (answer.payload, answer.error) == ("done", None)
    assert server.wait() == 0
    until(lambda: not family & processes().keys())
    assert "Traceback" not in Path(server.errors.name).read_text()

    server.start()
    client = server.client("lambda")
    lines = server.client("logs").filter_log_events(logGroupName="/aws/lambda/sleeper")["events"]
    assert any(event["message"].startswith("REPORT RequestId") for event in lines), "its log was kept as well"


def test_an_invocation_that_outlasts_the_drain_is_ended(new_server: Callable[..., Server]) -> None:
    server = new_server("--drain-timeout-s", "1")
    client = server.client("lambda")
    create(client, "sleeper", SLEEPER, Timeout=300)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(invoke, client, "sleeper", {"seconds": 300})
        until(lambda: health(server)["running_invocations"] == 1)
        assert server.stop() == 0
        with pytest.raises((BotoCoreError, ClientError)):
            call.result(PATIENCE_S)


def test_code_that_nothing_needs_any_more_is_gone_after_a_power_cut(
    new_server: Callable[..., Server], name: str
) -> None:
    """A living server keeps it for a while, for invocations that were assigned before."""
    server = new_server()
    client = server.client("lambda")
    create(client, name, HANDLER)
    before = stored_packages(server)
    client.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": HANDLER + "# changed\n"}))
    until(lambda: client.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "Successful")
    assert before < stored_packages(server)
    server.kill()
    server.start()
    assert len(stored_packages(server)) == 1
    assert not before & stored_packages(server)
    assert invoke(server.client("lambda"), name, 1).payload == 1


def stored_packages(server: Server) -> set[str]:
    return {path.name for path in (server.data_directory / "blobs").rglob("*") if path.is_file()}


def test_a_server_that_polls_a_queue_stops_when_it_is_told_to(new_server: Callable[..., Server]) -> None:
    server = new_server()
    create(server.client("lambda"), "f", "def handler(event, context): return None")
    url = server.client("sqs").create_queue(QueueName="work")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{url.rpartition('/')[2]}"
    server.client("lambda").create_event_source_mapping(FunctionName="f", EventSourceArn=arn)
    time.sleep(0.5)  # until it is enabled, and waits for messages
    assert server.stop() == 0
