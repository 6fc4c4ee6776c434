"""Requests that are not what the model's types ask for, and bodies that are nobody's business."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest

from lambent.errors import SerializationException
from lambent.wire.http import HttpRequest
from lambent.wire.model import Api, load_api
from lambent.wire.parse import parse
from lambent.wire.route import Route


@cache
def _api(service: str) -> Api:
    return load_api(service)


def _parse(
    service: str,
    name: str,
    body: bytes = b"",
    *,
    query: str = "",
    labels: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    request = HttpRequest(method="POST", path="/", query=query, headers=headers or {}, body=body)
    route = Route(operation=_api(service).operations[name], path_params=labels or {})
    return parse(route, request)


def test_the_payload_of_an_invocation_is_never_looked_at() -> None:
    parameters = _parse("lambda", "Invoke", b"\xff{not json", labels={"FunctionName": "f"})
    assert parameters == {"FunctionName": "f", "Payload": b"\xff{not json"}


def test_an_empty_payload_is_absent() -> None:
    assert _parse("lambda", "Invoke", labels={"FunctionName": "f"}) == {"FunctionName": "f"}


def test_null_members_are_absent_and_unknown_ones_ignored() -> None:
    assert _parse("lambda", "CreateFunction", b'{"FunctionName":null,"Nonsense":1,"Role":"r"}') == {
        "Role": "r"
    }


def test_an_empty_body_is_an_empty_object() -> None:
    assert _parse("lambda", "PublishVersion", labels={"FunctionName": "f"}) == {"FunctionName": "f"}
    assert _parse("logs", "DescribeLogGroups") == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"Timeout":"3"}', "STRING_VALUE can not be converted to an Integer"),
        (b'{"Timeout":true}', "TRUE_VALUE can not be converted to an Integer"),
        (b'{"Timeout":1.5}', "DECIMAL_VALUE can not be converted to an Integer"),
        (b'{"Timeout":3000000000}', "NUMBER_VALUE can not be converted to an Integer"),
        (b'{"Timeout":{}}', "Start of structure or map found where not expected."),
        (b'{"Timeout":[]}', "Start of list found where not expected"),
        (b'{"Handler":7}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"Handler":false}', "FALSE_VALUE can not be converted to a String"),
        (b'{"Environment":{"Variables":{"A":1}}}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"Environment":"x"}', "Unexpected field type"),
        (b'{"Environment":[]}', "Start of list found where not expected"),
        (b'{"Layers":{}}', "Start of structure or map found where not expected."),
        (b'{"Layers":"x"}', "Unexpected field type"),
        (b'{"Publish":"true"}', "STRING_VALUE can not be converted to a Boolean"),
        (b"[]", "Start of list found where not expected"),
        (b"null", "Unexpected field type"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_aws_words(body: bytes, message: str) -> None:
    with pytest.raises(SerializationException) as refusal:
        _parse("lambda", "CreateFunction", body)
    assert refusal.value.message == message


def test_a_whole_number_written_as_a_decimal_is_an_integer() -> None:
    assert _parse("lambda", "CreateFunction", b'{"Timeout":3.0}') == {"Timeout": 3}


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a":}', b'{"Handler":"\xff"}'])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationException, match="Could not parse request body into json: "):
        _parse("lambda", "CreateFunction", body)


def test_a_blob_that_is_not_base64_is_refused() -> None:
    with pytest.raises(SerializationException, match="not valid base64"):
        _parse("lambda", "CreateFunction", b'{"Code":{"ZipFile":"!"}}')
    assert _parse("lambda", "CreateFunction", b'{"Code":{"ZipFile":"emlw"}}') == {"Code": {"ZipFile": b"zip"}}


@pytest.mark.parametrize("written", [b"1767323045", b"1767323045.0", b'"2026-01-02T03:04:05Z"'])
def test_a_timestamp_may_be_a_number_or_text(written: bytes) -> None:
    body = b'{"StartingPositionTimestamp":' + written + b"}"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert _parse("lambda", "CreateEventSourceMapping", body) == {"StartingPositionTimestamp": moment}


@pytest.mark.parametrize("written", [b"true", b'"soon"', b"1e300"])
def test_a_timestamp_that_is_none_is_refused(written: bytes) -> None:
    with pytest.raises(SerializationException, match="can not be converted to milliseconds since epoch"):
        _parse("lambda", "CreateEventSourceMapping", b'{"StartingPositionTimestamp":' + written + b"}")


def test_query_and_header_members_are_read_and_typed() -> None:
    parameters = _parse("lambda", "ListFunctions", query="MaxItems=5&Marker=a%20b+c&Nonsense=1")
    assert parameters == {"MaxItems": 5, "Marker": "a b c"}
    invoked = _parse(
        "lambda", "Invoke", labels={"FunctionName": "f"}, headers={"x-amz-invocation-type": "Event"}
    )
    assert invoked["InvocationType"] == "Event"


@pytest.mark.parametrize("number", ["x", "1.5", "1_000", "٣", "", "9" * 30, "3000000000"])
def test_a_number_in_a_query_must_be_one(number: str) -> None:
    with pytest.raises(SerializationException, match="can not be converted to an Integer"):
        _parse("lambda", "ListFunctions", query=f"MaxItems={number}")


def test_a_query_that_is_not_text_is_refused() -> None:
    with pytest.raises(SerializationException, match="The query string could not be read"):
        _parse("lambda", "ListFunctions", query="Marker=%FF")


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("form", "tags"),
    [
        ("Tags.member.1.Key=a&Tags.member.1.Value=b", [{"Key": "a", "Value": "b"}]),
        ("Tags.member.2.Key=b&Tags.member.1.Key=a", [{"Key": "a"}, {"Key": "b"}]),
        ("Tags.member.7.Key=only", [{"Key": "only"}]),
        ("Tags.member.10.Key=b&Tags.member.9.Key=a", [{"Key": "a"}, {"Key": "b"}]),
        ("Tags=", []),
    ],
)
def test_lists_of_a_form_are_ordered_by_their_numbers(form: str, tags: list[dict[str, str]]) -> None:
    assert _parse("iam", "TagRole", form.encode(), headers=FORM) == {"Tags": tags}


@pytest.mark.parametrize(
    "form",
    [
        "Tags=x",
        "Tags.member.one.Key=a",
        "Tags.member.-1.Key=a",
        "RoleName.member.1=x",
        "Tags." + "a." * 40 + "b=c",
        "RoleName=%FF",
    ],
)
def test_a_form_that_does_not_fit_is_refused(form: str) -> None:
    with pytest.raises(SerializationException):
        _parse("iam", "TagRole", form.encode(), headers=FORM)


def test_a_form_may_come_in_the_query_string() -> None:
    assert _parse("sts", "GetAccessKeyInfo", query="Action=GetAccessKeyInfo&AccessKeyId=AKID") == {
        "AccessKeyId": "AKID"
    }
