"""Provisioned concurrency: what callers configure per version or alias, and how far it has come.

The environments are kept ready by `provisioning`; the rules are in `concurrency_rules`.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.clock import Clock, last_modified
from lambent.domain.call import Call
from lambent.domain.concurrency import ProvisionedConcurrency
from lambent.domain.function import LATEST, Function
from lambent.errors import InvalidParameterValueException
from lambent.services import Members
from lambent.services.lambda_.concurrency_rules import (
    check_provisionable,
    check_provisioned,
    check_qualifier,
)
from lambent.services.lambda_.errors import ProvisionedConcurrencyConfigNotFoundException
from lambent.services.lambda_.names import Target, not_found, resolve
from lambent.services.lambda_.pages import page_by_name
from lambent.services.lambda_.provisioning import Provisioning
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.usage import AccountUsage


class ProvisionedConcurrencyOperations:
    """The operations on provisioned concurrency."""

    def __init__(
        self, *, records: Records, usage: AccountUsage, provisioning: Provisioning, clock: Clock
    ) -> None:
        self._records = records
        self._usage = usage
        self._provisioning = provisioning
        self._clock = clock

    async def put_provisioned_concurrency_config(self, call: Call, parameters: Members) -> Members:
        """Have environments kept ready for a version or alias (API page PutProvisionedConcurrencyConfig).

        Raises:
            ResourceNotFoundException: no such function, version or alias.
            ResourceConflictException: an alias and its version would both have some.
            InvalidParameterValueException: ``$LATEST`` is named, or so much cannot be set aside.
        """
        target = self._target(call, parameters, "PutProvisionedConcurrencyConfig")
        if target.qualifier == LATEST:
            raise InvalidParameterValueException(
                "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            )
        config = ProvisionedConcurrency(
            requested=parameters["ProvisionedConcurrentExecutions"],
            last_modified=_whole_seconds(self._clock.now_s()),
            allocation_id=str(uuid.uuid4()),
        )
        async with self._usage.lock(target.key.account, target.key.region):
            change = partial(_configured, target=target, config=config, usage=self._usage)
            changed = await self._records.change(target.key, change)
        if changed is None:
            raise not_found(target.arn)
        self._provisioning.begin(changed[1])
        assert target.qualifier is not None
        return self._members(changed[1], target.qualifier)

    async def get_provisioned_concurrency_config(self, call: Call, parameters: Members) -> Members:
        """Return what is configured and how far it has come (API page GetProvisionedConcurrencyConfig).

        Raises:
            ResourceNotFoundException: no such function, version or alias.
            ProvisionedConcurrencyConfigNotFoundException: it has no provisioned concurrency.
            InvalidParameterValueException: ``$LATEST`` is named.
        """
        target = self._target(call, parameters, "GetProvisionedConcurrencyConfig")
        _refuse_latest(target)
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        check_qualifier(function, target)
        assert target.qualifier is not None
        if target.qualifier not in function.provisioned:
            raise ProvisionedConcurrencyConfigNotFoundException(
                "No Provisioned Concurrency Config found for this function"
            )
        return self._members(function, target.qualifier)

    async def delete_provisioned_concurrency_config(self, call: Call, parameters: Members) -> Members:
        """Stop keeping environments ready; where there is nothing to delete, nothing is done.

        API page DeleteProvisionedConcurrencyConfig.

        Raises:
            ResourceNotFoundException: no such function, version or alias.
            InvalidParameterValueException: ``$LATEST`` is named.
        """
        target = self._target(call, parameters, "DeleteProvisionedConcurrencyConfig")
        _refuse_latest(target)
        changed = await self._records.change(target.key, partial(_unconfigured, target=target))
        if changed is None:
            raise not_found(target.arn)
        self._provisioning.begin(changed[1])
        return {}

    async def list_provisioned_concurrency_configs(self, call: Call, parameters: Members) -> Members:
        """Return the provisioned concurrency of a function (API page ListProvisionedConcurrencyConfigs).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the marker is not one of ours.
        """
        target = resolve(call, parameters["FunctionName"], operation="ListProvisionedConcurrencyConfigs")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        page, more = page_by_name({qualifier: qualifier for qualifier in function.provisioned}, parameters)
        shown = [
            {"FunctionArn": target.key.qualified_arn(qualifier), **self._members(function, qualifier)}
            for qualifier in page
        ]
        return {"ProvisionedConcurrencyConfigs": shown, **more}

    def _target(self, call: Call, parameters: Members, operation: str) -> Target:
        return resolve(call, parameters["FunctionName"], parameters["Qualifier"], operation=operation)

    def _members(self, function: Function, qualifier: str) -> dict[str, Any]:
        config = function.provisioned[qualifier]
        allocation = self._provisioning.allocation(function.key, qualifier)
        members: dict[str, Any] = {
            "RequestedProvisionedConcurrentExecutions": config.requested,
            "AvailableProvisionedConcurrentExecutions": allocation.provisioned.available,
            "AllocatedProvisionedConcurrentExecutions": allocation.provisioned.allocated,
            "Status": allocation.status,
            "LastModified": config.last_modified,
        }
        if allocation.status_reason is not None:
            members["StatusReason"] = allocation.status_reason
        return members


def _refuse_latest(target: Target) -> None:
    if target.qualifier == LATEST:
        raise InvalidParameterValueException(
            "The function resource provided must be an alias or a published version."
        )


def _configured(
    function: Function, *, target: Target, config: ProvisionedConcurrency, usage: AccountUsage
) -> Function:
    assert target.qualifier is not None
    check_provisionable(function, target)
    unreserved = usage.unreserved(function.key.account, function.key.region)
    check_provisioned(function, target.qualifier, config.requested, unreserved=unreserved)
    version = check_qualifier(function, target)
    renewed = replace(version, revision_id=str(uuid.uuid4()))
    return replace(
        function,
        versions={**function.versions, version.version: renewed},
        provisioned={**function.provisioned, target.qualifier: config},
    )


def _unconfigured(function: Function, *, target: Target) -> Function:
    check_qualifier(function, target)
    if target.qualifier not in function.provisioned:
        return function
    kept = {other: config for other, config in function.provisioned.items() if other != target.qualifier}
    return replace(function, provisioned=kept)


def _whole_seconds(epoch_s: float) -> str:
    """Return ``2026-01-02T03:04:05+0000``, which this member has without a fraction."""
    return last_modified(epoch_s)[:19] + "+0000"
