"""Clients and code that we did not write: the AWS CLI, boto3, Pillow, numpy, Powertools, and boto3 in a function."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sysconfig
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from harness import ROLE, Invoked, Server, create, invoke, zip_of

PATIENCE_S = 60.0
SITE = Path(sysconfig.get_paths()["purelib"])
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def until(look: Callable[[], Any]) -> Any:
    """Look until there is something, within bounds, and return it."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.02)
    return found


_LEFT_OUT = {"tests", "__pycache__", "include", "f2py", "typing"}


def packages(*names: str) -> dict[str, str | bytes]:
    """Installed packages as they would lie in a deployment package, without their tests."""
    files: dict[str, str | bytes] = {}
    for name in names:
        place = SITE / name
        for path in [place] if place.is_file() else place.rglob("*"):
            parts = path.relative_to(SITE).parts
            is_left_out = _LEFT_OUT & set(parts) or path.suffix in (".pyi", ".a")
            if path.is_file() and not is_left_out:
                files["/".join(parts)] = path.read_bytes()
    return files


def deploy(client: Any, name: str, files: dict[str, str | bytes], **options: Any) -> None:
    """Create a function from many files; compressing them well would take longer than the test."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for path, text in files.items():
            package.writestr(path, text)
    settings: dict[str, Any] = {
        "Runtime": "python3.11",
        "Handler": "app.handler",
        "Role": ROLE,
        "Timeout": 60,
    }
    client.create_function(
        FunctionName=name, Code={"ZipFile": content.getvalue()}, **settings | {"MemorySize": 1024} | options
    )
    client.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )


@pytest.fixture(scope="module")
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


# The AWS CLI -------------------------------------------------------------------------------------------------


class Cli:
    """The `aws` command, with the server as its endpoint."""

    def __init__(self, server: Server, directory: Path) -> None:
        self._environ = server.environ() | {"HOME": str(directory)}
        self._directory = directory
        self._program = Path(sysconfig.get_path("scripts")) / "aws"

    def __call__(self, *arguments: str) -> Any:
        """Run it; it must succeed. Return the decoded output, or None when there is none."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout) if ended.stdout.strip() else None

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._program, *arguments, "--output", "json"],
            capture_output=True,
            text=True,
            env=self._environ,
            cwd=self._directory,
            timeout=PATIENCE_S,
            check=False,
        )


CLI_FUNCTION = """
import os
def handler(event, context):
    print("hello", event)
    x = os.environ.get("XY")
"""


