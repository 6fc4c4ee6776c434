"""Tags of functions. Mappings, code signing configurations and capacity providers are not there to be tagged."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.function import Function, FunctionKey
from lambent.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import check_tags

_KINDS = {
    "event-source-mapping": "Event source mapping not found: {}",
    "capacity-provider": "Capacity provider not found: {}",
    "code-signing-config": "Code signing config not found: {}",
    "layer": "Layer not found: {}",
}
_QUALIFIED = re.compile(r"function:[^:]+:.+")


class TagOperations:
    """The operations on tags."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def tag_resource(self, call: Call, parameters: Members) -> Members:
        """Add tags to a function or replace their values (API page TagResource).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: a version or alias is named, or the tags are not acceptable.
        """
        key = _taggable(call, parameters["Resource"], "TagResource")
        await self._find(key)
        if not parameters["Tags"]:
            raise InvalidParameterValueException("An error occurred and the request cannot be processed.")
        if await self._records.change(key, partial(_tagged, tags=parameters["Tags"])) is None:
            raise not_found(key.arn)
        return {}

    async def untag_resource(self, call: Call, parameters: Members) -> Members:
        """Remove tags from a function; keys that it does not have are no error (API page UntagResource).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: a version or alias is named.
        """
        key = _taggable(call, parameters["Resource"], "UntagResource")
        if await self._records.change(key, partial(_untagged, keys=parameters["TagKeys"])) is None:
            raise not_found(key.arn)
        return {}

    async def list_tags(self, call: Call, parameters: Members) -> Members:
        """Return a function's tags (API page ListTags).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: a version or alias is named.
        """
        function = await self._find(_taggable(call, parameters["Resource"], "ListTags"))
        return {"Tags": dict(function.tags)}

    async def _find(self, key: FunctionKey) -> Function:
        function = await self._records.get(key)
        if function is None:
            raise not_found(key.arn)
        return function


def _taggable(call: Call, resource: str, operation: str) -> FunctionKey:
    parsed = parse_arn(resource)
    name = parsed.resource if parsed else resource
    if text := _KINDS.get(name.partition(":")[0]):
        raise ResourceNotFoundException(text.format(resource))
    if _QUALIFIED.fullmatch(name):
        raise InvalidParameterValueException(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return resolve(call, resource, operation=operation).key


def _tagged(function: Function, *, tags: dict[str, str]) -> Function:
    after = {**function.tags, **tags}
    check_tags(after)
    return replace(function, tags=after)


def _untagged(function: Function, *, keys: list[str]) -> Function:
    return replace(function, tags={key: value for key, value in function.tags.items() if key not in keys})
