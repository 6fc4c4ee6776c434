"""Published versions: immutable copies of ``$LATEST`` under a number.

The pure moves (publish, find, remove) are used by the other families too; the operations are at the end.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from lambent.domain.call import Call
from lambent.domain.function import LATEST, LATEST_PUBLISHED, Function, FunctionVersion
from lambent.domain.limits import LIST_FUNCTIONS_MAX
from lambent.domain.runtime_management import RuntimeManagement
from lambent.errors import InvalidParameterValueException, ResourceConflictException
from lambent.services import Members
from lambent.services.lambda_.activations import Activations
from lambent.services.lambda_.configuration import (
    CREATING,
    configuration_digest,
    configuration_of,
    summary_of,
)
from lambent.services.lambda_.errors import NoPublishedVersionException
from lambent.services.lambda_.managed_instances import (
    NON_INVOCABLE,
    is_managed,
    wants_latest_published,
    with_latest_published,
)
from lambent.services.lambda_.names import Target, not_found, resolve, resolve_latest
from lambent.services.lambda_.pages import decode_marker, encode_marker, number_of, place_of
from lambent.services.lambda_.records import Records
from lambent.services.lambda_.states import check_updatable, current_version

T = TypeVar("T")


def version_named(function: Function, target: Target) -> FunctionVersion:
    """Return the version that a qualifier means; of an alias the one that it points to first of all.

    Raises:
        ResourceNotFoundException: there is none of that number or alias.
    """
    version = qualified_version(function, target.qualifier)
    if version is None:
        raise not_found(target.arn)
    return version


def qualified_version(function: Function, qualifier: str | None) -> FunctionVersion | None:
    """Return the version of a number or alias, ``$LATEST`` for None; None when there is none."""
    if qualifier is None:
        return function.latest
    alias = function.aliases.get(qualifier)
    return current_version(function, alias.version if alias else qualifier)


def invocable_version(function: Function, target: Target, draw: Callable[[], float]) -> FunctionVersion:
    """Return the version that an invocation runs: while ``$LATEST`` is being changed, what it was before.

    Args:
        function: the function.
        target: how the caller named it.
        draw: a random number from 0.0 up to 1.0, by which an alias with weights chooses.

    Raises:
        ResourceNotFoundException: there is none of that number or alias.
    """
    number = target.qualifier
    alias = function.aliases.get(number) if number is not None else None
    if alias is not None:
        number = alias.version_for(draw() if alias.weights else 0.0)
    if number is None and is_managed(function.latest):
        if LATEST_PUBLISHED not in function.versions:
            raise NoPublishedVersionException(
                f"The function {target.arn} has no published version. Publish one and try again."
            )
        number = LATEST_PUBLISHED
    if number is None or number == LATEST:
        return function.invocable
    version = function.versions.get(number)
    if version is None:
        raise not_found(target.arn)
    return version


def all_versions(function: Function) -> list[FunctionVersion]:
    """Return ``$LATEST`` and the published versions in the order of their numbers."""
    return [function.latest, *sorted(function.versions.values(), key=number_of)]


def with_published(function: Function, *, description: str | None = None) -> Function:
    """Return the function with ``$LATEST`` published; the same function when nothing has changed since.

    A version published from an active ``$LATEST`` is active at once; otherwise it has an activation of its
    own. Either way ``last_published`` is the number of the version that the caller is shown.
    """
    latest = function.latest
    digest = configuration_digest(latest)
    if digest == function.published_from and str(function.last_published) in function.versions:
        return function
    number = function.last_published + 1
    is_in_effect = latest.state in ("Active", NON_INVOCABLE) and latest.last_update_status == "Successful"
    # With SnapStart, not before its snapshot has been taken.
    is_ready = latest.state == "Active" and latest.passive["SnapStart"]["ApplyOn"] != "PublishedVersions"
    is_ready = is_ready and is_in_effect
    version = replace(
        latest,
        version=str(number),
        description=latest.description if description is None else description,
        revision_id=str(uuid.uuid4()),
        configuration_id=str(uuid.uuid4()),
        state="Active" if is_ready else "Pending",
        state_reason=None if is_ready else CREATING,
        state_reason_code=None if is_ready else "Creating",
        last_update_status="Successful" if is_ready else None,
        last_update_status_reason=None,
        last_update_status_reason_code=None,
    )
    return replace(
        function,
        latest=replace(latest, revision_id=str(uuid.uuid4())) if is_in_effect else latest,
        versions={**function.versions, version.version: version},
        runtime_management=_with_management(function, version.version),
        last_published=number,
        published_from=digest,
    )


def _with_management(function: Function, number: str) -> Mapping[str, RuntimeManagement]:
    """A version keeps the runtime update mode that ``$LATEST`` had when it was published."""
    managements = function.runtime_management
    return {**managements, number: managements[LATEST]} if LATEST in managements else managements


def published_version(function: Function, parameters: Mapping[str, Any]) -> FunctionVersion:
    """Return the version that a request has published: the last number, or ``$LATEST.PUBLISHED``."""
    number = LATEST_PUBLISHED if "PublishTo" in parameters else str(function.last_published)
    return function.versions[number]


def without_version(function: Function, *, qualifier: str) -> Function:
    """Return the function without one of its published versions; removing what is not there is no error.

    Raises:
        InvalidParameterValueException: ``$LATEST`` or an alias is named.
        ResourceConflictException: an alias points to it.
    """
    if qualifier == function.latest.version:
        raise InvalidParameterValueException(
            "$LATEST version cannot be deleted without deleting the function."
        )
    if not qualifier.isdecimal() and qualifier != LATEST_PUBLISHED:
        raise InvalidParameterValueException("Deletion of aliases is not currently supported.")
    if current_version(function, qualifier) is None:
        return function
    if aliases := sorted(name for name, alias in function.aliases.items() if alias.points_to(qualifier)):
        raise ResourceConflictException(
            f"Unable to delete version because the following aliases reference it: [{', '.join(aliases)}]"
        )
    kept = {number: version for number, version in function.versions.items() if number != qualifier}
    return without_qualifier(replace(function, versions=kept), qualifier)


def without_qualifier(function: Function, qualifier: str) -> Function:
    """Return the function without what was configured for a version or alias that is gone.

    A function URL stays and answers that access is denied, as at AWS.
    """
    return replace(
        function,
        scaling=_without(function.scaling, qualifier),
        provisioned=_without(function.provisioned, qualifier),
        event_invoke_configs=_without(function.event_invoke_configs, qualifier),
        runtime_management=_without(function.runtime_management, qualifier),
        policies=_without(function.policies, qualifier),
    )


def _without(items: Mapping[str, T], key: str) -> dict[str, T]:
    return {other: item for other, item in items.items() if other != key}


def published(
    function: Function, parameters: Mapping[str, Any], *, description: str | None = None
) -> Function:
    """Return the function with ``$LATEST`` published under a number, or where ``PublishTo`` says.

    Raises:
        InvalidParameterValueException: ``PublishTo`` is for functions on capacity providers.
    """
    if wants_latest_published(function.latest, parameters):
        digest = configuration_digest(function.latest)
        return with_latest_published(function, digest, description=description)
    return with_published(function, description=description)


class VersionOperations:
    """The operations on published versions."""

    def __init__(self, *, records: Records, activations: Activations) -> None:
        self._records = records
        self._activations = activations

    async def publish_version(self, call: Call, parameters: Members) -> Members:
        """Publish ``$LATEST`` under the next number (API page PublishVersion).

        Raises:
            ResourceNotFoundException: no such function.
            ResourceConflictException: it is being created or updated.
            PreconditionFailedException: the revision id is not the current one.
            InvalidParameterValueException: the code hash given is not that of ``$LATEST``.
        """
        target = resolve_latest(call, parameters["FunctionName"], operation="PublishVersion")
        changed = await self._records.change(target.key, partial(_publish, parameters=parameters))
        if changed is None:
            raise not_found(target.key.arn)
        self._activations.begin(changed[1])
        return configuration_of(published_version(changed[1], parameters), is_qualified=True)

    async def list_versions_by_function(self, call: Call, parameters: Members) -> Members:
        """Return a function's versions, ``$LATEST`` first, at most 50 a page (API page ListVersionsByFunction).

        Raises:
            ResourceNotFoundException: no such function.
            InvalidParameterValueException: the marker is not one of ours.
        """
        target = resolve(call, parameters["FunctionName"], operation="ListVersionsByFunction")
        function = await self._records.get(target.key)
        if function is None:
            raise not_found(target.key.arn)
        versions = all_versions(function)
        if marker := parameters.get("Marker"):
            place = decode_marker(marker)
            versions = [version for version in versions if number_of(version) > place.number]
        limit = min(parameters.get("MaxItems") or LIST_FUNCTIONS_MAX, LIST_FUNCTIONS_MAX)
        page = versions[:limit]
        result: dict[str, Any] = {"Versions": [summary_of(version, is_qualified=True) for version in page]}
        if len(versions) > limit:
            result["NextMarker"] = encode_marker(place_of(page[-1]))
        return result


def _publish(function: Function, *, parameters: Members) -> Function:
    check_updatable(function, parameters.get("RevisionId"))
    current = function.latest.code.sha256
    given = parameters.get("CodeSha256")
    if given and given != current:
        raise InvalidParameterValueException(
            f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({current}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )
    return published(function, parameters, description=parameters.get("Description"))
