"""Which operation of which service."""

from __future__ import annotations

from functools import cache

import pytest

from lambent.errors import InvalidAction, UnknownOperationException
from lambent.wire.http import HttpRequest
from lambent.wire.model import load_api
from lambent.wire.route import Router

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


@cache
def _router() -> Router:
    return Router([load_api(service) for service in ("lambda", "logs", "iam", "sts")])


def _scope(service: str) -> dict[str, str]:
    return {"authorization": f"AWS4-HMAC-SHA256 Credential=AKID/20260102/us-east-1/{service}/aws4_request, x"}


def _request(
    method: str = "POST",
    path: str = "/",
    query: str = "",
    *,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> HttpRequest:
    return HttpRequest(method=method, path=path, query=query, headers=headers or {}, body=body)


def _routed(request: HttpRequest) -> tuple[str, str]:
    operation = _router().route(request).operation
    return operation.api.service, operation.name


def test_the_scope_names_the_service() -> None:
    assert _routed(_request("GET", "/2015-03-31/functions/", headers=_scope("lambda"))) == (
        "lambda",
        "ListFunctions",
    )
    target = _request(headers={"x-amz-target": "Logs_20140328.PutLogEvents"} | _scope("logs"))
    assert _routed(target) == ("logs", "PutLogEvents")
    action = _request(body=b"Action=GetRole&Version=2010-05-08&RoleName=r", headers=FORM | _scope("iam"))
    assert _routed(action) == ("iam", "GetRole")


def test_a_request_without_credentials_is_routed_by_what_it_has() -> None:
    assert _routed(_request("GET", "/2018-10-31/layers", "find=LayerVersion")) == (
        "lambda",
        "GetLayerVersionByArn",
    )
    assert _routed(_request(headers={"x-amz-target": "Logs_20140328.GetLogEvents"})) == (
        "logs",
        "GetLogEvents",
    )
    assert _routed(_request(body=b"Version=2011-06-15&Action=GetCallerIdentity", headers=FORM)) == (
        "sts",
        "GetCallerIdentity",
    )


def test_an_action_may_stand_in_the_query_string() -> None:
    presigned = _request("GET", query="Action=GetCallerIdentity&Version=2011-06-15")
    assert _routed(presigned) == ("sts", "GetCallerIdentity")


def test_labels_come_decoded() -> None:
    route = _router().route(
        _request("GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Ax", headers=_scope("lambda"))
    )
    assert route.path_params == {"Resource": "arn:aws:lambda:x"}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            _request("GET", "/2015-03-31/fictions", headers=_scope("lambda")),
            "Unable to determine the operation of GET /2015-03-31/fictions: no path of lambda matches, and the "
            "request has neither X-Amz-Target nor Action.",
        ),
        (
            _request(headers={"x-amz-target": "Logs_20140328.Nonsense"} | _scope("logs")),
            "Unable to determine the operation: logs has no target 'Logs_20140328.Nonsense'.",
        ),
        (
            _request(headers={"x-amz-target": "DynamoDB_20120810.GetItem"} | _scope("dynamodb")),
            "Unable to determine the service of this request: its credential scope names 'dynamodb', which is not "
            "served here (served: iam, lambda, logs, sts).",
        ),
    ],
)
def test_what_nobody_serves_is_an_unknown_operation(request_: HttpRequest, message: str) -> None:
    with pytest.raises(UnknownOperationException) as refusal:
        _router().route(request_)
    assert refusal.value.message == message


def test_an_action_that_does_not_exist_is_invalid() -> None:
    with pytest.raises(InvalidAction, match="Could not find operation Nonsense for version 2010-05-08"):
        _router().route(_request(body=b"Action=Nonsense&Version=2010-05-08", headers=FORM | _scope("iam")))


def test_an_action_of_another_version_of_the_api_is_invalid() -> None:
    with pytest.raises(InvalidAction, match="for version 2009-01-01"):
        _router().route(_request(body=b"Action=GetRole&Version=2009-01-01", headers=FORM | _scope("iam")))


def test_the_api_of_a_request_is_known_even_if_its_operation_is_not() -> None:
    def named(request: HttpRequest) -> str | None:
        api = _router().api_of(request)
        return None if api is None else api.service

    assert named(_request("GET", "/nonsense", headers=_scope("lambda"))) == "lambda"
    assert named(_request(headers={"x-amz-target": "Logs_20140328.Nonsense"})) == "logs"
    assert named(_request(body=b"Action=GetRole", headers=FORM)) == "iam"
    assert named(_request("GET", "/nonsense")) is None
