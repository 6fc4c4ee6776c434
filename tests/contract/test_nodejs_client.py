"""Our runtime client for Node.js answers and logs what AWS's own does, from nodejs24.x on.

AWS's `aws-lambda-ric`, as npm builds it, is the measure: it runs here unmodified, as the custom runtime of a function
with the same code.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from harness import ROLE, Server
from packages import runtime_client_for_nodejs
from runtimes import package_of

pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here"),
]
WAIT = {"Delay": 0.05, "MaxAttempts": 600}
BOOTSTRAP = """#!/bin/sh
export NODE_PATH=/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task
exec node --expose-gc /var/task/.client/index.mjs
"""


HANDLERS: Mapping[str, str] = {
    "an error": "async () => { throw new RangeError('no ü') }",
    "an error with members": "async () => {"
    " throw Object.assign(new Error('x'), {code: 'E', name: 'Mine', extra: {a: [1]}}) }",
    "an error with a cause": "async () => { throw new Error('x', {cause: new TypeError('y')}) }",
    "an error that cannot be read": "async () => { throw Object.assign(new Error('x'), {name: 5}) }",
    "a text": "async () => { throw 'text' }",
    "null": "async () => { throw null }",
    "something like an error": "async () => { throw {name: 'N', message: 'm', stack: 's'} }",
    "a cycle": "async () => { const value = {}; value.value = value; return value }",
    "a function": "async () => () => 1",
    "nothing": "async () => undefined",
    "no promise": "() => ({ok: true})",
    "a rejection that nobody sees": "async () => {"
    " Promise.reject(new Error('x')); await new Promise((done) => setTimeout(done, 50)) }",
    "what is left for the event loop": "async () => { setImmediate(() => console.log('later')); return 1 }",
    "the console": "async () => { console.log(); console.log('%s-%d', 'x', 5, {a: 1}); console.warn([1], null);"
    " console.error(new Error('e').message); console.debug(5); console.trace('t'); console.fatal({a: 'ü'});"
    " console.log('two\\nlines'); return console.log === console.info }",
    "the context": "async (event, context) => Object.keys(context)",
    "the store": "async (event, context) => { const store = awslambda.InvokeStore; let refused;"
    " try { store.set(Symbol.for('_AWS_LAMBDA_REQUEST_ID'), 1) } catch (error) { refused = error.message }"
    " store.set('own', 5); return [Object.keys(awslambda), store.constructor.name, store.getRequestId() ==="
    " context.awsRequestId, store.getXRayTraceId() === context.xRayTraceId, store.get('own'), refused,"
    " Reflect.ownKeys(store.getContext()).map(String)] }",
    "the module": "async () => [typeof require.main, module.parent === undefined]",
}
"""What a handler may do; those of one table are one function's."""
DISPATCH = "exports.handler = (event, context) => handlers[event.case](event, context);"
MODULES: Mapping[str, Mapping[str, str]] = {
    "a callback": {"app.js": "exports.handler = (event, context, callback) => callback(null, 1)"},
    "logs of the init": {"app.js": "console.log('init', {a: 1}); exports.other = 1"},
    "an error at import": {"app.js": "throw new RangeError('at import')"},
    "a syntax error": {"app.js": "exports.handler = async () => {"},
    "a missing package": {"app.js": "require('nowhere')"},
    "no handler": {"app.js": "exports.other = 1"},
    "a handler that is no function": {"app.js": "exports.handler = 5"},
    "a member of a function": {"app.js": "module.exports = () => 1; module.exports.handler = async () => 2"},
    "an error of an ES module": {"app.mjs": "export const handler = async () => { throw new Error('x') }"},
    "an ES module": {"app.mjs": "export const handler = async () => import.meta.url"},
    "a default export": {"app.mjs": "export default { handler: async () => 1 }"},
    "an ES module by its package": {
        "app.js": "export const handler = async () => 1",
        "package.json": '{"type": "module"}',
    },
    "a missing import": {"app.mjs": "import 'nowhere'; export const handler = 1"},
    "an import that never ends": {"app.mjs": "await new Promise(() => {}); export const handler = 1"},
    "a stream": {
        "app.js": "exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {"
        " stream.write('one '); stream.write({a: Object.keys(context)}); stream.end() })"
    },
    "a stream that returns something": {
        "app.js": "exports.handler = awslambda.streamifyResponse(async (event, stream) => {"
        " stream.write('1'); stream.end(); return 5 })"
    },
    "a CommonJS module": {"app.cjs": "exports.handler = async () => 1"},
}
_SAME = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    # Frames of the runtime itself.
    (re.compile(r',?"\s+at [^"]*(/var/runtime/|/\.client/|node:)[^"]*"'), ""),
    (re.compile(r"^\s+at .*(/var/runtime/|/\.client/|node:).*\n", re.MULTILINE), ""),
    (re.compile(r"^(Node\.js v|node:internal/process/promises:)[\d.]+$", re.MULTILINE), ""),
)
_OF_THE_PLATFORM = re.compile(
    r'^((START|END|REPORT|XRAY|INIT_\w+) .*|\{[^\n]*"type":"platform.*)\n', re.MULTILINE
)