def test_the_aws_cli_creates_waits_invokes_updates_reads_logs_and_deletes(
    lambent: Server, name: str, tmp_path: Path
) -> None:
    aws = Cli(lambent, tmp_path)
    for number in (1, 2):
        (tmp_path / f"{number}.zip").write_bytes(
            zip_of({"app.py": CLI_FUNCTION + f"    return {number}, x\n"})
        )

    assert aws("sts", "get-caller-identity")["Arn"] == "arn:aws:iam::000000000000:root"
    role = aws("iam", "create-role", "--role-name", name, "--assume-role-policy-document", json.dumps(TRUST))
    arn = role["Role"]["Arn"]
    assert arn == f"arn:aws:iam::000000000000:role/{name}"
    of_it = ("--function-name", name)
    where = ("--zip-file", "fileb://1.zip", "--runtime", "python3.12", "--handler", "app.handler")
    created = aws("lambda", "create-function", *of_it, *where, "--role", arn, "--tags", "team=a")
    assert (created["State"], created["Role"]) == ("Pending", arn)
    aws("lambda", "wait", "function-active-v2", *of_it)

    payload = ("--payload", '{"a": 1}')
    invoked = aws("lambda", "invoke", *of_it, *payload, "--log-type", "Tail", "out.json")
    assert invoked["StatusCode"] == 200
    assert json.loads((tmp_path / "out.json").read_text()) == [1, None]
    log = base64.b64decode(invoked["LogResult"]).decode()
    assert "hello {'a': 1}\n" in log
    assert "REPORT RequestId: " in log

    aws("lambda", "update-function-code", *of_it, "--zip-file", "fileb://2.zip")
    aws("lambda", "wait", "function-updated-v2", *of_it)
    aws("lambda", "update-function-configuration", *of_it, "--environment", "Variables={XY=z}")
    aws("lambda", "wait", "function-updated-v2", *of_it)
    aws("lambda", "invoke", *of_it, *payload, "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == [2, "z"]

    group = ("--log-group-name", f"/aws/lambda/{name}")
    found = until(lambda: aws("logs", "filter-log-events", *group, "--filter-pattern", "hello")["events"][1:])
    assert found[0]["message"] == "hello {'a': 1}\n"
    stream = ("--log-stream-name", found[0]["logStreamName"], "--start-from-head")
    events = aws("logs", "get-log-events", *group, *stream)["events"]
    words = [event["message"].split(maxsplit=1)[0] for event in events]
    assert words == ["INIT_START", "START", "hello", "END", "REPORT"]

    aws("lambda", "delete-function", *of_it)
    gone = aws.run("lambda", "get-function", *of_it)
    assert gone.returncode != 0
    assert "ResourceNotFoundException" in gone.stderr
    assert f"Function not found: arn:aws:lambda:us-east-1:000000000000:function:{name}" in gone.stderr


# boto3 -------------------------------------------------------------------------------------------------------


def test_every_lambda_waiter_of_boto3_ends(client: Any, name: str) -> None:
    quick = {"Delay": 0.02, "MaxAttempts": 500}
    code = zip_of({"app.py": "def handler(e, c): return 1"})
    client.create_function(
        FunctionName=name, Runtime="python3.12", Handler="app.handler", Role=ROLE, Code={"ZipFile": code}
    )
    for waiter in ("function_exists", "function_active", "function_active_v2"):
        client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig=quick)
    client.update_function_configuration(FunctionName=name, Description="new")
    for waiter in ("function_updated", "function_updated_v2"):
        client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig=quick)
    version = client.publish_version(FunctionName=name)["Version"]
    client.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier=version, WaiterConfig=quick
    )


def test_boto3s_paginators_see_everything_once(lambent: Server, client: Any, name: str) -> None:
    create(client, name, "def handler(e, c): return 1")
    for number in range(3):
        client.update_function_configuration(FunctionName=name, Description=str(number))
        client.get_waiter("function_updated_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 0.02, "MaxAttempts": 500}
        )
        client.publish_version(FunctionName=name)
    small = {"PageSize": 1}
    pages = client.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig=small
    )
    versions = [version["Version"] for page in pages for version in page["Versions"]]
    assert versions == ["$LATEST", "1", "2", "3"]
    logs = lambent.client("logs")
    logs.create_log_group(logGroupName=f"/{name}")
    names = [f"{letter}-stream" for letter in "abcd"]
    for stream in names:
        logs.create_log_stream(logGroupName=f"/{name}", logStreamName=stream)
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=f"/{name}", PaginationConfig=small
    )
    assert [stream["logStreamName"] for page in pages for stream in page["logStreams"]] == names


# Code that others wrote --------------------------------------------------------------------------------------


PILLOW = """
import base64, io
from PIL import Image, ImageDraw, ImageFilter

def handler(event, context):
    picture = Image.open(io.BytesIO(base64.b64decode(event["picture"])))
    picture.thumbnail((40, 40))
    picture = picture.filter(ImageFilter.GaussianBlur(1)).convert("RGB")
    ImageDraw.Draw(picture).rectangle((0, 0, 4, 4), fill=(0, 0, 255))
    out = io.BytesIO()
    picture.save(out, "JPEG")
    return {"size": picture.size, "jpeg": base64.b64encode(out.getvalue()).decode()}
"""


def test_pillow_makes_a_thumbnail(client: Any, name: str) -> None:
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (200, 100), (255, 0, 0)).save(picture, "PNG")
    files = packages("PIL", "pillow.libs") | {"app.py": PILLOW}
    deploy(client, name, files)
    answer = invoke(client, name, {"picture": base64.b64encode(picture.getvalue()).decode()})
    assert answer.error is None, answer.payload
    thumbnail = Image.open(io.BytesIO(base64.b64decode(answer.payload["jpeg"])))
    assert (answer.payload["size"], thumbnail.size, thumbnail.format) == ([40, 20], (40, 20), "JPEG")
    red, green, blue = thumbnail.getpixel((30, 10))
    assert (red > 200, green < 50, blue < 50) == (True, True, True)


