"""Runtime management: when a version moves to another version of its runtime.

There is one version of each runtime here, that of the installed interpreter, so the choice is kept and shown
and holds what AWS promises about it: under ``Manual`` the runtime of a function cannot be changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.domain.call import Call
from lambent.domain.function import LATEST, Function, runtime_version_arn
from lambent.domain.runtime_management import RuntimeManagement
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.lambda_.names import Target, not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import current_version

_MANUAL = "Manual"


class RuntimeManagementOperations:
    """The operations on the runtime management of a version."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def put_runtime_management_config(self, call: Call, parameters: Members) -> Members:
        """Choose the runtime update mode of a version (API page PutRuntimeManagementConfig).

        Raises:
            ResourceNotFoundException: no such function or version.
            InvalidParameterValueException: an alias is named, or mode and runtime version do not fit.
        """
        target = resolve(
            call,
            parameters["FunctionName"],
            parameters.get("Qualifier"),
            operation="PutRuntimeManagementConfig",
        )
        config = RuntimeManagement(
            update_runtime_on=parameters["UpdateRuntimeOn"],
            runtime_version_arn=parameters.get("RuntimeVersionArn"),
        )
        if await self._records.change(target.key, partial(_managed, target=target, config=config)) is None:
            raise not_found(target.arn)
        return _members(target, config)

    async def get_runtime_management_config(self, call: Call, parameters: Members) -> Members:
        """Return the runtime update mode of a version (API page GetRuntimeManagementConfig).

        Raises:
            ResourceNotFoundException: no such function or version.
            InvalidParameterValueException: an alias is named.
        """
        target = resolve(
            call,
            parameters["FunctionName"],
            parameters.get("Qualifier"),
            operation="GetRuntimeManagementConfig",
        )
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        number = _version_number(function, target)
        return _members(target, function.runtime_management.get(number, RuntimeManagement()))


def check_runtime_change(function: Function, parameters: Mapping[str, Any]) -> None:
    """Refuse to change the runtime of a function whose runtime version is held.

    Raises:
        InvalidParameterValueException: its update mode is ``Manual``.
    """
    runtime = parameters.get("Runtime", function.latest.runtime)
    management = function.runtime_management.get(LATEST, RuntimeManagement())
    if runtime != function.latest.runtime and management.update_runtime_on == _MANUAL:
        raise InvalidParameterValueException(
            "Cannot change runtime identifier when runtime management configuration is set to 'Manual'. Change "
            "the runtime management configuration to 'Auto' or 'FunctionUpdate', then retry."
        )


def _managed(function: Function, *, target: Target, config: RuntimeManagement) -> Function:
    number = _version_number(function, target)
    version = current_version(function, number)
    assert version is not None
    arn, is_manual = config.runtime_version_arn, config.update_runtime_on == _MANUAL
    if is_manual and arn is None:
        raise InvalidParameterValueException(
            "RuntimeVersionArn is required when the runtime update mode is Manual."
        )
    if not is_manual and arn is not None:
        raise InvalidParameterValueException(
            "RuntimeVersionArn can only be given when the runtime update mode is Manual."
        )
    if arn is not None and arn != runtime_version_arn(function.key.region, version.runtime):
        raise InvalidParameterValueException(
            f"The runtime version {arn} is not available for functions with runtime {version.runtime}."
        )
    return replace(function, runtime_management={**function.runtime_management, number: config})


def _version_number(function: Function, target: Target) -> str:
    number = target.qualifier or LATEST
    if number in function.aliases:
        raise InvalidParameterValueException(
            f"The provided function name {target.arn} is invalid. Aliases are not allowed."
        )
    if current_version(function, number) is None:
        raise not_found(target.arn)
    return number


def _members(target: Target, config: RuntimeManagement) -> dict[str, Any]:
    members = {
        "UpdateRuntimeOn": config.update_runtime_on,
        "FunctionArn": target.arn,
        "RuntimeVersionArn": config.runtime_version_arn,
    }
    return {name: value for name, value in members.items() if value is not None}
