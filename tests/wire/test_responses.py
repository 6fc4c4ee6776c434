"""We serialize, botocore parses: results come out as they went in, for every operation."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.wire.serialize import serialize
from wire import generate, oracle

REQUEST_ID = "11111111-2222-4333-8444-555555555555"
EVERY_OPERATION = oracle.operations(*oracle.SERVED, *oracle.WIDER)


@pytest.mark.parametrize(
    ("service", "name"), EVERY_OPERATION, ids=[".".join(case) for case in EVERY_OPERATION]
)
@pytest.mark.parametrize("is_full", [False, True], ids=["minimal", "full"])
def test_results_reach_botocore_as_they_were(service: str, name: str, is_full: bool) -> None:
    shape = oracle.output_shape(service, name)
    result: dict[str, Any] = {} if shape is None else generate.value(shape, is_full=is_full)
    operation = oracle.api(service).operations[name]
    status_member = _status_member(shape)
    if status_member in result:
        result[status_member] = 206

    understood = oracle.understood(service, name, serialize(operation, result, REQUEST_ID))

    metadata = understood.pop("ResponseMetadata")
    status = result.get(status_member or "", operation.traits.status)
    assert (metadata["RequestId"], metadata["HTTPStatusCode"]) == (REQUEST_ID, status)
    if status_member is not None:
        result[status_member] = status
    assert understood == _as_botocore_has_it(shape, result)


def _status_member(shape: Any) -> str | None:
    members: dict[str, Any] = {} if shape is None else shape.members
    return next((n for n, m in members.items() if m.serialization.get("location") == "statusCode"), None)


def _as_botocore_has_it(shape: Any, result: dict[str, Any]) -> dict[str, Any]:
    """botocore hands a payload of bytes out as text, and makes an absent payload empty."""
    if shape is None or (payload := shape.serialization.get("payload")) is None:
        return result
    if shape.members[payload].type_name == "structure":
        return {payload: {}, **result}
    body = result.get(payload, b"")
    return {**result, payload: body.decode() if isinstance(body, bytes) else body}
