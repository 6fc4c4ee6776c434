"""Tags of everything in Lambda that can have some, each kind of resource behind the same two methods."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from lambent.arn import Arn, parse_arn
from lambent.domain.call import Call
from lambent.domain.function import Function, FunctionKey
from lambent.errors import (
    InvalidParameterValueException,
    ResourceConflictException,
    ResourceNotFoundException,
    ServiceError,
)
from lambent.services import Members
from lambent.services.lambda_.capacity_providers import not_found as no_capacity_provider
from lambent.services.lambda_.names import not_found as no_function
from lambent.services.lambda_.names import resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_tags
from lambent.store import RevisionConflict
from lambent.store.capacity_providers import CapacityProviders
from lambent.store.code_signing_configs import CodeSigningConfigs
from lambent.store.mappings import Mappings

Tags = Mapping[str, str]
_QUALIFIED = re.compile(r"function:[^:]+:.+")
_ATTEMPTS_MAX = 8


class Taggable(Protocol):
    """A kind of resource that has tags."""

    async def tags(self, arn: Arn) -> Tags | None:
        """Return a resource's tags, or None when there is no such resource."""
        ...

    async def retag(self, arn: Arn, decide: Callable[[Tags], Tags]) -> bool:
        """Replace a resource's tags by what `decide` makes of them; return whether there is such a resource.

        Args:
            arn: the resource, in the caller's account and region.
            decide: pure; may raise a ServiceError, and may be asked again when somebody else was faster.
        """
        ...

    def not_found(self, arn: str) -> ServiceError:
        """Return the error for a resource that does not exist."""
        ...


