"""The policy that lies on a function, version, alias or layer version, and says who may use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePolicy:
    """A resource-based policy. What it allows is decided by `lambent.domain.policy`."""

    text: str
    """The document as JSON."""
    revision_id: str
    """UUID; new on each change of the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedResource:
    """What a decision about access has to know of a resource."""

    policy: str | None = None
    """Its resource-based policy as JSON."""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
