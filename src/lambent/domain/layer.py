"""Layers: archives beside a function's code that many functions share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.domain.function import Code
from lambent.domain.resource_policy import ResourcePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerKey:
    """Which layer: names are unique in an account and region."""

    account: str
    region: str
    name: str

    @property
    def path(self) -> str:
        """``account/region/name``, the key under which the store keeps it."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def arn(self) -> str:
        """The layer's ARN, without a version."""
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"

    def version_arn(self, number: int) -> str:
        """The ARN of one of its versions."""
        return f"{self.arn}:{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVersion:
    """One version of a layer; never changed, but for its policy."""

    number: int
    code: Code
    created: str
    """``2026-01-02T03:04:05.678+0000``."""
    description: str = ""
    license: str | None = None
    runtimes: tuple[str, ...] = ()
    """With which it says to be compatible; nothing holds it to that."""
    architectures: tuple[str, ...] = ()
    policy: ResourcePolicy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer with those of its versions that were not deleted."""

    key: LayerKey
    versions: Mapping[int, LayerVersion] = field(default_factory=dict[int, LayerVersion])
    last_published: int = 0
    """The number of the newest version ever published: numbers are not used twice."""
