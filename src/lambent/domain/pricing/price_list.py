"""Price lists: AWS's as transcribed (aws-facts §1, in USD), and the form that every list has.

A list has prices for one region and what differs from them in others. A price that a region does not have is that of
the list's own region, and `stands_in` says so: usage is never lost because a price is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

X86, ARM = "x86_64", "arm64"
ARCHITECTURES = (X86, ARM)
FREE_SNAPSHOT_RUNTIMES = ("java",)
"""Beginnings of runtimes whose snapshots cost nothing."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A price up to a monthly amount."""

    rate: Decimal
    """Per GB-second."""
    up_to_gb_s: int | None = None
    """Of an account's on-demand GB-seconds in a month, in one region and on one architecture; None: without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The prices of one region. None: the list has none for it."""

    request: Decimal | None = None
    duration: Mapping[str, tuple[Tier, ...]] = field(default_factory=dict[str, tuple[Tier, ...]])
    """By architecture, the cheapest tier last."""
    provisioned: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    """Per GB-second for which provisioned concurrency is configured, by architecture."""
    provisioned_duration: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    """Per GB-second that runs in it."""
    ephemeral_storage: Decimal | None = None
    """Per GB-second above 512 MB."""
    snapshot_cache: Decimal | None = None
    """SnapStart, per GB-second for which a version's snapshot is kept."""
    snapshot_restore: Decimal | None = None
    """SnapStart, per GB of memory and restore."""
    streamed_gb: Decimal | None = None
    tenant_environment: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    """Per GB of memory of each new environment of a tenant, by architecture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeTier:
    """What a month has for nothing, all regions together."""

    requests: int = 0
    gb_seconds: int = 0
    streamed_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """Prices by region."""

    id: str
    """Its name for ever: a list that changes gets another."""
    name: str
    currency: str
    home: str
    """The region whose prices `prices` are; empty: they are those of every region."""
    prices: Prices
    regions: Mapping[str, Prices] = field(default_factory=dict[str, Prices])
    """What differs elsewhere; a region with nothing different is there, too."""
    free: FreeTier = FreeTier()

    def of(self, region: str) -> Prices:
        """Return the prices of a region, those of the list's own where it has none."""
        other = self.regions.get(region)
        return self.prices if other is None or not self.home else _over(other, self.prices)

    def knows(self, region: str) -> bool:
        """Whether the list has prices of its own for a region."""
        return not self.home or region == self.home or region in self.regions

    def stands_in(self, region: str, member: str, architecture: str) -> bool:
        """Whether the home region's price is taken for a member of `Prices`."""
        other = self.regions.get(region)
        if not self.home or region == self.home or other is _SAME:
            return False
        if other is None:
            return True
        value: object = getattr(other, member)
        return architecture not in value if isinstance(value, Mapping) else value is None


def _over(other: Prices, base: Prices) -> Prices:
    """Return prices with another region's in place of those that it lacks."""
    merged: dict[str, object] = {}
    for name in Prices.__slots__:
        own: object = getattr(other, name)
        fallback: object = getattr(base, name)
        if isinstance(own, Mapping) and isinstance(fallback, Mapping):
            merged[name] = {**fallback, **own}
        else:
            merged[name] = fallback if own is None else own
    return replace(base, **merged)  # pyright: ignore[reportArgumentType]


def _duration(rates: Mapping[str, str]) -> Prices:
    return Prices(duration={name: (Tier(Decimal(rate)),) for name, rate in rates.items()})


_SAME = Prices()
_AS_AT_HOME = (
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "ca-west-1",
    "sa-east-1",
    "mx-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "eu-south-2",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
)
AWS = PriceList(
    id="aws-2026-09-28",
    name="AWS's price list of 2026-09-28",
    currency="USD",
    home="us-east-1",
    prices=Prices(
        request=Decimal("0.0000002"),
        duration={
            X86: (
                Tier(Decimal("0.0000166667"), 6_000_000_000),
                Tier(Decimal("0.000015"), 15_000_000_000),
                Tier(Decimal("0.0000133334")),
            ),
            ARM: (
                Tier(Decimal("0.0000133334"), 7_500_000_000),
                Tier(Decimal("0.0000120001"), 18_750_000_000),
                Tier(Decimal("0.0000106667")),
            ),
        },
        provisioned={X86: Decimal("0.0000041667"), ARM: Decimal("0.0000033334")},
        provisioned_duration={X86: Decimal("0.0000097222"), ARM: Decimal("0.0000077778")},
        ephemeral_storage=Decimal("0.0000000309"),
        snapshot_cache=Decimal("0.0000015046"),
        snapshot_restore=Decimal("0.0001397998"),
        streamed_gb=Decimal("0.008"),
        tenant_environment={X86: Decimal("0.000166667"), ARM: Decimal("0.000133333")},
    ),
    regions={
        **dict.fromkeys(_AS_AT_HOME, _SAME),
        "af-south-1": _duration({X86: "0.0000221", ARM: "0.00001768"}),
        "ap-east-1": _duration({X86: "0.00002292", ARM: "0.0000183"}),
        "eu-south-1": _duration({X86: "0.0000195172", ARM: "0.0000156138"}),
        "me-south-1": _duration({X86: "0.0000206667", ARM: "0.0000165334"}),
        "me-central-1": _duration({X86: "0.0000206667", ARM: "0.0000165334"}),
    },
    free=FreeTier(requests=1_000_000, gb_seconds=400_000, streamed_bytes=100 * 2**30),
)

LISTS: Mapping[str, PriceList] = {AWS.id: AWS}
"""By id: what was charged by an older list stays so."""
