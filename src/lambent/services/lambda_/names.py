"""How callers name functions: a name, ``name:qualifier``, a partial ARN or a full ARN.

`resolve` turns any of the four, with the explicit qualifier if there is one, into a `FunctionKey` and a
qualifier, or raises the error that AWS answers. Whether the function exists is not asked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from lambent.domain.call import Call
from lambent.domain.function import LATEST, FunctionKey
from lambent.domain.limits import FUNCTION_NAME_MAX
from lambent.errors import (
    AccessDeniedException,
    InvalidParameterValueException,
    ResourceNotFoundException,
    ValidationException,
)

# The model's pattern for FunctionName, with names for its parts. AWS prints the pattern as it stands there.
PATTERN_TEXT = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?"
    r"(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?"
)
_PARTS = re.compile(
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?"
    r"((?P<region>(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d):)?"
    r"((?P<account>\d{12}):)?(function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)(:(?P<qualifier>\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)

_ACTIONS = {"Invoke": "InvokeFunction", "InvokeWithResponseStream": "InvokeFunction"}
"""Actions in policies that are not called as the operation is."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A function as a caller named it."""

    key: FunctionKey
    qualifier: str | None
    """None: unqualified; else ``$LATEST``, a version number or an alias name."""

    @cached_property
    def arn(self) -> str:
        """The ARN, qualified when the caller gave a qualifier."""
        return self.key.qualified_arn(self.qualifier) if self.qualifier else self.key.arn

    @property
    def is_latest(self) -> bool:
        """Whether ``$LATEST`` is meant."""
        return self.qualifier in (None, LATEST)


def resolve(call: Call, function_name: str, qualifier: str | None = None, *, operation: str) -> Target:
    """Take a FunctionName parameter apart.

    Args:
        call: whose account and region the function must be in.
        function_name: one of the four forms; the model's pattern has been checked.
        qualifier: the Qualifier parameter.
        operation: its AWS name, for the text of an access error.

    Raises:
        ResourceNotFoundException: the ARN names another region.
        AccessDeniedException: the ARN names another account, and no policy of the function admits the caller.
        InvalidParameterValueException: both qualifiers are given and differ.
    """
    found = _read(function_name, qualifier, call.account, call.region)
    if found is None:
        raise _malformed(function_name)
    target, derived = found
    key = target.key
    if key.region != call.region:
        raise ResourceNotFoundException(
            f"Functions from '{key.region}' are not reachable in this region ('{call.region}')"
        )
    if key.account != call.account and operation == "CreateFunction":
        raise AccessDeniedException  # AWS gives no text here
    if key.account not in (call.account, call.admitted_account):
        action = _ACTIONS.get(operation, operation)
        raise AccessDeniedException(
            f"User: {call.principal.arn} is not authorized to perform: lambda:{action} on resource: "
            f"{target.arn} because no resource-based policy allows the lambda:{action} action"
        )
    if qualifier and derived and qualifier != derived:
        raise InvalidParameterValueException(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return target


def resolve_latest(call: Call, function_name: str, *, operation: str) -> Target:
    """Take apart the FunctionName of an operation that changes or publishes ``$LATEST``.

    Raises:
        InvalidParameterValueException: a version or an alias is part of it.
        ResourceNotFoundException, AccessDeniedException: as `resolve`.
    """
    target = resolve(call, function_name, operation=operation)
    if not target.is_latest:
        raise InvalidParameterValueException(
            "Current operation does not support versions other than $LATEST. Please set the version to $LATEST "
            "or do not set a version in your request."
        )
    return target


def named(call: Call, function_name: str, qualifier: str | None = None) -> Target | None:
    """Return what a FunctionName parameter means, wherever that is; None when it has none of the four forms."""
    found = _read(function_name, qualifier, call.account, call.region)
    return found[0] if found is not None else None


def resolve_new(call: Call, function_name: str) -> FunctionKey:
    """Take apart the FunctionName of CreateFunction, which has no qualifier and whose name has a length.

    Raises:
        InvalidParameterValueException: the name itself is longer than 64 characters.
        ValidationException: a qualifier is part of it.
        ResourceNotFoundException: the ARN names another region.
        AccessDeniedException: the ARN names another account.
    """
    match = _PARTS.fullmatch(function_name)
    if match is None:
        raise _malformed(function_name)
    parts = match.groupdict(default="")
    if parts["qualifier"]:
        raise _malformed(function_name)
    if len(parts["name"]) > FUNCTION_NAME_MAX:
        raise InvalidParameterValueException(
            f"1 validation error detected: Value '{parts['name']}' at 'functionName' failed to satisfy "
            f"constraint: Member must have length less than or equal to {FUNCTION_NAME_MAX}"
        )
    return resolve(call, function_name, operation="CreateFunction").key


def not_found(arn: str) -> ResourceNotFoundException:
    """Return the error for a function, version or alias that does not exist."""
    return ResourceNotFoundException(f"Function not found: {arn}")


def alias_not_found(arn: str) -> ResourceNotFoundException:
    """Return the error for looking at an alias that does not exist."""
    return ResourceNotFoundException(f"Cannot find alias arn: {arn}")


# Callers name the same functions again and again. What a name means depends on nothing that changes.
@lru_cache(maxsize=4096)
def _read(
    function_name: str, qualifier: str | None, account: str, region: str
) -> tuple[Target, str | None] | None:
    """Return what a name means to a caller of this account and region, and the qualifier inside the name."""
    match = _PARTS.fullmatch(function_name)
    if match is None:
        return None
    parts = match.groupdict(default="")
    key = FunctionKey(
        account=parts["account"] or account, region=parts["region"] or region, name=parts["name"]
    )
    derived = parts["qualifier"] or None
    return Target(key=key, qualifier=qualifier or derived), derived


def _malformed(function_name: str) -> ValidationException:
    return ValidationException(
        f"1 validation error detected: Value '{function_name}' at 'functionName' failed to satisfy "
        f"constraint: Member must satisfy regular expression pattern: {PATTERN_TEXT}"
    )