NUMPY = """
import numpy

def handler(event, context):
    matrix = numpy.array(event["matrix"])
    return {
        "inverse": numpy.linalg.inv(matrix).round(6).tolist(),
        "fft": float(abs(numpy.fft.fft(numpy.sin(numpy.arange(4096)))).max()),
        "sum": float(numpy.random.default_rng(1).random(1_000_000).sum()),
    }
"""


def test_numpy_computes(client: Any, name: str) -> None:
    import numpy

    files = packages("numpy", "numpy.libs") | {"app.py": NUMPY}
    deploy(client, name, files)
    answer = invoke(client, name, {"matrix": [[1, 2], [3, 4]]})
    assert answer.error is None, answer.payload
    assert answer.payload["inverse"] == [[-2.0, 1.0], [1.5, -0.5]]
    assert answer.payload["fft"] == pytest.approx(
        float(abs(numpy.fft.fft(numpy.sin(numpy.arange(4096)))).max())
    )
    assert answer.payload["sum"] == pytest.approx(float(numpy.random.default_rng(1).random(1_000_000).sum()))


POWERTOOLS = """
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.metrics import MetricUnit

logger, metrics, app = Logger(service="shop"), Metrics(namespace="Shop", service="shop"), APIGatewayRestResolver()

@app.get("/hello/<who>")
def hello(who):
    logger.info("greeting", extra={"who": who})
    metrics.add_metric(name="Greetings", unit=MetricUnit.Count, value=1)
    return {"hello": who}

@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    return app.resolve(event, context)
"""


def test_powertools_routes_logs_and_measures(client: Any, name: str) -> None:
    files = packages("aws_lambda_powertools", "jmespath", "typing_extensions.py") | {"app.py": POWERTOOLS}
    deploy(client, name, files, Runtime="python3.12")
    event = {
        "path": "/hello/Ada",
        "httpMethod": "GET",
        "headers": {},
        "requestContext": {"requestId": "r", "path": "/hello/Ada", "stage": "$default"},
    }
    answer = invoke(client, name, event)
    assert answer.error is None, answer.payload
    assert (answer.payload["statusCode"], json.loads(answer.payload["body"])) == (200, {"hello": "Ada"})
    lines = [json.loads(line) for line in answer.log.splitlines() if line.startswith("{")]
    (greeting,) = [line for line in lines if line.get("message") == "greeting"]
    assert greeting["function_name"] == name
    assert greeting["function_request_id"] == answer.headers["x-amzn-requestid"]
    assert (greeting["cold_start"], greeting["who"], greeting["service"]) == (True, "Ada", "shop")
    measured = [line for line in lines if "_aws" in line]
    assert {"Greetings", "ColdStart"} == {
        metric["Name"]
        for line in measured
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }


INSIDE = """
import boto3

def handler(event, context):
    identity = boto3.client("sts").get_caller_identity()
    boto3.client("logs").create_log_group(logGroupName=event["group"])
    asked = boto3.client("lambda").invoke(FunctionName=event["other"], Payload=b'{"from": "inside"}')
    return {
        "arn": identity["Arn"],
        "account": identity["Account"],
        "answer": asked["Payload"].read().decode(),
        "region": boto3.session.Session().region_name,
    }
"""


def test_boto3_in_a_function_reaches_lambent_as_the_functions_role(
    lambent: Server, client: Any, name: str
) -> None:
    other = f"{name}-other"
    create(client, other, "def handler(event, context): return event")
    create(client, name, INSIDE, Timeout=60, MemorySize=1769)
    answer = invoke(client, name, {"group": f"/from/{name}", "other": other})
    assert answer.error is None, answer.payload
    assert answer.payload == {
        "arn": f"arn:aws:sts::000000000000:assumed-role/lambent-tests/{name}",
        "account": "000000000000",
        "answer": '{"from": "inside"}',
        "region": "us-east-1",
    }
    groups = lambent.client("logs").describe_log_groups(logGroupNamePrefix=f"/from/{name}")["logGroups"]
    assert [group["logGroupName"] for group in groups] == [f"/from/{name}"]


