# pyright: basic
"""botocore as the oracle: requests as AWS's own client sends them, responses as it understands them."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.parsers
import botocore.serialize
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel

from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.model import Api, load_api
from lambent.wire.route import Router

# The services that Lambent serves or will serve first, and others whose models use what those do not: header
# timestamps and greedy paths, JSON in headers, maps of headers, JSON payloads, maps in query strings.
SERVED = ("lambda", "logs", "iam", "sts", "sqs", "sns", "events")
WIDER = ("mediastore-data", "lex-runtime", "glacier", "apigateway", "xray")

ENDPOINT = "http://127.0.0.1:4566"
CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@cache
def model(service: str) -> Any:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def api(service: str) -> Api:
    return load_api(service)


@cache
def router(*services: str) -> Router:
    return Router([api(service) for service in services])


def operations(*services: str) -> list[tuple[str, str]]:
    """Every operation whose input and output can be written in one piece."""
    return [
        (service, name)
        for service in services
        for name in model(service).operation_names
        if not model(service).operation_model(name).has_event_stream_input
        and not model(service).operation_model(name).has_event_stream_output
    ]


def input_shape(service: str, operation: str) -> Any:
    return model(service).operation_model(operation).input_shape


def output_shape(service: str, operation: str) -> Any:
    return model(service).operation_model(operation).output_shape


def error_shape(service: str, name: str) -> Any:
    return model(service).shape_for(name)


@cache
def shapes(service: str) -> dict[str, Any]:
    """The shapes as the model has them: botocore's own classes hide whose fault an error is."""
    return Loader().load_service_model(service, "service-2")["shapes"]


def aws_request(service: str, operation: str, parameters: dict[str, Any]) -> Any:
    """The request as botocore has it before it is signed."""
    operation_model = model(service).operation_model(operation)
    serializer = botocore.serialize.create_serializer(
        model(service).metadata["protocol"], include_validation=False
    )
    request = serializer.serialize_to_request(parameters, operation_model)
    request.pop("host_prefix", None)
    botocore.awsrequest.prepare_request_dict(request, ENDPOINT)
    return botocore.awsrequest.create_request_object(request)


def sign(request: Any, service: str, *, expires_s: int | None = None) -> None:
    name = model(service).signing_name
    if expires_s is None:
        botocore.auth.SigV4Auth(CREDENTIALS, name, "us-east-1").add_auth(request)
    else:
        botocore.auth.SigV4QueryAuth(CREDENTIALS, name, "us-east-1", expires=expires_s).add_auth(request)


def http_request(request: Any) -> HttpRequest:
    """The request as it arrives."""
    prepared = request.prepare()
    parts = urlsplit(prepared.url)
    headers = {"host": parts.netloc}
    for name, value in prepared.headers.items():
        headers[name.lower()] = value.decode("latin-1") if isinstance(value, bytes) else value
    body = prepared.body or b""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes | bytearray):
        body = body.read()
    return HttpRequest(
        method=prepared.method, path=parts.path, query=parts.query, headers=headers, body=bytes(body)
    )


def signed_request(service: str, operation: str, parameters: dict[str, Any]) -> HttpRequest:
    request = aws_request(service, operation, parameters)
    sign(request, service)
    return http_request(request)


def understood(service: str, operation: str, response: HttpResponse) -> dict[str, Any]:
    """What botocore makes of a response."""
    operation_model = model(service).operation_model(operation)
    return _parser(service).parse(_response_dict(response, operation), operation_model.output_shape)


def understood_error(service: str, shape: str | None, response: HttpResponse) -> dict[str, Any]:
    """What botocore's client puts into a ClientError: the error itself, and the members of its shape."""
    raw = _response_dict(response, "")
    parsed = _parser(service).parse(raw, None)
    if shape is not None:
        parsed["Modeled"] = _parser(service).parse(raw, model(service).shape_for(shape))
    return parsed


def _parser(service: str) -> Any:
    return botocore.parsers.create_parser(model(service).metadata["protocol"])


def _response_dict(response: HttpResponse, operation: str) -> dict[str, Any]:
    headers = botocore.awsrequest.HeadersDict()
    for name, value in response.headers:
        headers[name] = value
    return {
        "status_code": response.status,
        "headers": headers,
        "body": response.body,
        "context": {"operation_name": operation},
    }


def error_shapes(service: str) -> list[str]:
    return [shape.name for shape in model(service).error_shapes]
