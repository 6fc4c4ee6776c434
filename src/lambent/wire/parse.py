"""From a routed request to the parameters of its operation."""

from __future__ import annotations

from typing import Any

from lambent.errors import SerializationException
from lambent.wire.http import HttpRequest
from lambent.wire.route import Route
from lambent.wire.validate import validate


def read(route: Route, request: HttpRequest) -> dict[str, Any]:
    """Return the parameters, parsed and valid.

    Raises:
        SerializationException: as `parse`.
        ValidationException: as `wire.validate`.
    """
    heads = route.operation.heads
    if heads is None:
        parameters = parse(route, request)
        validate(route.operation, parameters)
        return parameters
    head = heads.head_of(request)
    known = heads.find(head)
    if known is None:
        known = parse(route, request)
        validate(route.operation, known)
        known.pop(heads.payload, None)
        heads.remember(head, known)
    parameters = known.copy()
    if request.body:
        parameters[heads.payload] = request.body
    return parameters


def parse(route: Route, request: HttpRequest) -> dict[str, Any]:
    """Return the parameters by AWS member name.

    Blobs are bytes, timestamps are `datetime` in UTC, members that are absent or null are not there.
    Constraints of the model (lengths, patterns, required members) are `wire.validate`'s.

    Raises:
        SerializationException: the request is not what the protocol and the model's types ask for.
    """
    try:
        return route.operation.parse(request, route.path_params)
    except RecursionError as error:
        raise SerializationException("The request body is nested too deeply") from error
