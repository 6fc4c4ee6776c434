"""Whatever arrives, the wire answers with an error of AWS or with parameters, never with an exception of its own."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.errors import ServiceError
from lambent.wire.http import HttpRequest
from lambent.wire.model import Operation
from lambent.wire.parse import parse
from lambent.wire.scope import credential_scope
from lambent.wire.serialize import serialize_error
from lambent.wire.sigv4 import parse_authorization, verify
from lambent.wire.validate import validate
from wire import oracle

ROUTER = oracle.router(*oracle.SERVED)
OPERATIONS = {
    f"{name}.{operation}": oracle.api(name).operations[operation]
    for name in oracle.SERVED
    for operation in oracle.api(name).operations
}
BOUNDED = settings(max_examples=150, deadline=None, derandomize=True, database=None)

latin = st.text(st.characters(max_codepoint=255), max_size=60)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


def _walk(request: HttpRequest) -> None:
    """What the gateway does with a request, up to the operation itself."""
    with contextlib.suppress(ServiceError):
        credential_scope(request)
        authorization = parse_authorization(request)
        if authorization is not None:
            verify(request, authorization, "secret", 1_767_323_045.0)
    api = ROUTER.api_of(request) or oracle.api("lambda")
    try:
        route = ROUTER.route(request)
        validate(route.operation, parse(route, request))
    except ServiceError as error:
        response = serialize_error(api, None, error, "id")
        assert 400 <= response.status <= 599
        assert response.body


@BOUNDED
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "BREW"]),
    path=latin.map("/".__add__)
    | st.sampled_from(["/", "//", "/2015-03-31/functions/%FF", "/2018-10-31/layers"]),
    query=latin,
    headers=st.dictionaries(
        st.sampled_from(["authorization", "x-amz-target", "content-type", "x-amz-date", "host"])
        | latin.map(str.lower),
        latin | st.sampled_from(["application/x-www-form-urlencoded", "Logs_20140328.PutLogEvents"]),
        max_size=5,
    ),
    body=st.binary(max_size=200),
)
def test_any_bytes_at_all(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
    _walk(HttpRequest(method=method, path=path, query=query, headers=headers, body=body))


def _member_names(operation: Operation) -> list[str]:
    return [*(operation.traits.input.members if operation.traits.input is not None else ()), "Nonsense"]


@BOUNDED
@given(data=st.data(), value=json_value)
def test_any_json_where_an_operation_expects_its_own(data: st.DataObject, value: Any) -> None:
    operation = OPERATIONS[data.draw(st.sampled_from(sorted(OPERATIONS)))]
    names = data.draw(st.lists(st.sampled_from(_member_names(operation)), max_size=4))
    members = {name: data.draw(json_value) for name in names}
    body = json.dumps(members or value).encode()
    headers = {"x-amz-target": f"{operation.api.target_prefix}.{operation.name}"}
    path = operation.traits.uri if operation.api.protocol == "rest-json" else "/"
    _walk(HttpRequest(method=operation.traits.method, path=path, query="", headers=headers, body=body))


@BOUNDED
@given(data=st.data())
def test_any_form_where_an_action_expects_its_own(data: st.DataObject) -> None:
    operation = oracle.api("iam").operations[data.draw(st.sampled_from(sorted(oracle.api("iam").operations)))]
    part = st.sampled_from(["member", "entry", "1", "2", "-1", "key", "value", "Key", "Value", "", "x"])
    name = st.sampled_from(_member_names(operation))
    key = st.tuples(name, st.lists(part, max_size=5)).map(lambda drawn: ".".join([drawn[0], *drawn[1]]))
    pairs = data.draw(st.lists(st.tuples(key, latin), max_size=8))
    form = "&".join([f"Action={operation.name}", *(f"{name}={value}" for name, value in pairs)])
    headers = {"content-type": "application/x-www-form-urlencoded"}
    _walk(HttpRequest(method="POST", path="/", query="", headers=headers, body=form.encode()))


@BOUNDED
@given(
    credential=latin,
    signed_headers=latin,
    signature=latin,
    date=latin | st.just("20260102T030405Z"),
    query=latin,
)
def test_any_signature(credential: str, signed_headers: str, signature: str, date: str, query: str) -> None:
    header = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed_headers}, Signature={signature}"
    )
    scoped = header.replace(credential, "AKID/20260102/us-east-1/iam/aws4_request")
    for authorization in (header, scoped):
        headers = {"authorization": authorization, "x-amz-date": date}
        _walk(HttpRequest(method="GET", path="/", query=query, headers=headers, body=b""))


def test_json_nested_without_end_is_refused() -> None:
    headers = {"x-amz-target": "Logs_20140328.PutLogEvents"}
    for body in (b"[" * 100_000, b'{"logEvents":' * 50_000):
        _walk(HttpRequest(method="POST", path="/", query="", headers=headers, body=body))
