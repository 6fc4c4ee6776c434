"""Functions: create, look at, list, reconfigure, delete.

Publishing is in `versions`, code in `code`, states in `states`; this family tells the story of each operation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.code_link import code_link
from lambent.domain.function import Function, FunctionKey, FunctionVersion
from lambent.domain.limits import LIST_FUNCTIONS_MAX
from lambent.services import Members
from lambent.services.lambda_.activations import Activations
from lambent.services.lambda_.code import content_of
from lambent.services.lambda_.code_storage import CodeStorage
from lambent.services.lambda_.configuration import (
    configuration_of,
    new_version,
    summary_of,
    updating,
    with_settings,
)
from lambent.services.lambda_.names import Target, not_found, resolve, resolve_new
from lambent.services.lambda_.pages import Place, decode_marker, encode_marker, number_of, place_of
from lambent.services.lambda_.records import Records, already_exists
from lambent.services.lambda_.roles import ExecutionRoles
from lambent.services.lambda_.rules import check_configuration, check_creation, check_tags
from lambent.services.lambda_.states import check_updatable, with_update
from lambent.services.lambda_.versions import (
    all_versions,
    refuse_publish_to,
    version_named,
    with_published,
    without_version,
)


class FunctionOperations:
    """The operations on functions as a whole.

    Args:
        secret: signs the links to deployment packages.
    """

    def __init__(
        self,
        *,
        records: Records,
        code_storage: CodeStorage,
        roles: ExecutionRoles,
        activations: Activations,
        clock: Clock,
        secret: bytes,
    ) -> None:
        self._records = records
        self._code_storage = code_storage
        self._roles = roles
        self._activations = activations
        self._clock = clock
        self._secret = secret

    async def create_function(self, call: Call, parameters: Members) -> Members:
        """Create a function (API page CreateFunction); it becomes active in the background.

        Raises:
            ResourceConflictException: there is one of that name.
            InvalidParameterValueException: a parameter or the package is not acceptable.
            RequestEntityTooLargeException: the zip is over 50 MB.
            CodeStorageExceededException: the account's code storage is full.
        """
        key = resolve_new(call, parameters["FunctionName"])
        check_creation(parameters)
        check_configuration(parameters, region=call.region)
        check_tags(parameters.get("Tags", {}))
        refuse_publish_to(parameters)
        content = content_of(parameters["Code"])
        await self._roles.check(call, parameters["Role"])
        if await self._records.get(key) is not None:
            raise already_exists(key)
        self._code_storage.check_room(call.account, call.region, len(content))
        async with self._code_storage.holding(content) as code:
            latest = new_version(key, code, parameters, now=last_modified(self._clock.now_s()))
            function = Function(key=key, latest=latest, tags=dict(parameters.get("Tags", {})))
            if parameters.get("Publish"):
                function = with_published(function)
            await self._records.create(function)
            self._activations.begin(function)
        shown = function.versions["1"] if parameters.get("Publish") else latest
        return configuration_of(shown, is_qualified=False)

    async def get_function(self, call: Call, parameters: Members) -> Members:
        """Return configuration, a link to the code, tags and concurrency (API page GetFunction).

        Raises:
            ResourceNotFoundException: no such function or version.
        """
        target, function, version = await self._find(call, parameters, "GetFunction")
        location = code_link(
            self._secret, version.code.blob, endpoint_url=call.endpoint_url, now_s=self._clock.now_s()
        )
        result: dict[str, Any] = {
            "Configuration": configuration_of(version, is_qualified=target.qualifier is not None),
            "Code": {"RepositoryType": "S3", "Location": location},
        }
        if function.tags:
            result["Tags"] = dict(function.tags)
        if function.reserved_concurrency is not None:
            result["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
        return result

    async def get_function_configuration(self, call: Call, parameters: Members) -> Members:
        """Return the configuration of a function or version (API page GetFunctionConfiguration).

        Raises:
            ResourceNotFoundException: no such function or version.
        """
        target, _, version = await self._find(call, parameters, "GetFunctionConfiguration")
        return configuration_of(version, is_qualified=target.qualifier is not None)

    async def list_functions(self, call: Call, parameters: Members) -> Members:
        """Return the account's functions in a region, at most 50 a page (API page ListFunctions).

        Raises:
            InvalidParameterValueException: the marker is not one of ours.
        """
        is_all = parameters.get("FunctionVersion") == "ALL"
        if parameters.get("MasterRegion", "ALL") != "ALL":
            return {"Functions": []}  # Replicas of Lambda@Edge functions; there are none.
        limit = min(parameters.get("MaxItems") or LIST_FUNCTIONS_MAX, LIST_FUNCTIONS_MAX)
        page: list[FunctionVersion] = []
        async for version in self._versions_after(call, parameters.get("Marker"), is_all=is_all):
            if len(page) == limit:
                return {
                    "Functions": [summary_of(shown, is_qualified=is_all) for shown in page],
                    "NextMarker": encode_marker(place_of(page[-1])),
                }
            page.append(version)
        return {"Functions": [summary_of(version, is_qualified=is_all) for version in page]}

    async def update_function_configuration(self, call: Call, parameters: Members) -> Members:
        """Change ``$LATEST``'s configuration (API page UpdateFunctionConfiguration).

        Raises:
            ResourceNotFoundException: no such function.
            ResourceConflictException: it is being created or updated.
            PreconditionFailedException: the revision id is not the current one.
            InvalidParameterValueException: a parameter is not acceptable.
        """
        target = resolve(call, parameters["FunctionName"], operation="UpdateFunctionConfiguration")
        if await self._records.get(target.key) is None:
            raise not_found(target.key.arn)
        check_configuration(parameters, region=call.region)
        if "Role" in parameters:
            await self._roles.check(call, parameters["Role"])
        now = last_modified(self._clock.now_s())
        changed = await self._records.change(
            target.key, partial(_with_configuration, parameters=parameters, now=now)
        )
        if changed is None:
            raise not_found(target.key.arn)
        self._activations.begin(changed[1])
        return configuration_of(changed[1].latest, is_qualified=False)

    async def delete_function(self, call: Call, parameters: Members) -> Members:
        """Delete a function, or one published version of it (API page DeleteFunction).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: ``$LATEST`` or an alias is named.
        """
        target = resolve(
            call, parameters["FunctionName"], parameters.get("Qualifier"), operation="DeleteFunction"
        )
        if target.qualifier is None:
            deleted = await self._records.delete(target.key) is not None
        else:
            change = partial(without_version, qualifier=target.qualifier)
            deleted = await self._records.change(target.key, change) is not None
        if not deleted:
            raise not_found(target.key.arn)
        self._activations.retire(target.key)
        return {"StatusCode": 204}

    async def _find(
        self, call: Call, parameters: Members, operation: str
    ) -> tuple[Target, Function, FunctionVersion]:
        target = resolve(call, parameters["FunctionName"], parameters.get("Qualifier"), operation=operation)
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        return target, function, version_named(function, target)

    async def _versions_after(
        self, call: Call, marker: str | None, *, is_all: bool
    ) -> AsyncIterator[FunctionVersion]:
        place = decode_marker(marker) if marker else Place(name="")
        if is_all and place.name:
            key = FunctionKey(account=call.account, region=call.region, name=place.name)
            unfinished = await self._records.get(key)
            for version in all_versions(unfinished) if unfinished else ():
                if number_of(version) > place.number:
                    yield version
        async for function in self._records.functions_of(call.account, call.region, after=place.name):
            for version in all_versions(function) if is_all else (function.latest,):
                yield version


def _with_configuration(function: Function, *, parameters: Members, now: str) -> Function:
    check_updatable(function, parameters.get("RevisionId"))
    return with_update(function, updating(with_settings(function.latest, parameters), now=now))
