"""Function URLs, asked over HTTP: who gets in, what the function is given, and what comes back."""

from __future__ import annotations

import contextlib
import json
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import botocore.auth
import botocore.awsrequest
import pytest
from botocore.credentials import Credentials

from harness import ACCOUNT, REGION, Server, create

SOURCE = """
import base64
def handler(event, context):
    path = event["rawPath"]
    if path == "/fail":
        raise ValueError("no")
    if path == "/bad":
        return {"statusCode": "x"}
    if path == "/teapot":
        return {"statusCode": 418, "cookies": ["a=1", "b=2"], "body": base64.b64encode(b"tea").decode(),
                "isBase64Encoded": True, "headers": {"X-Kind": "pot", "Access-Control-Allow-Origin": "mine"}}
    return event
"""


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes


@pytest.fixture
def client(lambent: Server) -> Any:
    return lambent.client("lambda")


@pytest.fixture
def function(client: Any, name: str) -> str:
    create(client, name, SOURCE)
    return name


def open_to_all(client: Any, function: str, **config: Any) -> str:
    url = client.create_function_url_config(FunctionName=function, AuthType="NONE", **config)["FunctionUrl"]
    client.add_permission(
        FunctionName=function,
        StatementId="public",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    return url


def ask(
    lambent: Server, url: str, path: str = "/", *, method: str = "GET", body: bytes = b"", **headers: str
) -> Answer:
    """Ask by the Host header, as whoever resolves the name would."""
    given = {"Host": urlsplit(url).netloc, **{n.replace("_", "-"): v for n, v in headers.items()}}
    with contextlib.closing(HTTPConnection("127.0.0.1", lambent.port, timeout=60)) as connection:
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())


def test_a_request_reaches_the_function_and_its_answer_comes_back(
    lambent: Server, client: Any, function: str
) -> None:
    url = open_to_all(client, function)
    answer = ask(
        lambent, url, "/pa2%Fth/1?q=1", method="PUT", body=b'{"a":1}', Content_Type="application/json"
    )
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    event = json.loads(answer.body)
    assert (event["rawPath"], event["rawQueryString"], event["body"]) == ("/pa2%Fth/1", "q=1", '{"a":1}')
    assert event["requestContext"]["accountId"] == "anonymous"
    assert event["requestContext"]["requestId"] == answer.headers["x-amzn-requestid"]
    assert answer.headers["x-amzn-trace-id"].startswith("Root=1-")

    teapot = ask(lambent, url, "/teapot")
    assert (teapot.status, teapot.body, teapot.headers["x-kind"]) == (418, b"tea", "pot")
    assert teapot.headers.get_all("set-cookie") == ["a=1", "b=2"]
    for path in ("/fail", "/bad"):
        failed = ask(lambent, url, path)
        assert (failed.status, failed.body) == (502, b"Internal Server Error")


def test_names_of_hosts_have_no_case(lambent: Server, client: Any, function: str) -> None:
    url = open_to_all(client, function)
    event = json.loads(ask(lambent, url, Host=urlsplit(url).netloc.upper()).body)
    assert event["headers"]["host"] == event["requestContext"]["domainName"]


def test_the_path_form_is_the_same_address(lambent: Server, client: Any, function: str) -> None:
    url = open_to_all(client, function)
    url_id = urlsplit(url).netloc.partition(".")[0]
    event = json.loads(ask(lambent, lambent.endpoint, f"/_lambent/url/{url_id}/deep/er?x=y").body)
    assert (event["rawPath"], event["queryStringParameters"]) == ("/deep/er", {"x": "y"})
    assert event["requestContext"]["domainName"] == f"{url_id}.lambda-url.{REGION}.localhost"


def test_an_address_that_no_policy_opens_is_closed_and_so_is_one_that_is_not_there(
    lambent: Server, client: Any, function: str
) -> None:
    url = client.create_function_url_config(FunctionName=function, AuthType="NONE")["FunctionUrl"]
    nobodys = f"http://{'z' * 32}.lambda-url.{REGION}.localhost:{lambent.port}/"
    for closed in (url, nobodys):
        answer = ask(lambent, closed)
        assert (answer.status, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
        assert json.loads(answer.body)["Message"].startswith("Forbidden. For troubleshooting")


def test_an_address_for_signed_requests_wants_a_signature(
    lambent: Server, client: Any, function: str
) -> None:
    url = client.create_function_url_config(FunctionName=function, AuthType="AWS_IAM")["FunctionUrl"]
    assert ask(lambent, url).status == 403
    request = botocore.awsrequest.AWSRequest("GET", url)
    botocore.auth.SigV4Auth(Credentials(ACCOUNT, "test"), "lambda", REGION).add_auth(request)
    answer = ask(lambent, url, **{n.replace("-", "_"): v for n, v in request.headers.items()})
    context = json.loads(answer.body)["requestContext"]
    assert (answer.status, context["accountId"]) == (200, ACCOUNT)
    assert context["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_a_browser_is_told_what_it_may_do(lambent: Server, client: Any, function: str) -> None:
    cors = {
        "AllowOrigins": ["https://a.example"],
        "AllowMethods": ["PUT"],
        "AllowHeaders": ["x-a"],
        "MaxAge": 5,
    }
    url = open_to_all(client, function, Cors=cors)
    preflight = ask(
        lambent, url, method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="PUT"
    )
    assert (preflight.status, preflight.body) == (200, b"")
    assert preflight.headers["access-control-allow-methods"] == "PUT"
    answer = ask(lambent, url, "/teapot", Origin="https://a.example")
    assert answer.headers.get_all("access-control-allow-origin") == ["https://a.example"]
    stranger = ask(lambent, url, Origin="https://b.example")
    assert (stranger.status, stranger.headers["access-control-allow-origin"]) == (200, None)


def test_no_concurrency_is_the_off_switch(lambent: Server, client: Any, function: str) -> None:
    url = open_to_all(client, function)
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    assert ask(lambent, url).status == 429
