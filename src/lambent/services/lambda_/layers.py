"""Layers: publish, look at, list, delete. Who else may use them is in `layer_permissions`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.code_link import code_link
from lambent.domain.function import Code
from lambent.domain.layer import Layer, LayerKey, LayerVersion
from lambent.domain.limits import LIST_FUNCTIONS_MAX
from lambent.errors import AccessDeniedException, InvalidParameterValueException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.lambda_.code_sources import CodeSources
from lambent.services.lambda_.layer_records import LayerRecords, version_named
from lambent.services.lambda_.pages import Place, decode_marker, encode_marker, page_by_name


class LayerOperations:
    """The operations on layers and their versions.

    Args:
        secret: signs the links to layer archives.
    """

    def __init__(self, *, records: LayerRecords, sources: CodeSources, clock: Clock, secret: bytes) -> None:
        self._records = records
        self._sources = sources
        self._clock = clock
        self._secret = secret

    async def publish_layer_version(self, call: Call, parameters: Members) -> Members:
        """Publish an archive as the next version of a layer (API page PublishLayerVersion).

        Raises:
            InvalidParameterValueException: the archive is not acceptable.
            RequestEntityTooLargeException: the zip is over 50 MB.
            CodeStorageExceededException: the account's code storage is full.
        """
        key = _layer_target(call, parameters["LayerName"], "PublishLayerVersion")
        created = last_modified(self._clock.now_s())
        async with self._sources.deploying(call, parameters["Content"]) as deployed:
            layer = await self._records.change(
                key, partial(_published, code=deployed.code, parameters=parameters, created=created)
            )
        return self._members(call, key, layer.versions[layer.last_published])

    async def get_layer_version(self, call: Call, parameters: Members) -> Members:
        """Return a layer version with a link to its archive (API page GetLayerVersion).

        Raises:
            ResourceNotFoundException: no such layer version.
            InvalidParameterValueException: versions begin with 1.
        """
        key, number = layer_version_target(call, parameters, "GetLayerVersion")
        return await self._found(call, key, number)

    async def get_layer_version_by_arn(self, call: Call, parameters: Members) -> Members:
        """Return the layer version with an ARN (API page GetLayerVersionByArn).

        Raises:
            ResourceNotFoundException: no such layer version.
        """
        named = version_named(parameters["Arn"])
        if named is None:
            raise _no_such_resource()
        key, number = named
        _check_place(call, key, "GetLayerVersion")
        return await self._found(call, key, number)

    async def list_layers(self, call: Call, parameters: Members) -> Members:
        """Return the layers with their newest versions that are compatible as asked (API page ListLayers)."""
        newest: dict[str, dict[str, Any]] = {}
        for layer in await self._records.list(call.account, call.region):
            version = next(_matching(layer, parameters), None)
            if version is not None:
                newest[layer.key.name] = {
                    "LayerName": layer.key.name,
                    "LayerArn": layer.key.arn,
                    "LatestMatchingVersion": _summary(layer.key, version),
                }
        page, more = page_by_name(newest, parameters)
        return {"Layers": page, **more}

    async def list_layer_versions(self, call: Call, parameters: Members) -> Members:
        """Return a layer's versions that are compatible as asked, newest first (API page ListLayerVersions).

        Raises:
            InvalidParameterValueException: the marker is not one of ours.
        """
        key = _layer_target(call, parameters["LayerName"], "ListLayerVersions")
        layer = await self._records.get(key) or Layer(key=key)
        versions = list(_matching(layer, parameters))
        if marker := parameters.get("Marker"):
            before = decode_marker(marker).number
            versions = [version for version in versions if version.number < before]
        limit = min(parameters.get("MaxItems") or LIST_FUNCTIONS_MAX, LIST_FUNCTIONS_MAX)
        page = versions[:limit]
        result: dict[str, Any] = {"LayerVersions": [_summary(key, version) for version in page]}
        if len(versions) > limit:
            result["NextMarker"] = encode_marker(Place(name=key.name, number=page[-1].number))
        return result

    async def delete_layer_version(self, call: Call, parameters: Members) -> Members:
        """Delete a layer version; functions that have it keep it (API page DeleteLayerVersion).

        Raises:
            InvalidParameterValueException: versions begin with 1.
        """
        key, number = layer_version_target(call, parameters, "DeleteLayerVersion")
        await self._records.change(key, partial(_without, number=number))
        return {}

    async def _found(self, call: Call, key: LayerKey, number: int) -> Members:
        layer = await self._records.get(key)
        version = layer.versions.get(number) if layer else None
        if version is None:
            raise _no_such_resource()
        return self._members(call, key, version)

    def _members(self, call: Call, key: LayerKey, version: LayerVersion) -> dict[str, Any]:
        location = code_link(
            self._secret, version.code.blob, endpoint_url=call.endpoint_url, now_s=self._clock.now_s()
        )
        content = {
            "Location": location,
            "CodeSha256": version.code.sha256,
            "CodeSize": version.code.size_bytes,
            **({"ResolvedS3Object": dict(version.code.s3_object)} if version.code.s3_object else {}),
        }
        return {"Content": content, "LayerArn": key.arn, **_summary(key, version)}


def layer_version_target(call: Call, parameters: Members, operation: str) -> tuple[LayerKey, int]:
    """Return the layer and the version number that a caller names; whether they exist is not asked here.

    Raises:
        InvalidParameterValueException: versions begin with 1.
        ResourceNotFoundException: the layer's ARN names another region.
        AccessDeniedException: it names another account.
    """
    number = parameters["VersionNumber"]
    if number < 1:
        raise InvalidParameterValueException("Layer Version Cannot be less than 1")
    return _layer_target(call, parameters["LayerName"], operation), number


def _layer_target(call: Call, name: str, operation: str) -> LayerKey:
    parsed = parse_arn(name)
    if parsed is None:
        return LayerKey(account=call.account, region=call.region, name=name)
    key = LayerKey(account=parsed.account, region=parsed.region, name=parsed.resource.removeprefix("layer:"))
    _check_place(call, key, operation)
    return key


def _check_place(call: Call, key: LayerKey, operation: str) -> None:
    if key.region != call.region:
        raise ResourceNotFoundException(
            f"Layers from '{key.region}' are not reachable in this region ('{call.region}')"
        )
    if key.account not in (call.account, call.admitted_account):
        raise AccessDeniedException(
            f"User: {call.principal.arn} is not authorized to perform: lambda:{operation} on resource: "
            f"{key.arn} because no resource-based policy allows the lambda:{operation} action"
        )


def _published(layer: Layer, *, code: Code, parameters: Members, created: str) -> Layer:
    number = layer.last_published + 1
    version = LayerVersion(
        number=number,
        code=code,
        created=created,
        description=parameters.get("Description", ""),
        license=parameters.get("LicenseInfo"),
        runtimes=tuple(parameters.get("CompatibleRuntimes", ())),
        architectures=tuple(parameters.get("CompatibleArchitectures", ())),
    )
    return replace(layer, versions={**layer.versions, number: version}, last_published=number)


def _without(layer: Layer, *, number: int) -> Layer:
    if number not in layer.versions:
        return layer
    kept = {other: version for other, version in layer.versions.items() if other != number}
    return replace(layer, versions=kept)


def _matching(layer: Layer, parameters: Members) -> Iterator[LayerVersion]:
    """Yield the versions that say to be compatible with what is asked for, newest first."""
    runtime, architecture = parameters.get("CompatibleRuntime"), parameters.get("CompatibleArchitecture")
    for number in sorted(layer.versions, reverse=True):
        version = layer.versions[number]
        if (runtime is None or runtime in version.runtimes) and (
            architecture is None or architecture in version.architectures
        ):
            yield version


def _summary(key: LayerKey, version: LayerVersion) -> dict[str, Any]:
    members = {
        "LayerVersionArn": key.version_arn(version.number),
        "Version": version.number,
        "Description": version.description,
        "CreatedDate": version.created,
        "CompatibleArchitectures": list(version.architectures),
        "CompatibleRuntimes": list(version.runtimes),
    }
    return members | ({"LicenseInfo": version.license} if version.license is not None else {})


def _no_such_resource() -> ResourceNotFoundException:
    return ResourceNotFoundException("The resource you requested does not exist.")
