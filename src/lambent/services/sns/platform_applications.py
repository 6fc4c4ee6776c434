"""Platform applications and their endpoints: kept and shown; what is sent to them goes to the log."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lambent.domain.call import Call
from lambent.domain.page_token import token_after
from lambent.domain.platform_application import (
    PLATFORMS,
    PlatformApplication,
    PlatformEndpoint,
    application_key,
    endpoint_key,
)
from lambent.services import Members
from lambent.services.sns.errors import NotFoundException, invalid
from lambent.services.sns.lookup import PAGE_MAX, check_arn_length, check_owner, key_after
from lambent.store.platform_applications import PlatformApplications

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_ENDPOINT_ATTRIBUTES = frozenset({"CustomUserData", "Enabled", "Token", "UserId"})
_USER_DATA_MAX = 2_048


class PlatformOperations:
    """The operations on platform applications and endpoints."""

    def __init__(self, *, applications: PlatformApplications) -> None:
        self._applications = applications
        self._registering = asyncio.Lock()
        """Held while a device is looked for and registered, so that it is once."""

    async def create_platform_application(self, call: Call, parameters: Members) -> Members:
        """Make an application, or renew what it signs in with (API page CreatePlatformApplication).

        Raises:
            InvalidParameterException: name or platform cannot be.
        """
        name, platform = parameters["Name"], parameters["Platform"]
        if not _NAME.fullmatch(name):
            raise invalid("Name", f"invalid value: {name}")
        if platform not in PLATFORMS:
            raise invalid("Platform", f"{platform} is not supported")
        application = PlatformApplication(
            account=call.account,
            region=call.region,
            platform=platform,
            name=name,
            attributes=parameters["Attributes"],
        )
        await self._applications.put(application)
        return {"PlatformApplicationArn": application.arn}

    async def get_platform_application_attributes(self, call: Call, parameters: Members) -> Members:
        """Return an application's attributes (API page GetPlatformApplicationAttributes).

        Raises:
            NotFoundException: there is none.
        """
        return {"Attributes": (await self._application(call, parameters)).shown}

    async def set_platform_application_attributes(self, call: Call, parameters: Members) -> Members:
        """Change an application's attributes (API page SetPlatformApplicationAttributes).

        Raises:
            NotFoundException: there is none.
        """
        application = await self._application(call, parameters)
        attributes = {**application.attributes, **parameters["Attributes"]}
        await self._applications.put(replace(application, attributes=attributes))
        return {}

    async def list_platform_applications(self, call: Call, parameters: Members) -> Members:
        """Return the applications of account and region, 100 at a time (API page ListPlatformApplications).

        Raises:
            InvalidParameterException: the token is none of ours.
        """
        after = key_after(parameters.get("NextToken"))
        found = await self._applications.list(call.account, call.region, after=after, limit=PAGE_MAX + 1)
        shown = [{"PlatformApplicationArn": one.arn, "Attributes": one.shown} for one in found[:PAGE_MAX]]
        return {"PlatformApplications": shown, **_next(found)}

    async def delete_platform_application(self, call: Call, parameters: Members) -> Members:
        """Forget an application and its endpoints; none is no error (API page DeletePlatformApplication).

        Raises:
            InvalidParameterException: it is no application's ARN.
        """
        await self._applications.delete(_application_key(call, parameters))
        return {}

    async def create_platform_endpoint(self, call: Call, parameters: Members) -> Members:
        """Register a device; one that is registered alike is no error (API page CreatePlatformEndpoint).

        Raises:
            NotFoundException: there is no such application.
            InvalidParameterException: an attribute cannot be, or the device is registered with others.
        """
        application = await self._application(call, parameters)
        given = dict[str, str](parameters.get("Attributes") or {})
        if parameters.get("CustomUserData") is not None:
            given["CustomUserData"] = parameters["CustomUserData"]
        given = _checked({**given, "Token": parameters["Token"]})
        made = PlatformEndpoint(
            application_key=application.key,
            id=str(uuid.uuid4()),
            attributes={"Enabled": "true", **given},
        )
        async with self._registering:
            known = await self._applications.endpoint_of(application.key, given["Token"])
            if known is None:
                await self._applications.put_endpoint(made)
                return {"EndpointArn": made.arn}
        if any(known.attributes.get(name) != value for name, value in given.items()):
            raise invalid(
                "Token", f"Endpoint {known.arn} already exists with the same Token, but different attributes."
            )
        return {"EndpointArn": known.arn}

    async def get_endpoint_attributes(self, call: Call, parameters: Members) -> Members:
        """Return an endpoint's attributes (API page GetEndpointAttributes).

        Raises:
            NotFoundException: there is none.
        """
        return {"Attributes": dict((await self._endpoint(call, parameters)).attributes)}

    async def set_endpoint_attributes(self, call: Call, parameters: Members) -> Members:
        """Change an endpoint's attributes (API page SetEndpointAttributes).

        Raises:
            NotFoundException: there is none.
            InvalidParameterException: an attribute cannot be.
        """
        endpoint = await self._endpoint(call, parameters)
        attributes = {**endpoint.attributes, **_checked(parameters["Attributes"])}
        await self._applications.put_endpoint(replace(endpoint, attributes=attributes))
        return {}

    async def list_endpoints_by_platform_application(self, call: Call, parameters: Members) -> Members:
        """Return an application's endpoints, 100 at a time (API page ListEndpointsByPlatformApplication).

        Raises:
            NotFoundException: there is no such application.
            InvalidParameterException: the token is none of ours.
        """
        application = await self._application(call, parameters)
        after = key_after(parameters.get("NextToken"))
        found = await self._applications.endpoints(application.key, after=after, limit=PAGE_MAX + 1)
        shown = [{"EndpointArn": one.arn, "Attributes": dict(one.attributes)} for one in found[:PAGE_MAX]]
        return {"Endpoints": shown, **_next(found)}

    async def delete_endpoint(self, call: Call, parameters: Members) -> Members:
        """Forget an endpoint; none is no error (API page DeleteEndpoint).

        Raises:
            InvalidParameterException: it is no endpoint's ARN.
        """
        await self._applications.delete_endpoint(_endpoint_key(call, parameters))
        return {}

    async def _application(self, call: Call, parameters: Members) -> PlatformApplication:
        found = await self._applications.get(_application_key(call, parameters))
        if found is None:
            raise NotFoundException("PlatformApplication does not exist")
        return found

    async def _endpoint(self, call: Call, parameters: Members) -> PlatformEndpoint:
        found = await self._applications.endpoint(_endpoint_key(call, parameters))
        if found is None:
            raise NotFoundException("Endpoint does not exist")
        return found


def _application_key(call: Call, parameters: Members) -> str:
    arn: str = parameters["PlatformApplicationArn"]
    check_arn_length(arn, "PlatformApplicationArn")
    key = application_key(arn)
    if key is None:
        raise invalid("PlatformApplicationArn", "Wrong number of slashes in relative portion of the ARN.")
    check_owner(call, arn)
    return key


def _endpoint_key(call: Call, parameters: Members) -> str:
    arn: str = parameters["EndpointArn"]
    check_arn_length(arn, "EndpointArn")
    key = endpoint_key(arn)
    if key is None:
        raise invalid("EndpointArn", "Wrong number of slashes in relative portion of the ARN.")
    check_owner(call, arn)
    return key


def _checked(given: Mapping[str, str]) -> dict[str, str]:
    for name in given:
        if name not in _ENDPOINT_ATTRIBUTES:
            raise invalid("Attributes", f"Invalid attribute name: {name}")
    after = dict(given)
    if "Enabled" in after:
        after["Enabled"] = after["Enabled"].lower()
        if after["Enabled"] not in ("true", "false"):
            raise invalid("Attributes", "Enabled: must be true or false")
    if not after.get("Token", "-"):
        raise invalid("Token", "must not be empty")
    if len(after.get("CustomUserData", "").encode()) > _USER_DATA_MAX:
        raise invalid("CustomUserData", f"must be at most {_USER_DATA_MAX} bytes long in UTF-8 encoding")
    return after


def _next(found: list[Any]) -> dict[str, str]:
    return {"NextToken": token_after(found[PAGE_MAX - 1].key)} if len(found) > PAGE_MAX else {}
