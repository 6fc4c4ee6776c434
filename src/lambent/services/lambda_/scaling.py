"""Function scaling config: how many environments of a version a capacity provider keeps.

It belongs to Lambda Managed Instances; see `managed_instances`. It is kept and shown, and a version scaled to nothing
is deactivated; environments here come and go with the invocations, within no such bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from lambent.domain.call import Call
from lambent.domain.function import Function
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    ResourceConflictException,
)
from lambent.services import Members
from lambent.services.lambda_.managed_instances import is_managed
from lambent.services.lambda_.names import not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import current_version

_DEFAULT = {"MinExecutionEnvironments": 3, "MaxExecutionEnvironments": 400}
"""What a version has for which nothing was asked: three for the zones, and as many as the quota allows."""
_MIN, _MAX = _DEFAULT
DEACTIVATED = "Deactivated"


class ScalingOperations:
    """The operations on the scaling config of a version."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def put_function_scaling_config(self, call: Call, parameters: Members) -> Members:
        """Keep how many environments a version shall have (API page PutFunctionScalingConfig).

        Raises:
            ResourceNotFoundException: no such function or version.
            AccessDeniedException: the function is not on a capacity provider.
            InvalidParameterValueException: the bounds contradict.
            ResourceConflictException: the version is pending or failed.
        """
        qualifier = parameters["Qualifier"]
        target = resolve(call, parameters["FunctionName"], qualifier, operation="PutFunctionScalingConfig")
        given = parameters.get("FunctionScalingConfig", {})
        changed = await self._records.change(target.key, partial(_scaled, qualifier=qualifier, given=given))
        if changed is None:
            raise not_found(target.arn)
        return {"FunctionState": changed[1].versions[qualifier].state}

    async def get_function_scaling_config(self, call: Call, parameters: Members) -> Members:
        """Return how many environments a version shall have (API page GetFunctionScalingConfig).

        Raises:
            ResourceNotFoundException: no such function or version.
            AccessDeniedException: the function is not on a capacity provider.
        """
        qualifier = parameters["Qualifier"]
        target = resolve(call, parameters["FunctionName"], qualifier, operation="GetFunctionScalingConfig")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        _check_scalable(function, qualifier)
        config = dict(function.scaling.get(qualifier, _DEFAULT))
        return {
            "FunctionArn": target.arn,
            "AppliedFunctionScalingConfig": config,
            "RequestedFunctionScalingConfig": config,
        }


def _check_scalable(function: Function, qualifier: str) -> None:
    if current_version(function, qualifier) is None:
        raise not_found(function.key.qualified_arn(qualifier))
    if not is_managed(function.latest):
        raise AccessDeniedException(
            "The function provided by the arn does not contain a capacity provider configuration"
        )


def _scaled(function: Function, *, qualifier: str, given: Mapping[str, int]) -> Function:
    _check_scalable(function, qualifier)
    version = function.versions[qualifier]
    config = {**function.scaling.get(qualifier, _DEFAULT), **given}
    if config[_MIN] > config[_MAX]:
        raise InvalidParameterValueException(f"{_MIN} must be less than or equal to {_MAX}.")
    if config[_MIN] == 0 and config[_MAX] != 0:
        raise InvalidParameterValueException(f"{_MIN} can be 0 only if {_MAX} is 0.")
    if version.state not in ("Active", DEACTIVATED):
        raise ResourceConflictException(
            "The operation cannot be performed at this time. The function is currently in the following "
            f"state: {version.state}"
        )
    state = "Active" if config[_MAX] else DEACTIVATED
    return replace(
        function,
        scaling={**function.scaling, qualifier: config},
        versions={**function.versions, qualifier: replace(version, state=state)},
    )
