"""The credential scope, as cheaply as possible."""

from __future__ import annotations

import pytest

from lambent.wire.http import HttpRequest
from lambent.wire.scope import credential_scope


def _request(*, authorization: str | None = None, query: str = "") -> HttpRequest:
    headers = {} if authorization is None else {"authorization": authorization}
    return HttpRequest(method="GET", path="/", query=query, headers=headers, body=b"")


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/lambda/aws4_request, SignedHeaders=h, Signature=s",
        "AWS4-HMAC-SHA256 SignedHeaders=h,Signature=s,Credential=AKID/20260102/eu-west-1/lambda/aws4_request",
    ],
)
def test_the_scope_is_read_from_the_header(authorization: str) -> None:
    assert credential_scope(_request(authorization=authorization)) == ("AKID", "eu-west-1", "lambda")


def test_the_scope_is_read_from_a_presigned_query() -> None:
    query = "a=b&X-Amz-Credential=AKID%2F20260102%2Feu-west-1%2Flogs%2Faws4_request&X-Amz-Date=d"
    assert credential_scope(_request(query=query)) == ("AKID", "eu-west-1", "logs")


def test_an_access_key_id_may_hold_a_slash() -> None:
    authorization = "AWS4-HMAC-SHA256 Credential=a/b/20260102/eu-west-1/lambda/aws4_request"
    assert credential_scope(_request(authorization=authorization)) == ("a/b", "eu-west-1", "lambda")


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer token", "AWS4-HMAC-SHA256 Credential=AKID/lambda"]
)
def test_what_claims_no_scope_has_none(authorization: str | None) -> None:
    assert credential_scope(_request(authorization=authorization, query="Action=X")) is None


def test_long_and_short_credentials_are_read_alike_again_and_again() -> None:
    for key in ("AKID", "x" * 10_000, "AKID"):
        authorization = (
            f"AWS4-HMAC-SHA256 Credential= {key}/20260102/eu-west-1/lambda/aws4_request , Signature=1"
        )
        for _ in range(2):
            assert credential_scope(_request(authorization=authorization)) == (key, "eu-west-1", "lambda")
