"""InvokeWithResponseStream by boto3, and URLs with RESPONSE_STREAM: what AWS's pages say of them."""

from __future__ import annotations

import base64
import contextlib
import json
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import botocore.awsrequest
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from harness import ACCOUNT, REGION, Server, create, invoke
from streams import Streamed

SOURCE = """
import asyncio, time
def handler(event, context):
    do = event.get("do", event.get("rawPath"))
    if do == "whole":
        return {"value": event["value"]}
    if do in ("fail", "/fail"):
        raise ValueError("no")
    if do == "/response":
        return {"statusCode": 201, "headers": {"x-a": "1"}, "body": "whole"}
    if do == "/stream":
        return words("one", "two")
    if do == "/bad":
        return words({"statusCode": "none"}, "one")
    if do == "asynchronous":
        return later()
    if do == "kinds":
        return words(b"bytes ", "text ü ", bytearray(b"array "), {"json": [1, None]}, "", 1.5)
    if do == "no json":
        return words("one", {1, 2})
    if do == "log":
        print("said")
        return words("one")
    if do == "sleep":
        time.sleep(60)
    if do == "flood":
        return (b"x" * 100_000 for _ in range(1_000))
    return context.invoked_function_arn
def words(*all):
    yield from all
async def later():
    yield "one"
    await asyncio.sleep(0.001)
    yield "two"
    raise KeyError("late")
"""


@pytest.fixture(scope="module")
def client(lambent: Server) -> Any:
    return lambent.client("lambda")


@pytest.fixture(scope="module")
def function(client: Any) -> str:
    create(client, "streams-of-parity", SOURCE, Publish=True)
    return "streams-of-parity"


def refused(client: Any, name: str, **options: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        client.invoke_with_response_stream(FunctionName=name, **options)
    answer = caught.value.response
    return (
        answer["ResponseMetadata"]["HTTPStatusCode"],
        answer["Error"]["Code"],
        answer["Error"]["Message"],
    )


# InvokeWithResponseStream ----------------------------------------------------------------------------------


def test_the_head_says_what_was_executed(client: Any, function: str) -> None:
    streamed = Streamed(client, function, {"do": "log"}, Qualifier="1")
    answer = streamed.response
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "1")
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-trace-id"].startswith("Root=1-")
    assert (streamed.rest(), streamed.end) == (b"one", {})


def test_what_a_function_answers_as_a_whole_is_a_stream_too_and_may_be_longer(
    client: Any, function: str
) -> None:
    value = "x" * 5_000_000
    streamed = Streamed(client, function, {"do": "whole", "value": value})
    assert json.loads(streamed.rest()) == {"value": value}
    assert streamed.end == {}


def test_the_log_tail_comes_last(client: Any, function: str) -> None:
    streamed = Streamed(client, function, {"do": "log"}, LogType="Tail")
    assert streamed.rest() == b"one"
    assert streamed.end is not None
    log = base64.b64decode(streamed.end["LogResult"]).decode()
    assert log.startswith(f"START RequestId: {streamed.request_id}")
    assert "\nsaid\n" in log
    assert f"REPORT RequestId: {streamed.request_id}" in log


def test_a_failure_is_the_last_event(client: Any, function: str) -> None:
    streamed = Streamed(client, function, {"do": "fail"})
    assert streamed.rest() == b""
    assert (streamed.error["errorType"], streamed.error["errorMessage"]) == ("ValueError", "no")


def test_a_dry_run_streams_nothing(client: Any, function: str) -> None:
    answer = client.invoke_with_response_stream(FunctionName=function, InvocationType="DryRun")
    assert answer["StatusCode"] == 204
    assert list(answer["EventStream"]) == []


def test_refusals_are_those_of_invoke(client: Any, function: str) -> None:
    def of_invoke(**options: Any) -> tuple[int, str, str]:
        with pytest.raises(ClientError) as caught:
            client.invoke(**{"FunctionName": function, **options})
        answer = caught.value.response
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return status, answer["Error"]["Code"], answer["Error"]["Message"]

    for options in (
        {"FunctionName": "not-there"},
        {"Qualifier": "7"},
        {"Qualifier": "nobody"},
        {"Payload": b"{"},
        {"Payload": b'"' + b"x" * 6_291_456 + b'"'},
        {"ClientContext": "?"},
        {"FunctionName": f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:{function}"},
    ):
        name = str(options.get("FunctionName", function))
        rest = {key: value for key, value in options.items() if key != "FunctionName"}
        assert refused(client, name, **rest) == of_invoke(**options), options


def test_it_is_not_for_events(client: Any, function: str) -> None:
    status, code, message = refused(client, function, InvocationType="Event")
    assert (status, code) == (400, "ValidationException")
    assert "Member must satisfy enum value set" in message


def test_a_throttle_is_an_error_and_no_event(client: Any, name: str) -> None:
    create(client, name, SOURCE)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert refused(client, name)[:2] == (429, "TooManyRequestsException")


def test_who_does_not_read_holds_the_function_until_its_timeout(client: Any, name: str) -> None:
    create(client, name, SOURCE, Timeout=1)
    streamed = Streamed(client, name, {"do": "flood"})
    # botocore reads what it needs for the first event, and nothing of the 100 MB behind it.
    received = len(streamed.chunk())
    # Another one that begins later and times out, too, has ended later.
    assert invoke(client, name, {"do": "sleep"}).payload["errorType"] == "Sandbox.Timedout"
    received += len(streamed.rest())
    assert received < 50_000_000
    assert streamed.error == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {streamed.request_id} Error: Task timed out after 1.00 seconds",
    }


