"""Aliases: names for versions that callers invoke, and that can be moved from one version to the next.

An alias lives in its function's document, so moving it and deleting a version that it points to cannot both
happen. Which version one invocation of a weighted alias runs is decided in `lambent.domain.alias`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.domain.alias import Alias
from lambent.domain.call import Call
from lambent.domain.function import LATEST, Function, FunctionKey, FunctionVersion
from lambent.domain.limits import ALIASES_MAX
from lambent.errors import (
    InvalidParameterValueException,
    PreconditionFailedException,
    ResourceConflictException,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.lambda_.concurrency_rules import check_movable
from lambent.services.lambda_.errors import AliasLimitExceededException
from lambent.services.lambda_.names import alias_not_found, not_found, resolve
from lambent.services.lambda_.pages import page_by_name
from lambent.services.lambda_.provisioning import Provisioning
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import current_version
from lambent.services.lambda_.versions import without_qualifier

_WEIGHTS_MAX = 1


class AliasOperations:
    """The operations on aliases."""

    def __init__(self, *, records: Records, provisioning: Provisioning) -> None:
        self._records = records
        self._provisioning = provisioning

    async def create_alias(self, call: Call, parameters: Members) -> Members:
        """Give a version a name (API page CreateAlias).

        Raises:
            ResourceNotFoundException: no such function or version.
            ResourceConflictException: the function has an alias of that name.
            InvalidParameterValueException: the routing is not acceptable.
            AliasLimitExceededException: the function has too many aliases.
        """
        target = resolve(call, parameters["FunctionName"], operation="CreateAlias")
        changed = await self._records.change(target.key, partial(_created, parameters=parameters))
        if changed is None:
            raise not_found(target.key.qualified_arn(parameters["FunctionVersion"]))
        return _alias_members(target.key, changed[1].aliases[parameters["Name"]])

    async def get_alias(self, call: Call, parameters: Members) -> Members:
        """Return an alias (API page GetAlias).

        Raises:
            ResourceNotFoundException: no such function or alias.
        """
        target = resolve(call, parameters["FunctionName"], operation="GetAlias")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        alias = function.aliases.get(parameters["Name"])
        if alias is None:
            raise alias_not_found(target.key.qualified_arn(parameters["Name"]))
        return _alias_members(target.key, alias)

    async def update_alias(self, call: Call, parameters: Members) -> Members:
        """Change an alias; members that are not given stay as they are (API page UpdateAlias).

        Raises:
            ResourceNotFoundException: no such function, alias or version.
            PreconditionFailedException: the revision id is not the alias's current one.
            InvalidParameterValueException: the routing is not acceptable.
            ResourceConflictException: it has provisioned concurrency, and the version has some of its own.
        """
        target = resolve(call, parameters["FunctionName"], operation="UpdateAlias")
        changed = await self._records.change(target.key, partial(_updated, parameters=parameters))
        if changed is None:
            raise not_found(target.key.arn)
        self._provisioning.begin(changed[1])
        return _alias_members(target.key, changed[1].aliases[parameters["Name"]])

    async def delete_alias(self, call: Call, parameters: Members) -> Members:
        """Delete an alias and what was configured for it; one that is not there is no error (DeleteAlias).

        Raises:
            ResourceNotFoundException: no such function.
        """
        target = resolve(call, parameters["FunctionName"], operation="DeleteAlias")
        changed = await self._records.change(target.key, partial(_without_alias, name=parameters["Name"]))
        if changed is None:
            raise not_found(target.key.arn)
        self._provisioning.begin(changed[1])
        return {}

    async def list_aliases(self, call: Call, parameters: Members) -> Members:
        """Return a function's aliases by name, if asked only those that run a version (API page ListAliases).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the marker is not one of ours.
        """
        target = resolve(call, parameters["FunctionName"], operation="ListAliases")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        version = parameters.get("FunctionVersion")
        aliases = {
            name: alias
            for name, alias in function.aliases.items()
            if version is None or alias.points_to(version)
        }
        page, more = page_by_name(aliases, parameters)
        return {"Aliases": [_alias_members(target.key, alias) for alias in page], **more}


def _created(function: Function, *, parameters: Members) -> Function:
    name = parameters["Name"]
    alias = Alias(
        name=name,
        version=parameters["FunctionVersion"],
        description=parameters.get("Description", ""),
        weights=_weights(parameters.get("RoutingConfig", {})),
        revision_id=str(uuid.uuid4()),
    )
    _check_routing(function, alias)
    if name in function.aliases:
        raise ResourceConflictException(f"Alias already exists: {function.key.qualified_arn(name)}")
    if len(function.aliases) >= ALIASES_MAX:
        raise AliasLimitExceededException(
            f"A function can have {ALIASES_MAX} aliases; {function.key.arn} has as many."
        )
    return replace(function, aliases={**function.aliases, name: alias})


def _updated(function: Function, *, parameters: Members) -> Function:
    name = parameters["Name"]
    before = function.aliases.get(name)
    if before is None:
        raise ResourceNotFoundException(f"Alias not found: {function.key.qualified_arn(name)}")
    if parameters.get("RevisionId") not in (None, "", before.revision_id):
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API "
            "to retrieve the latest Revision Id"
        )
    alias = replace(
        before,
        version=parameters.get("FunctionVersion", before.version),
        description=parameters.get("Description", before.description),
        weights=_weights(parameters["RoutingConfig"]) if "RoutingConfig" in parameters else before.weights,
        revision_id=str(uuid.uuid4()),
    )
    _check_routing(function, alias)
    if name in function.provisioned and alias.version != before.version:
        check_movable(function, alias)
    return replace(function, aliases={**function.aliases, name: alias})


def _without_alias(function: Function, *, name: str) -> Function:
    if name not in function.aliases:
        return function
    kept = {other: alias for other, alias in function.aliases.items() if other != name}
    return without_qualifier(replace(function, aliases=kept), name)


def _weights(routing_config: Mapping[str, Any]) -> dict[str, float]:
    return dict(routing_config.get("AdditionalVersionWeights") or {})


def _check_routing(function: Function, alias: Alias) -> None:
    """Check what an alias points to.

    Raises:
        ResourceNotFoundException: there is no such version.
        InvalidParameterValueException: its two versions cannot share invocations.
    """
    if len(alias.weights) > _WEIGHTS_MAX:
        raise InvalidParameterValueException(
            f"Number of items in AdditionalVersionWeights cannot be greater than {_WEIGHTS_MAX}"
        )
    if alias.weights and alias.version == LATEST:
        raise InvalidParameterValueException(
            "$LATEST is not supported for an alias pointing to more than 1 version"
        )
    if alias.version in alias.weights:
        raise InvalidParameterValueException(
            f"Invalid function version {alias.version}. Function version {alias.version} is already included "
            "in routing configuration."
        )
    primary, *others = (_existing(function, version) for version in (alias.version, *alias.weights))
    if any(other.role != primary.role for other in others):
        raise InvalidParameterValueException(
            "Specified versions must be associated with the same execution role"
        )
    if any(_dead_letters(other) != _dead_letters(primary) for other in others):
        raise InvalidParameterValueException(
            "Specified versions must be associated with the same dead-letter queue configuration"
        )


def _existing(function: Function, version: str) -> FunctionVersion:
    found = current_version(function, version)
    if found is None:
        raise not_found(function.key.qualified_arn(version))
    return found


def _dead_letters(version: FunctionVersion) -> Any:
    return version.passive.get("DeadLetterConfig")


def _alias_members(key: FunctionKey, alias: Alias) -> dict[str, Any]:
    members: dict[str, Any] = {
        "AliasArn": key.qualified_arn(alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    if alias.weights:
        members["RoutingConfig"] = {"AdditionalVersionWeights": dict(alias.weights)}
    return members
