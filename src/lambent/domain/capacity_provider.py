"""A capacity provider: where the instances of Lambda Managed Instances would come from. Only its words are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityProvider:
    """One capacity provider."""

    account: str
    region: str
    name: str
    settings: Mapping[str, Any]
    """VpcConfig, PermissionsConfig, InstanceRequirements and the others, by AWS name, defaults included."""
    state: str
    last_modified: str
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def arn(self) -> str:
        """The capacity provider's ARN."""
        return f"arn:aws:lambda:{self.region}:{self.account}:capacity-provider:{self.name}"
