"""The states of a function's versions and their legal moves. Pure.

A new version is ``Pending`` until it is activated, then ``Active`` or ``Failed``. A changed ``$LATEST`` stays
``Active`` with ``LastUpdateStatus`` ``InProgress`` until the change is in effect; until then, and after a
change that failed, invocations are served by what was there before (AWS page "Lambda function states").
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from lambent.domain.function import LATEST, ActivationError, Function, FunctionVersion
from lambent.errors import (
    PreconditionFailedException,
    ResourceConflictException,
    SnapStartNotReadyException,
)
from lambent.services.lambda_.managed_instances import NON_INVOCABLE, is_managed


def check_updatable(function: Function, revision_id: str | None) -> None:
    """Refuse a change to ``$LATEST`` while it is being created or changed, or when the caller's view is old.

    Raises:
        ResourceConflictException: an activation is in progress.
        PreconditionFailedException: the revision id is not the current one.
    """
    latest = function.latest
    if latest.state == "Pending":
        raise ResourceConflictException(
            f"The operation cannot be performed at this time. The resource {function.key.arn} is currently in "
            f"the following state: 'Pending'. StateReasonCode: '{latest.state_reason_code}'"
        )
    if latest.last_update_status == "InProgress":
        raise ResourceConflictException(
            "The operation cannot be performed at this time. An update is in progress for resource: "
            f"{function.key.arn}"
        )
    if revision_id and revision_id != latest.revision_id:
        raise PreconditionFailedException(
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API "
            "to retrieve the latest Revision Id"
        )


def check_invocable(version: FunctionVersion) -> None:
    """Refuse to invoke a version that is not active.

    Raises:
        ResourceConflictException: it is pending or failed.
        SnapStartNotReadyException: its snapshot is being taken (AWS page "Troubleshooting SnapStart errors for Lambda
            functions").
    """
    if version.state == "Pending" and version.is_snap_start:
        raise SnapStartNotReadyException(
            "Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE."
        )
    if version.state != "Active":
        raise ResourceConflictException(
            "The operation cannot be performed at this time. The function is currently in the following "
            f"state: {version.state}"
        )


def with_update(function: Function, latest: FunctionVersion) -> Function:
    """Return the function with a changed ``$LATEST`` that is not in effect yet."""
    serving = function.serving or (function.latest if function.latest.state == "Active" else None)
    return replace(function, latest=latest, serving=serving)


def pending_versions(function: Function) -> list[FunctionVersion]:
    """Return the versions whose activation has not come to an end."""
    return [
        version
        for version in (function.latest, *function.versions.values())
        if version.state == "Pending" or version.last_update_status == "InProgress"
    ]


def with_activated(
    function: Function,
    activated: FunctionVersion,
    error: ActivationError | None = None,
    *,
    is_optimized: bool = False,
) -> Function:
    """Return the function after the activation of one of its versions has ended, well or with an error.

    `is_optimized` says whether there is a snapshot of it, which its ``SnapStart.OptimizationStatus`` tells.

    A version that was replaced or deleted meanwhile is left alone: the same function is returned.
    """
    current = current_version(function, activated.version)
    if current is None or current.configuration_id != activated.configuration_id:
        return function
    if not (current.state == "Pending" or current.last_update_status == "InProgress"):
        return function
    after = _settled(current, error)
    if is_optimized:
        snap_start = {**after.passive["SnapStart"], "OptimizationStatus": "On"}
        after = replace(after, passive={**after.passive, "SnapStart": snap_start})
    if current.version != function.latest.version:
        return replace(function, versions={**function.versions, current.version: after})
    # After a failed update the version before keeps serving; after a failed creation there is none.
    return replace(function, latest=after, serving=function.serving if error else None)


def current_version(function: Function, version: str) -> FunctionVersion | None:
    """Return ``$LATEST`` or a published version as it is stored, or None."""
    return function.latest if version == function.latest.version else function.versions.get(version)


def _settled(version: FunctionVersion, error: ActivationError | None) -> FunctionVersion:
    is_update = version.last_update_status == "InProgress" and version.state != "Pending"
    ended = replace(
        version,
        revision_id=str(uuid.uuid4()),
        last_update_status="Failed" if error else "Successful",
        last_update_status_reason=error.reason if error else None,
        last_update_status_reason_code=error.reason_code if error else None,
    )
    if error is None:
        is_invocable = version.version != LATEST or not is_managed(version)
        state = "Active" if is_invocable else NON_INVOCABLE
        return replace(ended, state=state, state_reason=None, state_reason_code=None)
    if is_update:
        return ended
    return replace(ended, state="Failed", state_reason=error.reason, state_reason_code=error.reason_code)
