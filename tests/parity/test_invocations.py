"""Invocations through boto3, against what AWS was recorded to answer."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create, invoke, zip_of

ECHO = "def handler(event, context): return event"
CONTEXT = """
import json
def handler(event, context):
    print("Lambda log message - print function")
    client_context = context.client_context
    return {
        "event": event,
        "aws_request_id": context.aws_request_id,
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "log_group_name": context.log_group_name,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "client_context": client_context and {
            "custom": client_context.custom, "env": client_context.env
        },
    }
"""


@pytest.fixture
def client(lambent: Server) -> Any:
    """A boto3 client of Lambda."""
    return lambent.client("lambda")


@pytest.fixture(scope="module")
def echo(lambent: Server) -> str:
    """The name of a function that returns its event."""
    create(lambent.client("lambda"), "parity-echo", ECHO)
    return "parity-echo"


def arn(name: str, suffix: str = "") -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}{suffix}"


def answer_of(error: Any) -> Any:
    """The parsed response behind an error (typed as unknown, since botocore has no types)."""
    return error.response


def refused(client: Any, **parameters: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        client.invoke(**parameters)
    response = answer_of(caught.value)
    return (
        response["Error"]["Code"],
        response["Error"]["Message"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.mark.parametrize(
    "event", [{}, None, [], 1.5, "text", {"é": [1, {"a": None}]}, {"foo": "bar with 'quotes\""}]
)
def test_an_event_comes_back(client: Any, echo: str, event: Any) -> None:
    answer = client.invoke(FunctionName=echo, Payload=json.dumps(event))
    assert json.loads(answer["Payload"].read()) == event
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert "LogResult" not in answer
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/json"
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=[01]", headers["x-amzn-trace-id"])
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["x-amzn-requestid"])


def test_no_payload_is_an_empty_object(client: Any, echo: str) -> None:
    assert json.loads(client.invoke(FunctionName=echo)["Payload"].read()) == {}


def test_the_answer_tells_the_bill(client: Any, echo: str) -> None:
    headers = invoke(client, echo).headers
    assert int(headers["x-lambent-billed-duration-ms"]) >= 1
    assert float(headers["x-lambent-gb-seconds"]) > 0
    assert 0.0000002 < float(headers["x-lambent-price-usd"]) < 0.001


def test_a_dry_run_has_no_body(client: Any, echo: str) -> None:
    answer = client.invoke(FunctionName=echo, InvocationType="DryRun", Payload="{}")
    assert answer["StatusCode"] == 204
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert answer["Payload"].read() == b""
    assert "ExecutedVersion" not in answer


def test_nothing_returned_is_null(client: Any, name: str) -> None:
    create(client, name, "def handler(event, context): pass")
    assert client.invoke(FunctionName=name)["Payload"].read() == b"null"


def test_the_context_is_as_recorded(client: Any, name: str) -> None:
    create(client, name, CONTEXT, MemorySize=128)
    context = {"custom": {"foo": "bar"}, "env": {"fizz": "buzz"}, "client": {"snap": ["crackle", "pop"]}}
    answer = client.invoke(
        FunctionName=name,
        Payload='{"a": 1}',
        ClientContext=base64.b64encode(json.dumps(context).encode()).decode(),
    )
    assert json.loads(answer["Payload"].read()) == {
        "event": {"a": 1},
        "aws_request_id": answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"],
        "function_name": name,
        "function_version": "$LATEST",
        "invoked_function_arn": arn(name),
        "log_group_name": f"/aws/lambda/{name}",
        "memory_limit_in_mb": "128",
        "client_context": {"custom": {"foo": "bar"}, "env": {"fizz": "buzz"}},
    }


def test_a_published_version_is_invoked_by_its_number(client: Any, name: str) -> None:
    create(client, name, CONTEXT, MemorySize=128, Publish=True)
    client.get_waiter("published_version_active").wait(
        FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )
    client.update_function_code(FunctionName=name, ZipFile=zip_of({"app.py": ECHO}))
    client.get_waiter("function_updated_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 600}
    )
    versioned = invoke(client, name, {"foo": "bar"}, Qualifier="1")
    assert versioned.version == "1"
    assert versioned.payload["function_version"] == "1"
    assert versioned.payload["invoked_function_arn"] == arn(name, ":1")
    lines = versioned.log.splitlines()
    assert re.fullmatch(
        r"START RequestId: [0-9a-f-]{36} Version: 1", lines[-4] if len(lines) > 4 else lines[0]
    )
    assert "Lambda log message - print function" in lines
    latest = invoke(client, name, {"foo": "bar"})
    assert (latest.version, latest.payload) == ("$LATEST", {"foo": "bar"})
    assert refused(client, FunctionName=name, Qualifier="non-existent-alias") == (
        "ResourceNotFoundException",
        f"Function not found: {arn(name, ':non-existent-alias')}",
        404,
    )


def test_the_four_forms_of_a_name_are_invoked(client: Any, echo: str) -> None:
    for form in (echo, f"{echo}:$LATEST", f"{ACCOUNT}:function:{echo}", arn(echo), arn(echo, ":$LATEST")):
        assert invoke(client, form, 7).payload == 7


@pytest.mark.parametrize(
    ("payload", "fault", "column"),
    [
        (b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt", "Invalid UTF-8 start byte 0x87", 3),
        (
            b"\x99\xeb,j\x07\xa1zYh",
            "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, "
            "Object or token 'null', 'true' or 'false')",
            1,
        ),
    ],
)
def test_a_payload_that_is_no_json_is_refused_as_recorded(
    client: Any, echo: str, payload: bytes, fault: str, column: int
) -> None:
    assert refused(client, FunctionName=echo, Payload=payload) == (
        "InvalidRequestContentException",
        f"Could not parse request body into json: Could not parse payload into json: {fault}\n at [Source: "
        "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
        f"line: 1, column: {column}]",
        400,
    )


def test_six_megabytes_pass_and_one_byte_more_does_not(client: Any, name: str) -> None:
    create(client, name, "def handler(event, context): return len(event)")
    largest = b'"' + b"x" * (6_291_456 - 2) + b'"'
    assert json.loads(client.invoke(FunctionName=name, Payload=largest)["Payload"].read()) == 6_291_454
    assert refused(client, FunctionName=name, Payload=largest + b" ") == (
        "RequestTooLargeException",
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
        413,
    )


def test_a_broken_client_context_is_refused(client: Any, echo: str) -> None:
    assert refused(client, FunctionName=echo, ClientContext="not base64!") == (
        "InvalidRequestContentException",
        "Client context must be a valid Base64-encoded JSON object.",
        400,
    )


def test_a_handler_that_raises_is_reported_as_recorded(client: Any, name: str) -> None:
    create(client, name, 'def handler(event, context):\n    raise Exception("Failing miserably")\n')
    failed = invoke(client, name)
    assert (failed.status, failed.error, failed.version) == (200, "Unhandled", "$LATEST")
    assert failed.payload == {
        "errorMessage": "Failing miserably",
        "errorType": "Exception",
        "requestId": failed.headers["x-amzn-requestid"],
        "stackTrace": [
            '  File "/var/task/app.py", line 2, in handler\n    raise Exception("Failing miserably")\n'
        ],
    }


def test_a_runtime_that_exits_is_reported_as_recorded(client: Any, name: str) -> None:
    create(client, name, "import sys\ndef handler(event, context):\n    sys.exit(0)\n")
    failed = invoke(client, name)
    assert failed.error == "Unhandled"
    assert failed.payload == {
        "errorMessage": f"RequestId: {failed.headers['x-amzn-requestid']} Error: "
        "Runtime exited without providing a reason",
        "errorType": "Runtime.ExitError",
    }


def test_a_handler_without_a_dot_fails_when_it_is_invoked(client: Any, name: str) -> None:
    create(client, name, ECHO, Handler="handler")
    failed = invoke(client, name)
    assert failed.error == "Unhandled"
    assert failed.payload["errorType"] == "Runtime.MalformedHandlerName"
    assert (
        failed.payload["errorMessage"]
        == "Bad handler 'handler': not enough values to unpack (expected 2, got 1)"
    )


def test_a_function_that_takes_too_long_is_reported_as_recorded(client: Any, name: str) -> None:
    create(client, name, "import time\ndef handler(event, context):\n    time.sleep(30)\n", Timeout=1)
    failed = invoke(client, name)
    assert failed.error == "Unhandled"
    assert failed.payload == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {failed.headers['x-amzn-requestid']} Error: "
        "Task timed out after 1.00 seconds",
    }


def test_the_environment_variables_reach_the_function(client: Any, name: str) -> None:
    source = 'import os\ndef handler(event, context):\n    return {"Hello": os.environ["Hello"]}\n'
    create(client, name, source, Environment={"Variables": {"Hello": "World"}})
    assert invoke(client, name).payload == {"Hello": "World"}


def test_an_event_is_accepted_and_run_later_under_its_request_id(client: Any, echo: str) -> None:
    answer = client.invoke(FunctionName=echo, InvocationType="Event", Payload=b"{}")
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert "ExecutedVersion" not in answer
    old = client.invoke_async(FunctionName=echo, InvokeArgs=b"{}")
    assert old["Status"] == 202


def test_an_event_is_checked_before_it_is_accepted(client: Any, echo: str) -> None:
    code, _, status = refused(client, FunctionName=echo, InvocationType="Event", Payload=b"{")
    assert (code, status) == ("InvalidRequestContentException", 400)
    large = b'"' + b"x" * 1_048_576 + b'"'
    code, _, status = refused(client, FunctionName=echo, InvocationType="Event", Payload=large)
    assert (code, status) == ("RequestTooLargeException", 413)