# What a function may do and what then comes back -------------------------------------------------------------


LABORATORY = """
import ctypes, decimal, logging, os, pathlib, signal, sys, threading, time

started = time.time_ns()
logging.getLogger().setLevel(logging.INFO)

def handler(event, context):
    return globals()[event["do"]](event, context)

def echo(event, context): return event["value"]
def nothing(event, context): pass
def decimals(event, context): return {"d": decimal.Decimal("12.50"), "n": [decimal.Decimal(3)]}
def some_bytes(event, context): return b'{"raw": "bytes"}'
def large(event, context): return "x" * event["bytes"]
def length(event, context): return len(event["value"])
def a_set(event, context): return {1, 2}
def fails(event, context): raise LookupError("nothing of the kind")
def exits(event, context): sys.exit(event["code"])
def leaves(event, context): os._exit(event["code"])
def dies(event, context): os.kill(os.getpid(), event["signal"])
def eats(event, context): return len(bytearray(os.urandom(1)) * (4 << 30))
def waits(event, context): time.sleep(event["seconds"]); return os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
def environ(event, context): return dict(os.environ)
def incarnation(event, context): return [started, pathlib.Path("/tmp/note").exists()]
def sleeps_with_a_note(event, context):
    pathlib.Path("/tmp/note").write_text("kept")
    print("falling asleep")
    time.sleep(60)
def logs(event, context):
    print("plain line")
    print("two\\nlines")
    print("no newline at the end, ü", end="")
    logging.info("an event of\\ntwo lines")
    sys.stderr.write("to stderr\\n")
    return context.aws_request_id
def everything(event, context):
    names = [name for name in dir(context) if not name.startswith("_")]
    found = {name: getattr(context, name) for name in names if isinstance(getattr(context, name), (str, type(None)))}
    return found | {"left_ms": context.get_remaining_time_in_millis(), "custom": context.client_context.custom}
"""


Ask = Callable[..., Invoked]


@pytest.fixture(scope="module")
def laboratory(client: Any) -> Iterator[str]:
    """The name of a function that does what its event says."""
    name = f"laboratory-{uuid.uuid4().hex[:8]}"
    create(client, name, LABORATORY, Timeout=20, Environment={"Variables": {"MINE": "ü"}})
    yield name


@pytest.fixture(scope="module")
def ask(client: Any, laboratory: str) -> Ask:
    """Lets the laboratory do something."""

    def do(what: str, **members: Any) -> Invoked:
        return invoke(client, laboratory, {"do": what, **members})

    return do


@pytest.mark.parametrize("value", ["ü€🐑\u2028\x00", [1e300, -0.0, 2**70], {"": None}, "x" * 100_000])
def test_any_value_goes_there_and_back(ask: Ask, value: Any) -> None:
    assert ask("echo", value=value).payload == value


def test_results_are_what_awss_runtime_makes_of_them(ask: Ask) -> None:
    assert ask("nothing").payload is None
    assert ask("decimals").payload == {"d": 12.5, "n": [3]}
    assert ask("some_bytes").payload == {"raw": "bytes"}


def test_six_megabytes_go_in_and_out(ask: Ask) -> None:
    assert ask("length", value="x" * 6_200_000).payload == 6_200_000
    assert len(ask("large", bytes=6_291_000).payload) == 6_291_000


def test_a_response_that_is_too_large_is_an_error_and_the_environment_goes_on(ask: Ask) -> None:
    before = ask("incarnation").payload[0]
    answer = ask("large", bytes=6_291_557)
    assert answer.payload == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert ask("incarnation").payload[0] == before


