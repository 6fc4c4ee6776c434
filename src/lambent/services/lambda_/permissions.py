"""Permissions: who may invoke or manage a function, version or alias from outside its account's own policies.

`AddPermission` and `RemovePermission` change one statement, the operations on resource policies the document
as a whole; both see the same policy (API pages of the same names).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from lambent.domain.call import Call
from lambent.domain.function import LATEST, Function
from lambent.domain.policy_document import check_resource_policy
from lambent.domain.resource_policy import ResourcePolicy
from lambent.errors import (
    InvalidParameterValueException,
    MalformedPolicyDocumentException,
    ResourceNotFoundException,
)
from lambent.services import Members
from lambent.services.lambda_.names import Target, alias_not_found, not_found, resolve
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.resource_policies import (
    check_revision,
    dumped,
    new_policy,
    principal_of,
    statement_of,
    with_statement,
    without_statement,
)

_NO_RESOURCE = "The resource you requested does not exist."
_NARROWING = ("FunctionUrlAuthType", "PrincipalOrgID", "SourceAccount", "SourceArn")
"""Parameters that say who of everybody is meant, or that really everybody is."""


class PermissionOperations:
    """The operations on resource-based policies of functions."""

    def __init__(self, *, records: Records) -> None:
        self._records = records

    async def add_permission(self, call: Call, parameters: Members) -> Members:
        """Let a principal do something with a function, version or alias.

        Raises:
            ResourceNotFoundException: no such function, version or alias.
            ResourceConflictException: its policy has a statement of that id.
            PreconditionFailedException: the revision id is not the current one.
            InvalidParameterValueException: the principal is none, ``$LATEST`` is named, or a condition is not for
                the action.
            PolicyLengthExceededException: the policy would be over 20 KB.
        """
        target = _target(call, parameters, "AddPermission")
        if target.qualifier == LATEST:
            raise _no_policies_for_latest()
        statement = _statement(target, parameters)
        await self._change(target, partial(_with, statement=statement, given=parameters.get("RevisionId")))
        return {"Statement": dumped(statement)}

    async def remove_permission(self, call: Call, parameters: Members) -> Members:
        """Take a statement away.

        Raises:
            ResourceNotFoundException: no such function, policy or statement.
            PreconditionFailedException: the revision id is not the current one.
        """
        target = _target(call, parameters, "RemovePermission")
        change = partial(_without, sid=parameters["StatementId"], given=parameters.get("RevisionId"))
        if await self._records.get(target.key) is None:
            raise ResourceNotFoundException(f"No policy found for: {target.key.arn}")
        await self._change(target, change)
        return {}

    async def get_policy(self, call: Call, parameters: Members) -> Members:
        """Return the policy and its revision id.

        Raises:
            ResourceNotFoundException: no such function, version or alias, or it has no policy.
        """
        return await self._policy(_target(call, parameters, "GetPolicy"))

    async def get_resource_policy(self, call: Call, parameters: Members) -> Members:
        """Return the policy of the function, version or alias with an ARN, and its revision id.

        Raises:
            ResourceNotFoundException: it does not exist, or has no policy.
        """
        return await self._policy(_resource(call, parameters, "GetResourcePolicy"))

    async def put_resource_policy(self, call: Call, parameters: Members) -> Members:
        """Replace the whole policy.

        Raises:
            ResourceNotFoundException: no such function, version or alias.
            PreconditionFailedException: the revision id is not the current one.
            InvalidParameterValueException: the document is no policy for this resource, or it is ``$LATEST``.
        """
        target = _resource(call, parameters, "PutResourcePolicy")
        if target.qualifier == LATEST:
            raise _no_policies_for_latest()
        try:
            check_resource_policy(parameters["Policy"], resource=target.arn)
        except MalformedPolicyDocumentException as error:
            raise InvalidParameterValueException(error.message) from error
        policy = new_policy(parameters["Policy"])
        await self._change(target, partial(_replaced, policy=policy, given=parameters.get("RevisionId")))
        return {"Policy": policy.text, "RevisionId": policy.revision_id}

    async def delete_resource_policy(self, call: Call, parameters: Members) -> Members:
        """Take the whole policy away.

        Raises:
            ResourceNotFoundException: no such function, version or alias, or it has no policy.
            PreconditionFailedException: the revision id is not the current one.
        """
        target = _resource(call, parameters, "DeleteResourcePolicy")
        await self._change(target, partial(_replaced, policy=None, given=parameters.get("RevisionId")))
        return {}

    async def _policy(self, target: Target) -> Members:
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.arn)
        _require_qualifier(function, target)
        policy = function.policies.get(target.qualifier or LATEST)
        if policy is None:
            raise ResourceNotFoundException(_NO_RESOURCE)
        return {"Policy": policy.text, "RevisionId": policy.revision_id}

    async def _change(
        self,
        target: Target,
        decide: Callable[[ResourcePolicy | None, str], ResourcePolicy | None],
    ) -> None:
        if await self._records.change(target.key, partial(_changed, target=target, decide=decide)) is None:
            raise not_found(target.arn)


def _changed(
    function: Function,
    *,
    target: Target,
    decide: Callable[[ResourcePolicy | None, str], ResourcePolicy | None],
) -> Function:
    _require_qualifier(function, target)
    place = target.qualifier or LATEST
    before = function.policies.get(place)
    after = decide(before, before.revision_id if before else _revision_of(function, place))
    policies = {qualifier: policy for qualifier, policy in function.policies.items() if qualifier != place}
    return replace(function, policies=policies | ({place: after} if after else {}))


def _with(
    before: ResourcePolicy | None, current: str, *, statement: dict[str, Any], given: str | None
) -> ResourcePolicy:
    check_revision(given, current)
    return with_statement(before, statement)


def _without(
    before: ResourcePolicy | None, current: str, *, sid: str, given: str | None
) -> ResourcePolicy | None:
    after = without_statement(before, sid)
    check_revision(given, current)
    return after


def _replaced(
    before: ResourcePolicy | None, current: str, *, policy: ResourcePolicy | None, given: str | None
) -> ResourcePolicy | None:
    if before is None and policy is None:
        raise ResourceNotFoundException(_NO_RESOURCE)
    check_revision(given, current)
    return policy


def _revision_of(function: Function, qualifier: str) -> str:
    """Return what a caller can know as revision while there is no policy: that of version or alias."""
    if alias := function.aliases.get(qualifier):
        return alias.revision_id
    return function.versions.get(qualifier, function.latest).revision_id


def _require_qualifier(function: Function, target: Target) -> None:
    if target.is_latest or target.qualifier in (*function.versions, *function.aliases):
        return
    is_number = target.qualifier is not None and target.qualifier.isdecimal()
    raise not_found(target.arn) if is_number else alias_not_found(target.arn)


def _target(call: Call, parameters: Members, operation: str) -> Target:
    return resolve(call, parameters["FunctionName"], parameters.get("Qualifier"), operation=operation)


def _resource(call: Call, parameters: Members, operation: str) -> Target:
    arn: str = parameters["ResourceArn"]
    if arn.split(":")[5].startswith("runtime/"):
        raise ResourceNotFoundException(_NO_RESOURCE)  # Customer-managed runtimes are not there.
    return resolve(call, arn, operation=operation)


def _statement(target: Target, parameters: Members) -> dict[str, Any]:
    _check_url_condition(parameters)
    equals = {
        "AWS:SourceAccount": parameters.get("SourceAccount"),
        "lambda:EventSourceToken": parameters.get("EventSourceToken"),
        "aws:PrincipalOrgID": parameters.get("PrincipalOrgID"),
        "lambda:FunctionUrlAuthType": parameters.get("FunctionUrlAuthType"),
    }
    condition: dict[str, Any] = {}
    if given := {key: value for key, value in equals.items() if value is not None}:
        condition["StringEquals"] = given
    if "SourceArn" in parameters:
        condition["ArnLike"] = {"AWS:SourceArn": parameters["SourceArn"]}
    if "InvokedViaFunctionUrl" in parameters:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(parameters["InvokedViaFunctionUrl"]).lower()}
    return statement_of(
        parameters["StatementId"],
        principal_of(parameters["Principal"]),
        parameters["Action"],
        target.arn,
        condition,
    )


def _check_url_condition(parameters: Members) -> None:
    """The auth type is a condition for URLs, and without any condition no URL is opened to everybody."""
    if parameters["Action"] != "lambda:InvokeFunctionUrl":
        if "FunctionUrlAuthType" in parameters:
            raise InvalidParameterValueException(
                "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
            )
        return
    if parameters["Principal"] == "*" and not any(member in parameters for member in _NARROWING):
        raise InvalidParameterValueException(
            "This policy could enable public access to your lambda function as it allows all Principals (*) to perform "
            "lambda:InvokeFunctionUrl action. You must specify lambda:FunctionUrlAuthType condition if intend to "
            "enable public access"
        )


def _no_policies_for_latest() -> InvalidParameterValueException:
    return InvalidParameterValueException("We currently do not support adding policies for $LATEST.")
