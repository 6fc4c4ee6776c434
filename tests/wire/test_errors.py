"""Each error shape of each model, written by us, as botocore's client understands it."""

from __future__ import annotations

from typing import Any

import pytest

from lambent import errors
from lambent.errors import ServiceError
from lambent.wire.deviations import DEVIATIONS, Deviations
from lambent.wire.serialize import serialize_error
from wire import oracle

REQUEST_ID = "11111111-2222-4333-8444-555555555555"
EVERY_SHAPE = [(service, shape) for service in oracle.SERVED for shape in oracle.error_shapes(service)]


def _error(name: str, message: str, **members: Any) -> ServiceError:
    return type(name, (ServiceError,), {})(message, **members)


@pytest.mark.parametrize(("service", "name"), EVERY_SHAPE, ids=[".".join(case) for case in EVERY_SHAPE])
def test_an_error_of_the_model_has_the_models_code_status_and_members(service: str, name: str) -> None:
    shape = oracle.error_shape(service, name)
    traits = oracle.shapes(service)[name]
    trait = traits.get("error", {})
    members = {
        member: "of the error"
        for member, its in shape.members.items()
        if its.type_name == "string" and member.lower() not in ("message", "type") and not its.enum
    }
    response = serialize_error(
        oracle.api(service), None, _error(name, "It <went> wrong", **members), REQUEST_ID
    )
    understood = oracle.understood_error(service, name, response)

    former = DEVIATIONS.get(service, Deviations()).former_codes
    assert understood["Error"]["Code"] == former.get(name, trait.get("code", name))
    assert understood["Error"]["Message"] == "It <went> wrong"
    assert understood["ResponseMetadata"]["RequestId"] == REQUEST_ID
    assert response.status == trait.get("httpStatusCode", 500 if traits.get("fault") else 400)
    for member, its in shape.members.items():
        if member.lower() == "message":
            # In the query protocol it is <Message>, however the model spells it.
            if oracle.api(service).protocol != "query":
                assert understood["Modeled"][member] == "It <went> wrong"
        elif member in members and its.serialization.get("location") in (None, "header"):
            assert understood["Modeled"][member] == "of the error"


@pytest.mark.parametrize("service", ["lambda", "logs", "iam", "sqs"])
def test_an_error_that_the_model_does_not_know_has_its_class_code(service: str) -> None:
    error = errors.NotImplemented_("GetDurableExecution is not served yet.")
    response = serialize_error(oracle.api(service), None, error, REQUEST_ID)
    understood = oracle.understood_error(service, None, response)
    assert response.status == 501
    assert understood["Error"]["Code"] == "NotImplemented"
    assert understood["Error"]["Message"] == "GetDurableExecution is not served yet."


def _body_of(service: str, error: ServiceError) -> bytes:
    return serialize_error(oracle.api(service), None, error, REQUEST_ID).body


def test_lambda_spells_the_message_as_each_shape_does_and_says_whose_fault_it_is() -> None:
    not_found = errors.ResourceNotFoundException("Function not found: f")
    assert _body_of("lambda", not_found) == b'{"Type":"User","Message":"Function not found: f"}'
    conflict = errors.ResourceConflictException("Function already exist: f")
    assert _body_of("lambda", conflict) == b'{"Type":"User","message":"Function already exist: f"}'
    broken = errors.ServiceException("oops")
    assert _body_of("lambda", broken) == b'{"Type":"Server","Message":"oops"}'


def test_a_validation_error_of_lambda_has_no_type_because_no_shape_has_that_name() -> None:
    assert (
        _body_of("lambda", errors.ValidationException("1 validation error"))
        == b'{"message":"1 validation error"}'
    )


def test_an_error_may_leave_the_type_out_as_aws_sometimes_does() -> None:
    error = errors.ResourceNotFoundException(
        "The Lambda code signing configuration x can not be found.", Type=None
    )
    assert b"Type" not in _body_of("lambda", error)


def test_a_throttle_says_why_and_when_to_come_back() -> None:
    error = errors.TooManyRequestsException(
        "Rate Exceeded.", Reason="ConcurrentInvocationLimitExceeded", retryAfterSeconds="1"
    )
    response = serialize_error(oracle.api("lambda"), None, error, REQUEST_ID)
    assert response.status == 429
    assert ("Retry-After", "1") in response.headers
    assert ("x-amzn-ErrorType", "TooManyRequestsException") in response.headers
    expected = b'{"Type":"User","Reason":"ConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}'
    assert response.body == expected


def test_refusals_that_all_services_share_are_400_in_the_json_protocol() -> None:
    error = errors.UnrecognizedClientException("The security token included in the request is invalid.")
    assert serialize_error(oracle.api("logs"), None, error, REQUEST_ID).status == 400
    assert serialize_error(oracle.api("lambda"), None, error, REQUEST_ID).status == 403


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.InvalidSignatureException("no"), "SignatureDoesNotMatch", 403),
        (errors.AccessDeniedException("no"), "AccessDenied", 403),
        (errors.ValidationException("no"), "ValidationError", 400),
        (errors.InvalidAction("no"), "InvalidAction", 400),
        (errors.InvalidClientTokenId("no"), "InvalidClientTokenId", 403),
        (errors.InternalFailure("no"), "InternalFailure", 500),
    ],
)
def test_the_query_protocol_has_older_words_for_common_refusals(
    error: ServiceError, code: str, status: int
) -> None:
    response = serialize_error(oracle.api("iam"), None, error, REQUEST_ID)
    understood = oracle.understood_error("iam", None, response)["Error"]
    assert (understood["Code"], response.status) == (code, status)
    assert understood["Type"] == ("Sender" if status < 500 else "Receiver")


def test_text_that_xml_cannot_hold_is_replaced() -> None:
    response = serialize_error(
        oracle.api("iam"), None, errors.ValidationException("a\x00b\r&\ud800"), REQUEST_ID
    )
    assert oracle.understood_error("iam", None, response)["Error"]["Message"] == "a\ufffdb\r&\ufffd"


def test_sqs_tells_its_former_code_in_a_header() -> None:
    response = serialize_error(oracle.api("sqs"), None, _error("QueueDoesNotExist", "no queue"), REQUEST_ID)
    assert ("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender") in response.headers
    assert b'"__type":"com.amazonaws.sqs#QueueDoesNotExist"' in response.body