class Stage:
    """Runs code under our runtime and under AWS's client."""

    def __init__(self, server: Server, client_files: Mapping[str, bytes]) -> None:
        self._client = server.client("lambda")
        self._files = {f".client/{name}": content for name, content in client_files.items()}
        self._names: list[str] = []

    def deploy(self, files: Mapping[str, str], log_format: str = "Text") -> tuple[str, str]:
        """The names of two functions of this code: one under our runtime, one under AWS's client."""
        name = f"client-{uuid.uuid4().hex[:8]}"
        theirs = {**files, "bootstrap": BOOTSTRAP, **self._files}
        self._create(f"{name}-ours", "nodejs24.x", files, log_format)
        self._create(f"{name}-awss", "provided.al2023", theirs, log_format)
        return f"{name}-ours", f"{name}-awss"

    def _create(self, name: str, runtime: str, files: Mapping[str, str | bytes], log_format: str) -> None:
        self._client.create_function(
            FunctionName=name,
            Runtime=runtime,
            Handler="app.handler",
            Role=ROLE,
            Code={"ZipFile": package_of(files)},
            MemorySize=512,
            LoggingConfig={"LogFormat": log_format},
        )
        self._names.append(name)
        self._client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAIT)

    def invoke(self, name: str, case: str) -> tuple[Any, list[str]]:
        """The answer and what the function has logged, without what differs from one invocation to the next."""
        event = json.dumps({"case": case, "text": "ü"})
        found = self._client.invoke(FunctionName=name, Payload=event, LogType="Tail")
        body = found["Payload"].read().decode()
        with contextlib.suppress(ValueError):
            body = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":"))
        log = _OF_THE_PLATFORM.sub("", base64.b64decode(found["LogResult"]).decode())
        return (found.get("FunctionError"), same(body)), same(log).splitlines()

    def close(self) -> None:
        for name in self._names:
            self._client.delete_function(FunctionName=name)


def same(text: str) -> str:
    for pattern, replacement in _SAME:
        text = pattern.sub(replacement, text)
    return text


@pytest.fixture(scope="module")
def stage(lambent: Server) -> Iterator[Stage]:
    stage = Stage(lambent, runtime_client_for_nodejs())
    yield stage
    stage.close()


@pytest.fixture(scope="module", params=["Text", "JSON"])
def handlers(request: pytest.FixtureRequest, stage: Stage) -> tuple[str, str]:
    table = "".join(f"{json.dumps(name)}: {body},\n" for name, body in HANDLERS.items())
    return stage.deploy({"app.js": f"const handlers = {{{table}}};\n{DISPATCH}"}, request.param)


@pytest.mark.parametrize("case", HANDLERS)
def test_a_handlers_answer_and_log_are_awss(stage: Stage, handlers: tuple[str, str], case: str) -> None:
    ours, awss = handlers
    assert stage.invoke(ours, case) == stage.invoke(awss, case)


@pytest.mark.parametrize("case", MODULES)
def test_what_comes_of_loading_a_module_is_awss(stage: Stage, case: str) -> None:
    ours, awss = stage.deploy(MODULES[case])
    assert stage.invoke(ours, case) == stage.invoke(awss, case)
