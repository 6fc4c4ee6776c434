"""APIs compiled from models."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

import pytest

from lambent.wire.http import HttpResponse
from lambent.wire.model import Api, UnsupportedModelError, load_api
from lambent.wire.serialize import serialize


@cache
def _lambda() -> Api:
    return load_api("lambda")


def test_an_api_knows_its_names_and_operations() -> None:
    api = _lambda()
    assert (api.service, api.signing_name, api.protocol, api.api_version) == (
        "lambda",
        "lambda",
        "rest-json",
        "2015-03-31",
    )
    assert len(api.operations) == 91
    operation = api.operations["CreateFunction"]
    assert (operation.api, operation.method_name, operation.traits.status) == (api, "create_function", 201)


def test_an_api_of_the_json_protocol_knows_its_targets() -> None:
    api = load_api("logs")
    assert (api.protocol, api.target_prefix, api.json_version) == ("json", "Logs_20140328", "1.1")


def test_an_operation_that_streams_events_is_loaded_and_marked() -> None:
    streaming = [name for name, operation in _lambda().operations.items() if operation.is_streaming]
    assert streaming == ["InvokeWithResponseStream"]


def test_a_protocol_that_does_not_write_events_says_so() -> None:
    with pytest.raises(TypeError, match="cannot be serialized yet"):
        serialize(load_api("logs").operations["StartLiveTail"], {}, "id")


def test_a_protocol_that_is_not_spoken_is_refused_at_load() -> None:
    with pytest.raises(UnsupportedModelError, match="s3 speaks rest-xml, which is not spoken here yet"):
        load_api("s3")


def test_a_service_that_does_not_exist_is_refused_at_load() -> None:
    with pytest.raises(UnsupportedModelError, match="no service model named 'nonsense'"):
        load_api("nonsense")


def test_every_streaming_operation_of_logs_is_marked_too() -> None:
    operations = load_api("logs").operations
    assert operations["StartLiveTail"].is_streaming
    assert not operations["GetLogEvents"].is_streaming


def _invoked(**result: object) -> HttpResponse:
    return serialize(_lambda().operations["Invoke"], result, "the-id")


def test_a_result_goes_to_status_headers_and_body() -> None:
    response = _invoked(StatusCode=200, FunctionError="Unhandled", ExecutedVersion="$LATEST", Payload=b"null")
    assert response == HttpResponse(
        status=200,
        headers=[
            ("x-amzn-RequestId", "the-id"),
            ("X-Amz-Function-Error", "Unhandled"),
            ("X-Amz-Executed-Version", "$LATEST"),
            ("Content-Type", "application/json"),
        ],
        body=b"null",
    )


def test_members_that_are_none_are_left_out() -> None:
    response = _invoked(StatusCode=202, FunctionError=None, LogResult=None, Payload=None)
    assert (response.headers, response.body) == ([("x-amzn-RequestId", "the-id")], b"")
    aliases = serialize(_lambda().operations["ListAliases"], {"NextMarker": None, "Aliases": []}, "id")
    assert aliases.body == b'{"Aliases":[]}'


def test_a_response_without_content_has_no_body() -> None:
    response = serialize(_lambda().operations["TagResource"], {}, "the-id")
    assert response == HttpResponse(status=204, headers=[("x-amzn-RequestId", "the-id")], body=b"")


def test_an_empty_result_of_lambda_is_an_empty_object() -> None:
    response = serialize(_lambda().operations["ListFunctions"], {}, "the-id")
    assert (response.status, response.body) == (200, b"{}")


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("Invoke", {"Payload": b"", "Nonsense": 1}),
        ("ListFunctions", {"Nonsense": 1}),
        ("ListFunctions", {"Functions": [{"Nonsense": 1}]}),
    ],
)
def test_a_member_that_the_model_does_not_know_is_a_bug_that_shows(
    operation: str, result: dict[str, object]
) -> None:
    with pytest.raises(TypeError, match="has no member 'Nonsense'"):
        serialize(_lambda().operations[operation], result, "id")


def test_a_timestamp_of_lambda_in_json_is_a_number_and_of_iam_in_xml_is_iso() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    mapping = serialize(_lambda().operations["GetEventSourceMapping"], {"LastModified": moment}, "id")
    assert mapping.body == b'{"LastModified":1767323045}'
    role = serialize(load_api("iam").operations["GetRole"], {"Role": {"CreateDate": moment}}, "<id>")
    assert role.body == (
        b'<GetRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><GetRoleResult><Role>'
        b"<CreateDate>2026-01-02T03:04:05Z</CreateDate></Role></GetRoleResult>"
        b"<ResponseMetadata><RequestId>&lt;id&gt;</RequestId></ResponseMetadata></GetRoleResponse>"
    )