class FunctionTags:
    """Tags of functions; changing them changes the revision id of ``$LATEST``, as on AWS."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def tags(self, arn: Arn) -> Tags | None:
        function = await self._records.get(_function_key(arn))
        return None if function is None else function.tags

    async def retag(self, arn: Arn, decide: Callable[[Tags], Tags]) -> bool:
        def retagged(function: Function) -> Function:
            latest = replace(function.latest, revision_id=str(uuid.uuid4()))
            return replace(function, tags=decide(function.tags), latest=latest)

        return await self._records.change(_function_key(arn), retagged) is not None

    def not_found(self, arn: str) -> ServiceError:
        return no_function(arn)


class MappingTags:
    """Tags of event source mappings."""

    def __init__(self, mappings: Mappings) -> None:
        self._mappings = mappings

    async def tags(self, arn: Arn) -> Tags | None:
        found = await self._mappings.get(arn.account, arn.region, _name(arn))
        return None if found is None else found[1].tags

    async def retag(self, arn: Arn, decide: Callable[[Tags], Tags]) -> bool:
        for _ in range(_ATTEMPTS_MAX):
            found = await self._mappings.get(arn.account, arn.region, _name(arn))
            if found is None:
                return False
            revision, mapping = found
            after = replace(mapping, tags=decide(mapping.tags))
            try:
                await self._mappings.replace(mapping, after, expect_revision=revision)
            except RevisionConflict:
                continue
            return True
        raise _busy(arn)

    def not_found(self, arn: str) -> ServiceError:
        return ResourceNotFoundException(f"Event source mapping not found: {arn}")


class CapacityProviderTags:
    """Tags of capacity providers."""

    def __init__(self, providers: CapacityProviders) -> None:
        self._providers = providers

    async def tags(self, arn: Arn) -> Tags | None:
        found = await self._providers.get(arn.account, arn.region, _name(arn))
        return None if found is None else found[1].tags

    async def retag(self, arn: Arn, decide: Callable[[Tags], Tags]) -> bool:
        for _ in range(_ATTEMPTS_MAX):
            found = await self._providers.get(arn.account, arn.region, _name(arn))
            if found is None:
                return False
            revision, provider = found
            try:
                await self._providers.put(
                    replace(provider, tags=decide(provider.tags)), expect_revision=revision
                )
            except RevisionConflict:
                continue
            return True
        raise _busy(arn)

    def not_found(self, arn: str) -> ServiceError:
        return no_capacity_provider(arn)


class CodeSigningConfigTags:
    """Tags of code signing configurations."""

    def __init__(self, configs: CodeSigningConfigs) -> None:
        self._configs = configs

    async def tags(self, arn: Arn) -> Tags | None:
        found = await self._configs.get(arn.account, arn.region, _name(arn))
        return None if found is None else found[1].tags

    async def retag(self, arn: Arn, decide: Callable[[Tags], Tags]) -> bool:
        for _ in range(_ATTEMPTS_MAX):
            found = await self._configs.get(arn.account, arn.region, _name(arn))
            if found is None:
                return False
            revision, config = found
            try:
                await self._configs.put(replace(config, tags=decide(config.tags)), expect_revision=revision)
            except RevisionConflict:
                continue
            return True
        raise _busy(arn)

    def not_found(self, arn: str) -> ServiceError:
        return ResourceNotFoundException(f"Code signing config not found: {arn}")


class TagOperations:
    """The operations on tags.

    Args:
        taggable: what can be tagged, by the word that stands first in the resource part of its ARN.
    """

    def __init__(self, *, taggable: Mapping[str, Taggable]) -> None:
        self._taggable = taggable

    async def tag_resource(self, call: Call, parameters: Members) -> Members:
        """Add tags to a resource or replace their values (API page TagResource).

        Raises:
            ResourceNotFoundException: no such resource.
            InvalidParameterValueException: a version or alias is named, or the tags are not acceptable.
        """
        kind, arn = self._resource(call, parameters["Resource"], "TagResource")
        given: Tags = parameters["Tags"]
        if not given:
            if await kind.tags(arn) is None:
                raise kind.not_found(str(arn))
            raise InvalidParameterValueException("An error occurred and the request cannot be processed.")

        def tagged(tags: Tags) -> Tags:
            after = {**tags, **given}
            check_tags(after)
            return after

        if not await kind.retag(arn, tagged):
            raise kind.not_found(str(arn))
        return {}

    async def untag_resource(self, call: Call, parameters: Members) -> Members:
        """Remove tags from a resource; keys that it does not have are no error (API page UntagResource).

        Raises:
            ResourceNotFoundException: no such resource.
            InvalidParameterValueException: a version or alias is named.
        """
        kind, arn = self._resource(call, parameters["Resource"], "UntagResource")
        gone = frozenset(parameters["TagKeys"])
        if not await kind.retag(arn, lambda tags: {k: v for k, v in tags.items() if k not in gone}):
            raise kind.not_found(str(arn))
        return {}

    async def list_tags(self, call: Call, parameters: Members) -> Members:
        """Return a resource's tags (API page ListTags).

        Raises:
            ResourceNotFoundException: no such resource.
            InvalidParameterValueException: a version or alias is named.
        """
        kind, arn = self._resource(call, parameters["Resource"], "ListTags")
        tags = await kind.tags(arn)
        if tags is None:
            raise kind.not_found(str(arn))
        return {"Tags": dict(tags)}

    def _resource(self, call: Call, resource: str, operation: str) -> tuple[Taggable, Arn]:
        arn = parse_arn(resource)
        if arn is None:
            raise ResourceNotFoundException(f"Resource not found: {resource}")
        if _QUALIFIED.fullmatch(arn.resource):
            raise InvalidParameterValueException(
                "Tags on function aliases and versions are not supported. Please specify a function ARN."
            )
        word = arn.resource.partition(":")[0]
        if word == "function":
            resolve(call, resource, operation=operation)  # Refuses other regions and accounts, as AWS does.
        kind = self._taggable.get(word)
        if kind is None:
            raise ResourceNotFoundException(f"{word.capitalize().replace('-', ' ')} not found: {resource}")
        if (arn.region, arn.account) != (call.region, call.account):
            raise kind.not_found(resource)
        return kind, arn


def _function_key(arn: Arn) -> FunctionKey:
    return FunctionKey(account=arn.account, region=arn.region, name=_name(arn))


def _name(arn: Arn) -> str:
    return arn.resource.partition(":")[2]


def _busy(arn: Arn) -> ResourceConflictException:
    return ResourceConflictException(
        f"The operation cannot be performed at this time. An update is in progress for resource: {arn}"
    )
