"""How concurrency may be set aside: pure checks, in AWS's words.

Each takes the function as it is stored and what is asked for, and raises the error that AWS answers, or
returns nothing (AWS page "Understanding Lambda function scaling"; recorded answers).
"""

from __future__ import annotations

from lambent.domain.alias import Alias
from lambent.domain.function import LATEST, Function, FunctionVersion
from lambent.domain.limits import UNRESERVED_CONCURRENCY_MIN
from lambent.errors import InvalidParameterValueException, ResourceConflictException
from lambent.services.lambda_.managed_instances import refuse_managed
from lambent.services.lambda_.names import Target, alias_not_found, not_found
from lambent.services.lambda_.tenancy import refuse_tenancy
from lambent.services.lambda_.usage import set_aside, total_provisioned
from lambent.services.lambda_.versions import qualified_version


def check_reserved(function: Function, reserved: int, *, unreserved: int) -> None:
    """Check a reservation.

    Args:
        function: who would have it.
        reserved: the ReservedConcurrentExecutions asked for.
        unreserved: what functions without a reservation share now.

    Raises:
        InvalidParameterValueException: too little would be left to others, or to its provisioned concurrency.
    """
    added = reserved - set_aside(function)
    if added > 0 and unreserved - added < UNRESERVED_CONCURRENCY_MIN:
        raise _below_minimum("ReservedConcurrentExecutions")
    provisioned = total_provisioned(function)
    if reserved < provisioned:
        # AWS's text has these spaces.
        raise InvalidParameterValueException(
            f" ReservedConcurrentExecutions  {reserved} should not be lower than function's total provisioned "
            f"concurrency [{provisioned}]."
        )


def check_provisioned(function: Function, qualifier: str, requested: int, *, unreserved: int) -> None:
    """Check an amount of provisioned concurrency for a version or alias.

    Raises:
        InvalidParameterValueException: it is more than the function or the account can have.
    """
    before = function.provisioned.get(qualifier)
    added = requested - (before.requested if before else 0)
    if function.reserved_concurrency is not None:
        if total_provisioned(function) + added > function.reserved_concurrency:
            raise InvalidParameterValueException(
                "Requested Provisioned Concurrency should not be greater than the "
                "reservedConcurrentExecution for function"
            )
        return
    if added > unreserved:
        raise InvalidParameterValueException(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
            f"[{unreserved}].",
            Type=None,
        )
    if added > 0 and unreserved - added < UNRESERVED_CONCURRENCY_MIN:
        raise _below_minimum("ConcurrentExecutions")


def check_provisionable(function: Function, target: Target) -> None:
    """Check that a version or alias can have provisioned concurrency.

    Raises:
        ResourceNotFoundException: there is none of that number or name.
        ResourceConflictException: an alias and its version cannot both have some.
        InvalidParameterValueException: it is not one published version, or one with SnapStart.
    """
    qualifier = target.qualifier or LATEST
    alias = function.aliases.get(qualifier)
    version = check_qualifier(function, target)
    if alias is not None:
        if alias.weights:
            raise InvalidParameterValueException(
                "Alias with weights can not be used with Provisioned Concurrency"
            )
        check_movable(function, alias)
    elif any(
        other.version == qualifier and other.name in function.provisioned
        for other in function.aliases.values()
    ):
        raise ResourceConflictException("Version is pointed by a Provisioned Concurrency alias")
    refuse_tenancy(version, "Provisioned concurrency is")
    refuse_managed(version, "Provisioned concurrency is")
    if version.passive.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions":
        raise InvalidParameterValueException(
            "Provisioned Concurrency is not supported for function versions with SnapStart enabled."
        )


def check_movable(function: Function, alias: Alias) -> None:
    """Check that an alias with provisioned concurrency can point to its version.

    Raises:
        InvalidParameterValueException: it is not a published version.
        ResourceConflictException: that version has provisioned concurrency of its own.
    """
    if alias.version == LATEST:
        raise InvalidParameterValueException(
            "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
        )
    if alias.version in function.provisioned:
        raise ResourceConflictException(
            "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
        )


def check_qualifier(function: Function, target: Target) -> FunctionVersion:
    """Return the version that a version number or alias means.

    Raises:
        ResourceNotFoundException: there is none of that number or name.
    """
    version = qualified_version(function, target.qualifier)
    if version is None:
        is_number = (target.qualifier or "").isdecimal()
        raise not_found(target.arn) if is_number else alias_not_found(target.arn)
    return version


def _below_minimum(member: str) -> InvalidParameterValueException:
    # This answer of AWS's has no Type.
    return InvalidParameterValueException(
        f"Specified {member} for function decreases account's UnreservedConcurrentExecution below its minimum "
        f"value of [{UNRESERVED_CONCURRENCY_MIN}].",
        Type=None,
    )
