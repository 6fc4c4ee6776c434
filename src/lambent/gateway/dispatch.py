"""The way of a request, on one screen: route → authenticate → parse → authorize → operation → serialize."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Coroutine, Mapping
from typing import Any, NoReturn, Protocol

import msgspec

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import (
    InternalFailure,
    MissingAuthenticationTokenException,
    NotImplemented_,
    RequestEntityTooLargeException,
    ServiceError,
    ServiceException,
)
from lambent.gateway import connection
from lambent.gateway.auth import ANYBODY, Caller
from lambent.gateway.authorization import Asked, Authorization
from lambent.gateway.own import OwnPaths
from lambent.gateway.requirements import WITHOUT_SIGNATURE
from lambent.gateway.urls import URL_LABEL, FunctionUrls
from lambent.own_log import is_disk_full
from lambent.services import OperationMethod
from lambent.wire.http import HttpRequest, HttpResponse
from lambent.wire.model import Api, Operation
from lambent.wire.parse import read
from lambent.wire.route import Route, Router
from lambent.wire.scope import Scope
from lambent.wire.serialize import serialize, serialize_error

_log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UUID_RANDOM = ~(0xF << 76 | 0x3 << 62)
_UUID_4 = 0x4 << 76 | 0x2 << 62
"""The bits of a random UUID, and those that say that it is one (RFC 9562, 5.4)."""
_FAILURES: Mapping[str, type[ServiceError]] = {"lambda": ServiceException}
"""What a failure of ours is called by services that have a word of their own for it."""
_RESPONSE_HEADERS = "ResponseHeaders"
"""Reserved key of a result: headers beyond AWS's model."""


class Authentication(Protocol):
    """Finds out who asks."""

    def known(self, request: HttpRequest, scope: Scope | None) -> Caller | None:
        """Return the caller where that can be told at once; None: ask `authenticate`.

        Args:
            request: what is asked.
            scope: the credential scope that it claims.
        """
        ...

    async def authenticate(self, request: HttpRequest) -> Caller:
        """Return the caller, or raise a ServiceError."""
        ...


class Dispatch:
    """Answers every request that comes through the front door."""

    def __init__(
        self,
        *,
        apis: Mapping[str, Api],
        services: Mapping[str, Mapping[str, OperationMethod]],
        authentication: Authentication,
        own_paths: OwnPaths,
        clock: Clock,
        authorization: Authorization | None = None,
        function_urls: FunctionUrls | None = None,
    ) -> None:
        """Make the application.

        Args:
            apis: the compiled models, by service.
            services: the operations served, by service and method name.
            authentication: says who asks.
            own_paths: answers what lies under ``/_lambent``.
            clock: the time.
            authorization: says who may do what; None: everybody everything that services allow by themselves.
            function_urls: answers at the addresses of functions; None: there are none.
        """
        self._function_urls = function_urls
        self._authorization = authorization
        self._router = Router(list(apis.values()))
        self._apis = list(apis.values())
        self._default_api = apis["lambda"]
        self._methods = {
            operation: services.get(api.service, {}).get(operation.method_name)
            for api in apis.values()
            for operation in api.operations.values()
        }
        self._authentication = authentication
        self._own_paths = own_paths
        self._clock = clock

    def answer(self, request: HttpRequest) -> Coroutine[Any, Any, HttpResponse]:
        """Return the answer to any request."""
        is_own = request.path.startswith("/_lambent/")
        urls = self._function_urls
        is_near = is_own or URL_LABEL in request.headers.get("host", "").lower()
        if is_near and urls is not None and (place := urls.place_of(request)) is not None:
            return urls.answer(request, place)
        return self._own_paths.answer(request) if is_own else self._answer(request)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        request_id = _request_id(request)
        route: Route | None = None
        try:
            route = self._router.route(request)
            if not request.is_complete:
                # Before the signature is looked at: it covers a body that is not kept.
                raise _too_large(route)
            caller = self._authentication.known(request, route.scope) or await self._caller(route, request)
            parameters = read(route, request)
            call = self._call(request, caller, request_id)
            authorization = self._authorization
            if authorization is not None and not authorization.is_free(
                route.operation.api.service, caller.account, parameters
            ):
                asked = _asked(route, call, parameters, caller=caller, request=request)
                admitted = await authorization.admit(asked)
                call = call if admitted is None else msgspec.structs.replace(call, admitted_account=admitted)
            operation = route.operation
            method = self._methods[operation] or _not_served(operation)
            result = dict(await method(call, parameters))
            headers: Mapping[str, str] = result.pop(_RESPONSE_HEADERS, {})
            response = serialize(operation, result, request_id)
            response.headers.extend(headers.items())
        except ServiceError as error:
            return self._refuse(route, request, error, request_id)
        except Exception as error:
            return self._refuse(route, request, _failure(error, route, request, request_id), request_id)
        return response

    async def _caller(self, route: Route, request: HttpRequest) -> Caller:
        try:
            return await self._authentication.authenticate(request)
        except MissingAuthenticationTokenException:
            if (route.operation.api.service, route.operation.name) in WITHOUT_SIGNATURE:
                return ANYBODY
            raise

    def _call(self, request: HttpRequest, caller: Caller, request_id: str) -> Call:
        host = request.headers.get("host")
        return Call(
            account=caller.account,
            region=caller.region,
            request_id=request_id,
            access_key_id=caller.access_key_id,
            principal=caller.principal,
            endpoint_url=f"http://{host}" if host else request.base_url,
            at_s=self._clock.now_s(),
            headers=request.headers,
            gone=request.gone,
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


def _not_served(operation: Operation) -> NoReturn:
    raise NotImplemented_(f"Lambent does not serve {operation.api.service}:{operation.name} yet.")


def _asked(
    route: Route, call: Call, parameters: Mapping[str, Any], *, caller: Caller, request: HttpRequest
) -> Asked:
    return Asked(
        service=route.operation.api.service,
        operation=route.operation.name,
        call=call,
        parameters=parameters,
        session=caller.session,
        source_ip=request.client_address,
    )


def _failure(error: Exception, route: Route | None, request: HttpRequest, request_id: str) -> ServiceError:
    """Log what kept a request from its answer, and return what its caller is told."""
    kind = InternalFailure if route is None else _FAILURES.get(route.operation.api.service, InternalFailure)
    if is_disk_full(error):
        _log.error("Request %s failed: there is no space left in the data directory.", request_id)
        return kind("There is no space left in the data directory.")
    _log.error("Request %s failed: %s %s", request_id, request.method, request.path, exc_info=error)
    return kind("An internal error occurred.")


def _request_id(request: HttpRequest) -> str:
    """A request id that the client sent is adopted when it has the form of one, as at AWS."""
    offered = request.headers.get("x-amzn-requestid", "")
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered
    # As `str(uuid.uuid4())`, at a fifth of its cost.
    digits = f"{random.getrandbits(128) & _UUID_RANDOM | _UUID_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _too_large(route: Route) -> ServiceError:
    return RequestEntityTooLargeException(
        f"Request must be smaller than {connection.BODY_MAX_BYTES} bytes for the {route.operation.name} operation"
    )