# Python's generators, which AWS has not -----------------------------------------------------------------------


def test_what_a_generator_yields_is_bytes_or_text_or_json(client: Any, function: str) -> None:
    streamed = Streamed(client, function, {"do": "kinds"})
    assert streamed.rest().decode() == 'bytes text ü array {"json": [1, null]}1.5'
    assert streamed.end == {}


def test_an_asynchronous_generator_is_a_handler_too(client: Any, function: str) -> None:
    for _ in range(2):
        streamed = Streamed(client, function, {"do": "asynchronous"})
        assert streamed.rest() == b"onetwo"
        assert (streamed.error["errorType"], streamed.error["errorMessage"]) == ("KeyError", "'late'")
        (frame,) = streamed.error["stackTrace"]
        assert 'File "/var/task/app.py"' in frame
        assert "in later" in frame


def test_what_cannot_become_json_is_an_error_in_the_middle(client: Any, function: str) -> None:
    streamed = Streamed(client, function, {"do": "no json"})
    assert streamed.rest() == b"one"
    assert streamed.error["errorType"] == "Runtime.MarshalError"


# Function URLs ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url(client: Any, function: str) -> str:
    client.add_permission(
        FunctionName=function,
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    cors = {"AllowOrigins": ["https://a.example"]}
    return client.create_function_url_config(
        FunctionName=function, AuthType="NONE", InvokeMode="RESPONSE_STREAM", Cors=cors
    )["FunctionUrl"]


def visit(
    lambent: Server, url: str, path: str, *, method: str = "GET", **headers: str
) -> tuple[int, Any, bytes]:
    given = {"Host": urlsplit(url).netloc, **headers}
    with contextlib.closing(HTTPConnection("127.0.0.1", lambent.port, timeout=60)) as connection:
        connection.request(method, path, headers=given)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_an_ordinary_handler_answers_there_as_it_does_at_any_url(lambent: Server, url: str) -> None:
    status, headers, body = visit(lambent, url, "/response")
    assert (status, headers["x-a"], headers["content-length"], body) == (201, "1", "5", b"whole")
    assert visit(lambent, url, "/fail")[::2] == (502, b"Internal Server Error")


def test_a_stream_has_the_headers_of_every_answer_there(lambent: Server, url: str) -> None:
    status, headers, body = visit(lambent, url, "/stream", Origin="https://a.example")
    assert (status, body, headers["transfer-encoding"]) == (200, b"onetwo", "chunked")
    assert headers["access-control-allow-origin"] == "https://a.example"
    assert headers["x-amzn-requestid"]
    assert headers["x-amzn-trace-id"].startswith("Root=1-")


def test_metadata_that_are_none_are_a_502(lambent: Server, url: str) -> None:
    assert visit(lambent, url, "/bad")[::2] == (502, b"Internal Server Error")


def test_a_head_has_no_body(lambent: Server, url: str) -> None:
    status, _, body = visit(lambent, url, "/stream", method="HEAD")
    assert (status, body) == (200, b"")


def test_a_buffered_url_waits_for_the_whole_stream(lambent: Server, client: Any, name: str) -> None:
    source = 'def handler(event, context):\n    yield \'{"statusCode": 201, \'\n    yield \'"body": "b"}\'\n'
    create(client, name, source)
    client.add_permission(
        FunctionName=name,
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    url = client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    assert visit(lambent, url, "/")[::2] == (201, b"b")
    client.update_function_url_config(FunctionName=name, InvokeMode="RESPONSE_STREAM")
    assert visit(lambent, url, "/")[::2] == (200, b'{"statusCode": 201, "body": "b"}')


def test_signed_requests_are_streamed_and_others_are_not_let_in(
    lambent: Server, client: Any, name: str
) -> None:
    create(client, name, SOURCE)
    url = client.create_function_url_config(
        FunctionName=name, AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM"
    )["FunctionUrl"]
    assert visit(lambent, url, "/stream")[0] == 403
    request = botocore.awsrequest.AWSRequest("GET", f"{url}stream")
    botocore.auth.SigV4Auth(Credentials(ACCOUNT, "test"), "lambda", REGION).add_auth(request)
    assert visit(lambent, url, "/stream", **dict(request.headers.items()))[::2] == (200, b"onetwo")
