"""Cold starts from prepared interpreters: fast, and the function cannot tell, nor its author's settings be lost.

Interpreters of Python are forked; those of Node.js wait behind their walls.
"""

from __future__ import annotations

import os
import shutil
import time
from typing import Any

import pytest

from harness import Server, create, invoke, zip_of

TELL = """
import os, sys
def handler(event, context):
    # A forked interpreter still shows the command line of the one that it was forked from.
    was_forked = b"lambent.sandbox.zygote" in open("/proc/self/cmdline", "rb").read()
    return [was_forked, sys.flags.hash_randomization, os.environ.get("PYTHONHASHSEED")]
"""
_PATIENCE_S = 60.0


def forked(client: Any, name: str, **environment: str) -> Any:
    """The answer of the function's first environment that was forked; each try makes a new one."""
    answer = None
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
        waiter = client.get_waiter("function_updated_v2")
        waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
        answer = invoke(client, name)
        if answer.payload[0]:
            return answer
    return answer


def require_stems(server: Server) -> None:
    if "sandbox   namespaces" not in server.start_block:
        pytest.skip("without walls every environment starts an interpreter of its own")


def test_cold_starts_are_forked_once_the_runtime_is_prepared(lambent: Server, name: str) -> None:
    require_stems(lambent)
    client = lambent.client("lambda")
    create(client, name, TELL)
    answer = forked(client, name)
    assert answer.payload[0]
    assert "Init Duration" in answer.log


def test_what_only_a_new_interpreter_can_obey_gets_a_new_interpreter(lambent: Server, name: str) -> None:
    require_stems(lambent)
    client = lambent.client("lambda")
    create(client, name, TELL)
    assert forked(client, name).payload[0]
    client.update_function_configuration(
        FunctionName=name, Environment={"Variables": {"PYTHONHASHSEED": "0"}}
    )
    waiter = client.get_waiter("function_updated_v2")
    waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})
    assert invoke(client, name).payload == [False, 0, "0"]


def test_a_boto3_in_the_package_wins_over_the_prepared_one(lambent: Server, name: str) -> None:
    require_stems(lambent)
    client = lambent.client("lambda")
    source = TELL.replace("import os, sys", "import boto3, os, sys").replace(
        "return [", "assert boto3.OWN\n    return ["
    )
    create(client, name, {"app.py": source, "boto3.py": "OWN = True"})
    assert forked(client, name).payload[0]


def test_an_interpreter_that_was_there_before_knows_its_runtimes_name(lambent: Server, name: str) -> None:
    """Text is escaped up to Python 3.11 and not from 3.12 on, whichever interpreter runs them."""
    require_stems(lambent)
    client = lambent.client("lambda")
    for runtime, written in (("python3.11", b'"\\u00fc"'), ("python3.13", '"ü"'.encode())):
        function = f"{name}-{runtime[-2:]}"
        source = TELL.replace("    return [", "    if event: return event\n    return [")
        create(client, function, source, Runtime=runtime)
        assert forked(client, function).payload[0]
        assert client.invoke(FunctionName=function, Payload='"ü"')["Payload"].read() == written


@pytest.mark.skipif(os.geteuid() != 0, reason="looks at processes of other users")
def test_stems_can_be_switched_off(new_server: Any, name: str) -> None:
    server = new_server(environ={"LAMBENT_STEMS": "0"})
    client = server.client("lambda")
    create(client, name, TELL)
    assert [invoke(client, name).payload[0] for _ in range(2)] == [False, False]


# Node.js ---------------------------------------------------------------------------------------------------

