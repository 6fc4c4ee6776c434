"""Who asks, and whether a statement's ``Principal`` names them.

How a principal is named matters in its own account: naming the account delegates to its identity policies,
naming the user or session grants by itself (IAM User Guide, "AWS JSON policy elements: Principal").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from lambent.domain.policy.wildcard import like


class Named(IntEnum):
    """How a statement names a principal, from weakly to strongly."""

    NOT = 0
    ACCOUNT = 1
    """Its account: identity policies have to allow the same."""
    ROLE = 2
    """The role behind a session: boundary and session policy still limit it."""
    ITSELF = 3
    """The user, the session, the service, or everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asks."""

    account: str
    """Empty for a service."""
    arn: str = ""
    """As sts.GetCallerIdentity tells it."""
    user_id: str = ""
    role_arn: str | None = None
    """For a session: the role behind it, with its path."""
    service: str | None = None
    """For a service: its name, for instance ``s3.amazonaws.com``."""
    federated: str | None = None
    """For somebody whom an identity provider vouches for: the provider's ARN."""

    @property
    def is_outside(self) -> bool:
        """Whether it is no identity of an account, so that it has no policies of its own."""
        return self.service is not None or self.federated is not None

    @property
    def is_root(self) -> bool:
        """Whether it is the account itself."""
        return self.arn == f"arn:aws:iam::{self.account}:root"


def named(statement: Mapping[str, Any], requester: Requester) -> Named:
    """Return how a statement names the requester; one without a principal concerns whoever has the policy."""
    if "NotPrincipal" in statement:
        excluded = _named_in(statement["NotPrincipal"], requester)
        return Named.NOT if excluded is not Named.NOT else Named.ITSELF
    if "Principal" not in statement:
        return Named.ITSELF
    return _named_in(statement["Principal"], requester)


def _named_in(principal: Any, requester: Requester) -> Named:
    if principal == "*":
        return Named.ITSELF
    if not isinstance(principal, dict):
        return Named.NOT
    kinds = cast("dict[str, Any]", principal)
    if requester.federated is not None:
        return Named.ITSELF if requester.federated in _texts(kinds.get("Federated", ())) else Named.NOT
    if requester.service is not None:
        services = _texts(kinds.get("Service", ()))
        return Named.ITSELF if any(like(requester.service, name) for name in services) else Named.NOT
    return max((_how(name, requester) for name in _texts(kinds.get("AWS", ()))), default=Named.NOT)


def _how(name: str, requester: Requester) -> Named:
    if name in ("*", requester.arn) or (requester.user_id and name == requester.user_id.partition(":")[0]):
        return Named.ITSELF
    if requester.role_arn is not None and name == requester.role_arn:
        return Named.ROLE
    if name in (requester.account, f"arn:aws:iam::{requester.account}:root"):
        return Named.ACCOUNT
    return Named.NOT


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
