"""From a routed request to the parameters of its operation."""

from __future__ import annotations

from typing import Any

from lambent.errors import SerializationException
from lambent.wire.http import HttpRequest
from lambent.wire.route import Route


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
