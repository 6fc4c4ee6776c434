"""May Lambda assume the role that a function is given? Asked when a function is created or its role changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from lambent.arn import parse_arn
from lambent.domain.call import Call
from lambent.domain.policy_document import statements, texts
from lambent.errors import AccessDeniedException, InvalidParameterValueException
from lambent.store.identities import Identities

SERVICE = "lambda.amazonaws.com"


class ExecutionRoles:
    """Looks roles up and judges their trust policies.

    Args:
        identities: where roles are kept.
        is_strict: whether a role must exist, as on AWS; else an unknown role is taken as a placeholder, which
            is how people who run functions on their own machine use roles.
    """

    def __init__(self, identities: Identities, *, is_strict: bool) -> None:
        self._identities = identities
        self._is_strict = is_strict

    async def check(self, call: Call, role_arn: str) -> None:
        """Refuse a role that Lambda may not assume.

        Raises:
            AccessDeniedException: strict, and the role is in another account.
            InvalidParameterValueException: it does not trust Lambda or, if strict, does not exist.
        """
        parsed = parse_arn(role_arn)
        if self._is_strict and parsed is not None and parsed.account != call.account:
            raise AccessDeniedException("Cross-account pass role is not allowed.")
        role = await self._identities.find_role(role_arn)
        if not trusts_lambda(role.trust_policy) if role else self._is_strict:
            raise InvalidParameterValueException(
                "The role defined for the function cannot be assumed by Lambda."
            )


def trusts_lambda(trust_policy: str) -> bool:
    """Tell whether a trust policy (JSON text) lets the service Lambda assume the role."""
    try:
        document = json.loads(trust_policy)
    except ValueError:
        return False
    effects = {statement.get("Effect") for statement in statements(document) if _names_lambda(statement)}
    return effects == {"Allow"}


def _names_lambda(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") == "Deny" and "Condition" in statement:
        return False  # Whether it applies is not known before the role is assumed.
    principal: Any = statement.get("Principal", {})
    services = texts(principal) if isinstance(principal, str) else texts(principal.get("Service", ()))
    actions = texts(statement.get("Action", ()))
    return any(service in (SERVICE, "*") for service in services) and any(
        fnmatchcase("sts:assumerole", action.lower()) for action in actions
    )
