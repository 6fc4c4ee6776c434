"""Function URLs: an HTTP address for a function or for one of its aliases.

The configuration is here, stored with the function. Requests to a URL are answered by the front door, which
finds the function by the URL's id (`lambent.store.function_urls`).
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.clock import Clock, iso_us
from lambent.domain.call import Call
from lambent.domain.function import LATEST, Function, FunctionKey
from lambent.domain.function_url import FunctionUrl, function_url
from lambent.domain.limits import LIST_FUNCTIONS_MAX
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ValidationException,
)
from lambent.services import Members
from lambent.services.lambda_.names import Target, resolve
from lambent.services.lambda_.pages import decode_text_marker, encode_text_marker
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.tenancy import refuse_tenancy
from lambent.services.lambda_.versions import version_named

_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 32
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "*"})
_PATTERN_TEXT = r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"


class UrlOperations:
    """The operations on function URLs."""

    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def create_function_url_config(self, call: Call, parameters: Members) -> Members:
        """Give a function or an alias an address (API page CreateFunctionUrlConfig).

        Raises:
            ResourceNotFoundException: no such function or alias.
            ResourceConflictException: it has one.
            ValidationException: a version is named; only functions and aliases have addresses.
            InvalidParameterValueException: Cors names no origins or no methods, or the function's tenants are
                isolated.
        """
        target = _target(call, parameters, "CreateFunctionUrlConfig")
        _check_cors(parameters)
        now = iso_us(self._clock.now_s())
        url = FunctionUrl(
            id="".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH)),
            auth_type=parameters["AuthType"],
            invoke_mode=parameters.get("InvokeMode"),
            cors=parameters.get("Cors") or None,
            created=now,
            last_modified=now,
        )
        changed = await self._records.change(target.key, partial(_with_new, target=target, url=url))
        if changed is None:
            raise _no_function()
        shown = _members(call, target.key, _place(target), url)
        del shown["LastModifiedTime"]
        return shown

    async def get_function_url_config(self, call: Call, parameters: Members) -> Members:
        """Return the configuration of a function URL (API page GetFunctionUrlConfig).

        Raises:
            ResourceNotFoundException: no such function, or it has no URL.
        """
        target = _target(call, parameters, "GetFunctionUrlConfig")
        function = await self._records.get(target.key)
        if function is None:
            raise _no_url()
        return _whole(_members(call, target.key, _place(target), _url_of(function, target)))

    async def update_function_url_config(self, call: Call, parameters: Members) -> Members:
        """Change what is given of a function URL's configuration (API page UpdateFunctionUrlConfig).

        Raises:
            ResourceNotFoundException: no such function or alias, or it has no URL.
        """
        target = _target(call, parameters, "UpdateFunctionUrlConfig")
        _check_cors(parameters)
        now = iso_us(self._clock.now_s())
        changed = await self._records.change(
            target.key, partial(_with_changed, target=target, parameters=parameters, now=now)
        )
        if changed is None:
            raise _no_function()
        return _members(call, target.key, _place(target), _url_of(changed[1], target))

    async def delete_function_url_config(self, call: Call, parameters: Members) -> Members:
        """Take a function's or alias's address away for good (API page DeleteFunctionUrlConfig).

        Raises:
            ResourceNotFoundException: no such function, or it has no URL.
        """
        target = _target(call, parameters, "DeleteFunctionUrlConfig")
        if await self._records.change(target.key, partial(_without, target=target)) is None:
            raise _no_url()
        return {}

    async def list_function_url_configs(self, call: Call, parameters: Members) -> Members:
        """Return the URLs of a function and its aliases (API page ListFunctionUrlConfigs).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the marker is not one of ours.
        """
        target = resolve(call, parameters["FunctionName"], operation="ListFunctionUrlConfigs")
        function = await self._records.get(target.key)
        if function is None:
            raise _no_function()
        after = decode_text_marker(parameters["Marker"]) if parameters.get("Marker") else ""
        places = [place for place in sorted(function.urls) if place > after]
        limit = parameters.get("MaxItems") or LIST_FUNCTIONS_MAX
        result: dict[str, Any] = {
            "FunctionUrlConfigs": [
                _whole(_members(call, target.key, place, function.urls[place])) for place in places[:limit]
            ]
        }
        if len(places) > limit:
            result["NextMarker"] = encode_text_marker(places[limit - 1])
        return result


def _target(call: Call, parameters: Members, operation: str) -> Target:
    target = resolve(call, parameters["FunctionName"], parameters.get("Qualifier"), operation=operation)
    if target.qualifier is not None and (target.qualifier == LATEST or target.qualifier.isdecimal()):
        raise ValidationException(
            f"1 validation error detected: Value '{target.qualifier}' at 'qualifier' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {_PATTERN_TEXT}"
        )
    return target


def _check_cors(parameters: Members) -> None:
    """An empty Cors turns it off; any other one names origins, and methods that there are."""
    cors: Mapping[str, Any] = parameters.get("Cors") or {}
    if cors and not cors.get("AllowOrigins"):
        raise InvalidParameterValueException("You can't leave AllowOrigins as empty when Cors is enabled.")
    methods: Sequence[str] = cors.get("AllowMethods", ())
    if "*" in methods and len(methods) > 1:
        raise InvalidParameterValueException(
            "You can't specify additional fields for AllowMethods because you already specified the wildcard "
            "character (*)."
        )
    for method in methods:
        if method.upper() not in _METHODS:
            raise InvalidParameterValueException(
                f"AllowMethods cannot contain {method}. You can use GET, PUT, POST, DELETE, HEAD, PATCH, and the "
                "wildcard character (*)."
            )


def _place(target: Target) -> str:
    return target.qualifier or LATEST


def _with_new(function: Function, *, target: Target, url: FunctionUrl) -> Function:
    if _place(target) in function.urls:
        raise ResourceConflictException(
            f"Failed to create function url config for [functionArn = {target.arn}]. Error message:  "
            "FunctionUrlConfig exists for this Lambda function"
        )
    _check_alias(function, target)
    refuse_tenancy(function.latest, "Function URLs are")
    return replace(function, urls={**function.urls, _place(target): url})


def _with_changed(function: Function, *, target: Target, parameters: Members, now: str) -> Function:
    _check_alias(function, target)
    url = _url_of(function, target)
    changed = replace(
        url,
        auth_type=parameters.get("AuthType", url.auth_type),
        invoke_mode=parameters.get("InvokeMode", url.invoke_mode),
        cors=(parameters["Cors"] or None) if "Cors" in parameters else url.cors,
        last_modified=now,
    )
    return replace(function, urls={**function.urls, _place(target): changed})


def _without(function: Function, *, target: Target) -> Function:
    _url_of(function, target)
    return replace(
        function, urls={place: url for place, url in function.urls.items() if place != _place(target)}
    )


def _check_alias(function: Function, target: Target) -> None:
    try:
        version_named(function, target)
    except ResourceNotFoundException as error:
        raise _no_function() from error


def _url_of(function: Function, target: Target) -> FunctionUrl:
    url = function.urls.get(_place(target))
    if url is None:
        raise _no_url()
    return url


def _members(call: Call, key: FunctionKey, place: str, url: FunctionUrl) -> dict[str, Any]:
    members: dict[str, Any] = {
        "FunctionUrl": function_url(url.id, region=key.region, endpoint_url=call.endpoint_url),
        "FunctionArn": key.arn if place == LATEST else key.qualified_arn(place),
        "AuthType": url.auth_type,
        "Cors": url.cors,
        "CreationTime": url.created,
        "LastModifiedTime": url.last_modified,
        "InvokeMode": url.invoke_mode,
    }
    return {name: value for name, value in members.items() if value is not None}


def _whole(members: Mapping[str, Any]) -> dict[str, Any]:
    """Add the mode that was never set: Get and List show it, Create and Update do not."""
    return {"InvokeMode": "BUFFERED", **members}


def _no_function() -> ResourceNotFoundException:
    return ResourceNotFoundException("Function does not exist")


def _no_url() -> ResourceNotFoundException:
    return ResourceNotFoundException("The resource you requested does not exist.")
