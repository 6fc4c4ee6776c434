"""Functions under a debugger: a real one attaches, stops, looks and goes on, and time waits for it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from debuggers import DapClient, InspectorClient
from harness import DEFAULTS, INTERRUPTED, Server, clean_environ, create, invoke

PATIENCE_S = 60.0
PYTHON = """
import time

def handler(event, context):
    secret = event["a"] + 1
    answer = secret * 2
    return {"answer": answer}
"""
BREAKPOINT = 6  # where `answer` is made


class Debugged:
    """`lambent invoke NAME --debug` as a process."""

    def __init__(self, server: Server, name: str, event: Any, *flags: str) -> None:
        command = [sys.executable, "-m", "lambent", "invoke", name, "--debug-port", "0"]
        self.process = subprocess.Popen(
            [*command, "-d", json.dumps(event), *flags],
            env=clean_environ() | DEFAULTS | {"LAMBENT_ENDPOINT": server.endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def launch_configuration(self) -> dict[str, Any]:
        """Return the configuration that it prints, once it has."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if line == "}\n":
                break
        (configuration,) = json.loads(self.said[self.said.index("{") :])["configurations"]
        return configuration

    def result(self) -> Any:
        """Return the function's answer."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.said += err
        assert self.process.returncode == 0, self.said
        return json.loads(out)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def debug() -> Iterator[Callable[..., Debugged]]:
    with contextlib.ExitStack() as stack:

        def begin(*arguments: Any) -> Debugged:
            debugged = Debugged(*arguments)
            stack.callback(debugged.close)
            return debugged

        yield begin


@pytest.fixture
def attach() -> Iterator[Callable[..., DapClient]]:
    """Attaches to debugpy, with breakpoints in these lines of a file."""
    with contextlib.ExitStack() as stack:

        def begin(port: int, path: str, *lines: int) -> DapClient:
            client = stack.enter_context(contextlib.closing(DapClient(port)))
            client.ask("initialize", clientID="test", adapterID="debugpy", linesStartAt1=True)
            attached = client.send("attach", justMyCode=True, pathMappings=[])
            client.event("initialized")
            points = [{"line": line} for line in lines]
            client.ask("setBreakpoints", source={"path": path}, breakpoints=points)
            client.ask("configurationDone")
            client.answer_to(attached)
            return client

        yield begin


def test_a_debugger_stops_a_function_looks_and_lets_it_go_on(
    lambent: Server, debug: Callable[..., Debugged], attach: Callable[..., DapClient], name: str
) -> None:
    """While it looks, the function's timeout stands still."""
    create(lambent.client("lambda"), name, PYTHON, Timeout=1)
    invocation = debug(lambent, name, {"a": 20})
    launch = invocation.launch_configuration()
    assert launch["type"] == "debugpy"
    assert launch["pathMappings"] == [{"localRoot": "${workspaceFolder}", "remoteRoot": "/var/task"}]

    client = attach(launch["connect"]["port"], "/var/task/app.py", BREAKPOINT)
    thread = client.event("stopped")["threadId"]
    (frame, *_) = client.ask("stackTrace", threadId=thread)["stackFrames"]
    assert (frame["name"], frame["line"]) == ("handler", BREAKPOINT)
    assert client.ask("evaluate", expression="secret", frameId=frame["id"])["result"] == "21"
    # Others are not disturbed meanwhile, and have environments of their own.
    assert invoke(lambent.client("lambda"), name, {"a": 1}).payload == {"answer": 4}
    time.sleep(1.1)  # longer than the timeout, which is the machine's time
    client.ask("continue", threadId=thread)
    assert invocation.result() == {"answer": 42}
    assert "cold start (debug)" in invocation.said


def test_when_a_debugger_has_gone_time_runs_again(
    lambent: Server, debug: Callable[..., Debugged], attach: Callable[..., DapClient], name: str
) -> None:
    code = "import time\ndef handler(event, context):\n    time.sleep(10)\n"
    # An old Python, where there is one: debugpy does its work there in another way.
    create(lambent.client("lambda"), name, code, Timeout=1, Runtime="python3.8")
    invocation = debug(lambent, name, {})
    client = attach(invocation.launch_configuration()["connect"]["port"], "/var/task/app.py")
    client.ask("disconnect", terminateDebuggee=False)
    client.close()
    out, err = invocation.process.communicate(timeout=PATIENCE_S)
    assert "Task timed out after 1.00 seconds" in out, err
    assert invocation.process.returncode == 1


