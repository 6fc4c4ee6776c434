"""Payload format 2.0, both ways: what a function is given, and what its answer becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambent.domain.url_payload import (
    BadResponse,
    UrlRequest,
    UrlResponse,
    cors_headers,
    event_of,
    prelude_of,
    response_of,
)

ID = "a" * 32


def event(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "url_id": ID,
        "domain_name": f"{ID}.lambda-url.us-east-1.localhost",
        "method": "POST",
        "path": "/pa2%Fth/1",
        "query": "",
        "headers": {"host": "whatever", "user-agent": "curl", "x-forwarded-for": "6.6.6.6", "x-amzn-y": "z"},
        "body": b"",
        "source_ip": "127.0.0.1",
        "port": "4566",
        "scheme": "http",
        "request_id": "r",
        "trace_header": "Root=1",
        "at_s": 1_767_323_045.678,
    }
    return json.loads(event_of(UrlRequest(**values | changes)))


def test_a_request_becomes_an_event_of_format_two() -> None:
    assert event() == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/pa2%Fth/1",
        "rawQueryString": "",
        "headers": {
            "host": f"{ID}.lambda-url.us-east-1.localhost",
            "user-agent": "curl",
            "x-amzn-trace-id": "Root=1",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "4566",
            "x-forwarded-proto": "http",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": ID,
            "domainName": f"{ID}.lambda-url.us-east-1.localhost",
            "domainPrefix": ID,
            "http": {
                "method": "POST",
                "path": "/pa2%Fth/1",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl",
            },
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            "time": "02/Jan/2026:03:04:05 +0000",
            "timeEpoch": 1767323045678,
        },
        "isBase64Encoded": False,
    }


def test_cookies_and_parameters_have_members_of_their_own() -> None:
    found = event(query="a=1&b=x%20y&a=2&c=", headers={"cookie": "s=1; t=2"})
    assert found["rawQueryString"] == "a=1&b=x%20y&a=2&c="
    assert found["queryStringParameters"] == {"a": "1,2", "b": "x y", "c": ""}
    assert found["cookies"] == ["s=1", "t=2"]
    assert "cookie" not in found["headers"]


@pytest.mark.parametrize(
    ("content_type", "body", "told", "is_base64"),
    [
        ("application/json; charset=utf-8", b'{"a":1}', '{"a":1}', False),
        ("text/plain", "é".encode(), "é", False),
        ("application/xml", b"<a/>", "<a/>", False),
        ("text/plain", b"\xff", "/w==", True),
        ("application/octet-stream", b"\0", "AA==", True),
        ("multipart/form-data; boundary=x", b"x", "eA==", True),
        ("application/x-www-form-urlencoded", b"a=1", "YT0x", True),
        ("", b"x", "eA==", True),
    ],
)
def test_text_is_handed_on_and_anything_else_is_base64(
    content_type: str, body: bytes, told: str, is_base64: bool
) -> None:
    found = event(body=body, headers={"content-type": content_type})
    assert (found["body"], found["isBase64Encoded"]) == (told, is_base64)


def test_a_signed_request_says_whose_it_is() -> None:
    found = event(account="111111111111", authorizer={"userArn": "arn"})["requestContext"]
    assert (found["accountId"], found["authorizer"]) == ("111111111111", {"iam": {"userArn": "arn"}})


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b'"hello"', b"hello"),
        (b'{"a": [1, 2]}', b'{"a":[1,2]}'),
        (b"[1, 2]", b"[1,2]"),
        (b"true", b"true"),
        (b"3.1", b"3.1"),
        (b"null", b"null"),
    ],
)
def test_an_answer_without_a_status_is_a_body(answer: bytes, body: bytes) -> None:
    response = response_of(answer)
    assert (response.status, response.headers) == (200, (("content-type", "application/json"),))
    assert response.body == body


def test_an_answer_with_a_status_is_a_response() -> None:
    answer = {
        "statusCode": "418",
        "headers": {"Content-Type": "image/png", "X-N": 5},
        "cookies": ["a=1", "b=2"],
        "body": "AP8=",
        "isBase64Encoded": True,
    }
    response = response_of(json.dumps(answer).encode())
    assert (response.status, response.body) == (418, b"\0\xff")
    assert response.headers == (
        ("content-type", "image/png"),
        ("x-n", "5"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    )
    assert response_of(b'{"statusCode": 204}').body == b""
    assert response_of(b'{"statusCode": 200, "body": {"a": 1}}').body == b'{"a":1}'


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        b'{"statusCode": "x"}',
        b'{"statusCode": true}',
        b'{"statusCode": 100}',
        b'{"statusCode": 200, "headers": {"two words": "x"}}',
        b'{"statusCode": 200, "headers": {"line\\r\\nbreak": "x"}}',
        b'{"statusCode": 200, "headers": {"": "x"}}',
        b'{"statusCode": 600}',
        b'{"statusCode": 200, "headers": []}',
        b'{"statusCode": 200, "cookies": "a"}',
        b'{"statusCode": 200, "body": "?", "isBase64Encoded": true}',
    ],
)
def test_an_answer_that_is_no_response_is_refused(answer: bytes) -> None:
    with pytest.raises(BadResponse):
        response_of(answer)


def test_headers_about_the_connection_are_not_the_functions_to_know_or_to_set() -> None:
    given = {
        "connection": "keep-alive, x",
        "te": "trailers",
        "transfer-encoding": "chunked",
        "expect": "100-continue",
    }
    assert not given.keys() & event(headers=given)["headers"].keys()
    framing = {"Transfer-Encoding": "chunked", "Keep-Alive": "timeout=5", "Upgrade": "h2c"}
    answer = response_of(json.dumps({"statusCode": 200, "headers": framing}).encode())
    assert answer.headers == (("content-type", "application/json"),)
    assert prelude_of(json.dumps({"headers": framing}).encode()).headers == (
        ("content-type", "application/octet-stream"),
    )


def test_headers_that_the_address_sets_itself_get_another_name() -> None:
    """As at AWS, so that a browser never asks for a password."""
    given = {
        "WWW-Authenticate": "Basic",
        "Date": "today",
        "Content-Length": "5",
        "Connection": "close",
        "x-amzn-RequestId": "mine",
    }
    answer = response_of(json.dumps({"statusCode": 401, "headers": given}).encode())
    assert answer.headers == (
        ("x-amzn-remapped-www-authenticate", "Basic"),
        ("x-amzn-remapped-date", "today"),
        ("x-amzn-remapped-content-length", "5"),
        ("x-amzn-remapped-connection", "close"),
        ("x-amzn-remapped-x-amzn-requestid", "mine"),
        ("content-type", "application/json"),
    )


def test_values_of_headers_are_texts_whatever_the_function_says() -> None:
    given = {"content-type": "a/b", "x-true": True, "x-1": 1.5, "x-null": None, "location": "/ä€"}
    answer = response_of(json.dumps({"statusCode": 302, "headers": given, "cookies": ["ä=1"]}).encode())
    assert answer.headers == (
        ("content-type", "a/b"),
        ("x-true", "true"),
        ("x-1", "1.5"),
        ("location", "/ä€".encode().decode("latin-1")),
        ("set-cookie", "ä=1".encode().decode("latin-1")),
    )


def test_the_metadata_of_a_stream_are_its_status_and_headers() -> None:
    metadata = {
        "statusCode": 201,
        "headers": {"Content-Type": "text/html", "X-A": 1},
        "multiValueHeaders": {"X-B": ["1", "2"]},
        "cookies": ["a=1", "b=2"],
    }
    assert prelude_of(json.dumps(metadata).encode()) == UrlResponse(
        status=201,
        headers=(
            ("content-type", "text/html"),
            ("x-a", "1"),
            ("x-b", "1"),
            ("x-b", "2"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
        ),
    )
    assert prelude_of(b"{}").status == 200


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"statusCode": "x"}',
        b'{"headers": 1}',
        b'{"multiValueHeaders": []}',
        b"[" * 100_000,
    ],
)
def test_metadata_that_say_nothing_are_refused(metadata: bytes) -> None:
    with pytest.raises(BadResponse):
        prelude_of(metadata)


def test_a_preflight_is_answered_by_what_is_configured() -> None:
    cors = {
        "AllowOrigins": ["https://a.example"],
        "AllowMethods": ["GET", "PUT"],
        "AllowHeaders": ["x-a"],
        "ExposeHeaders": ["x-b"],
        "MaxAge": 60,
        "AllowCredentials": True,
    }
    assert dict(cors_headers(cors, "https://a.example", is_preflight=True)) == {
        "access-control-allow-origin": "https://a.example",
        "vary": "Origin",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "60",
    }
    assert dict(cors_headers(cors, "https://a.example", is_preflight=False)) == {
        "access-control-allow-origin": "https://a.example",
        "vary": "Origin",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-b",
    }
    assert cors_headers(cors, "https://b.example", is_preflight=False) == []
    assert cors_headers({"AllowOrigins": ["*"]}, "https://b.example", is_preflight=False) == [
        ("access-control-allow-origin", "*")
    ]
    assert cors_headers({"AllowOrigins": ["*"]}, "", is_preflight=False) == []
