"""The way of a request, on one screen: route → authenticate → parse → authorize → operation → serialize."""

from __future__ import annotations

import dataclasses
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import InternalFailure, NotImplemented_, RequestEntityTooLargeException, ServiceError
from lambent.gateway.auth import Caller
from lambent.gateway.authorization import Asked, Authorization
from lambent.gateway.own import OwnPaths
from lambent.services import OperationMethod
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.model import Api
from lambent.wire.parse import parse
from lambent.wire.route import Route, Router
from lambent.wire.serialize import serialize, serialize_error
from lambent.wire.validate import validate

_log = logging.getLogger(__name__)

BODY_MAX_BYTES = 70_167_211
"""The largest request that any operation takes: AWS's limit for CreateFunction."""
_REQUEST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_RESPONSE_HEADERS = "ResponseHeaders"
"""Reserved key of a result: headers beyond AWS's model."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Authentication(Protocol):
    """Finds out who asks."""

    async def authenticate(self, request: HttpRequest) -> Caller:
        """Return the caller, or raise a ServiceError."""
        ...


class Dispatch:
    """The ASGI application."""

    def __init__(
        self,
        *,
        apis: Mapping[str, Api],
        services: Mapping[str, Mapping[str, OperationMethod]],
        authentication: Authentication,
        own_paths: OwnPaths,
        clock: Clock,
        authorization: Authorization | None = None,
    ) -> None:
        """Make the application.

        Args:
            apis: the compiled models, by service.
            services: the operations served, by service and method name.
            authentication: says who asks.
            own_paths: answers what lies under ``/_lambent``.
            clock: the time.
            authorization: says who may do what; None: everybody everything that services allow by themselves.
        """
        self._authorization = authorization
        self._router = Router(list(apis.values()))
        self._apis = list(apis.values())
        self._default_api = apis["lambda"]
        self._services = services
        self._authentication = authentication
        self._own_paths = own_paths
        self._clock = clock

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        read = await _read(scope, receive)
        if read is None:
            return
        request, is_complete = read
        if request.path.startswith("/_lambent/"):
            response = await self._own_paths.answer(request)
        else:
            response = await self._answer(scope, request, is_complete=is_complete)
        await _write(send, response, is_head=request.method == "HEAD")

    async def _answer(
        self, scope: Mapping[str, Any], request: HttpRequest, *, is_complete: bool
    ) -> HttpResponse:
        request_id = _request_id(request)
        route: Route | None = None
        try:
            route = self._router.route(request)
            if not is_complete:
                # Before the signature is looked at: it covers a body that is not kept.
                raise _too_large(route)
            caller = await self._authentication.authenticate(request)
            parameters = parse(route, request)
            validate(route.operation, parameters)
            call = self._call(scope, request, caller, request_id)
            if self._authorization is not None:
                asked = _asked(route, call, parameters, caller=caller, scope=scope)
                admitted = await self._authorization.admit(asked)
                call = call if admitted is None else dataclasses.replace(call, admitted_account=admitted)
            result = dict(await self._method_of(route)(call, parameters))
            headers: Mapping[str, str] = result.pop(_RESPONSE_HEADERS, {})
            response = serialize(route.operation, result, request_id)
            response.headers.extend(headers.items())
        except ServiceError as error:
            return self._refuse(route, request, error, request_id)
        except Exception:
            _log.exception("Request %s failed: %s %s", request_id, request.method, request.path)
            return self._refuse(route, request, InternalFailure("An internal error occurred."), request_id)
        return response

    def _method_of(self, route: Route) -> OperationMethod:
        api, operation = route.operation.api, route.operation
        method = self._services.get(api.service, {}).get(operation.method_name)
        if method is None:
            raise NotImplemented_(f"Lambent does not serve {api.service}:{operation.name} yet.")
        return method

    def _call(self, scope: Mapping[str, Any], request: HttpRequest, caller: Caller, request_id: str) -> Call:
        host = request.headers.get("host") or "{}:{}".format(*(scope.get("server") or ("localhost", 80)))
        return Call(
            account=caller.account,
            region=caller.region,
            request_id=request_id,
            access_key_id=caller.access_key_id,
            principal=caller.principal,
            endpoint_url=f"{scope.get('scheme', 'http')}://{host}",
            at_s=self._clock.now_s(),
            headers=request.headers,
        )

    def _refuse(
        self, route: Route | None, request: HttpRequest, error: ServiceError, request_id: str
    ) -> HttpResponse:
        if route is not None:
            return serialize_error(route.operation.api, route.operation, error, request_id)
        api = self._router.api_of(request) or self._api_like(request)
        return serialize_error(api, None, error, request_id)

    def _api_like(self, request: HttpRequest) -> Api:
        """Return an API of the protocol that a request for an unknown service seems to speak."""
        protocol = "rest-json"
        if "x-amz-target" in request.headers:
            protocol = "json"
        elif request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            protocol = "query"
        return next((api for api in self._apis if api.protocol == protocol), self._default_api)


def _asked(
    route: Route, call: Call, parameters: Mapping[str, Any], *, caller: Caller, scope: Mapping[str, Any]
) -> Asked:
    client = scope.get("client")
    return Asked(
        service=route.operation.api.service,
        operation=route.operation.name,
        call=call,
        parameters=parameters,
        session=caller.session,
        source_ip=client[0] if client else "",
    )


def _request_id(request: HttpRequest) -> str:
    """A request id that the client sent is adopted when it has the form of one, as at AWS."""
    offered = request.headers.get("x-amzn-requestid", "")
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered
    # As `str(uuid.uuid4())`, at a fifth of its cost.
    digits = f"{random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _too_large(route: Route) -> ServiceError:
    return RequestEntityTooLargeException(
        f"Request must be smaller than {BODY_MAX_BYTES} bytes for the {route.operation.name} operation"
    )


async def _read(scope: Mapping[str, Any], receive: Receive) -> tuple[HttpRequest, bool] | None:
    """Return the request and whether its body was within the limit (else it is left out).

    None: the client went away in the middle of it, and half a request must not be acted on.
    """
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body: bytes = message.get("body", b"")
        size += len(body)
        if size <= BODY_MAX_BYTES:
            parts.append(body)
        else:
            # Read on, so that the client gets to read its answer, but keep nothing.
            parts.clear()
        if not message.get("more_body"):
            break
    request = HttpRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=_headers(scope["headers"]),
        body=b"".join(parts),
    )
    return request, size <= BODY_MAX_BYTES


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


async def _write(send: Send, response: HttpResponse, *, is_head: bool) -> None:
    headers = [(name.lower().encode("latin-1"), _header_value(value)) for name, value in response.headers]
    headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else response.body})


def _header_value(value: str) -> bytes:
    # Whatever a message holds, a header is one line of latin-1.
    return value.replace("\r", " ").replace("\n", " ").encode("latin-1", "replace")