def test_an_exception_is_reported_with_its_traceback(ask: Ask) -> None:
    answer = ask("fails")
    assert answer.error == "Unhandled"
    stack = answer.payload.pop("stackTrace")
    request_id = answer.headers["x-amzn-requestid"]
    assert answer.payload == {
        "errorMessage": "nothing of the kind",
        "errorType": "LookupError",
        "requestId": request_id,
    }
    assert [line.split(",")[0] for line in stack] == ['  File "/var/task/app.py"'] * 2
    assert "[ERROR] LookupError: nothing of the kind\nTraceback (most recent call last):" in answer.log


def test_a_result_that_is_no_json_is_a_marshal_error(ask: Ask) -> None:
    answer = ask("a_set")
    assert answer.payload["errorType"] == "Runtime.MarshalError"
    assert answer.payload["errorMessage"].startswith("Unable to marshal response: Object of type set")


@pytest.mark.parametrize(
    ("what", "members", "reason"),
    [
        ("leaves", {"code": 0}, "Runtime exited without providing a reason"),
        ("leaves", {"code": 3}, "Runtime exited with error: exit status 3"),
        ("exits", {"code": 1}, "Runtime exited with error: exit status 1"),
        ("dies", {"signal": 9}, "Runtime exited with error: signal: killed"),
        ("dies", {"signal": 11}, "Runtime exited with error: signal: segmentation fault"),
    ],
)
def test_a_runtime_that_ends_is_reported_and_replaced(
    ask: Ask, what: str, members: dict[str, int], reason: str
) -> None:
    answer = ask(what, **members)
    request_id = answer.headers["x-amzn-requestid"]
    assert answer.error == "Unhandled"
    assert answer.payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {request_id} Error: {reason}",
    }
    assert ask("echo", value=1).payload == 1


def test_a_function_that_eats_its_memory_is_ended(lambent: Server, ask: Ask) -> None:
    if "yes memory limit" not in lambent.start_block:
        pytest.skip("this machine does not let memory be limited")
    answer = ask("eats")
    # Python hears of it first when it asks for all of it at once; the kernel, when it asks bit by bit.
    assert answer.payload["errorType"] in ("Runtime.OutOfMemory", "MemoryError")
    assert ask("echo", value=1).payload == 1


@pytest.mark.parametrize(
    ("files", "handler", "error_type", "message"),
    [
        ({"app.py": "import absent"}, "app.handler", "Runtime.ImportModuleError", "No module named 'absent'"),
        ({"app.py": "def handler(:"}, "app.handler", "Runtime.UserCodeSyntaxError", "invalid syntax (app.py"),
        ({"app.py": ""}, "app.handler", "Runtime.HandlerNotFound", "'handler' missing on module 'app'"),
        ({"app.py": "1 / 0"}, "app.handler", "ZeroDivisionError", "division by zero"),
        ({"app.py": ""}, "other.handler", "Runtime.ImportModuleError", "No module named 'other'"),
    ],
)
def test_a_function_that_cannot_be_loaded_says_why(
    client: Any, name: str, files: dict[str, str | bytes], handler: str, error_type: str, message: str
) -> None:
    create(client, name, files, Handler=handler)
    for _ in range(2):
        answer = invoke(client, name)
        assert (answer.error, answer.payload["errorType"]) == ("Unhandled", error_type)
        assert message in answer.payload["errorMessage"]
        assert answer.payload["requestId"] == ""


def test_a_module_that_exits_while_it_is_loaded_is_an_exit(client: Any, name: str) -> None:
    create(client, name, "import sys; sys.exit(7)")
    answer = invoke(client, name)
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")


def test_after_a_timeout_the_runtime_is_new_and_tmp_is_kept(client: Any, name: str) -> None:
    create(client, name, LABORATORY, Timeout=1)
    before, has_note = invoke(client, name, {"do": "incarnation"}).payload
    assert has_note is False
    answer = invoke(client, name, {"do": "sleeps_with_a_note"})
    request_id = answer.headers["x-amzn-requestid"]
    assert answer.payload == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "falling asleep" in answer.log
    assert re.search(r"Duration: 1000\.00 ms\tBilled Duration: 10\d\d ms.*Status: timeout", answer.log)
    after, has_note = invoke(client, name, {"do": "incarnation"}).payload
    assert (after > before, has_note) == (True, True)


