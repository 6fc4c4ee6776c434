"""Trust policies at work: may this caller do this to this role? Pure.

An explicit Deny wins over any Allow; nothing said is a no (IAM User Guide, "Policy evaluation logic"). Principals
of type ``Service`` and ``Federated`` are nobody who calls AssumeRole here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from lambent.domain.policy_document import statements, texts

Context = Mapping[str, tuple[str, ...]]
"""Values by condition key in lower case; a key that is not there has no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who wants to assume a role."""

    account: str
    arns: frozenset[str]
    """The principal's ARN and, for an assumed role, that of the role behind the session."""


def is_allowed(trust_policy: str, caller: Caller, action: str, context: Context) -> bool:
    """Return whether a role's trust policy lets a caller do something, for instance ``sts:AssumeRole``."""
    effects = {
        statement["Effect"]
        for statement in statements(json.loads(trust_policy))
        if _names_caller(statement, caller)
        and _names_action(statement, action)
        # What cannot be judged must not open a door: it fails an Allow and meets a Deny.
        and _conditions_hold(statement.get("Condition", {}), context, unknown=statement["Effect"] == "Deny")
    }
    return effects == {"Allow"}


def _names_caller(statement: Mapping[str, Any], caller: Caller) -> bool:
    if "NotPrincipal" in statement:
        return not _includes(statement["NotPrincipal"], caller)
    return _includes(statement["Principal"], caller)


def _includes(principal: Any, caller: Caller) -> bool:
    if principal == "*":
        return True
    accounts = {"*", caller.account, f"arn:aws:iam::{caller.account}:root"}
    return any(name in accounts or name in caller.arns for name in texts(principal.get("AWS", ())))


def _names_action(statement: Mapping[str, Any], action: str) -> bool:
    member = "NotAction" if "NotAction" in statement else "Action"
    named = any(_like(action.lower(), pattern.lower()) for pattern in texts(statement[member]))
    return named != (member == "NotAction")


def _conditions_hold(condition: Mapping[str, Any], context: Context, *, unknown: bool) -> bool:
    return all(
        _holds(operator, context.get(key.lower(), ()), _texts_of(wanted), unknown=unknown)
        for operator, block in condition.items()
        for key, wanted in block.items()
    )


def _holds(operator: str, values: tuple[str, ...], wanted: tuple[str, ...], *, unknown: bool) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if name.lower() == "null":
        return wanted == (str(not values).lower(),)
    if_exists = name.lower().endswith("ifexists")
    name = name.lower().removesuffix("ifexists")
    negated = "not" in name
    compare = _COMPARISONS.get(name.replace("not", ""))
    if compare is None:
        return unknown
    if not values:
        return if_exists or negated or quantifier.lower() == "forallvalues"
    matches = [any(compare(value, pattern) for pattern in wanted) != negated for value in values]
    return any(matches) if quantifier.lower() == "foranyvalue" else all(matches)


def _texts_of(wanted: Any) -> tuple[str, ...]:
    values = cast("list[Any]", wanted) if isinstance(wanted, list) else [wanted]
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)


def _like(value: str, pattern: str) -> bool:
    # fnmatch knows classes in brackets, policies do not.
    return fnmatchcase(value, pattern.replace("[", "[[]"))


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "stringequals": lambda value, wanted: value == wanted,
    "stringequalsignorecase": lambda value, wanted: value.lower() == wanted.lower(),
    "stringlike": _like,
    "arnequals": _like,
    "arnlike": _like,
    "bool": lambda value, wanted: value.lower() == wanted.lower(),
}
