"""An alias: a name for one version of a function, or for two that share its invocations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """An alias of a function (API page "AliasConfiguration")."""

    name: str
    version: str
    """What it points to: a version number or ``$LATEST``."""
    description: str = ""
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    """The share of invocations, 0.0 to 1.0, that another version gets; at most one entry."""
    revision_id: str = ""
    """UUID; new on each change."""

    def version_for(self, draw: float) -> str:
        """Return the version that one invocation runs.

        Args:
            draw: a random number, at least 0.0 and less than 1.0.
        """
        for version, weight in self.weights.items():
            if draw < weight:
                return version
            draw -= weight
        return self.version

    def points_to(self, version: str) -> bool:
        """Whether invocations of the alias may run this version."""
        return version == self.version or version in self.weights
