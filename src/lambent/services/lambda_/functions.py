"""Functions: create, look at, list, reconfigure, delete.

Publishing is in `versions`, code in `code`, states in `states`; this family tells the story of each operation.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.code_link import code_link
from lambent.domain.function import AttachedLayer, Function, FunctionKey, FunctionVersion
from lambent.domain.limits import LIST_FUNCTIONS_MAX
from lambent.services import Members
from lambent.services.lambda_.activations import Activations
from lambent.services.lambda_.capacity_providers import provider_named
from lambent.services.lambda_.code_signing import CodeSigning
from lambent.services.lambda_.code_sources import CodeSources, check_source
from lambent.services.lambda_.configuration import (
    configuration_of,
    new_version,
    summary_of,
    updating,
    with_settings,
)
from lambent.services.lambda_.images import IMAGE, ZIP, image_location
from lambent.services.lambda_.layer_records import LayerRecords
from lambent.services.lambda_.managed_instances import (
    CONFIG,
    complete,
    provider_arn,
    refuse_to_make_managed,
)
from lambent.services.lambda_.names import Target, not_found, resolve, resolve_latest, resolve_new
from lambent.services.lambda_.pages import Place, decode_marker, encode_marker, number_of, place_of
from lambent.services.lambda_.provisioning import Provisioning
from lambent.services.lambda_.records import Records, already_exists
from lambent.services.lambda_.roles import ExecutionRoles
from lambent.services.lambda_.rules import (
    check_configuration,
    check_creation,
    check_tags,
    check_unzipped_size,
    refuse_other_kinds,
)
from lambent.services.lambda_.runtime_management import check_runtime_change
from lambent.services.lambda_.states import check_updatable, with_update
from lambent.services.lambda_.versions import (
    all_versions,
    published,
    published_version,
    version_named,
    without_version,
)
from lambent.store.capacity_providers import CapacityProviders


class FunctionOperations:
    """The operations on functions as a whole.

    Args:
        secret: signs the links to deployment packages.
    """

    def __init__(
        self,
        *,
        records: Records,
        sources: CodeSources,
        roles: ExecutionRoles,
        layers: LayerRecords,
        activations: Activations,
        provisioning: Provisioning,
        signing: CodeSigning,
        providers: CapacityProviders,
        clock: Clock,
        secret: bytes,
    ) -> None:
        self._records = records
        self._sources = sources
        self._roles = roles
        self._layers = layers
        self._activations = activations
        self._provisioning = provisioning
        self._signing = signing
        self._providers = providers
        self._clock = clock
        self._secret = secret

    async def create_function(self, call: Call, parameters: Members) -> Members:
        """Create a function (API page CreateFunction); it becomes active in the background.

        Raises:
            ResourceConflictException: there is one of that name.
            InvalidParameterValueException: a parameter or the package is not acceptable.
            RequestEntityTooLargeException: the zip is over 50 MB.
            CodeStorageExceededException: the account's code storage is full.
            CodeSigningConfigNotFoundException: there is no such code signing configuration.
            CodeVerificationFailedException: it does not trust the code.
            InvalidCodeSignatureException: the code is not what was signed.
        """
        key = resolve_new(call, parameters["FunctionName"])
        check_creation(parameters)
        check_configuration(parameters, region=call.region)
        check_tags(parameters.get("Tags", {}))
        package_type = parameters.get("PackageType", ZIP)
        if package_type == ZIP:
            check_source(parameters["Code"])
        layers = await self._layers.attach(call, parameters.get("Layers", ()))
        await self._roles.check(call, parameters["Role"])
        await self._check_provider(call, parameters)
        if await self._records.get(key) is not None:
            raise already_exists(key)
        async with self._sources.deploying(call, parameters["Code"], package_type=package_type) as deployed:
            check_unzipped_size(deployed.code, layers)
            now = last_modified(self._clock.now_s())
            latest = replace(new_version(key, deployed.code, parameters, now=now), layers=layers)
            function = Function(
                key=key,
                latest=latest,
                tags=dict(parameters.get("Tags", {})),
                code_signing_config_arn=parameters.get("CodeSigningConfigArn"),
            )
            if parameters.get("Publish"):
                function = published(function, parameters)
            async with self._signing.attaching(key, function.code_signing_config_arn):
                await self._signing.check(key, function.code_signing_config_arn, deployed.content, layers)
                await self._records.create(function)
            self._activations.begin(function)
        shown = published_version(function, parameters) if parameters.get("Publish") else latest
        return configuration_of(shown, is_qualified=False)

    async def _check_provider(self, call: Call, parameters: Members) -> None:
        """Check that the capacity provider exists on which a function is put.

        Raises:
            ResourceNotFoundException: it does not.
            ValidationException: none is named.
        """
        if CONFIG in parameters:
            await provider_named(self._providers, call, provider_arn(complete(parameters[CONFIG])))

    async def get_function(self, call: Call, parameters: Members) -> Members:
        """Return configuration, a link to the code, tags and concurrency (API page GetFunction).

        Raises:
            ResourceNotFoundException: no such function or version.
        """
        target, function, version = await self._find(call, parameters, "GetFunction")
        result: dict[str, Any] = {
            "Configuration": _configuration(target, version),
            "Code": self._location(call, version),
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
        return _configuration(target, version)

    async def list_functions(self, call: Call, parameters: Members) -> Members:
        """Return the account's functions in a region, at most 50 a page (API page ListFunctions).

        Raises:
            InvalidParameterValueException: the marker is not one of ours.
        """
        is_all = parameters.get("FunctionVersion") == "ALL"
        if parameters.get("MasterRegion", "ALL") != "ALL":
            return {"Functions": []}  # Replicas of Lambda@Edge functions; there are none.
        limit = min(parameters.get("MaxItems") or LIST_FUNCTIONS_MAX, LIST_FUNCTIONS_MAX)
        place = decode_marker(parameters["Marker"]) if parameters.get("Marker") else Place(name="")
        # One more than a page holds, to know whether there are more.
        found = await (self._versions_after if is_all else self._latest_after)(call, place, limit + 1)
        result: dict[str, Any] = {
            "Functions": [summary_of(version, is_qualified=is_all) for version in found[:limit]]
        }
        if len(found) > limit:
            result["NextMarker"] = encode_marker(place_of(found[limit - 1]))
        return result

    async def update_function_configuration(self, call: Call, parameters: Members) -> Members:
        """Change ``$LATEST``'s configuration (API page UpdateFunctionConfiguration).

        Raises:
            ResourceNotFoundException: no such function.
            ResourceConflictException: it is being created or updated.
            PreconditionFailedException: the revision id is not the current one.
            InvalidParameterValueException: a parameter is not acceptable.
        """
        target = resolve_latest(call, parameters["FunctionName"], operation="UpdateFunctionConfiguration")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        refuse_other_kinds(parameters)
        refuse_to_make_managed(function.latest, parameters)
        check_configuration(parameters, region=call.region)
        await self._check_provider(call, parameters)
        if "Role" in parameters:
            await self._roles.check(call, parameters["Role"])
        now = last_modified(self._clock.now_s())
        layers = await self._layers.attach(call, parameters["Layers"]) if "Layers" in parameters else None
        await self._signing.check(target.key, function.code_signing_config_arn, None, layers or ())
        changed = await self._records.change(
            target.key, partial(_with_configuration, parameters=parameters, layers=layers, now=now)
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
            ResourceConflictException: an alias points to the version.
        """
        target = resolve(
            call, parameters["FunctionName"], parameters.get("Qualifier"), operation="DeleteFunction"
        )
        if target.qualifier is None:
            if await self._records.delete(target.key) is None:
                raise not_found(target.key.arn)
            self._provisioning.release(target.key)
        else:
            change = partial(without_version, qualifier=target.qualifier)
            changed = await self._records.change(target.key, change)
            if changed is None:
                raise not_found(target.key.arn)
            self._provisioning.begin(changed[1])
        self._activations.retire(target.key, target.qualifier)
        return {"StatusCode": 204}

    def _location(self, call: Call, version: FunctionVersion) -> dict[str, Any]:
        if version.package_type == IMAGE:
            return image_location(version.code)
        link = code_link(
            self._secret, version.code.blob, endpoint_url=call.endpoint_url, now_s=self._clock.now_s()
        )
        found: dict[str, Any] = {"RepositoryType": "S3", "Location": link}
        if version.code.s3_object:
            found["ResolvedS3Object"] = dict(version.code.s3_object)
        if key := version.code.source_kms_key_arn:
            found["SourceKMSKeyArn"] = key
        return found

    async def _find(
        self, call: Call, parameters: Members, operation: str
    ) -> tuple[Target, Function, FunctionVersion]:
        target = resolve(call, parameters["FunctionName"], parameters.get("Qualifier"), operation=operation)
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        return target, function, version_named(function, target)

    async def _latest_after(self, call: Call, place: Place, count: int) -> list[FunctionVersion]:
        return await self._records.latest_of(call.account, call.region, after=place.name, limit=count)

    async def _versions_after(self, call: Call, place: Place, count: int) -> list[FunctionVersion]:
        versions: list[FunctionVersion] = []
        if place.name:
            key = FunctionKey(account=call.account, region=call.region, name=place.name)
            unfinished = await self._records.get(key)
            rest = all_versions(unfinished) if unfinished else []
            versions += [version for version in rest if number_of(version) > place.number]
        if len(versions) < count:
            async for function in self._records.functions_of(
                call.account, call.region, after=place.name, page_size=count
            ):
                versions += all_versions(function)
                if len(versions) >= count:
                    break
        return versions[:count]


def _configuration(target: Target, version: FunctionVersion) -> dict[str, Any]:
    """Return the configuration of a version under the ARN that it was asked for by, which may name an alias."""
    return {**configuration_of(version, is_qualified=False), "FunctionArn": target.arn}


def _with_configuration(
    function: Function, *, parameters: Members, layers: tuple[AttachedLayer, ...] | None, now: str
) -> Function:
    check_updatable(function, parameters.get("RevisionId"))
    check_runtime_change(function, parameters)
    latest = with_settings(function.latest, parameters)
    if layers is not None:
        check_unzipped_size(latest.code, layers)
        latest = replace(latest, layers=layers)
    return with_update(function, updating(latest, now=now))
