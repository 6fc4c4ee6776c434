"""What Node.js functions find and answer, as AWS's Node.js runtimes have it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from harness import CACHE_DIRECTORY, Invoked, Server, create, invoke, zip_of

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
CLASSIC, MODERN = "nodejs22.x", "nodejs24.x"
"""The last runtime with callbacks, and the first without; whichever Node.js runs them here."""


class Node:
    """Deploys and invokes functions of a test."""

    def __init__(self, server: Server, name: str) -> None:
        self.client = server.client("lambda")
        self.name = name

    def deploy(self, source: str | Mapping[str, str], runtime: str = CLASSIC, **options: Any) -> None:
        files = {"index.js": source} if isinstance(source, str) else source
        create(self.client, self.name, files, Runtime=runtime, **{"Handler": "index.handler"} | options)

    def invoke(self, event: Any = None) -> Invoked:
        return invoke(self.client, self.name, event)

    def run(self, source: str | Mapping[str, str], runtime: str = CLASSIC, **options: Any) -> Invoked:
        self.deploy(source, runtime, **options)
        return self.invoke()

    def answer(self, source: str | Mapping[str, str], runtime: str = CLASSIC, **options: Any) -> Any:
        answer = self.run(source, runtime, **options)
        assert answer.error is None, answer
        return answer.payload


@pytest.fixture
def node(lambent: Server, name: str) -> Node:
    return Node(lambent, name)


# Handlers --------------------------------------------------------------------------------------------------


def test_the_response_of_a_callback_waits_for_the_event_loop_to_be_empty(node: Node) -> None:
    answer = node.run("""
        exports.handler = (event, context, callback) => {
          setTimeout(() => console.log('later'), 30);
          callback(null, context.callbackWaitsForEmptyEventLoop);
        };""")
    assert answer.payload is True
    assert "\tINFO\tlater\n" in answer.log


def test_a_callback_need_not_wait_and_a_first_answer_counts(node: Node) -> None:
    node.deploy("""
        let fired = 0;
        exports.handler = (event, context, callback) => {
          context.callbackWaitsForEmptyEventLoop = false;
          setTimeout(() => { fired += 1; }, 600000);
          callback(null, event); callback(null, 'again'); context.fail('too late');
        };""")
    assert [node.invoke(event).payload for event in (1, 2, {"three": 3})] == [1, 2, {"three": 3}]


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ("context.succeed({a: 1})", {"a": 1}),
        ("context.done(null, 'done')", "done"),
        ("callback()", None),
        ("return", None),
        ("return Promise.resolve(context.functionName.length)", 17),
        ("return new Promise(() => {})", None),
        ("return {then: (resolve) => resolve('thenable')}", "thenable"),
    ],
)
def test_there_are_many_ways_to_answer_up_to_nodejs22(node: Node, body: str, payload: Any) -> None:
    assert node.answer(f"exports.handler = (event, context, callback) => {{ {body}; }}") == payload


def test_from_nodejs24_on_there_are_promises_alone(node: Node) -> None:
    source = "exports.handler = async (event, context) => ['done' in context, typeof context.succeed]"
    assert node.answer(source, MODERN) == [False, "undefined"]
    node.client.update_function_code(
        FunctionName=node.name,
        ZipFile=zip_of({"index.js": "exports.handler = (e, c, callback) => callback()"}),
    )
    node.client.get_waiter("function_updated_v2").wait(FunctionName=node.name, WaiterConfig={"Delay": 0.05})
    answer = node.invoke()
    assert answer.payload["errorType"] == "Runtime.CallbackHandlerDeprecated"
    assert answer.payload["errorMessage"].startswith(
        "ERROR: AWS Lambda has removed support for callback-based"
    )


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        (
            {"index.mjs": "const v = await Promise.resolve('es'); export const handler = async () => v"},
            "index.handler",
        ),
        ({"index.cjs": "exports.handler = async () => 'es'"}, "index.handler"),
        (
            {
                "package.json": '{"type": "module"}',
                "lib/app.js": "export const api = {get: async () => 'es'}",
            },
            "lib/app.api.get",
        ),
        ({"app/index.js": "exports.handler = async () => 'es'"}, "app.handler"),
    ],
)
def test_modules_of_every_kind_are_found(node: Node, files: dict[str, str], handler: str) -> None:
    assert node.answer(files, Handler=handler) == "es"


def test_es_modules_find_packages_of_layers(node: Node) -> None:
    package = {
        "package.json": '{"type": "module", "exports": "./main.js"}',
        "main.js": "export const from = 'layer'",
    }
    files = {f"nodejs/node_modules/of-layer/{name}": text for name, text in package.items()}
    layer = node.client.publish_layer_version(LayerName=node.name, Content={"ZipFile": zip_of(files)})
    source = {"index.mjs": "import {from} from 'of-layer'; export const handler = async () => from"}
    assert node.answer(source, Layers=[layer["LayerVersionArn"]]) == "layer"


# Streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (
            "stream.write('one '); await sleep(5); stream.write(Buffer.from([0, 255])); stream.end('end')",
            b"one \0\xffend",
        ),
        ("stream.write({json: 1}); stream.end()", b'{"json":1}'),
        ("stream.end()", b""),
        ("stream.end('all of it')", b"all of it"),
        (
            "const http = awslambda.HttpResponseStream.from(stream, {statusCode: 201}); http.write('<p>'); http.end()",
            b'{"statusCode":201}' + bytes(8) + b"<p>",
        ),
        (
            "const from = require('stream').Readable.from(['a', 'b'.repeat(99999)]);"
            "await require('stream/promises').pipeline(from, stream)",
            b"a" + b"b" * 99999,
        ),
    ],
)
def test_a_handler_may_write_its_response_bit_by_bit(node: Node, body: str, payload: bytes) -> None:
    node.deploy(f"""
        const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {{ {body}; }});""")
    for _ in range(2):
        answer = node.client.invoke(FunctionName=node.name)
        assert (answer.get("FunctionError"), answer["Payload"].read()) == (None, payload)


@pytest.mark.parametrize("before", ["", "stream.write('something');"])
def test_a_stream_that_fails_is_an_error_before_and_after_its_first_byte(node: Node, before: str) -> None:
    node.deploy(f"""
        exports.handler = awslambda.streamifyResponse(async (event, stream) => {{
          {before} throw new TypeError('late');
        }});""")
    for _ in range(2):
        answer = node.invoke()
        assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "TypeError")
        assert answer.payload["errorMessage"] == "late"


# Errors ----------------------------------------------------------------------------------------------------


def test_an_error_has_awss_payload_and_log_line(node: Node) -> None:
    answer = node.run("exports.handler = async () => { throw new TypeError('no ü') }")
    assert list(answer.payload) == ["errorType", "errorMessage", "trace"]
    assert answer.payload["trace"][0] == "TypeError: no ü"
    assert "/var/task/index.js:1:" in answer.payload["trace"][1]
    line = next(line for line in answer.log.splitlines() if "\tERROR\t" in line)
    _, request_id, _, words, logged = line.split("\t")
    assert (request_id, words) == (answer.headers["x-amzn-requestid"], "Invoke Error ")
    expected = {"errorType": "TypeError", "errorMessage": "no ü", "stack": answer.payload["trace"]}
    assert json.loads(logged) == expected


def test_what_is_no_error_may_be_thrown(node: Node) -> None:
    payload = node.run("exports.handler = async () => { throw 'text' }").payload
    assert payload == {"errorType": "string", "errorMessage": "text", "trace": []}


@pytest.mark.parametrize(
    ("source", "handler", "error_type", "message"),
    [
        ("exports.handler = (", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        (
            "require('nope')",
            "index.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'nope'\nRequire",
        ),
        (
            "",
            "other.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'other'\nRequire stack:\n- /var",
        ),
        ("", "index.handler", "Runtime.HandlerNotFound", "index.handler is undefined or not exported"),
        (
            "exports.handler = 1",
            "index.handler",
            "Runtime.HandlerNotFound",
            "index.handler is not a function",
        ),
        ("", "index", "Runtime.MalformedHandlerName", "Bad handler"),
        (
            "",
            "../index.handler",
            "Runtime.MalformedHandlerName",
            "'../index.handler' is not a valid handler name.",
        ),
        ("throw new RangeError('at load')", "index.handler", "RangeError", "at load"),
    ],
)
def test_a_function_that_cannot_be_loaded_says_why_in_awss_words(
    node: Node, source: str, handler: str, error_type: str, message: str
) -> None:
    answer = node.run(source, Handler=handler)
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", error_type)
    assert answer.payload["errorMessage"].startswith(message)
    assert "\tundefined\tERROR\tUncaught Exception \t{" in answer.log


@pytest.mark.parametrize(
    ("source", "error_type", "message", "words"),
    [
        (
            "Promise.reject(new Error('lost'))",
            "Runtime.UnhandledPromiseRejection",
            "Error: lost",
            "Unhandled Promise Rejection ",
        ),
        ("setTimeout(() => { throw new Error('thrown') }, 1)", "Error", "thrown", "Uncaught Exception "),
    ],
)
def test_what_nobody_caught_is_the_functions_error_and_the_runtime_starts_again(
    node: Node, source: str, error_type: str, message: str, words: str
) -> None:
    node.deploy(
        f"exports.handler = async () => {{ {source}; await new Promise((go) => setTimeout(go, 9000)); }}"
    )
    for _ in range(2):
        answer = node.invoke()
        assert (answer.payload["errorType"], answer.payload["errorMessage"]) == (error_type, message)
        assert f"\tERROR\t{words}\t{{" in answer.log


def test_what_json_does_not_know_is_an_error(node: Node) -> None:
    payload = node.run("exports.handler = async () => ({big: 1n})").payload
    assert (payload["errorType"], payload["errorMessage"]) == ("Error", "Unable to stringify response body")


# Logs ------------------------------------------------------------------------------------------------------


def test_the_console_writes_time_request_id_and_level(node: Node) -> None:
    answer = node.run("""
        exports.handler = async () => {
          console.log('one\\ntwo %d', 3, {a: [1]}); console.debug('d'); console.warn('w'); console.trace('t');
        };""")
    request_id = answer.headers["x-amzn-requestid"]
    for line in ("INFO\tone\ntwo 3 { a: [ 1 ] }", "DEBUG\td", "WARN\tw", "TRACE\tt"):
        assert f"Z\t{request_id}\t{line}\n" in answer.log


def test_json_logs_have_levels_and_those_below_are_dropped(node: Node) -> None:
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN"}
    answer = node.run(
        """
        exports.handler = async () => {
          console.info('quiet'); console.warn({a: 1}); console.error('bad', new RangeError('e'));
        };""",
        LoggingConfig=logging,
    )
    lines = [json.loads(line) for line in answer.log.splitlines()]
    warned, failed = (line for line in lines if "level" in line)
    assert warned.pop("timestamp").endswith("Z")
    assert warned == {"level": "WARN", "requestId": answer.headers["x-amzn-requestid"], "message": {"a": 1}}
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == ("ERROR", "RangeError", "e")
    assert failed["stackTrace"][0] == "RangeError: e"


# Surroundings ----------------------------------------------------------------------------------------------


def test_a_function_may_keep_more_of_its_log_than_the_pipe_holds(node: Node) -> None:
    """Written at once, by console and stream alike, it is all there, in order."""
    node.deploy("""
        exports.handler = async () => {
          process.stdout.write('begin\\n');
          for (let number = 0; number < 3000; number++) console.log('x'.repeat(100), number);
          return 'written';
        };""")
    assert node.invoke().payload == "written"
    assert node.invoke().log.count("\tINFO\t") > 10


def test_what_is_experimental_in_nodejs_is_off_until_node_options_turn_it_on(node: Node) -> None:
    files = {
        "index.js": "exports.handler = async () => require('./module.mjs').value",
        "module.mjs": "export const value = 5",
    }
    answer = node.run(files)
    assert answer.error == "Unhandled", answer
    assert "require() of ES Module /var/task/module.mjs" in answer.payload["errorMessage"]
    variables = {"NODE_OPTIONS": "--experimental-require-module"}
    node.client.update_function_configuration(FunctionName=node.name, Environment={"Variables": variables})
    node.client.get_waiter("function_updated_v2").wait(FunctionName=node.name)
    assert node.invoke().payload == 5


def test_libraries_find_what_runs_in_the_store_of_the_newer_runtimes(node: Node) -> None:
    source = """
        exports.handler = async (event, context) => {
          const store = awslambda.InvokeStore;
          return [store.getRequestId() === context.awsRequestId, store.getXRayTraceId() === context.xRayTraceId];
        };"""
    assert node.answer(source, MODERN) == [True, True]


def test_a_rejection_that_nobody_sees_at_import_fails_the_init(node: Node) -> None:
    answer = node.run("Promise.reject(new Error('r')); exports.handler = async () => 1")
    assert answer.payload["errorType"] == "Runtime.UnhandledPromiseRejection"


def test_a_wrapper_script_adds_options(node: Node) -> None:
    import io
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr("index.js", "exports.handler = async () => process.title")
        wrapper = zipfile.ZipInfo("wrap")
        wrapper.external_attr = 0o100755 << 16
        package.writestr(wrapper, '#!/bin/sh\nprogram=$1; shift; exec "$program" --title=wrapped "$@"\n')
    node.deploy("", Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrap"}})
    node.client.update_function_code(FunctionName=node.name, ZipFile=content.getvalue())
    node.client.get_waiter("function_updated_v2").wait(FunctionName=node.name, WaiterConfig={"Delay": 0.05})
    assert node.invoke().payload == "wrapped"


@pytest.mark.external
def test_the_sdk_is_on_board_and_reaches_lambent(new_server: Any, name: str) -> None:
    """In CommonJS and ES modules; a function that names the SDK waits for it once."""
    if shutil.which("npm") is None or not _has_network():
        pytest.skip("npm is not installed, or reaches nothing")
    node = Node(new_server("--node-sdk", "lambda", "--stems", "0"), name)
    source = """
        const { LambdaClient, GetFunctionCommand } = require('@aws-sdk/client-lambda');
        exports.handler = async (event, context) => {
          const name = context.functionName;
          const found = await new LambdaClient({}).send(new GetFunctionCommand({ FunctionName: name }));
          return found.Configuration.Runtime;
        };"""
    assert node.answer(source, MemorySize=1024, Timeout=30) == CLASSIC
    node.name = f"{name}-es"
    module = "import {LambdaClient} from '@aws-sdk/client-lambda'; export const handler = async () => LambdaClient.name"
    assert node.answer({"index.mjs": module}, MemorySize=1024, Timeout=30) == "LambdaClient"


def _has_network() -> bool:
    if any((CACHE_DIRECTORY / "nodejs").glob("sdk-*")):
        return True
    command = ["npm", "ping", "--fetch-retries=0", "--fetch-timeout=5000"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
