"""botocore signs, we verify; and whatever is changed on the way is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.errors import IncompleteSignatureException, InvalidSignatureException, RequestExpired
from lambent.wire.http import HttpRequest
from lambent.wire.sigv4 import Authorization, parse_authorization, verify
from lambent.wire.timestamps import from_text, to_iso, to_unix
from samples import replace
from wire import generate, oracle

SECRET: str = oracle.CREDENTIALS.secret_key
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("lambda", "Invoke", {"FunctionName": "f", "Payload": b'{"a": 1}', "InvocationType": "Event"}),
    ("lambda", "GetFunction", {"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:f:live"}),
    ("lambda", "ListTags", {"Resource": generate.NASTY}),
    ("lambda", "UntagResource", {"Resource": "r", "TagKeys": ["b", "a b", "a", generate.NASTY]}),
    ("lambda", "ListFunctions", {}),
    ("logs", "DescribeLogGroups", {"logGroupNamePrefix": "/aws/lambda/"}),
    ("iam", "GetRole", {"RoleName": "r"}),
    ("sts", "GetCallerIdentity", {}),
]
IDS = [f"{service}.{name}" for service, name, _ in CASES]


def _signed(
    service: str, name: str, parameters: dict[str, Any], *, expires_s: int | None = None
) -> HttpRequest:
    request = oracle.aws_request(service, name, parameters)
    oracle.sign(request, service, expires_s=expires_s)
    return oracle.http_request(request)


def _authorization(request: HttpRequest) -> Authorization:
    authorization = parse_authorization(request)
    assert authorization is not None
    return authorization


def _signing_time_s(authorization: Authorization) -> float:
    date = authorization.amz_date
    return to_unix(from_text(f"{date[:4]}-{date[4:6]}-{date[6:11]}:{date[11:13]}:{date[13:]}"))


def _verify(request: HttpRequest, *, secret: str = SECRET, later_s: float = 1) -> None:
    authorization = _authorization(request)
    verify(request, authorization, secret, _signing_time_s(authorization) + later_s)


@pytest.mark.parametrize(("service", "name", "parameters"), CASES, ids=IDS)
def test_a_signature_in_the_header_is_recognized(service: str, name: str, parameters: dict[str, Any]) -> None:
    request = _signed(service, name, parameters)
    authorization = _authorization(request)
    assert authorization.access_key_id == oracle.CREDENTIALS.access_key
    assert (authorization.region, authorization.service) == ("us-east-1", service)
    assert not authorization.is_presigned
    _verify(request)


@pytest.mark.parametrize(("service", "name", "parameters"), CASES, ids=IDS)
def test_a_presigned_query_is_recognized(service: str, name: str, parameters: dict[str, Any]) -> None:
    request = _signed(service, name, parameters, expires_s=60)
    authorization = _authorization(request)
    assert authorization.is_presigned
    assert authorization.expires_s == 60
    _verify(request, later_s=60)


def _changed(request: HttpRequest, **headers: str) -> HttpRequest:
    return replace(request, headers={**request.headers, **headers})


def _flip(text: str, at: int) -> str:
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


REQUEST = _signed("lambda", "Invoke", {"FunctionName": "f:g", "Qualifier": "live", "Payload": b'{"a": 1}'})
PRESIGNED = _signed("lambda", "Invoke", {"FunctionName": "f:g", "Qualifier": "live"}, expires_s=60)
TAMPERED = {
    "method": replace(REQUEST, method="PUT"),
    "path": replace(REQUEST, path=REQUEST.path.replace("/f", "/g")),
    "query value": replace(REQUEST, query="Qualifier=lives"),
    "query removed": replace(REQUEST, query=""),
    "query added": replace(REQUEST, query=REQUEST.query + "&x=1"),
    "body": replace(REQUEST, body=b'{"a": 2}'),
    "body emptied": replace(REQUEST, body=b""),
    "host": _changed(REQUEST, host="elsewhere:4566"),
    "date": _changed(REQUEST, **{"x-amz-date": _flip(REQUEST.headers["x-amz-date"], 14)}),
    "body with the old hash claimed": _changed(
        replace(REQUEST, body=b"{}"),
        **{"x-amz-content-sha256": "66a045b452102c59d840ec097d59d9467e13a3f34f6494e539ffd32c1bb35f18"},
    ),
    "unsigned payload claimed afterwards": _changed(
        replace(REQUEST, body=b"{}"), **{"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    ),
    "presigned path": replace(PRESIGNED, path="/2015-03-31/functions/g/invocations"),
    "presigned expiry": replace(PRESIGNED, query=PRESIGNED.query.replace("Expires=60", "Expires=600")),
    "presigned qualifier": replace(PRESIGNED, query=PRESIGNED.query.replace("live", "dead")),
}


@pytest.mark.parametrize("request_", TAMPERED.values(), ids=TAMPERED)
def test_a_request_that_was_changed_is_refused(request_: HttpRequest) -> None:
    with pytest.raises(InvalidSignatureException, match="The request signature we calculated does not match"):
        _verify(request_)


def test_every_byte_of_path_query_and_body_counts() -> None:
    for field in ("path", "query"):
        text: str = getattr(REQUEST, field)
        for at in range(1, len(text)):
            if "%" in text[at - 2 : at + 1]:
                continue  # half an escape is another story, told below
            changed = replace(REQUEST, **{field: _flip(text, at)})
            with pytest.raises(InvalidSignatureException):
                _verify(changed)
    for at in range(len(REQUEST.body)):
        body = bytes(byte ^ (index == at) for index, byte in enumerate(REQUEST.body))
        with pytest.raises(InvalidSignatureException):
            _verify(replace(REQUEST, body=body))


def test_a_broken_escape_is_only_another_path() -> None:
    with pytest.raises(InvalidSignatureException):
        _verify(replace(REQUEST, path=REQUEST.path.replace("%3A", "%3")))


def test_another_secret_is_refused() -> None:
    with pytest.raises(InvalidSignatureException):
        _verify(REQUEST, secret=SECRET + "x")


def test_the_refusal_tells_what_should_have_been_signed() -> None:
    with pytest.raises(InvalidSignatureException) as refusal:
        _verify(replace(REQUEST, query=""))
    amz_date = REQUEST.headers["x-amz-date"]
    message = refusal.value.message
    assert message.startswith(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
        "Access Key and signing method. Consult the service documentation for details.\n\n"
        "The Canonical String for this request should have been\n"
        "'POST\n/2015-03-31/functions/f%253Ag/invocations\n\nhost:127.0.0.1:4566\n"
    )
    scope = f"AWS4-HMAC-SHA256\n{amz_date}\n{amz_date[:8]}/us-east-1/lambda/aws4_request\n"
    assert f"\n\nThe String-to-Sign should have been\n'{scope}" in message


def test_a_client_may_send_a_colon_bare_and_sign_it_encoded() -> None:
    _verify(replace(REQUEST, path=REQUEST.path.replace("%3A", ":")))


def test_headers_are_compared_without_the_blanks_around_them() -> None:
    _verify(_changed(REQUEST, host="  127.0.0.1:4566 "))


def test_the_order_of_the_query_does_not_matter() -> None:
    request = _signed("lambda", "ListFunctions", {"MaxItems": 5, "Marker": "m"})
    reordered = "&".join(reversed(request.query.split("&")))
    assert reordered != request.query
    _verify(replace(request, query=reordered))


@pytest.mark.parametrize("later_s", [-300, 300])
def test_clocks_may_be_five_minutes_apart(later_s: float) -> None:
    _verify(REQUEST, later_s=later_s)


def _compact(epoch_s: float) -> str:
    return to_iso(from_text(str(epoch_s))).replace("-", "").replace(":", "")


def test_a_signature_that_is_too_old_is_refused() -> None:
    signed_s = _signing_time_s(_authorization(REQUEST))
    with pytest.raises(InvalidSignatureException) as refusal:
        _verify(REQUEST, later_s=301)
    assert refusal.value.message == (
        f"Signature expired: {_compact(signed_s)} is now earlier than {_compact(signed_s + 1)} "
        f"({_compact(signed_s + 301)} - 5 min.)"
    )


def test_a_signature_from_the_future_is_refused() -> None:
    signed_s = _signing_time_s(_authorization(REQUEST))
    with pytest.raises(InvalidSignatureException) as refusal:
        _verify(REQUEST, later_s=-301)
    assert refusal.value.message == (
        f"Signature not yet current: {_compact(signed_s)} is still later than {_compact(signed_s - 1)} "
        f"({_compact(signed_s - 301)} + 5 min.)"
    )


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    with pytest.raises(RequestExpired):
        _verify(PRESIGNED, later_s=61)


def test_a_request_without_signature_has_no_authorization() -> None:
    assert parse_authorization(HttpRequest(method="GET", path="/", query="a=b", headers={}, body=b"")) is None


def _parse_header(authorization: str, **headers: str) -> Authorization | None:
    given = {
        "authorization": authorization,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return parse_authorization(HttpRequest(method="GET", path="/", query="", headers=given, body=b""))


DATE = "20260102T030405Z"
SCOPE = "AKID/20260102/us-east-1/lambda/aws4_request"


@pytest.mark.parametrize(
    ("authorization", "date", "message"),
    [
        (
            "Bearer token",
            None,
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            "parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires "
            "existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=Bearer token",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host",
            DATE,
            "Authorization header requires 'Signature' parameter. "
            f"Authorization=AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKID/lambda, SignedHeaders=host, Signature=aa",
            DATE,
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            "got 'AKID/lambda'",
        ),
        (
            f"AWS4-ECDSA Credential={SCOPE}, SignedHeaders=host, Signature=aa",
            DATE,
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=aa",
            "2026-01-02",
            "Date must be in ISO-8601 'basic format'. Got '2026-01-02'. See http://en.wikipedia.org/wiki/ISO_8601",
        ),
    ],
)
def test_a_malformed_header_is_refused_with_what_is_missing(
    authorization: str, date: str | None, message: str
) -> None:
    with pytest.raises(IncompleteSignatureException) as refusal:
        _parse_header(authorization, **({} if date is None else {"x_amz_date": date}))
    assert refusal.value.message == message


def test_a_date_header_does_as_well() -> None:
    authorization = _parse_header(
        f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders=host;date,Signature=aa",
        date="Fri, 02 Jan 2026 03:04:05 GMT",
    )
    assert authorization is not None
    assert authorization.amz_date == DATE


def test_a_presigned_query_is_refused_with_what_is_missing() -> None:
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + SCOPE.replace("/", "%2F")
    with pytest.raises(IncompleteSignatureException) as refusal:
        parse_authorization(HttpRequest(method="GET", path="/", query=query, headers={}, body=b""))
    assert refusal.value.message == (
        "AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string parameters must include "
        "'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. "
        "Re-examine the query-string parameters."
    )


def test_two_signatures_are_one_too_many() -> None:
    both = replace(PRESIGNED, headers={**PRESIGNED.headers, "authorization": "AWS4-HMAC-SHA256"})
    with pytest.raises(InvalidSignatureException, match="Found both"):
        parse_authorization(both)


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        (
            "AKID/20260102/us-east-1/lambda/aws5",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'. ",
        ),
        (
            "AKID/20260103/us-east-1/lambda/aws4_request",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'20260103' != '20260102', from '{DATE}'.",
        ),
    ],
)
def test_a_wrong_scope_is_refused(scope: str, message: str) -> None:
    authorization = _parse_header(
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=aa", x_amz_date=DATE
    )
    assert authorization is not None
    with pytest.raises(InvalidSignatureException) as refusal:
        verify(REQUEST, authorization, SECRET, to_unix(from_text("2026-01-02T03:04:05Z")))
    assert refusal.value.message == message


def test_the_host_must_be_signed() -> None:
    unhosted = replace(_authorization(REQUEST), signed_headers=("x-amz-date",))
    with pytest.raises(InvalidSignatureException, match="'Host' or ':authority' must be a 'SignedHeader'"):
        verify(REQUEST, unhosted, SECRET, _signing_time_s(unhosted))


def test_the_session_token_is_told_from_header_and_query() -> None:
    signed = _changed(REQUEST, **{"x-amz-security-token": "token"})
    assert _authorization(signed).session_token == "token"
    presigned = replace(PRESIGNED, query=PRESIGNED.query + "&X-Amz-Security-Token=to%2Fken")
    assert _authorization(presigned).session_token == "to/ken"
