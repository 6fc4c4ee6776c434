"""json 1.0 and 1.1: one path, the operation in ``X-Amz-Target``, JSON both ways. CloudWatch Logs and SQS
speak it.

See https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html. A refusal is always status 400 unless the
model says otherwise, whatever the status of the same refusal in a REST protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.errors import ServiceError
from lambent.wire.deviations import DEVIATIONS, Deviations
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.protocols.door import (
    ErrorShape,
    OperationTraits,
    ParseRequest,
    SerializeResult,
    ServiceTraits,
)
from lambent.wire.protocols.json_errors import JsonErrors
from lambent.wire.protocols.json_values import JsonDecoders, JsonEncoders, decode_body, encode_body

_TOO_LARGE = 413  # the one refusal that the HTTP layer, not the protocol, answers


class Json:
    """The json protocols for one service."""

    def __init__(self, service: ServiceTraits) -> None:
        self._content_type = ("Content-Type", f"application/x-amz-json-{service.json_version}")
        self._is_query_compatible = service.is_query_compatible
        # Services that came from the query protocol (SQS) tell the shape with its namespace.
        self._type_prefix = f"com.amazonaws.{service.service}#" if service.is_query_compatible else ""
        self._former_codes = DEVIATIONS.get(service.service, Deviations()).former_codes
        self._decoders = JsonDecoders()
        self._encoders = JsonEncoders()
        self._errors = JsonErrors(self._encoders)

    def parser(self, operation: OperationTraits) -> ParseRequest:
        if operation.input is None:
            return lambda request, path_params: {}
        decode = self._decoders.decoder(operation.input)

        def parse(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            return decode(decode_body(request.body))

        return parse

    def serializer(self, operation: OperationTraits) -> SerializeResult:
        status = operation.status
        if operation.output is None:
            # AWS answers operations without output with an empty body, not with an empty object.
            return lambda result, request_id: self._response(status, request_id, b"")
        encode = self._encoders.encoder(operation.output)

        def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            return self._response(status, request_id, encode_body(encode(result)))

        return serialize

    def serialize_error(self, error: ServiceError, shape: ErrorShape | None, request_id: str) -> HttpResponse:
        code = shape.name if shape else error.error_code
        body = {"__type": self._type_prefix + code, **self._errors.body(error, shape)}
        response = self._response(_error_status(error, shape), request_id, encode_body(body))
        response.headers.append(("x-amzn-ErrorType", code))
        if self._is_query_compatible:
            response.headers.append(("x-amzn-query-error", self._query_error(error, shape)))
        return response

    def _query_error(self, error: ServiceError, shape: ErrorShape | None) -> str:
        """Return what a service that once spoke the query protocol adds: its old code and whose fault it is."""
        name = shape.name if shape else error.error_code
        is_fault = shape.is_fault if shape else error.fault != "Client"
        return f"{self._former_codes.get(name, name)};{'Receiver' if is_fault else 'Sender'}"

    def _response(self, status: int, request_id: str, body: bytes) -> HttpResponse:
        return HttpResponse(
            status=status, headers=[self._content_type, ("x-amzn-RequestId", request_id)], body=body
        )


def _error_status(error: ServiceError, shape: ErrorShape | None) -> int:
    if shape is not None and shape.status is not None:
        return shape.status
    if shape is not None:
        return 500 if shape.is_fault else 400
    return error.status if error.status >= 500 or error.status == _TOO_LARGE else 400
