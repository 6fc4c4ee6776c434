"""Permissions of layer versions: which accounts may put them into their functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.domain.call import Call
from lambent.domain.layer import Layer
from lambent.domain.resource_policy import ResourcePolicy
from lambent.errors import ResourceNotFoundException
from lambent.services import Members
from lambent.services.lambda_.layer_records import LayerRecords
from lambent.services.lambda_.layers import layer_version_target
from lambent.services.lambda_.resource_policies import (
    check_revision,
    dumped,
    principal_of,
    statement_of,
    with_statement,
    without_statement,
)

_OPERATION = "GetLayerPolicy"


class LayerPermissionOperations:
    """The operations on policies of layer versions."""

    def __init__(self, *, records: LayerRecords) -> None:
        self._records = records

    async def add_layer_version_permission(self, call: Call, parameters: Members) -> Members:
        """Let other accounts use a layer version (API page AddLayerVersionPermission).

        Raises:
            ResourceNotFoundException: no such layer version.
            ResourceConflictException: its policy has a statement of that id.
            PreconditionFailedException: the revision id is not the current one.
            PolicyLengthExceededException: the policy would be over 20 KB.
        """
        key, number = layer_version_target(call, parameters, "AddLayerVersionPermission")
        condition: dict[str, Any] = {}
        if "OrganizationId" in parameters:
            condition["StringEquals"] = {"aws:PrincipalOrgID": parameters["OrganizationId"]}
        statement = statement_of(
            parameters["StatementId"],
            principal_of(parameters["Principal"]),
            parameters["Action"],
            key.version_arn(number),
            condition,
        )

        def decide(policy: ResourcePolicy | None) -> ResourcePolicy:
            check_revision(
                parameters.get("RevisionId"), policy.revision_id if policy else "", operation=_OPERATION
            )
            return with_statement(policy, statement)

        changed = await self._records.change(key, partial(_changed, number=number, decide=decide))
        policy = changed.versions[number].policy
        assert policy is not None
        return {"Statement": dumped(statement), "RevisionId": policy.revision_id}

    async def remove_layer_version_permission(self, call: Call, parameters: Members) -> Members:
        """Take a statement away (API page RemoveLayerVersionPermission).

        Raises:
            ResourceNotFoundException: no such layer version, policy or statement.
            PreconditionFailedException: the revision id is not the current one.
        """
        key, number = layer_version_target(call, parameters, "RemoveLayerVersionPermission")

        def decide(policy: ResourcePolicy | None) -> ResourcePolicy | None:
            after = without_statement(policy, parameters["StatementId"])
            check_revision(
                parameters.get("RevisionId"), policy.revision_id if policy else "", operation=_OPERATION
            )
            return after

        await self._records.change(key, partial(_changed, number=number, decide=decide))
        return {}

    async def get_layer_version_policy(self, call: Call, parameters: Members) -> Members:
        """Return a layer version's policy and its revision id (API page GetLayerVersionPolicy).

        Raises:
            ResourceNotFoundException: no such layer version, or it has no policy.
        """
        key, number = layer_version_target(call, parameters, "GetLayerVersionPolicy")
        layer = await self._records.get(key) or Layer(key=key)
        version = layer.versions.get(number)
        if version is None:
            raise _no_such_version(layer, number)
        if version.policy is None:
            raise ResourceNotFoundException("No policy is associated with the given resource.")
        return {"Policy": version.policy.text, "RevisionId": version.policy.revision_id}


def _changed(
    layer: Layer, *, number: int, decide: Callable[[ResourcePolicy | None], ResourcePolicy | None]
) -> Layer:
    version = layer.versions.get(number)
    if version is None:
        raise _no_such_version(layer, number)
    after = replace(version, policy=decide(version.policy))
    return replace(layer, versions={**layer.versions, number: after})


def _no_such_version(layer: Layer, number: int) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Layer version {layer.key.version_arn(number)} does not exist.")
