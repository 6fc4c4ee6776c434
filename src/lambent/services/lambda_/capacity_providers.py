"""Capacity providers: the control side of Lambda Managed Instances.

What is created here is kept and shown as on AWS, and nothing more: there are no instances to launch, so a provider
is ready as soon as it has been acknowledged. Functions on one are the affair of `managed_instances`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.capacity_provider import CapacityProvider
from lambent.domain.function import FunctionVersion
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.lambda_.errors import CapacityProviderLimitExceededException
from lambent.services.lambda_.managed_instances import CONFIG, is_managed, provider_arn
from lambent.services.lambda_.pages import (
    decode_marker,
    decode_text_marker,
    encode_marker,
    encode_text_marker,
    number_of,
    place_of,
)
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_tags
from lambent.services.lambda_.versions import all_versions
from lambent.store import RevisionConflict
from lambent.store.capacity_providers import CapacityProviders

PROVIDERS_MAX = 1_000
"""In a region (AWS page "Lambda quotas")."""
LIST_PROVIDERS_MAX = 50
_VCPUS_DEFAULT = 400
_ORDER = (
    "VpcConfig",
    "PermissionsConfig",
    "InstanceRequirements",
    "CapacityProviderScalingConfig",
    "KmsKeyArn",
    "PropagateTags",
    "TelemetryConfig",
)


class CapacityProviderOperations:
    """The operations on capacity providers."""

    def __init__(self, *, providers: CapacityProviders, records: Records, clock: Clock) -> None:
        self._providers = providers
        self._records = records
        self._clock = clock

    async def create_capacity_provider(self, call: Call, parameters: Members) -> Members:
        """Keep a new capacity provider (API page CreateCapacityProvider).

        Raises:
            ResourceConflictException: there is one of that name.
            CapacityProviderLimitExceededException: the account has as many as it may.
            InvalidParameterValueException: the tags or the scaling are not acceptable.
        """
        name = _name(call, parameters["CapacityProviderName"])
        _check_scaling(parameters.get("CapacityProviderScalingConfig", {}))
        check_tags(parameters.get("Tags", {}))
        provider = CapacityProvider(
            account=call.account,
            region=call.region,
            name=name,
            settings=_new_settings(parameters),
            state="Active",
            last_modified=last_modified(self._clock.now_s()),
            tags=dict(parameters.get("Tags", {})),
        )
        if await self._providers.get(call.account, call.region, name) is not None:
            raise _exists(provider)
        if len(await self._providers.list(call.account, call.region, limit=PROVIDERS_MAX)) >= PROVIDERS_MAX:
            raise CapacityProviderLimitExceededException(
                f"The number of capacity providers has reached the limit of {PROVIDERS_MAX}."
            )
        try:
            await self._providers.put(provider, expect_revision=0)
        except RevisionConflict as error:
            raise _exists(provider) from error
        return {"CapacityProvider": {**members_of(provider), "State": "Pending"}}

    async def get_capacity_provider(self, call: Call, parameters: Members) -> Members:
        """Return a capacity provider (API page GetCapacityProvider).

        Raises:
            ResourceNotFoundException: there is none of that name.
        """
        _, provider = await self._find(call, parameters)
        return {"CapacityProvider": members_of(provider)}

    async def list_capacity_providers(self, call: Call, parameters: Members) -> Members:
        """Return capacity providers, in a state if given, at most 50 a page (API page ListCapacityProviders).

        Raises:
            InvalidParameterValueException: the marker is not one of ours.
        """
        after = decode_text_marker(parameters["Marker"]) if parameters.get("Marker") else ""
        limit = min(parameters.get("MaxItems") or LIST_PROVIDERS_MAX, LIST_PROVIDERS_MAX)
        found = await self._providers.list(call.account, call.region, after=after, limit=PROVIDERS_MAX)
        page = [provider for provider in found if parameters.get("State", provider.state) == provider.state]
        result: dict[str, Any] = {"CapacityProviders": [members_of(provider) for provider in page[:limit]]}
        if len(page) > limit:
            result["NextMarker"] = encode_text_marker(page[limit - 1].name)
        return result

    async def update_capacity_provider(self, call: Call, parameters: Members) -> Members:
        """Change what is given of a capacity provider (API page UpdateCapacityProvider).

        Raises:
            ResourceNotFoundException: there is none of that name.
            ResourceConflictException: somebody else was changing it.
            InvalidParameterValueException: the scaling is not acceptable.
        """
        revision, provider = await self._find(call, parameters)
        settings = dict(provider.settings)
        for member in ("CapacityProviderScalingConfig", "PropagateTags", "TelemetryConfig"):
            if member in parameters:
                settings[member] = {**settings.get(member, {}), **parameters[member]}
        _check_scaling(settings["CapacityProviderScalingConfig"])
        after = replace(provider, settings=settings, last_modified=last_modified(self._clock.now_s()))
        try:
            await self._providers.put(after, expect_revision=revision)
        except RevisionConflict as error:
            raise _in_use(provider) from error
        return {"CapacityProvider": members_of(after)}

    async def delete_capacity_provider(self, call: Call, parameters: Members) -> Members:
        """Forget a capacity provider (API page DeleteCapacityProvider).

        Raises:
            ResourceNotFoundException: there is none of that name.
            ResourceConflictException: a function is on it, or somebody else was changing it.
        """
        revision, provider = await self._find(call, parameters)
        if versions := await self._versions_on(provider):
            raise ResourceConflictException(
                f"The capacity provider {provider.arn} cannot be deleted because functions use it: {versions[0].arn}"
            )
        try:
            await self._providers.delete(provider, expect_revision=revision)
        except RevisionConflict as error:
            raise _in_use(provider) from error
        return {"CapacityProvider": {**members_of(provider), "State": "Deleting"}}

    async def list_function_versions_by_capacity_provider(self, call: Call, parameters: Members) -> Members:
        """Return the function versions on a capacity provider, at most 50 a page (API page
        ListFunctionVersionsByCapacityProvider).

        Raises:
            ResourceNotFoundException: there is no such capacity provider.
            InvalidParameterValueException: the marker is not one of ours.
        """
        _, provider = await self._find(call, parameters)
        versions = await self._versions_on(provider)
        if parameters.get("Marker"):
            place = decode_marker(parameters["Marker"])
            after = (place.name, place.number)
            versions = [version for version in versions if (version.key.name, number_of(version)) > after]
        limit = min(parameters.get("MaxItems") or LIST_PROVIDERS_MAX, LIST_PROVIDERS_MAX)
        page = versions[:limit]
        result: dict[str, Any] = {
            "CapacityProviderArn": provider.arn,
            "FunctionVersions": [{"FunctionArn": it.arn, "State": it.state} for it in page],
        }
        if len(versions) > limit:
            result["NextMarker"] = encode_marker(place_of(page[-1]))
        return result

    async def _versions_on(self, provider: CapacityProvider) -> list[FunctionVersion]:
        """Return what runs on a provider, by name and number."""
        return [
            version
            async for function in self._records.functions_of(provider.account, provider.region)
            for version in all_versions(function)
            if is_managed(version) and provider_arn(version.passive[CONFIG]) == provider.arn
        ]

    async def _find(self, call: Call, parameters: Members) -> tuple[int, CapacityProvider]:
        return await provider_named(self._providers, call, parameters["CapacityProviderName"])


async def provider_named(
    providers: CapacityProviders, call: Call, given: str
) -> tuple[int, CapacityProvider]:
    """Return a capacity provider by name or ARN, with its revision.

    Raises:
        ResourceNotFoundException: there is no such one where the caller is.
    """
    name = _name(call, given)
    found = await providers.get(call.account, call.region, name)
    if found is None:
        raise not_found(f"arn:aws:lambda:{call.region}:{call.account}:capacity-provider:{name}")
    return found


def members_of(provider: CapacityProvider) -> dict[str, Any]:
    """Return the CapacityProvider structure of the API."""
    settings = provider.settings
    return {
        "CapacityProviderArn": provider.arn,
        "State": provider.state,
        **{member: settings[member] for member in _ORDER if member in settings},
        "LastModified": provider.last_modified,
    }


def not_found(arn: str) -> ResourceNotFoundException:
    """Return the error for a capacity provider that does not exist."""
    return ResourceNotFoundException(f"Capacity provider not found: {arn}")


def _name(call: Call, given: str) -> str:
    """Return the name, from itself or from an ARN; an ARN of elsewhere names nothing that is here."""
    arn = parse_arn(given)
    if arn is None:
        return given
    if (arn.account, arn.region) != (call.account, call.region):
        raise not_found(given)
    return arn.resource.removeprefix("capacity-provider:")


def _check_scaling(scaling: Members) -> None:
    """A policy is for providers that do not scale by themselves.

    Raises:
        InvalidParameterValueException: the mode is ``Auto``, and there is a policy.
    """
    if scaling.get("ScalingMode", "Auto") == "Auto" and scaling.get("ScalingPolicies"):
        raise InvalidParameterValueException(
            "A scaling policy can't be specified when the scalingMode is set to Auto"
        )


def _new_settings(parameters: Members) -> dict[str, Any]:
    settings = {member: parameters[member] for member in _ORDER if member in parameters}
    settings["InstanceRequirements"] = {
        "Architectures": ["x86_64"],
        **parameters.get("InstanceRequirements", {}),
    }
    settings["CapacityProviderScalingConfig"] = {
        "MaxVCpuCount": _VCPUS_DEFAULT,
        "ScalingMode": "Auto",
        **parameters.get("CapacityProviderScalingConfig", {}),
    }
    return settings


def _exists(provider: CapacityProvider) -> ResourceConflictException:
    return ResourceConflictException(f"Capacity provider already exists: {provider.name}")


def _in_use(provider: CapacityProvider) -> ResourceConflictException:
    return ResourceConflictException(
        "The operation cannot be performed at this time. An update is in progress for resource: "
        f"{provider.arn}"
    )