def test_ctrl_c_ends_what_waits_for_a_debugger(
    lambent: Server, debug: Callable[..., Debugged], name: str
) -> None:
    create(lambent.client("lambda"), name, PYTHON)
    invocation = debug(lambent, name, {})
    port = invocation.launch_configuration()["connect"]["port"]
    invocation.process.send_signal(signal.SIGINT)
    assert invocation.process.wait(PATIENCE_S) in INTERRUPTED
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_stopping_server_does_not_wait_for_a_debugger(new_server: Callable[..., Server], name: str) -> None:
    server = new_server()
    create(server.client("lambda"), name, PYTHON)
    ended: list[str] = []

    def run() -> None:
        with contextlib.suppress(Exception):
            debugged_invoke(server, name, "0", "11111111-2222-3333-4444-555555555555")
        ended.append(name)

    thread = threading.Thread(target=run)
    thread.start()
    state_of(server, "11111111-2222-3333-4444-555555555555")
    began_s = time.monotonic()
    assert server.stop() == 0
    thread.join(PATIENCE_S)
    assert ended
    assert time.monotonic() - began_s < 10


def debugged_invoke(server: Server, name: str, port: str, request_id: str, **credentials: str) -> Any:
    client = server.client("lambda", **credentials)

    def add(params: dict[str, Any], **_: Any) -> None:
        params["headers"].update({"x-lambent-debug": port, "x-amzn-RequestId": request_id})

    client.meta.events.register("before-call", add)
    return client.invoke(FunctionName=name)


def state_of(server: Server, request_id: str) -> dict[str, Any]:
    """Return what the server tells of an invocation, once it runs under a debugger."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{server.endpoint}/_lambent/debug/{request_id}") as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            assert error.code == 404
            error.close()
    raise AssertionError("there is no such invocation")


@pytest.mark.parametrize(
    ("port", "runtime", "sentence"),
    [
        ("none", "python3.12", "x-lambent-debug must be a port from 0 to 65535, not 'none'."),
        ("65536", "python3.12", "x-lambent-debug must be a port from 0 to 65535, not '65536'."),
        ("taken", "python3.12", r"No debugger can be awaited on port \d+: .*[Aa]ddress already in use.*"),
        ("0", "provided.al2023", "Functions on provided.al2023 bring their own runtime: .*"),
    ],
)
def test_what_cannot_be_debugged_is_refused(
    lambent: Server, name: str, port: str, runtime: str, sentence: str
) -> None:
    create(lambent.client("lambda"), name, {"app.py": PYTHON, "bootstrap": "#!/bin/sh\n"}, Runtime=runtime)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = str(listener.getsockname()[1]) if port == "taken" else port
        with pytest.raises(ClientError) as refused:
            debugged_invoke(lambent, name, text, "11111111-2222-3333-4444-666666666666")
    error = refused.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert re.fullmatch(sentence, error["Message"])


def test_without_walls_the_debugger_finds_the_code_where_it_lies(
    new_server: Callable[..., Server],
    debug: Callable[..., Debugged],
    attach: Callable[..., DapClient],
    name: str,
) -> None:
    server = new_server("--sandbox", "process")
    create(server.client("lambda"), name, PYTHON)
    invocation = debug(server, name, {"a": 1})
    launch = invocation.launch_configuration()
    root = Path(launch["pathMappings"][0]["remoteRoot"])
    assert (root / "app.py").is_file()
    client = attach(launch["connect"]["port"], str(root / "app.py"), BREAKPOINT)
    client.ask("continue", threadId=client.event("stopped")["threadId"])
    assert invocation.result() == {"answer": 4}


NODE = """
exports.handler = async (event) => {
  const secret = event.a + 1;
  const answer = secret * 2;
  return { answer };
};
"""


def test_the_inspector_of_nodejs_stops_a_function_looks_and_lets_it_go_on(
    lambent: Server, debug: Callable[..., Debugged], name: str
) -> None:
    runtime = "nodejs20.x"
    create(
        lambent.client("lambda"),
        name,
        {"index.js": NODE},
        Runtime=runtime,
        Handler="index.handler",
        Timeout=1,
    )
    invocation = debug(lambent, name, {"a": 20})
    launch = invocation.launch_configuration()
    assert (launch["type"], launch["remoteRoot"]) == ("node", "/var/task")
    with contextlib.closing(InspectorClient(launch["port"])) as client:
        client.ask("Runtime.enable")
        client.ask("Debugger.enable")
        place = {"url": "file:///var/task/index.js", "lineNumber": 3}
        client.ask("Debugger.setBreakpointByUrl", **place)
        client.ask("Runtime.runIfWaitingForDebugger")
        (frame, *_) = client.event("Debugger.paused")["callFrames"]
        found = client.ask(
            "Debugger.evaluateOnCallFrame", callFrameId=frame["callFrameId"], expression="secret"
        )
        assert (frame["functionName"], found["result"]["value"]) == ("exports.handler", 21)
        time.sleep(1.1)
        client.ask("Debugger.resume")
        assert invocation.result() == {"answer": 42}
