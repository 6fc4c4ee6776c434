"""What every runtime promises to functions, whatever they are written in: one suite over all languages."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness import ACCOUNT, REGION, ROLE, Invoked, Server, invoke
from runtimes import Language, languages, package_of

LANGUAGES = languages()
WAIT = {"Delay": 0.05, "MaxAttempts": 600}
PAUSE_S = 0.6
"""Six times as long as an environment idles before it is frozen."""


class Deployed:
    """A function in one of the languages."""

    def __init__(self, server: Server, language: Language) -> None:
        self.client = server.client("lambda")
        self.language = language
        self.name = f"runtime-{uuid.uuid4().hex[:8]}"
        self.create(self.name, language.files, Environment={"Variables": {"OWN": "ü"}})

    def create(self, name: str, files: Any, **options: Any) -> None:
        settings: dict[str, Any] = {
            "Runtime": self.language.runtime,
            "Handler": "app.handler",
            "Role": ROLE,
            "Timeout": 10,
            "MemorySize": 512,
        } | options
        self.client.create_function(FunctionName=name, Code={"ZipFile": package_of(files)}, **settings)
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAIT)

    def do(self, what: str, **members: Any) -> Invoked:
        return invoke(self.client, self.name, {"do": what, **members})

    def ask(self, what: str, **members: Any) -> Any:
        answer = self.do(what, **members)
        assert answer.error is None, answer
        return answer.payload


@pytest.fixture(scope="module", params=LANGUAGES, ids=lambda language: language.runtime)
def function(request: pytest.FixtureRequest, lambent: Server) -> Iterator[Deployed]:
    if request.param.missing:
        pytest.skip(request.param.missing)
    deployed = Deployed(lambent, request.param)
    yield deployed
    deployed.client.delete_function(FunctionName=deployed.name)


@pytest.mark.parametrize(
    "value", [{}, None, [], 0, -1.5, "", "text", "ü€🐑\u2028", {"ü": ["€", {"deep": [True]}]}]
)
def test_an_event_comes_back_as_it_was(function: Deployed, value: Any) -> None:
    assert function.ask("echo", value=value) == value


def test_six_megabytes_go_both_ways(function: Deployed) -> None:
    text = "x" * 6_000_000
    answer = function.client.invoke(
        FunctionName=function.name, Payload=json.dumps({"do": "echo", "value": text})
    )
    assert json.load(answer["Payload"]) == text


def test_bytes_are_answered_as_they_are(function: Deployed) -> None:
    if function.language.runtime.startswith("nodejs"):
        pytest.skip("Node.js handlers answer JSON; those that stream have a test of their own")
    answer = function.client.invoke(FunctionName=function.name, Payload='{"do": "binary"}')
    assert answer["Payload"].read() == b"\x00\xff\n"


def test_the_context_says_everything(function: Deployed) -> None:
    custom = {"custom": {"ü": "€"}}
    answer = invoke(
        function.client,
        function.name,
        {"do": "context"},
        ClientContext=base64.b64encode(json.dumps(custom).encode()).decode(),
    )
    found = answer.payload
    assert 0 < found.pop("left_ms") <= 10_000
    stream = found.pop("stream")
    assert found == {
        "request_id": answer.headers["x-amzn-requestid"],
        "name": function.name,
        "memory": "512",
        "version": "$LATEST",
        "arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function.name}",
        "group": f"/aws/lambda/{function.name}",
        "custom": {"ü": "€"},
    }
    assert "[$LATEST]" in stream


def test_without_a_client_context_there_is_none(function: Deployed) -> None:
    assert function.ask("context")["custom"] is None


def test_the_environment_is_awss(function: Deployed) -> None:
    found = function.ask("environment")
    variables = found["variables"]
    expected = {
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "TZ": ":UTC",
        "OWN": "ü",
        "_HANDLER": "app.handler",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert variables["AWS_LAMBDA_RUNTIME_API"]
    is_custom = function.language.runtime.startswith("provided")
    assert variables.get("AWS_EXECUTION_ENV") == (
        None if is_custom else f"AWS_Lambda_{function.language.runtime}"
    )
    assert (found["directory"], found["uid"]) == ("/var/task", 993)


def test_an_error_is_the_functions_answer_and_the_environment_goes_on(function: Deployed) -> None:
    before, _ = function.ask("count")
    answer = function.do("fail")
    assert answer.error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == (
        function.language.error_type,
        "no ü",
    )
    assert function.ask("count")[0] == before + 2


def test_what_is_written_is_in_the_log_in_order(function: Deployed) -> None:
    lines = function.do("log").log.splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[1:4] == ["one ü", "two", "three"]
    assert lines[4].startswith("END RequestId: ")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"do": "exit", "code": 3}, "Runtime exited with error: exit status 3"),
        ({"do": "exit", "code": 0}, "Runtime exited without providing a reason"),
        ({"do": "kill"}, "Runtime exited with error: signal: killed"),
    ],
)
def test_a_runtime_that_ends_is_an_error_and_starts_again(
    function: Deployed, what: dict[str, Any], words: str
) -> None:
    answer = invoke(function.client, function.name, what)
    request_id = answer.headers["x-amzn-requestid"]
    assert answer.payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: {words}",
    }
    assert function.ask("count")[0] == 1


def test_a_timeout_takes_the_processes_and_leaves_tmp(function: Deployed) -> None:
    name = f"{function.name}-tmp"
    function.create(name, function.language.files, Timeout=2)
    answer = invoke(function.client, name, {"do": "sleep"})
    assert answer.payload == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer.headers['x-amzn-requestid']} Error: Task timed out after 2.00 seconds",
    }
    assert invoke(function.client, name, {"do": "count"}).payload == [1, True]


def test_a_function_that_cannot_be_loaded_answers_its_error(function: Deployed) -> None:
    name = f"{function.name}-broken"
    function.create(name, function.language.broken)
    answer = invoke(function.client, name, {})
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", function.language.broken_type)
    assert f"Error Type: {function.language.broken_type}" in answer.log


def test_layers_are_found_where_the_language_looks_for_them(function: Deployed) -> None:
    layer = function.client.publish_layer_version(
        LayerName=f"{function.name}-layer", Content={"ZipFile": package_of(function.language.layer)}
    )
    name = f"{function.name}-layered"
    function.create(name, function.language.files, Layers=[layer["LayerVersionArn"]])
    assert invoke(function.client, name, {"do": "layer"}).payload == "layer"


def test_what_is_left_running_stands_still_until_the_next_invocation(
    function: Deployed, lambent: Server
) -> None:
    if "yes frozen between invocations" not in lambent.start_block:
        pytest.skip("environments are not frozen here")
    function.ask("beat")
    time.sleep(PAUSE_S)
    assert function.ask("beat") > PAUSE_S / 2


def test_an_environment_runs_one_invocation_at_a_time(function: Deployed) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: function.ask("wait", seconds=0.1), range(8))) == [1] * 8