TELL_ALL = r"""
const fs = require('fs');
const places = ['/var/task', '/opt', '/tmp', '/dev/shm', '/'];
exports.handler = async () => ({
  // What a process was started with is still to be read there.
  waited: fs.readFileSync('/proc/self/environ', 'latin1').includes('_LAMBENT_WAITS_FD'),
  view: {
    arguments: [process.argv, process.execArgv, process.title], directory: process.cwd(),
    variables: Object.keys(process.env).sort(), globals: Object.getOwnPropertyNames(globalThis).sort(),
    events: process.eventNames().map(String).sort(), main: require.main || null, mask: process.umask(),
    files: places.map((place) => [place, fs.readdirSync(place)]),
    heap: require('v8').getHeapStatistics().heap_size_limit,
    descriptors: ['0', '1', '2', '3', '4'].map((fd) => fs.readlinkSync('/proc/self/fd/' + fd).replace(/\d+/, '')),
    standard: [process.stdout, process.stderr].map((stream) => [stream.constructor.name, stream.isTTY, stream.fd]),
    limits: fs.readFileSync('/proc/self/limits', 'latin1'), locale: Intl.DateTimeFormat().resolvedOptions(),
    zone: new Date(0).toString(), stack: new Error('here').stack,
  },
});
"""
FIXED = {"UV_THREADPOOL_SIZE": "4"}
"""A variable that Node.js is given when it starts; this is what it would do anyway."""


@pytest.fixture(scope="module")
def node_client(lambent: Server) -> Any:
    require_stems(lambent)
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    return lambent.client("lambda")


def waited(client: Any, name: str, **environment: str) -> Any:
    """The answer of the function's first environment that was started ahead; each try makes a new one."""
    answer = None
    deadline_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline_s:
        set_variables(client, name, environment)
        answer = invoke(client, name).payload
        if answer["waited"]:
            return answer
    return answer


def set_variables(client: Any, name: str, environment: dict[str, str]) -> None:
    client.update_function_configuration(FunctionName=name, Environment={"Variables": environment})
    waiter = client.get_waiter("function_updated_v2")
    waiter.wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600})


def test_a_nodejs_that_waited_for_its_function_is_what_a_started_one_is(node_client: Any, name: str) -> None:
    create(node_client, name, {"app.js": TELL_ALL}, Runtime="nodejs20.x", MemorySize=300)
    environment = {"TZ": "Europe/Berlin", "LOOKS": "like", "NODE_ENV": "production"}
    ahead = waited(node_client, name, **environment)
    assert ahead["waited"]
    set_variables(node_client, name, environment | FIXED)
    executed = invoke(node_client, name).payload
    assert not executed["waited"]
    executed["view"]["variables"].remove("UV_THREADPOOL_SIZE")
    assert ahead["view"] == executed["view"]
    assert "GMT+0100" in ahead["view"]["zone"]


def test_a_nodejs_that_waited_knows_its_own_function_alone(node_client: Any, name: str) -> None:
    """Two functions of one kind; each has its code, its variables, its layer and its credentials."""
    source = TELL_ALL.replace("view: {", "own: [process.env, require('own')], view: {")
    found: list[Any] = []
    for number in range(2):
        layer = node_client.publish_layer_version(
            LayerName=f"{name}-{number}",
            Content={"ZipFile": zip_of({"nodejs/node_modules/own/index.js": f"module.exports = {number};"})},
        )
        function = f"{name}-{number}"
        create(
            node_client,
            function,
            {"app.js": source},
            Runtime="nodejs20.x",
            Layers=[layer["LayerVersionArn"]],
            Environment={"Variables": {f"SECRET_{number}": "x"}},
        )
        found.append(waited(node_client, function, **{f"SECRET_{number}": "x"})["own"])
    for number, (variables, of_layer) in enumerate(found):
        assert of_layer == number
        assert [key for key in variables if key.startswith("SECRET_")] == [f"SECRET_{number}"]
        assert variables["AWS_LAMBDA_FUNCTION_NAME"] == f"{name}-{number}"
    assert found[0][0]["AWS_ACCESS_KEY_ID"] != found[1][0]["AWS_ACCESS_KEY_ID"]


def test_what_nodejs_reads_at_its_start_is_obeyed(node_client: Any, name: str) -> None:
    source = "exports.handler = async () => [process.env.NODE_OPTIONS, isMine]"
    preload = "globalThis.isMine = true"
    options = {"NODE_OPTIONS": "--require /var/task/preload.js"}
    create(
        node_client,
        name,
        {"app.js": source, "preload.js": preload},
        Runtime="nodejs20.x",
        Environment={"Variables": options},
    )
    assert invoke(node_client, name).payload == [options["NODE_OPTIONS"], True]
