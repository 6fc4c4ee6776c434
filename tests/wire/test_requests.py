"""botocore serializes, we route and parse: the parameters come out as they went in, for every operation."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.wire.parse import parse
from wire import generate, oracle

EVERY_OPERATION = oracle.operations(*oracle.SERVED)
FURTHER_OPERATIONS = oracle.operations(*oracle.WIDER)


def _ids(cases: list[tuple[str, str]]) -> list[str]:
    return [f"{service}.{name}" for service, name in cases]


def _round_trip(service: str, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    services = oracle.SERVED if service in oracle.SERVED else (service,)
    request = oracle.signed_request(service, name, parameters)
    route = oracle.router(*services).route(request)
    assert (route.operation.api.service, route.operation.name) == (service, name)
    return parse(route, request)


def _parameters(service: str, name: str, *, is_full: bool) -> dict[str, Any]:
    shape = oracle.input_shape(service, name)
    return {} if shape is None else generate.value(shape, is_full=is_full)


@pytest.mark.parametrize(("service", "name"), EVERY_OPERATION, ids=_ids(EVERY_OPERATION))
@pytest.mark.parametrize("is_full", [False, True], ids=["minimal", "full"])
def test_parameters_arrive_as_botocore_sent_them(service: str, name: str, is_full: bool) -> None:
    parameters = _parameters(service, name, is_full=is_full)
    parsed = _round_trip(service, name, parameters)
    assert parsed == {**_empty_payload(service, name), **parameters}


@pytest.mark.parametrize(("service", "name"), FURTHER_OPERATIONS, ids=_ids(FURTHER_OPERATIONS))
def test_parameters_of_services_to_come_arrive_as_botocore_sent_them(service: str, name: str) -> None:
    parameters = _parameters(service, name, is_full=True)
    assert _round_trip(service, name, parameters) == parameters


def _empty_payload(service: str, name: str) -> dict[str, Any]:
    """botocore writes an absent payload structure as an empty object, which is what arrives."""
    shape = oracle.input_shape(service, name)
    if shape is None or (payload := shape.serialization.get("payload")) is None:
        return {}
    if shape.members[payload].type_name != "structure":
        return {}
    return {payload: {}}
