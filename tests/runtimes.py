"""One function in every language, for tests of what holds for all runtimes.

Each does what its event says: `{"do": "…"}`. The custom runtime is a Python program that speaks the Runtime API by
itself, as any other program would.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PYTHON = """
import logging, os, signal, sys, threading, time
count = running = 0
beats = []
def beat():
    while True:
        beats.append(time.monotonic())
        time.sleep(0.005)
def handler(event, context):
    global count
    count += 1
    do = event.get("do")
    if do == "echo":
        return event["value"]
    if do == "context":
        client = context.client_context
        return {
            "request_id": context.aws_request_id, "name": context.function_name, "memory": context.memory_limit_in_mb,
            "version": context.function_version, "arn": context.invoked_function_arn, "group": context.log_group_name,
            "stream": context.log_stream_name, "left_ms": context.get_remaining_time_in_millis(),
            "custom": client and client.custom,
        }
    if do == "environment":
        return {"variables": dict(os.environ), "directory": os.getcwd(), "uid": os.getuid()}
    if do == "fail":
        raise ValueError("no ü")
    if do == "sleep":
        open("/tmp/left-behind", "w").close()
        time.sleep(60)
    if do == "exit":
        os._exit(event["code"])
    if do == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "log":
        print("one ü")
        print("two", file=sys.stderr)
        print("three", end="")
    if do == "count":
        return [count, os.path.exists("/tmp/left-behind")]
    if do == "layer":
        import of_layer
        return of_layer.name
    if do == "binary":
        return bytes([0, 255, 10])
    if do == "beat":
        if not beats:
            threading.Thread(target=beat, daemon=True).start()
        before = len(beats)
        while len(beats) < before + 2:
            time.sleep(0.005)
        return max(after - before for before, after in zip(beats, beats[1:]))
    if do == "wait":
        global running
        running += 1
        seen = running
        time.sleep(event["seconds"])
        running -= 1
        return seen
"""

NODEJS = """
const fs = require('fs');
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
let count = 0;
let running = 0;
const beats = [];
exports.handler = async (event, context) => {
  count += 1;
  switch (event.do) {
    case 'echo': return event.value;
    case 'context': return {
      request_id: context.awsRequestId, name: context.functionName, memory: context.memoryLimitInMB,
      version: context.functionVersion, arn: context.invokedFunctionArn, group: context.logGroupName,
      stream: context.logStreamName, left_ms: context.getRemainingTimeInMillis(),
      custom: context.clientContext ? context.clientContext.custom : null,
    };
    case 'environment': return { variables: process.env, directory: process.cwd(), uid: process.getuid() };
    case 'fail': throw new RangeError('no ü');
    case 'sleep': fs.writeFileSync('/tmp/left-behind', ''); await sleep(60); break;
    case 'exit': process.exit(event.code);
    case 'kill': process.kill(process.pid, 'SIGKILL'); await sleep(60); break;
    case 'log':
      process.stdout.write('one ü\\n'); process.stderr.write('two\\n'); process.stdout.write('three'); return null;
    case 'count': return [count, fs.existsSync('/tmp/left-behind')];
    case 'layer': return require('of_layer').name;
    case 'beat': {
      if (!beats.length) setInterval(() => beats.push(performance.now() / 1000), 5);
      const before = beats.length;
      while (beats.length < before + 2) await sleep(0.005);
      return Math.max(...beats.slice(1).map((beat, index) => beat - beats[index]));
    }
    case 'wait': { running += 1; const seen = running; await sleep(event.seconds); running -= 1; return seen; }
  }
  return null;
};
"""

PROVIDED = """#!/usr/bin/python3 -u
import http.client, json, os, subprocess, sys, time
sys.path.insert(0, "/var/task")
import app
class Context:
    pass
class ClientContext:
    pass
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None, headers={}):
    api.request(method, "/2018-06-01/runtime" + path, body, headers)
    response = api.getresponse()
    return response.headers, response.read()
while True:
    headers, event = ask("GET", "/invocation/next")
    context = Context()
    context.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    context.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
    context.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
    context.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
    context.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
    context.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
    context.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
    deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])
    context.get_remaining_time_in_millis = lambda: deadline_ms - int(time.time() * 1000)
    client = headers["Lambda-Runtime-Client-Context"]
    context.client_context = None
    if client:
        context.client_context = ClientContext()
        context.client_context.custom = json.loads(client.encode("latin-1"))["custom"]
    event = json.loads(event)
    path = "/invocation/" + context.aws_request_id
    try:
        if event["do"] == "layer":
            result = subprocess.run(["of_layer"], capture_output=True, text=True, check=True).stdout
        else:
            result = app.handler(event, context)
        sys.stdout.flush()
        body = result if isinstance(result, bytes) else json.dumps(result, ensure_ascii=False).encode()
        ask("POST", path + "/response", body)
    except Exception as error:
        payload = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": []}
        headers = {"Lambda-Runtime-Function-Error-Type": type(error).__name__}
        ask("POST", path + "/error", json.dumps(payload), headers)
"""


@dataclass(frozen=True, kw_only=True)
class Language:
    """A runtime, and what the same function is in it."""

    runtime: str
    files: Mapping[str, str]
    layer: Mapping[str, str]
    error_type: str
    """Of the error that the function raises when it is told to fail."""
    broken: Mapping[str, str]
    """A function that cannot be initialized."""
    broken_type: str
    missing: str = ""
    """Why this machine does not run it."""


def languages() -> list[Language]:
    """Every language, with the reason where it does not run here."""
    system_python = "" if Path("/usr/bin/python3").exists() else "there is no /usr/bin/python3"
    return [
        Language(
            runtime="python3.12",
            files={"app.py": PYTHON},
            layer={"python/of_layer.py": "name = 'layer'"},
            error_type="ValueError",
            broken={"app.py": "raise KeyError('at import')"},
            broken_type="KeyError",
        ),
        Language(
            runtime="nodejs22.x",
            files={"app.js": NODEJS},
            layer={"nodejs/node_modules/of_layer/index.js": "exports.name = 'layer'"},
            error_type="RangeError",
            broken={"app.js": "throw new RangeError('at import')"},
            broken_type="RangeError",
            missing="" if shutil.which("node") else "there is no Node.js here",
        ),
        Language(
            runtime="provided.al2023",
            files={"app.py": PYTHON, "bootstrap": PROVIDED},
            layer={"bin/of_layer": "#!/bin/sh\nprintf layer"},
            error_type="ValueError",
            broken={"bootstrap": "#!/bin/sh\nexit 3"},
            broken_type="Runtime.ExitError",
            missing=system_python,
        ),
    ]


def package_of(files: Mapping[str, str | bytes]) -> bytes:
    """Return a zip whose programs (by name, or by what they begin with) may be executed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            raw = text.encode() if isinstance(text, str) else text
            is_program = raw.startswith((b"#!", b"\x7fELF"))
            entry.external_attr = (0o100755 if is_program else 0o100644) << 16
            package.writestr(entry, raw)
    return content.getvalue()
