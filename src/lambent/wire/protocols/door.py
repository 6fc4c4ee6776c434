"""The door that every protocol stands behind, and the values that pass through it.

A protocol is asked once per operation, at load, for the functions that will parse its requests and serialize
its results; it compiles them from the shapes. Only `wire.model` opens the door.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lambent.errors import ServiceError
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.shapes import Shape

ParseRequest = Callable[[HttpRequest, Mapping[str, str]], dict[str, Any]]
"""(request, path parameters) → parameters by AWS member name."""

SerializeResult = Callable[[Mapping[str, Any], str], HttpResponse]
"""(result by AWS member name, request id) → response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTraits:
    """What protocols must know of the service as a whole."""

    service: str
    api_version: str
    target_prefix: str
    json_version: str
    xml_namespace: str
    is_query_compatible: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTraits:
    """One operation as the model has it.

    Attributes:
        input: None when the operation takes nothing.
        output: None when it returns nothing.
        status: the status of success.
        result_wrapper: the element around the result (query protocol).
    """

    name: str
    method: str
    uri: str
    status: int
    input: Shape | None
    output: Shape | None
    result_wrapper: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorShape:
    """An error of the model, ready to be written.

    Attributes:
        name: the shape's name.
        code: the code on the wire.
        status: the status that the model gives, if it gives one.
        is_fault: whether the service is to blame.
        message_name: the wire's spelling of the message member (``message`` or ``Message``).
        has_type: whether the shape has Lambda's ``Type`` member (``User`` or ``Server``).
        shape: the shape itself, to compile its other members from.
    """

    name: str
    code: str
    status: int | None
    is_fault: bool
    message_name: str
    has_type: bool
    shape: Shape


class Protocol(typing.Protocol):
    """One wire format, for one service.

    Contract: what `parser` returns raises only `ServiceError`, whatever the request; what `serializer`
        returns raises `TypeError` for a result that the model does not know, which is a bug of the service's
        room.
    """

    def parser(self, operation: OperationTraits) -> ParseRequest:
        """Compile the function that reads this operation's requests."""
        ...

    def serializer(self, operation: OperationTraits) -> SerializeResult:
        """Compile the function that writes this operation's results."""
        ...

    def serialize_error(self, error: ServiceError, shape: ErrorShape | None, request_id: str) -> HttpResponse:
        """Write an error; `shape` is None when the model does not know it."""
        ...
