"""query: forms in, XML out; the operation is the parameter ``Action``. IAM, STS and SNS speak it.

See https://smithy.io/2.0/aws/protocols/aws-query-protocol.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from lambent.errors import SerializationException, ServiceError
from lambent.wire.deviations import DEVIATIONS, Deviations
from lambent.wire.former import DETAILS, NAMED_BY_PATH
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.protocols.door import (
    ErrorShape,
    OperationTraits,
    ParseRequest,
    SerializeResult,
    ServiceTraits,
)
from lambent.wire.protocols.form_values import FormDecoders, form_tree
from lambent.wire.protocols.text_values import query_pairs
from lambent.wire.protocols.xml_values import XmlEncoders, xml_text

_FORM = "application/x-www-form-urlencoded"
_XML = ("Content-Type", "text/xml")

_OLDER_CODES: Mapping[str, str] = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "SerializationException": "MalformedInput",
    "ThrottlingException": "Throttling",
    "UnknownOperationException": "InvalidAction",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "ValidationException": "ValidationError",
}
"""Refusals that every service shares, by the names that the query protocol has for them.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
"""


class Query:
    """The query protocol for one service."""

    def __init__(self, service: ServiceTraits) -> None:
        self._namespace = f' xmlns="{escape(service.xml_namespace)}"' if service.xml_namespace else ""
        deviations = DEVIATIONS.get(service.service, Deviations())
        self._former_codes, self._former_texts = deviations.former_codes, deviations.former_texts
        self._detail = DETAILS.get(service.service, "")
        self._named_by_path = NAMED_BY_PATH.get(service.service)
        self._decoders = FormDecoders()
        self._encoders = XmlEncoders()

    def parser(self, operation: OperationTraits) -> ParseRequest:
        if operation.input is None:
            return lambda request, path_params: {}
        decode = self._decoders.decoder(operation.input)
        named = self._named_by_path
        if named is None or named not in operation.input.members:
            return lambda request, path_params: decode(form_tree(_pairs(request)))

        def parse(request: HttpRequest, path_params: Mapping[str, str]) -> dict[str, Any]:
            tree = form_tree(_pairs(request))
            if request.path != "/":
                tree.setdefault(named, request.path)
            return decode(tree)

        return parse

    def serializer(self, operation: OperationTraits) -> SerializeResult:
        status, name = operation.status, operation.name
        wrapper = operation.result_wrapper
        write = self._encoders.members(operation.output) if operation.output is not None else None
        opening = f"<{name}Response{self._namespace}>"

        def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            parts = [opening]
            if write is not None:
                parts.append(f"<{wrapper}>" if wrapper else "")
                write(result, parts)
                parts.append(f"</{wrapper}>" if wrapper else "")
            parts.append(
                f"<ResponseMetadata><RequestId>{xml_text(request_id)}</RequestId></ResponseMetadata></{name}Response>"
            )
            return _response(status, "".join(parts), request_id)

        return serialize

    def serialize_error(self, error: ServiceError, shape: ErrorShape | None, request_id: str) -> HttpResponse:
        name = shape.name if shape else error.error_code
        code = self._former_codes.get(name) or (shape.code if shape else _OLDER_CODES.get(name, name))
        status = error.status if shape is None or shape.status is None else shape.status
        parts = [
            f"<ErrorResponse{self._namespace}><Error><Type>{'Sender' if status < 500 else 'Receiver'}</Type>",
            f"<Code>{xml_text(code)}</Code>",
            f"<Message>{xml_text(self._former_texts.get(error.message, error.message))}</Message>{self._detail}",
        ]
        if shape is not None:
            self._write_members(error, shape, parts)
        parts.append(f"</Error><RequestId>{xml_text(request_id)}</RequestId></ErrorResponse>")
        response = _response(status, "".join(parts), request_id)
        response.headers.append(("x-amzn-ErrorType", code))
        return response

    def _write_members(self, error: ServiceError, shape: ErrorShape, parts: list[str]) -> None:
        for name, member in shape.shape.members.items():
            item = error.members.get(name)
            if item is not None and name.lower() not in ("message", "code", "type"):
                self._encoders.writer(member)(item, member.location_name or name, parts)


def _pairs(request: HttpRequest) -> list[tuple[str, str]]:
    pairs = query_pairs(request.query)
    if request.headers.get("content-type", "").startswith(_FORM) or not request.query:
        try:
            pairs += query_pairs(request.body.decode())
        except UnicodeDecodeError as error:
            raise SerializationException(f"The form is not text: {error}") from error
    return pairs


def _response(status: int, xml: str, request_id: str) -> HttpResponse:
    return HttpResponse(status=status, headers=[_XML, ("x-amzn-RequestId", request_id)], body=xml.encode())
