"""Function URLs: requests to an address that belongs to one function, answered by that function.

An address is known by its host, ``<id>.lambda-url.<region>.<domain>``; for clients that cannot resolve such
names, ``/_lambent/url/<id>/…`` is the same address. What is said in which format is `domain.url_payload`'s.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.function import LATEST, Function, FunctionKey
from lambent.domain.function_url import FunctionUrl, UrlOwner
from lambent.domain.invocation import Outcome
from lambent.domain.limits import SYNC_PAYLOAD_MAX_BYTES
from lambent.domain.policy import Policies, Request, Requester, decide, parse_policy
from lambent.domain.queued_event import QueuedEvent
from lambent.domain.trace import Trace, trace_of
from lambent.domain.url_payload import (
    JSON,
    BadResponse,
    UrlRequest,
    UrlResponse,
    cors_headers,
    event_of,
    response_of,
)
from lambent.errors import ServiceError
from lambent.gateway.auth import Caller
from lambent.gateway.authorization import Asked, Authorization
from lambent.gateway.url_streams import UrlBody, answer_of
from lambent.invoke.queue import Invoke, PrepareAttempt
from lambent.invoke.streamed import Streamed
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.scope import credential_scope

_log = logging.getLogger(__name__)
_PATH_FORM = re.compile(r"/_lambent/url/([a-z0-9]{32})(/.*)?", re.DOTALL)
_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
_ACTION = "InvokeFunctionUrl"
URL_LABEL = ".lambda-url."
"""What the hosts of all addresses have in them."""

Stream = Callable[..., Awaitable[Streamed]]
FindOwner = Callable[[str], Awaitable[UrlOwner | None]]
GetFunction = Callable[[FunctionKey], Awaitable[Function | None]]
Authenticate = Callable[[HttpRequest], Awaitable[Caller]]


_Answer = tuple[UrlResponse, UrlBody | None]
"""A response, and what is sent instead of its body when that is streamed."""


class _Forbidden(Exception):
    """The caller may not use this address."""


class FunctionUrls:
    """Answers requests to function URLs."""

    def __init__(
        self,
        *,
        find_owner: FindOwner,
        get_function: GetFunction,
        prepare: PrepareAttempt,
        invoke: Invoke,
        stream: Stream,
        authenticate: Authenticate,
        authorization: Authorization,
        clock: Clock,
        domain: str,
    ) -> None:
        """Make it.

        Args:
            find_owner: finds what an address belongs to.
            get_function: finds a function.
            prepare: makes an invocation of a function as it is now.
            invoke: the path of every invocation.
            stream: the same for addresses whose answers are streamed.
            authenticate: finds out whose a signature is.
            authorization: weighs policies, for addresses that ask for signatures.
            clock: the time.
            domain: what the hosts of addresses end with.
        """
        self._find_owner = find_owner
        self._get_function = get_function
        self._prepare = prepare
        self._invoke = invoke
        self._stream = stream
        self._authenticate = authenticate
        self._authorization = authorization
        self._clock = clock
        self._host = re.compile(rf"([a-z0-9]{{32}})\.lambda-url\.[a-z0-9-]+\.{re.escape(domain)}(:\d+)?")
        self._domain = domain

    def place_of(self, request: HttpRequest) -> tuple[str, str] | None:
        """Return the id of the address that a request is for, and the path there; None when it is for none."""
        host = request.headers.get("host", "").lower()
        if URL_LABEL in host and (match := self._host.fullmatch(host)) is not None:
            return match[1], request.path
        if request.path.startswith("/_lambent/url/") and (match := _PATH_FORM.fullmatch(request.path)):
            return match[1], match[2] or "/"
        return None

    async def answer(self, request: HttpRequest, place: tuple[str, str]) -> HttpResponse:
        """Return the answer to one request."""
        request_id = str(uuid.uuid4())
        trace = trace_of(request.headers.get("x-amzn-trace-id", ""), at_s=self._clock.now_s())
        body: UrlBody | None = None
        try:
            response, body = await self._answer(request, place, request_id, trace)
        except _Forbidden:
            response = _error(403, _FORBIDDEN, "AccessDeniedException", member="Message")
        except ServiceError as error:
            response = _error(error.status, error.message, error.error_code)
        except Exception:
            _log.exception("Request %s to a function URL failed.", request_id)
            response = _text(500, "Internal Server Error")
        headers = [*response.headers, ("x-amzn-requestid", request_id), ("x-amzn-trace-id", trace.for_caller)]
        return HttpResponse(status=response.status, headers=headers, body=response.body, stream=body)

    async def _answer(
        self, request: HttpRequest, place: tuple[str, str], request_id: str, trace: Trace
    ) -> _Answer:
        owner = await self._find_owner(place[0])
        function = await self._get_function(_key(owner)) if owner else None
        url = function.urls.get((owner.qualifier if owner else None) or LATEST) if function else None
        if owner is None or function is None or url is None:
            raise _Forbidden
        origin = request.headers.get("origin", "")
        if url.cors and request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return UrlResponse(
                status=200, headers=tuple(cors_headers(url.cors, origin, is_preflight=True))
            ), None
        if not request.is_complete:
            return _too_large(), None
        arrived = urlsplit(request.base_url)
        event = UrlRequest(
            url_id=place[0],
            domain_name=f"{place[0]}.lambda-url.{owner.region}.{self._domain}",
            method=request.method,
            path=place[1],
            query=request.query,
            headers=request.headers,
            body=request.body,
            source_ip=request.client_address,
            port=str(arrived.port or ""),
            scheme=arrived.scheme,
            request_id=request_id,
            trace_header=trace.for_caller,
            at_s=self._clock.now_s(),
        )
        event = await self._admitted(request, event, function, owner, url)
        response, body = await self._run(
            event, owner, trace, is_streamed=url.invoke_mode == "RESPONSE_STREAM"
        )
        if url.cors:
            response = _with_cors(response, cors_headers(url.cors, origin, is_preflight=False))
        return response, body

    async def _admitted(
        self, request: HttpRequest, event: UrlRequest, function: Function, owner: UrlOwner, url: FunctionUrl
    ) -> UrlRequest:
        """Return the event with whoever signed it, if they may use the address."""
        if url.auth_type == "NONE":
            if not _is_public(function, owner):
                raise _Forbidden
            return event
        if credential_scope(request) is None:
            raise _Forbidden
        try:
            caller = await self._authenticate(request)
            await self._authorization.admit(self._asked(request, event, caller, owner))
        except ServiceError as error:
            raise _Forbidden from error
        iam = {
            "accessKey": caller.access_key_id,
            "accountId": caller.account,
            "callerId": caller.principal.user_id,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": caller.principal.arn,
            "userId": caller.principal.user_id,
        }
        return replace(event, account=caller.account, authorizer=iam)

    def _asked(self, request: HttpRequest, event: UrlRequest, caller: Caller, owner: UrlOwner) -> Asked:
        call = Call(
            account=caller.account,
            region=owner.region,
            request_id=event.request_id,
            access_key_id=caller.access_key_id,
            principal=caller.principal,
            endpoint_url="",
            at_s=event.at_s,
            headers=request.headers,
        )
        return Asked(
            service="lambda",
            operation=_ACTION,
            call=call,
            parameters={"FunctionName": _arn(owner), "FunctionUrlAuthType": "AWS_IAM"},
            session=caller.session,
            source_ip=event.source_ip,
        )

    async def _run(self, request: UrlRequest, owner: UrlOwner, trace: Trace, *, is_streamed: bool) -> _Answer:
        payload = event_of(request)
        if len(payload) > SYNC_PAYLOAD_MAX_BYTES:
            return _too_large(), None
        event = QueuedEvent(
            request_id=request.request_id,
            key=_key(owner),
            qualifier=owner.qualifier,
            trace_header=str(trace),
            accepted_s=request.at_s,
            source="url",
        )
        attempt = await self._prepare(event, payload)
        if attempt is None:
            raise _Forbidden
        if attempt.is_recursive:
            return _error(400, "The function is in a recursive loop.", "RecursiveInvocationException"), None
        limits: dict[str, Any] = {
            "reserved_concurrency": attempt.reserved_concurrency,
            "provisioned_concurrency": attempt.provisioned_concurrency,
            "unreserved_concurrency": attempt.unreserved_concurrency,
        }
        try:
            if is_streamed:
                # What the function answers as a whole is a response in format 2.0, as it is everywhere else.
                found = await answer_of(
                    await self._stream(attempt.invocation, takes_everything=False, **limits)
                )
                if not isinstance(found, Outcome):
                    return found
                outcome = found
            else:
                outcome = await self._invoke(attempt.invocation, **limits)
            if outcome.function_error is None:
                return response_of(outcome.payload), None
        except BadResponse as error:
            _log.warning("%s answered what is no response: %s", event.invoked_arn, error)
        return _text(502, "Internal Server Error"), None


def _key(owner: UrlOwner) -> FunctionKey:
    return FunctionKey(account=owner.account, region=owner.region, name=owner.name)


def _arn(owner: UrlOwner) -> str:
    key = _key(owner)
    return key.qualified_arn(owner.qualifier) if owner.qualifier else key.arn


def _is_public(function: Function, owner: UrlOwner) -> bool:
    """Whether the function's policy opens its address to everybody, without which nobody gets in."""
    policy = function.policies.get(owner.qualifier or LATEST)
    if policy is None:
        return False
    request = Request(
        requester=Requester(account=""),
        action=f"lambda:{_ACTION}",
        resource=_arn(owner),
        resource_account=owner.account,
        context={"lambda:functionurlauthtype": ("NONE",)},
    )
    parsed = parse_policy(policy.text, name="resource policy", type="resource")
    return decide(request, Policies(identity=None, resource=(parsed,))).is_allowed


def _with_cors(response: UrlResponse, headers: list[tuple[str, str]]) -> UrlResponse:
    """The address's own headers take the place of the function's."""
    kept = [header for header in response.headers if not header[0].startswith("access-control-")]
    return replace(response, headers=(*kept, *headers))


def _text(status: int, text: str) -> UrlResponse:
    return UrlResponse(status=status, headers=(("content-type", "text/plain"),), body=text.encode())


def _too_large() -> UrlResponse:
    return _error(413, f"Request must be smaller than {SYNC_PAYLOAD_MAX_BYTES} bytes", "RequestTooLarge")


def _error(status: int, message: str, code: str, *, member: str = "message") -> UrlResponse:
    headers: Mapping[str, str] = {"content-type": JSON, "x-amzn-errortype": code}
    body: Any = {member: message}
    return UrlResponse(
        status=status, headers=tuple(headers.items()), body=json.dumps(body, separators=(",", ":")).encode()
    )
