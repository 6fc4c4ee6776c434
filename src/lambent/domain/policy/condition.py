"""Conditions of statements: operators, sets of values, and keys that a request does not have.

IAM User Guide, "IAM JSON policy elements: Condition operators" and "Single-valued vs. multivalued context keys".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from lambent.domain.policy.wildcard import UnknownVariable, like_arn, like_with_variables, substituted

Context = Mapping[str, tuple[str, ...]]
"""Values by condition key in lower case; a key that is not there has no value."""

Compare = Callable[[str, str, Context], bool]
"""(value of the request, value of the policy, context for variables) → whether they agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known about a statement's conditions."""

    holds: bool | None
    """None: they cannot be judged, because an operator or a value is not understood."""
    missing: frozenset[str] = frozenset()
    """Keys that were asked for and that the request does not have."""


NO_CONDITION = Verdict(holds=True)


def judge(condition: Mapping[str, Any], context: Context, *, has_variables: bool) -> Verdict:
    """Return whether all conditions of a statement hold.

    Args:
        condition: the ``Condition`` element: operator → key → value or values.
        context: the request's values.
        has_variables: whether ``${…}`` is a variable in this policy's version.
    """
    if not condition:
        return NO_CONDITION
    missing: set[str] = set()
    holds: bool | None = True
    for operator, block in condition.items():
        for key, wanted in cast("Mapping[str, Any]", block).items():
            if key.lower() not in context:
                missing.add(key)
            one = _holds(operator, context.get(key.lower(), ()), _texts(wanted), context, has_variables)
            holds = False if one is False or holds is False else (None if one is None else holds)
    return Verdict(holds=holds, missing=frozenset(missing))


def _holds(
    operator: str, values: tuple[str, ...], wanted: tuple[str, ...], context: Context, has_variables: bool
) -> bool | None:
    quantifier, _, name = operator.rpartition(":")
    quantifier, name = quantifier.lower(), name.lower()
    if quantifier not in ("", "forallvalues", "foranyvalue"):
        return None
    if name == "null":
        return wanted == (str(not values).lower(),)
    is_optional = name.endswith("ifexists")
    name = name.removesuffix("ifexists")
    is_negated = "not" in name
    compare = _COMPARISONS.get(name.replace("not", ""))
    if compare is None:
        return None
    if not values:
        return is_optional or quantifier == "forallvalues" or (is_negated and quantifier == "")
    variables = context if has_variables else None
    try:
        matches = [any(_agree(compare, value, one, variables) for one in wanted) for value in values]
    except ValueError:
        return None
    matches = [match != is_negated for match in matches]
    return any(matches) if quantifier == "foranyvalue" else all(matches)


def _agree(compare: Compare, value: str, wanted: str, variables: Context | None) -> bool:
    try:
        if variables is None:
            # Without variables a dollar is a dollar; `${$}` writes one.
            return compare(value, wanted.replace("${", "${$}{"), {})
        return compare(value, wanted, variables)
    except UnknownVariable:
        return False


def _texts(wanted: Any) -> tuple[str, ...]:
    values = cast("list[Any]", wanted) if isinstance(wanted, list) else [wanted]
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)


def _string_equals(value: str, wanted: str, context: Context) -> bool:
    return value == substituted(wanted, context)


def _string_equals_ignoring_case(value: str, wanted: str, context: Context) -> bool:
    return value.lower() == substituted(wanted, context).lower()


def _arn_like(value: str, wanted: str, context: Context) -> bool:
    return like_arn(value, wanted, context)


def _bool(value: str, wanted: str, context: Context) -> bool:
    return value.lower() == substituted(wanted, context).lower()


def _binary(value: str, wanted: str, context: Context) -> bool:
    try:
        return base64.b64decode(value, validate=True) == base64.b64decode(wanted, validate=True)
    except binascii.Error as error:
        raise ValueError(wanted) from error


def _ip_address(value: str, wanted: str, context: Context) -> bool:
    address = ipaddress.ip_address(value)
    return address in ipaddress.ip_network(substituted(wanted, context), strict=False)


def _compared(parse: Callable[[str], float], holds: Callable[[float, float], bool]) -> Compare:
    return lambda value, wanted, context: holds(parse(value), parse(substituted(wanted, context)))


def _instant_s(text: str) -> float:
    """Return seconds since the epoch from a date of ISO 8601 or from such seconds."""
    try:
        return float(text)
    except ValueError:
        found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "equals": lambda value, wanted: value == wanted,
    "lessthan": lambda value, wanted: value < wanted,
    "lessthanequals": lambda value, wanted: value <= wanted,
    "greaterthan": lambda value, wanted: value > wanted,
    "greaterthanequals": lambda value, wanted: value >= wanted,
}
_COMPARISONS: Mapping[str, Compare] = {
    "stringequals": _string_equals,
    "stringequalsignorecase": _string_equals_ignoring_case,
    "stringlike": like_with_variables,
    "arnequals": _arn_like,
    "arnlike": _arn_like,
    "bool": _bool,
    "binaryequals": _binary,
    "ipaddress": _ip_address,
    **{f"numeric{name}": _compared(float, holds) for name, holds in _ORDERS.items()},
    **{f"date{name}": _compared(_instant_s, holds) for name, holds in _ORDERS.items()},
}