def test_twenty_at_once_get_environments_of_their_own(ask: Ask) -> None:
    with ThreadPoolExecutor(20) as pool:
        calls = [pool.submit(ask, "waits", seconds=1.5) for _ in range(20)]
        streams = [call.result(PATIENCE_S).payload for call in calls]
    # A slow machine may start the last one after the first is free again.
    assert len(set(streams)) >= 10


def test_the_log_has_every_line_with_the_request_it_belongs_to(
    lambent: Server, ask: Ask, laboratory: str
) -> None:
    answer = ask("logs")
    request_id = answer.payload
    lines = answer.log.split("\n")
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1:4] == ["plain line", "two", "lines"]
    assert lines[4] == "no newline at the end, ü"
    assert re.fullmatch(rf"\[INFO\]\t[-0-9T:.]+Z\t{request_id}\tan event of", lines[5])
    assert lines[6:8] == ["two lines", "to stderr"]
    assert lines[8] == f"END RequestId: {request_id}"
    assert re.fullmatch(
        rf"REPORT RequestId: {request_id}\tDuration: [0-9.]+ ms\tBilled Duration: [0-9]+ ms\t"
        r"Memory Size: 512 MB\tMax Memory Used: [0-9]+ MB\t(Init Duration: [0-9.]+ ms\t)?",
        lines[9],
    )
    logs = lambent.client("logs")

    def of_this_request() -> list[str]:
        found = logs.filter_log_events(
            logGroupName=f"/aws/lambda/{laboratory}", filterPattern=f'"{request_id}"'
        )
        messages = [event["message"] for event in found["events"]]
        return messages if any(message.startswith("REPORT") for message in messages) else []

    kept = until(of_this_request)
    assert [message.split(maxsplit=1)[0] for message in kept] == ["START", "[INFO]", "END", "REPORT"]
    assert kept[1].endswith(f"\t{request_id}\tan event of\ntwo lines\n")


def test_the_context_is_complete(client: Any, laboratory: str) -> None:
    custom = base64.b64encode(json.dumps({"custom": {"ü": "€"}}).encode()).decode()
    answer = invoke(client, laboratory, {"do": "everything"}, ClientContext=custom)
    found = answer.payload
    assert 10_000 < found.pop("left_ms") <= 20_000
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", found.pop("log_stream_name"))
    assert UUID.fullmatch(found["aws_request_id"])
    assert found == {
        "aws_request_id": answer.headers["x-amzn-requestid"],
        "custom": {"ü": "€"},
        "function_name": laboratory,
        "function_version": "$LATEST",
        "invoked_function_arn": f"arn:aws:lambda:us-east-1:000000000000:function:{laboratory}",
        "log_group_name": f"/aws/lambda/{laboratory}",
        "memory_limit_in_mb": "512",
        "tenant_id": None,
    }


# Recorded from AWS's Python 3.13 runtime.
AWSS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_XRAY_CONTEXT_MISSING",
    "AWS_XRAY_DAEMON_ADDRESS",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PATH",
    "PWD",
    "PYTHONPATH",
    "SHLVL",
    "TZ",
    "_AWS_XRAY_DAEMON_ADDRESS",
    "_AWS_XRAY_DAEMON_PORT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
)


def test_the_environment_is_awss_with_our_endpoint_and_the_users_variables(
    lambent: Server, ask: Ask, laboratory: str
) -> None:
    with urlopen(f"{lambent.endpoint}/_lambent/health", timeout=PATIENCE_S) as answer:
        if json.load(answer)["sandbox"]["kind"] != "namespaces":
            pytest.skip("without walls, paths and addresses are the host's")
    found = ask("environ").payload
    assert sorted(found) == sorted([*AWSS_VARIABLES, "AWS_ENDPOINT_URL", "MINE"])
    assert found["MINE"] == "ü"
    assert found["AWS_LAMBDA_FUNCTION_NAME"] == laboratory
    assert found["AWS_LAMBDA_RUNTIME_API"] == "169.254.100.1:9001"
    assert found["LAMBDA_TASK_ROOT"] == "/var/task"
    assert found["AWS_ACCESS_KEY_ID"].startswith("ASIA")
