"""The way of a request through the front door, and what it meets when something is wrong with it."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lambent.domain.call import Call
from lambent.errors import MissingAuthenticationTokenException, ResourceNotFoundException
from lambent.gateway.auth import OpenAuthentication
from lambent.gateway.dispatch import Authentication, Dispatch
from lambent.gateway.own import OwnPaths
from lambent.services import Members
from lambent.testing import ManualClock, MemoryStore
from lambent.wire.http import HttpRequest
from wire import oracle

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ID = "5c3a0b1e-7a4e-4e0c-9d0a-2f6a1a3f6f00"
JSON_11 = "application/x-amz-json-1.1"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """A response as a client gets it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Services:
    """Operations that do what a test needs, and remember who called."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.parameters: list[Members] = []
        self.result: Members = {}
        self.error: Exception | None = None

    async def operation(self, call: Call, parameters: Members) -> Members:
        self.calls.append(call)
        self.parameters.append(parameters)
        if self.error is not None:
            raise self.error
        return self.result


class NoKeys:
    """Access keys of nobody."""

    async def find_access_key(self, access_key_id: str) -> None:
        return None

    async def note_use(self, access_key_id: str, *, at_s: float, service: str, region: str) -> None:
        raise AssertionError("nobody has a key")


class Door:
    """The front door with stand-ins behind it."""

    def __init__(self, authentication: Authentication | None = None) -> None:
        self.services = Services()
        self.store = MemoryStore()
        operation = self.services.operation
        clock = ManualClock()
        self.application = Dispatch(
            apis={name: oracle.api(name) for name in oracle.SERVED},
            services={
                "lambda": {"get_function": operation, "invoke": operation, "delete_function": operation},
                "logs": {"describe_log_groups": operation},
                "iam": {"get_role": operation},
                "sns": {"confirm_subscription": operation, "publish": operation},
            },
            authentication=authentication
            or OpenAuthentication(keys=NoKeys(), secret=b"s", account="000000000000", region="us-east-1"),
            own_paths=OwnPaths(describe=lambda: {"version": "0"}, blobs=self.store, secret=b"s", clock=clock),
            clock=clock,
        )

    def answer(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: bytes = b"",
        is_complete: bool = True,
        **headers: str,
    ) -> Answer:
        """Send a request through."""
        request = HttpRequest(
            method=method,
            path=path,
            query=query,
            headers={name.replace("_", "-").lower(): value for name, value in headers.items()},
            body=body,
            is_complete=is_complete,
        )
        response = asyncio.run(self.application.answer(request))
        found = {name.lower(): value for name, value in response.headers}
        return Answer(response.status, found, response.body)


@pytest.fixture
def door() -> Any:
    door = Door()
    yield door
    door.store.close()


FUNCTION = "/2015-03-31/functions/f"


def test_an_operation_gets_the_call_and_its_parameters_and_its_result_is_answered(door: Door) -> None:
    door.services.result = {"Configuration": {"FunctionName": "f"}}
    answer = door.answer("GET", FUNCTION, query="Qualifier=7", host="here:1")
    assert (answer.status, answer.json) == (200, {"Configuration": {"FunctionName": "f"}})
    assert door.services.parameters == [{"FunctionName": "f", "Qualifier": "7"}]
    (call,) = door.services.calls
    assert (call.account, call.region, call.endpoint_url) == ("000000000000", "us-east-1", "http://here:1")
    assert answer.headers["x-amzn-requestid"] == call.request_id


def test_every_request_has_an_id_of_its_own(door: Door) -> None:
    ids = {door.answer("GET", FUNCTION).headers["x-amzn-requestid"] for _ in range(50)}
    assert len(ids) == 50
    assert all(UUID.fullmatch(request_id) for request_id in ids)


def test_a_request_id_that_the_client_chose_is_kept(door: Door) -> None:
    assert door.answer("GET", FUNCTION, x_amzn_requestid=ID).headers["x-amzn-requestid"] == ID
    assert door.services.calls[0].request_id == ID


@pytest.mark.parametrize("offered", ["", "no-uuid", ID.upper(), ID + "\nx: y", "x" * 10_000, ID[:-1] + "é"])
def test_what_is_no_request_id_is_not_taken_for_one(door: Door, offered: str) -> None:
    found = door.answer("GET", FUNCTION, x_amzn_requestid=offered).headers["x-amzn-requestid"]
    assert UUID.fullmatch(found)


def test_headers_beyond_the_model_are_answered_as_headers(door: Door) -> None:
    door.services.result = {"StatusCode": 200, "Payload": b"1", "ResponseHeaders": {"X-Own": "ü"}}
    answer = door.answer("POST", FUNCTION + "/invocations", body=b"{}")
    assert answer.headers["x-own"] == "ü"
    assert answer.body == b"1"


def test_an_error_is_answered_in_the_words_of_its_service(door: Door) -> None:
    door.services.error = ResourceNotFoundException("Function not found: f")
    answer = door.answer("GET", FUNCTION)
    assert answer.status == 404
    assert answer.headers["x-amzn-errortype"] == "ResourceNotFoundException"
    assert answer.json == {"Type": "User", "Message": "Function not found: f"}


def test_an_operation_that_is_not_served_is_501(door: Door) -> None:
    answer = door.answer("GET", "/2015-03-31/functions")
    assert answer.status == 501
    assert answer.headers["x-amzn-errortype"] == "NotImplemented"
    assert "ListFunctions" in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {}),
        ("GET", "/2015-03-31/nothing", {}),
        ("PATCH", FUNCTION, {}),
        ("OPTIONS", "*", {}),
        (
            "GET",
            FUNCTION,
            {"authorization": "AWS4-HMAC-SHA256 Credential=t/20260102/us-east-1/s3/aws4_request"},
        ),
        ("GET", "/%00%ff" + "x" * 5_000, {}),
    ],
)
def test_a_request_for_nothing_is_404(door: Door, method: str, path: str, headers: dict[str, str]) -> None:
    answer = door.answer(method, path, **headers)
    assert answer.status == 404
    assert "UnknownOperationException" in answer.headers.get("x-amzn-errortype", "") + answer.body.decode()
    assert len(answer.body) < 2_000
    assert door.services.calls == []


def test_an_unknown_target_of_the_json_protocol_is_refused_as_aws_does_it(door: Door) -> None:
    answer = door.answer("POST", "/", x_amz_target="Logs_20140328.Nothing", content_type=JSON_11)
    assert (answer.status, answer.json["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"x_amz_target": "DynamoDB_20120810.ListTables"}, b'"__type":"UnknownOperationException"'),
        ({"content_type": FORM}, b"<Code>InvalidAction</Code>"),
    ],
)
def test_a_client_of_an_unknown_service_is_answered_in_the_protocol_that_it_speaks(
    door: Door, headers: dict[str, str], words: bytes
) -> None:
    authorization = "AWS4-HMAC-SHA256 Credential=t/20260102/us-east-1/other/aws4_request"
    assert words in door.answer("POST", "/", authorization=authorization, **headers).body


def test_an_unknown_action_of_the_query_protocol_is_refused_in_xml(door: Door) -> None:
    authorization = "AWS4-HMAC-SHA256 Credential=t/20260102/us-east-1/iam/aws4_request"
    body = b"Action=Nothing&Version=2010-05-08"
    answer = door.answer("POST", "/", body=body, content_type=FORM, authorization=authorization)
    assert answer.status == 400
    assert b"<Code>InvalidAction</Code>" in answer.body


def test_a_parameter_that_breaks_the_model_never_reaches_the_operation(door: Door) -> None:
    answer = door.answer("GET", "/2015-03-31/functions/" + "x" * 300)
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert door.services.calls == []


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b"[" * 5_000, b'{"logGroupNamePrefix": 1}'])
def test_a_body_that_is_not_what_the_protocol_asks_for_is_the_callers_fault(door: Door, body: bytes) -> None:
    target = "Logs_20140328.DescribeLogGroups"
    answer = door.answer("POST", "/", body=body, x_amz_target=target, content_type=JSON_11)
    assert answer.status == 400
    assert door.services.calls == []


def test_a_bug_is_a_500_in_the_protocols_form_and_its_traceback_stays_in_the_log(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.services.error = RuntimeError("secret detail")
    rest = door.answer("GET", FUNCTION)
    assert rest.status == 500
    assert rest.headers["x-amzn-errortype"] == "ServiceException"
    query = door.answer("POST", "/", body=b"Action=GetRole&Version=2010-05-08&RoleName=r", content_type=FORM)
    assert query.status == 500
    assert b"<Code>InternalFailure</Code>" in query.body
    for answer in (rest, query):
        assert b"secret" not in answer.body
        assert b"Traceback" not in answer.body
    assert "secret detail" in caplog.text
    assert rest.headers["x-amzn-requestid"] in caplog.text


def test_a_full_disk_is_said_in_one_sentence(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.services.error = OSError(errno.ENOSPC, "No space left on device")
    answer = door.answer("GET", FUNCTION)
    assert answer.status == 500
    assert answer.json["Message"] == "There is no space left in the data directory."
    assert "no space left in the data directory" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_result_that_does_not_fit_the_model_is_a_bug_and_not_a_broken_answer(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        door.services.result = {"NoSuchMember": 1}
        assert door.answer("GET", FUNCTION).status == 500


def test_a_body_that_is_too_long_to_be_kept_is_413(door: Door) -> None:
    answer = door.answer("POST", FUNCTION + "/invocations", is_complete=False)
    assert answer.status == 413
    assert answer.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"
    words = "Request must be smaller than 70167211 bytes for the Invoke operation"
    assert answer.json["message"] == words
    assert door.services.calls == []


def test_a_caller_who_names_no_host_is_told_the_address_that_was_reached(door: Door) -> None:
    door.answer("GET", FUNCTION)
    assert door.services.calls[0].endpoint_url == "http://localhost"


def test_own_paths_need_no_credentials_and_no_service(door: Door) -> None:
    answer = door.answer("GET", "/_lambent/health")
    assert (answer.status, answer.json) == (200, {"status": "running", "version": "0"})


class Strict:
    """Authentication that nobody passes without a signature."""

    def known(self, request: HttpRequest, scope: object) -> None:
        return None

    async def authenticate(self, request: HttpRequest) -> Any:
        raise MissingAuthenticationTokenException("Missing Authentication Token")


def test_a_link_that_a_subscriber_was_sent_needs_no_signature_and_nothing_else_goes_without() -> None:
    door = Door(Strict())
    query = "Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Token=x"
    assert door.answer("GET", "/", query=query).status == 200
    (call,) = door.services.calls
    assert (call.account, call.access_key_id, call.principal.arn) == ("", "", "Anonymous")
    assert door.answer("GET", "/", query="Action=Publish&TopicArn=t&Message=x").status == 403
    assert len(door.services.calls) == 1
    door.store.close()
