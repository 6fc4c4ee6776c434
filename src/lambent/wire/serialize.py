"""From the result of an operation, or its error, to a response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.errors import ServiceError
from lambent.wire.http import HttpResponse
from lambent.wire.model import Api, Operation
from lambent.wire.protocols.door import ErrorShape


def serialize(operation: Operation, result: Mapping[str, Any], request_id: str) -> HttpResponse:
    """Return the response of success.

    Args:
        operation: the operation that was asked for.
        result: its result by AWS member name; members that are None are left out.
        request_id: goes into the ``x-amzn-RequestId`` header (and the query protocol's body).

    Raises:
        TypeError: the result has a member that the model does not know, or is a stream; a bug of the
            service's room.
    """
    return operation.serialize(result, request_id)


def serialize_error(
    api: Api, operation: Operation | None, error: ServiceError, request_id: str
) -> HttpResponse:
    """Return the response of failure.

    The model's shape of the same name gives status, code, spelling of the message, and headers; an error that
    the model does not know speaks with its class's status and code.

    Args:
        api: the API that was asked.
        operation: the operation, once it is known; protocols that answer differently per operation will need
            it.
        error: what happened.
        request_id: as for `serialize`.
    """
    return api.speaker.serialize_error(error, _shape_of(api, error), request_id)


def _shape_of(api: Api, error: ServiceError) -> ErrorShape | None:
    """Look the error up by its code, then by its class's name: ``NoSuchEntity`` is NoSuchEntityException's
    code.
    """
    shapes = api.errors
    return shapes.get(error.error_code) or shapes.get(type(error).__name__)
