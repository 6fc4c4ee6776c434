"""What a function URL hands to its function, and what it makes of the answer: payload format 2.0. Pure.

AWS page "Invoking Lambda function URLs", "Request and response payloads".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

JSON = "application/json"
_OURS = ("x-amzn-", "x-forwarded-")
"""Headers that only the address itself sets."""
PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
"""Of a streamed answer that says its status and headers first."""
PRELUDE_END = bytes(8)
PRELUDE_MAX_BYTES = 1_048_576
"""AWS publishes no limit."""
_HOP = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about a connection, in either direction: those of one say nothing of the other."""
_REMAPPED = frozenset(
    {"connection", "content-length", "date", "www-authenticate", "x-amzn-requestid", "x-amzn-trace-id"}
)
"""Headers of a response that are the address's own to set: a function's are sent under another name, as at AWS."""
_REMAPPED_PREFIX = "x-amzn-remapped-"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""A token of RFC 9110."""
_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlRequest:
    """A request to a function URL."""

    url_id: str
    domain_name: str
    method: str
    path: str
    """Raw, as it came."""
    query: str
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    source_ip: str
    port: str
    scheme: str
    request_id: str
    trace_header: str
    at_s: float
    account: str | None = None
    """Whose signature is on it; None: nobody's."""
    authorizer: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlResponse:
    """What a function URL answers."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    body: bytes = b""


class BadResponse(Exception):
    """The function's answer cannot be made a response."""


def event_of(request: UrlRequest) -> bytes:
    """Return the event that the function is given."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if not name.startswith(_OURS) and name != "cookie" and name not in _HOP
    }
    headers |= {
        "host": request.domain_name,
        "x-amzn-trace-id": request.trace_header,
        "x-forwarded-for": request.source_ip,
        "x-forwarded-port": request.port,
        "x-forwarded-proto": request.scheme,
    }
    context: dict[str, Any] = {
        "accountId": request.account or "anonymous",
        "apiId": request.url_id,
        "domainName": request.domain_name,
        "domainPrefix": request.url_id,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": datetime.fromtimestamp(request.at_s, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(request.at_s * 1000),
    }
    if request.authorizer is not None:
        context["authorizer"] = {"iam": request.authorizer}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookie := request.headers.get("cookie"):
        event["cookies"] = [part.strip() for part in cookie.split(";") if part.strip()]
    if request.query:
        event["queryStringParameters"] = _joined(request.query)
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request.body, request.headers.get("content-type", ""))
    return msgspec.json.encode(event)


def response_of(payload: bytes) -> UrlResponse:
    """Return what the answer of a function means as a response.

    Raises:
        BadResponse: it cannot be one.
    """
    try:
        answer: Any = msgspec.json.decode(payload or b"null")
    except msgspec.DecodeError as error:
        raise BadResponse("The answer is not JSON.") from error
    if not isinstance(answer, dict) or "statusCode" not in answer:
        body = answer.encode() if isinstance(answer, str) else msgspec.json.encode(answer)
        return UrlResponse(status=200, headers=(("content-type", JSON),), body=body)
    members = cast("dict[str, Any]", answer)
    headers = _headers(members.get("headers"))
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", JSON))
    headers += [("set-cookie", cookie) for cookie in _cookies(members.get("cookies"))]
    return UrlResponse(status=_status(members["statusCode"]), headers=tuple(headers), body=_decoded(members))


def prelude_of(text: bytes) -> UrlResponse:
    """Return what the metadata of a streamed answer says, as a response without a body.

    Raises:
        BadResponse: it says nothing that could be understood.
    """
    try:
        metadata: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadResponse("The metadata is not JSON.") from error
    if not isinstance(metadata, dict):
        raise BadResponse("The metadata is not an object.")
    members = cast("dict[str, Any]", metadata)
    headers = _headers(members.get("headers"))
    headers += _many_headers(members.get("multiValueHeaders"))
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "application/octet-stream"))
    headers += [("set-cookie", cookie) for cookie in _cookies(members.get("cookies"))]
    return UrlResponse(status=_status(members.get("statusCode", 200)), headers=tuple(headers))


def _many_headers(given: Any) -> list[tuple[str, str]]:
    """Headers that may come several times, each with a list of values."""
    if given is None:
        return []
    if not isinstance(given, dict):
        raise BadResponse("multiValueHeaders is not an object.")
    return [
        header
        for name, values in cast("dict[str, Any]", given).items()
        for value in (cast("list[Any]", values) if isinstance(values, list) else [values])
        for header in _headers({name: value})
    ]


def _joined(query: str) -> dict[str, str]:
    """Parameters that come several times are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> tuple[str, bool]:
    """Text is handed on as it is, anything else in base64."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml")):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode(), True


def _status(value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and 200 <= int(text[:9]) <= 599):
        raise BadResponse(f"statusCode {value!r} is none.")
    return int(text)


def _headers(given: Any) -> list[tuple[str, str]]:
    if given is None:
        return []
    if not isinstance(given, dict):
        raise BadResponse("headers is not an object.")
    found: list[tuple[str, str]] = []
    for name, value in cast("dict[str, Any]", given).items():
        lower = name.lower()
        if _HEADER_NAME.fullmatch(lower) is None:
            raise BadResponse(f"{name!r} is no name of a header.")
        if lower in _REMAPPED:
            lower = _REMAPPED_PREFIX + lower
        if value is not None and lower not in _HOP:
            found.append((lower, _header_value(value)))
    return found


def _header_value(value: Any) -> str:
    """Return a value as the text of a header: UTF-8, of which each character stands for a byte."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")


def _cookies(given: Any) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, list):
        raise BadResponse("cookies is not a list.")
    return [_header_value(cookie) for cookie in cast("list[Any]", given)]


def _decoded(members: Mapping[str, Any]) -> bytes:
    body = members.get("body")
    if body is None:
        return b""
    text = body if isinstance(body, str) else msgspec.json.encode(body).decode()
    if not members.get("isBase64Encoded"):
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadResponse("body is not base64.") from error


def cors_headers(cors: Mapping[str, Any], origin: str, *, is_preflight: bool) -> list[tuple[str, str]]:
    """Return the headers that a cross-origin request is answered with; none when its origin is not allowed."""
    origins: list[str] = cors.get("AllowOrigins") or []
    if not origin or not ("*" in origins or origin in origins):
        return []
    is_any = "*" in origins and not cors.get("AllowCredentials")
    headers = [("access-control-allow-origin", "*" if is_any else origin)]
    if not is_any:
        headers.append(("vary", "Origin"))
    if cors.get("AllowCredentials"):
        headers.append(("access-control-allow-credentials", "true"))
    if is_preflight:
        for member, name in (("AllowMethods", "methods"), ("AllowHeaders", "headers")):
            if values := cors.get(member):
                headers.append((f"access-control-allow-{name}", ",".join(values)))
        if cors.get("MaxAge") is not None:
            headers.append(("access-control-max-age", str(cors["MaxAge"])))
    elif values := cors.get("ExposeHeaders"):
        headers.append(("access-control-expose-headers", ",".join(values)))
    return headers
