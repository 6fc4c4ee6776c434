"""A platform application of SNS, and the mobile devices that are registered with it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambent.arn import parse_arn

PLATFORMS = frozenset(
    {
        "ADM",
        "APNS",
        "APNS_SANDBOX",
        "APNS_VOIP",
        "APNS_VOIP_SANDBOX",
        "BAIDU",
        "FCM",
        "GCM",
        "MACOS",
        "MACOS_SANDBOX",
        "MPNS",
        "WNS",
    }
)
_SECRET = frozenset({"PlatformCredential", "PlatformPrincipal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformApplication:
    """An application at one of the platforms' push services."""

    account: str
    region: str
    platform: str
    """Which push service: ``GCM``, ``APNS``, …"""
    name: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """By AWS name, those that were set."""

    @property
    def key(self) -> str:
        """``account/region/platform/name``."""
        return f"{self.account}/{self.region}/{self.platform}/{self.name}"

    @property
    def arn(self) -> str:
        """The application's ARN."""
        return f"arn:aws:sns:{self.region}:{self.account}:app/{self.platform}/{self.name}"

    @property
    def shown(self) -> dict[str, str]:
        """Its attributes as callers see them: without what it signs in with."""
        own = {name: value for name, value in self.attributes.items() if name not in _SECRET}
        return {"Enabled": "true", **own}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEndpoint:
    """One device with one application."""

    application_key: str
    id: str
    """A UUID, the last part of its ARN."""
    attributes: Mapping[str, str]
    """``Enabled`` and ``Token``, and ``CustomUserData`` where there is some."""

    @property
    def key(self) -> str:
        """``account/region/platform/name/id``."""
        return f"{self.application_key}/{self.id}"

    @property
    def arn(self) -> str:
        """The endpoint's ARN."""
        account, region, rest = self.key.split("/", 2)
        return f"arn:aws:sns:{region}:{account}:endpoint/{rest}"

    @property
    def token(self) -> str:
        """What the platform calls the device."""
        return self.attributes.get("Token", "")

    @property
    def is_enabled(self) -> bool:
        """Whether anything is sent to it."""
        return self.attributes.get("Enabled", "true").lower() == "true"


def application_key(arn: str) -> str | None:
    """Return the key of a platform application's ARN; None when it is none."""
    return _key(arn, "app", parts=2)


def endpoint_key(arn: str) -> str | None:
    """Return the key of a platform endpoint's ARN; None when it is none."""
    return _key(arn, "endpoint", parts=3)


def _key(arn: str, kind: str, *, parts: int) -> str | None:
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "sns":
        return None
    found, *rest = parsed.resource.split("/")
    if found != kind or len(rest) != parts or not all(rest):
        return None
    return "/".join((parsed.account, parsed.region, *rest))
