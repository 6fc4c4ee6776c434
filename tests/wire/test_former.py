"""SQS in the protocol that it once spoke: forms in, XML out, for every operation, with botocore as the oracle."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlencode

import botocore.parsers
import botocore.serialize
import msgspec
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from lambent.errors import InvalidAction
from lambent.services.sqs.errors import QueueDoesNotExist
from lambent.wire.former import query_model
from lambent.wire.http import HttpRequest
from lambent.wire.model import Api, load_api
from lambent.wire.parse import parse
from lambent.wire.route import Router
from lambent.wire.serialize import serialize, serialize_error
from wire import generate, oracle

REQUEST_ID = "11111111-2222-4333-8444-555555555555"


@cache
def model() -> Any:
    return ServiceModel(query_model("sqs", Loader().load_service_model("sqs", "service-2")), "sqs")


@cache
def api() -> Api:
    return load_api("sqs", is_former=True)


@cache
def router() -> Router:
    return Router([oracle.api("sqs"), api()])


def form_of(operation: str, parameters: dict[str, Any]) -> HttpRequest:
    serializer = botocore.serialize.create_serializer("query", include_validation=False)
    request = serializer.serialize_to_request(parameters, model().operation_model(operation))
    scope = "Credential=AKIA/20260102/us-east-1/sqs/aws4_request"
    return HttpRequest(
        method="POST",
        path="/",
        query="",
        headers={
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        },
        body=urlencode(request["body"]).encode(),
    )


@pytest.mark.parametrize(
    "name", sorted(ServiceModel(Loader().load_service_model("sqs", "service-2")).operation_names)
)
def test_forms_are_understood_and_answers_are_too(name: str) -> None:
    operation = model().operation_model(name)
    parameters = generate.value(operation.input_shape, is_full=True)
    request = form_of(name, parameters)
    route = router().route(request)
    assert (route.operation.api.protocol, route.operation.name) == ("query", name)
    assert parse(route, request) == parameters

    shape = operation.output_shape
    result = {} if shape is None else generate.value(shape, is_full=True)
    response = serialize(route.operation, result, REQUEST_ID)
    raw = {"status_code": 200, "headers": dict(response.headers), "body": response.body, "context": {}}
    understood = botocore.parsers.create_parser("query").parse(raw, shape)
    assert understood.pop("ResponseMetadata")["RequestId"] == REQUEST_ID
    assert understood == result


def test_a_form_that_is_sent_to_a_queue_is_about_that_queue() -> None:
    request = form_of("ReceiveMessage", {"MaxNumberOfMessages": 2})
    to_a_queue = msgspec.structs.replace(request, path="/000000000000/q")
    assert parse(router().route(to_a_queue), to_a_queue) == {
        "QueueUrl": "/000000000000/q",
        "MaxNumberOfMessages": 2,
    }
    named = form_of("ReceiveMessage", {"QueueUrl": "http://localhost/000000000000/other"})
    named = msgspec.structs.replace(named, path="/000000000000/q")
    assert parse(router().route(named), named) == {"QueueUrl": "http://localhost/000000000000/other"}
    assert "QueueUrl" not in parse(router().route(request), request)
    listing = msgspec.structs.replace(form_of("ListQueues", {}), path="/000000000000/q")
    assert parse(router().route(listing), listing) == {}


def test_names_on_the_wire_are_those_of_the_api_reference() -> None:
    request = form_of(
        "SendMessageBatch",
        {
            "QueueUrl": "u",
            "Entries": [
                {
                    "Id": "1",
                    "MessageBody": "b",
                    "MessageAttributes": {"n": {"DataType": "String", "StringValue": "v"}},
                }
            ],
        },
    )
    entry = "SendMessageBatchRequestEntry.1."
    for part in (
        f"{entry}Id=1",
        f"{entry}MessageAttribute.1.Name=n",
        f"{entry}MessageAttribute.1.Value.DataType=",
    ):
        assert part.encode() in request.body
    assert (
        b"Attribute.1.Name=DelaySeconds"
        in form_of("CreateQueue", {"QueueName": "q", "Attributes": {"DelaySeconds": "1"}}).body
    )


def test_errors_have_their_former_codes() -> None:
    error = QueueDoesNotExist("The specified queue does not exist.")
    response = serialize_error(api(), None, error, REQUEST_ID)
    assert response.status == 400
    assert b"<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in response.body
    text = b"<Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error>"
    assert text in response.body


def test_what_has_one_element_needs_no_number() -> None:
    form = {
        "Action": "SetQueueAttributes",
        "Version": "2012-11-05",
        "Attribute.Name": "DelaySeconds",
        "Attribute.Value": "45",
    }
    request = msgspec.structs.replace(form_of("SetQueueAttributes", {}), body=urlencode(form).encode())
    assert parse(router().route(request), request) == {"Attributes": {"DelaySeconds": "45"}}
    form = {"Action": "GetQueueAttributes", "AttributeName": "All"}
    request = msgspec.structs.replace(request, body=urlencode(form).encode())
    assert parse(router().route(request), request) == {"AttributeNames": ["All"]}


def test_an_action_that_there_is_not_is_refused_in_the_protocol_of_the_form() -> None:
    request = form_of("ListQueues", {})
    request = msgspec.structs.replace(request, body=b"Action=Nothing&Version=2012-11-05")
    with pytest.raises(InvalidAction) as caught:
        router().route(request)
    assert caught.value.message == "The action Nothing is not valid for this endpoint."
    spoken = router().api_of(request)
    assert spoken is not None and spoken.protocol == "query"
