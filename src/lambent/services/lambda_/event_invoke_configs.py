"""Event invoke configs: how asynchronous invocations are retried and where their outcomes go.

One per version, alias and ``$LATEST``, kept with the function. What they say is done where events are queued.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.function import LATEST, Function, FunctionKey
from lambent.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.lambda_.names import Target, resolve
from lambent.services.lambda_.pages import page_by_name
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.rules import invalid_destinations
from lambent.services.lambda_.versions import qualified_version

_SUCCESS_SERVICES = frozenset({"lambda", "sqs", "sns", "events"})
_FAILURE_SERVICES = _SUCCESS_SERVICES | {"s3"}
_SETTINGS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")


class EventInvokeConfigOperations:
    """The operations on event invoke configs."""

    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    async def put_function_event_invoke_config(self, call: Call, parameters: Members) -> Members:
        """Set the whole configuration; what is not given falls back (API page PutFunctionEventInvokeConfig).

        Raises:
            ResourceNotFoundException: no such function, version or alias.
            InvalidParameterValueException: nothing is set, or a destination is not acceptable.
        """
        target = await self._settable(call, parameters, "PutFunctionEventInvokeConfig")
        blank = EventInvokeConfig(last_modified_s=self._clock.now_s())
        config = _with_settings(blank, parameters)
        changed = await self._records.change(target.key, partial(_with, target=target, config=config))
        if changed is None:
            raise _no_function()
        return _members(target.key, _qualifier(target), config)

    async def update_function_event_invoke_config(self, call: Call, parameters: Members) -> Members:
        """Change what is given; the rest stays as it is (API page UpdateFunctionEventInvokeConfig).

        Raises:
            ResourceNotFoundException: no such function, version or alias, or it has no configuration.
            InvalidParameterValueException: nothing is set, or a destination is not acceptable.
        """
        target = await self._settable(call, parameters, "UpdateFunctionEventInvokeConfig")
        change = partial(_updated, target=target, parameters=parameters, now_s=self._clock.now_s())
        changed = await self._records.change(target.key, change)
        if changed is None:
            raise _no_function()
        qualifier = _qualifier(target)
        return _members(target.key, qualifier, changed[1].event_invoke_configs[qualifier])

    async def get_function_event_invoke_config(self, call: Call, parameters: Members) -> Members:
        """Return a configuration (API page GetFunctionEventInvokeConfig).

        Raises:
            ResourceNotFoundException: there is none.
        """
        target = _target(call, parameters, "GetFunctionEventInvokeConfig")
        function = await self._records.get(target.key)
        config = function.event_invoke_configs.get(_qualifier(target)) if function else None
        if config is None:
            raise _not_found(target)
        return _members(target.key, _qualifier(target), config)

    async def delete_function_event_invoke_config(self, call: Call, parameters: Members) -> Members:
        """Remove a configuration (API page DeleteFunctionEventInvokeConfig).

        Raises:
            ResourceNotFoundException: there is none.
        """
        target = _target(call, parameters, "DeleteFunctionEventInvokeConfig")
        if await self._records.change(target.key, partial(_without, target=target)) is None:
            raise _not_found(target)
        return {}

    async def list_function_event_invoke_configs(self, call: Call, parameters: Members) -> Members:
        """Return a function's configurations (API page ListFunctionEventInvokeConfigs).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the marker is not one of ours.
        """
        target = resolve(call, parameters["FunctionName"], operation="ListFunctionEventInvokeConfigs")
        function = await self._records.get(target.key)
        if function is None:
            raise _no_function()
        shown = {
            qualifier: _members(target.key, qualifier, config)
            for qualifier, config in function.event_invoke_configs.items()
        }
        page, more = page_by_name(shown, parameters)
        return {"FunctionEventInvokeConfigs": page, **more}

    async def _settable(self, call: Call, parameters: Members, operation: str) -> Target:
        """Return what is to be configured, after all checks that need no look at its configuration."""
        target = _target(call, parameters, operation)
        if not any(setting in parameters for setting in _SETTINGS):
            raise InvalidParameterValueException(
                "You must specify at least one of error handling or destination setting."
            )
        _check_existing(await self._records.get(target.key), target)
        await self._check_destinations(target, parameters.get("DestinationConfig", {}))
        return target

    async def _check_destinations(self, target: Target, given: Mapping[str, Any]) -> None:
        for side, services in (("OnSuccess", _SUCCESS_SERVICES), ("OnFailure", _FAILURE_SERVICES)):
            destination = given.get(side, {}).get("Destination")
            if not destination:
                continue
            arn = parse_arn(destination)
            # FIFO queues and topics are accepted, and fail when a record is delivered, as on AWS.
            if arn is None or arn.service not in services:
                raise invalid_destinations(given)
            if arn.service != "lambda":
                continue
            _, name, qualifier = (*arn.resource.split(":", 2), "", "")[:3]
            key = FunctionKey(account=arn.account, region=arn.region, name=name)
            if key == target.key:
                raise InvalidParameterValueException(
                    "You can't specify the function as a destination for itself."
                )
            function = await self._records.get(key)
            if function is None or qualified_version(function, qualifier or None) is None:
                raise InvalidParameterValueException(f"The destination ARN {destination} is invalid.")


def _target(call: Call, parameters: Members, operation: str) -> Target:
    return resolve(call, parameters["FunctionName"], parameters.get("Qualifier"), operation=operation)


def _qualifier(target: Target) -> str:
    return target.qualifier or LATEST


def _check_existing(function: Function | None, target: Target) -> None:
    if function is None or qualified_version(function, target.qualifier) is None:
        raise _no_function()


def _no_function() -> ResourceNotFoundException:
    return ResourceNotFoundException("The function doesn't exist.")


def _not_found(target: Target) -> ResourceNotFoundException:
    arn = target.key.qualified_arn(_qualifier(target))
    return ResourceNotFoundException(f"The function {arn} doesn't have an EventInvokeConfig")


def _with(function: Function, *, target: Target, config: EventInvokeConfig) -> Function:
    _check_existing(function, target)
    configs = {**function.event_invoke_configs, _qualifier(target): config}
    return replace(function, event_invoke_configs=configs)


def _updated(function: Function, *, target: Target, parameters: Members, now_s: float) -> Function:
    before = function.event_invoke_configs.get(_qualifier(target))
    if before is None:
        raise _not_found(target)
    config = _with_settings(replace(before, last_modified_s=now_s), parameters)
    return _with(function, target=target, config=config)


def _without(function: Function, *, target: Target) -> Function:
    qualifier = _qualifier(target)
    if qualifier not in function.event_invoke_configs:
        raise _not_found(target)
    kept = {other: config for other, config in function.event_invoke_configs.items() if other != qualifier}
    return replace(function, event_invoke_configs=kept)


def _with_settings(before: EventInvokeConfig, parameters: Members) -> EventInvokeConfig:
    destinations: Mapping[str, Any] | None = parameters.get("DestinationConfig")
    config = replace(
        before,
        maximum_retry_attempts=parameters.get("MaximumRetryAttempts", before.maximum_retry_attempts),
        maximum_event_age_s=parameters.get("MaximumEventAgeInSeconds", before.maximum_event_age_s),
    )
    if destinations is None:
        return config
    return replace(
        config,
        on_success=destinations.get("OnSuccess", {}).get("Destination") or None,
        on_failure=destinations.get("OnFailure", {}).get("Destination") or None,
    )


def _members(key: FunctionKey, qualifier: str, config: EventInvokeConfig) -> dict[str, Any]:
    members: dict[str, Any] = {
        "LastModified": datetime.fromtimestamp(config.last_modified_s, UTC),
        "FunctionArn": key.qualified_arn(qualifier),
        "MaximumRetryAttempts": config.maximum_retry_attempts,
        "MaximumEventAgeInSeconds": config.maximum_event_age_s,
        "DestinationConfig": {
            "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
            "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
        },
    }
    return {name: value for name, value in members.items() if value is not None}
