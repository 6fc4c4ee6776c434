"""Which operation of which service a request asks for.

By the credential scope first, because it names the service; a request without credentials is routed where
``X-Amz-Target``, ``Action`` or the path decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

from lambent.errors import InvalidAction, UnknownOperationException
from lambent.wire.deviations import DEVIATIONS, Deviations
from lambent.wire.http import HttpRequest
from lambent.wire.model import Api, Operation
from lambent.wire.paths import PathTable
from lambent.wire.scope import Scope, credential_of, credential_scope, scope_of

_FORM = "application/x-www-form-urlencoded"
_LONGEST_NAME = 200
_REMEMBERED_MAX = 4096
_REMEMBERED_MAX_LENGTH = 768
"""Characters of path, query, credential and target."""


class Route(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The operation that a request asks for, the decoded labels of its path, and the credential scope it claims."""

    operation: Operation
    path_params: Mapping[str, str]
    scope: Scope | None = None


class Router:
    """The one table of all APIs that are served; built once, then only read."""

    def __init__(self, apis: Sequence[Api]) -> None:
        self._by_signing_name: dict[str, list[Api]] = {}
        for api in apis:
            self._by_signing_name.setdefault(api.signing_name, []).append(api)
        self._apis = list(apis)
        self._by_target_prefix = {api.target_prefix: api for api in apis if api.target_prefix}
        # The same is asked for by the same callers again and again: a function's path is where its invocations go.
        self._remembered = lru_cache(maxsize=_REMEMBERED_MAX)(self._route_by_head)
        self._paths = {id(api): _path_table(api) for api in apis if api.protocol.startswith("rest-")}

    def route(self, request: HttpRequest) -> Route:
        """Return the route of a request.

        Raises:
            UnknownOperationException: no operation of any service matches.
            InvalidAction: a service of the query protocol is known, the action is not.
        """
        credential = credential_of(request)
        target = request.headers.get("x-amz-target", "")
        if len(request.path) + len(request.query) + len(credential) + len(target) <= _REMEMBERED_MAX_LENGTH:
            known = self._remembered(request.method, request.path, request.query, credential, target)
            if known is not None:
                return known
        scope = scope_of(credential)
        if scope is None:
            return self._route_among(self._apis, request, None)
        apis = self._by_signing_name.get(scope[2])
        if apis is None:
            served = ", ".join(sorted(self._by_signing_name))
            raise UnknownOperationException(
                f"Unable to determine the service of this request: its credential scope names "
                f"{_short(scope[2])!r}, which is not served here (served: {served})."
            )
        return self._route_among(apis, request, scope)

    def api_of(self, request: HttpRequest) -> Api | None:
        """Return the API that a request is meant for, even if its operation is unknown.

        Errors about a request that found no route are written in that API's protocol.
        """
        if (scope := credential_scope(request)) is not None and (apis := self._by_signing_name.get(scope[2])):
            return _spoken(apis, request)
        if prefix := request.headers.get("x-amz-target", "").partition(".")[0]:
            return self._by_target_prefix.get(prefix)
        if "Action" in (form := _form(request)):
            return next(
                (api for api in self._apis if _is_query(api) and form["Action"] in api.operations), None
            )
        return None

    def _route_by_head(
        self, method: str, path: str, query: str, credential: str, target: str
    ) -> Route | None:
        scope = scope_of(credential)
        apis = self._apis if scope is None else self._by_signing_name.get(scope[2])
        if apis is None:
            return None
        found = self._find_path(apis, method, path, query, scope)
        return found if found is not None or not target else self._route_target(apis, target, scope)

    def _find_path(
        self, apis: Iterable[Api], method: str, path: str, query: str, scope: Scope | None
    ) -> Route | None:
        for api in apis:
            if (table := self._paths.get(id(api))) is not None:
                found = table.find(method, path, query)
                if found is not None:
                    return Route(operation=found[0], path_params=found[1], scope=scope)
        return None

    def _route_among(self, apis: list[Api], request: HttpRequest, scope: Scope | None) -> Route:
        found = self._find_path(apis, request.method, request.path, request.query, scope)
        if found is not None:
            return found
        if (target := request.headers.get("x-amz-target")) is not None:
            return self._route_target(apis, target, scope)
        form = _form(request)
        if (action := form.get("Action")) is not None:
            return _route_action(apis, action, form.get("Version"), scope)
        raise UnknownOperationException(
            f"Unable to determine the operation of {request.method} {_short(request.path)}: no path of "
            f"{_names(apis)} matches, and the request has neither X-Amz-Target nor Action."
        )

    def _route_target(self, apis: list[Api], target: str, scope: Scope | None) -> Route:
        prefix, _, name = target.rpartition(".")
        api = self._by_target_prefix.get(prefix)
        operation = api.operations.get(name) if api is not None and api in apis else None
        if operation is None:
            raise UnknownOperationException(
                f"Unable to determine the operation: {_names(apis)} has no target {_short(target)!r}."
            )
        return Route(operation=operation, path_params={}, scope=scope)


def _path_table(api: Api) -> PathTable[Operation]:
    return PathTable(
        (operation.traits.method, operation.traits.uri, operation) for operation in api.operations.values()
    )


def _spoken(apis: Sequence[Api], request: HttpRequest) -> Api:
    """Return the API of a service whose protocol a request speaks, as well as one can tell."""
    if len(apis) > 1 and "x-amz-target" not in request.headers and "Action" in _form(request):
        return next((api for api in apis if _is_query(api)), apis[0])
    return apis[0]


def _is_query(api: Api) -> bool:
    return api.protocol == "query"


def _route_action(apis: list[Api], action: str, version: str | None, scope: Scope | None) -> Route:
    for api in apis:
        if _is_query(api) and (version is None or version == api.api_version) and action in api.operations:
            return Route(operation=api.operations[action], path_params={}, scope=scope)
    told = DEVIATIONS.get(apis[0].service, Deviations()).unknown_action
    if told is not None:
        raise InvalidAction(told.format(action=_short(action)))
    wanted = version if version is not None else "NO_VERSION_SPECIFIED"
    raise InvalidAction(f"Could not find operation {_short(action)} for version {_short(wanted)}")


def _form(request: HttpRequest) -> dict[str, str]:
    """Return what a query-protocol request may be known by, from the query string and the form."""
    pairs: list[tuple[str, str]] = []
    if "Action=" in request.query:
        pairs += parse_qsl(request.query)
    if request.headers.get("content-type", "").startswith(_FORM):
        pairs += parse_qsl(request.body.decode("utf-8", "replace"))
    return {name: value for name, value in pairs if name in ("Action", "Version")}


def _names(apis: list[Api]) -> str:
    return ", ".join(api.service for api in apis)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[:_LONGEST_NAME] + "…"
