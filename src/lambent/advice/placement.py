"""Where else it could run: Fargate, EC2, Spot, an own server; and from which rate on each is cheaper.

Each invocation under way is given there what it has on Lambda: its memory, and the vCPU that comes with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from lambent.advice.answer import MONTH_S, Answer, usd
from lambent.advice.past import Past
from lambent.domain.limits import MB_PER_VCPU

FULL_ENOUGH = 0.7
"""A machine is taken to be full at this part of what it could run at once: arrivals are not even."""

PRICES_OF = "2026-06"
"""Linux, us-east-1, in USD an hour, as of June 2026."""
FARGATE_PAGE = "https://aws.amazon.com/fargate/pricing/"
EC2_PAGE = "https://aws.amazon.com/ec2/pricing/on-demand/"
FARGATE_USD_PER_H = {
    "x86_64": (Decimal("0.04048"), Decimal("0.004445")),
    "arm64": (Decimal("0.03238"), Decimal("0.00356")),
}
"""By architecture: a vCPU, and a GB."""
FARGATE_SIZES: tuple[tuple[float, tuple[float, ...]], ...] = (
    (0.25, (0.5, 1, 2)),
    (0.5, (1, 2, 3, 4)),
    (1, tuple(range(2, 9))),
    (2, tuple(range(4, 17))),
    (4, tuple(range(8, 31))),
    (8, tuple(range(16, 61, 4))),
    (16, tuple(range(32, 121, 8))),
)
"""The vCPUs and GBs that a task can have."""
EC2 = {
    "x86_64": ("m7i.large", Decimal("0.1008"), 2.0, 8.0),
    "arm64": ("m7g.large", Decimal("0.0816"), 2.0, 8.0),
}
"""By architecture: name, price, vCPUs and GB."""
SPOT_SHARE = Decimal("0.5")
"""What Spot is taken to cost beside on demand. Its price changes all the time: say what it is with --spot-share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What can be had by the month."""

    name: str
    month_usd: Decimal
    vcpus: float
    gb: float

    def at_once(self, memory_mb: int) -> int:
        """Return how many invocations of a function it can run at one moment."""
        by_cpu = self.vcpus / (memory_mb / MB_PER_VCPU)
        return int(min(by_cpu, self.gb * 1024 / memory_mb) + 1e-9)


def machines(architecture: str, *, spot_share: Decimal = SPOT_SHARE) -> list[Machine]:
    """Return what AWS has in place of Lambda: all sizes of Fargate's tasks, an EC2 instance, and both as Spot."""
    hours = Decimal(MONTH_S) / 3600
    vcpu_usd, gb_usd = FARGATE_USD_PER_H[architecture]
    fargate = [
        Machine(
            name=f"Fargate {vcpus:g} vCPU {gb:g} GB",
            month_usd=(vcpu_usd * Decimal(vcpus) + gb_usd * Decimal(gb)) * hours,
            vcpus=vcpus,
            gb=gb,
        )
        for vcpus, sizes in FARGATE_SIZES
        for gb in sizes
    ]
    name, hour_usd, vcpus, gb = EC2[architecture]
    instance = Machine(name=f"EC2 {name}", month_usd=hour_usd * hours, vcpus=vcpus, gb=gb)
    return [
        *fargate,
        instance,
        replace(instance, name=f"EC2 Spot {name}", month_usd=instance.month_usd * spot_share),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    """A machine for a function: how many of them, what they cost, and from which rate on one is cheaper."""

    machine: Machine
    count: int
    month_usd: Decimal
    break_even_per_s: float | None
    """None: never, even when it is full all the time."""


def break_even_per_s(machine: Machine, past: Past) -> float | None:
    """Return the rate from which on a machine is cheaper than Lambda; None if it never is.

    Lambda costs so much for each invocation, the machine so much a month; and it cannot run more than what fits.
    """
    each_usd = past.bill_usd / len(past.invocations)
    if not each_usd:
        return None
    per_s = float(machine.month_usd / each_usd) / MONTH_S
    busy = per_s * past.mean_billed_ms / 1000
    return per_s if busy <= machine.at_once(past.memory_mb) * FULL_ENOUGH else None


def advise_placement(past: Past, *, spot_share: Decimal = SPOT_SHARE, own: Machine | None = None) -> Answer:
    """Say whether it would be cheaper elsewhere."""
    peak = past.peak_concurrency
    choices = [*machines(past.architecture, spot_share=spot_share), *([own] if own else [])]
    offers = [_offer(machine, past, peak) for machine in choices if machine.at_once(past.memory_mb)]
    shown = _cheapest_of_each(offers)
    month_usd, per_s = past.month_usd, len(past.invocations) / past.window_s
    figures = [
        ("Lambda", f"{usd(month_usd)} in 30 days, {per_s:.3g} invocations a second, peak concurrency {peak}"),
        *(_figure(offer) for offer in shown),
        ("prices", f"{PRICES_OF}, us-east-1: {FARGATE_PAGE}, {EC2_PAGE}"),
    ]
    best = min(shown, key=lambda offer: offer.month_usd, default=None)
    is_cheaper = best is not None and best.month_usd < month_usd
    return Answer(
        question="placement",
        verdict=_verdict(past, peak, shown, best if is_cheaper else None, has_own=own is not None),
        is_action=is_cheaper,
        saved_usd=month_usd - best.month_usd if best is not None and is_cheaper else None,
        figures=tuple(figures),
        evidence=(f"lambent simulate --history {past.function} --validate",),
    )


def _offer(machine: Machine, past: Past, peak: int) -> _Offer:
    count = math.ceil(peak / machine.at_once(past.memory_mb))
    return _Offer(
        machine=machine,
        count=count,
        month_usd=machine.month_usd * count,
        break_even_per_s=break_even_per_s(machine, past),
    )


def _cheapest_of_each(offers: Sequence[_Offer]) -> list[_Offer]:
    """Of Fargate's many sizes, the cheapest; the others as they are."""
    fargate = [offer for offer in offers if offer.machine.name.startswith("Fargate")]
    others = [offer for offer in offers if offer not in fargate]
    best = [min(fargate, key=lambda offer: offer.month_usd)] if fargate else []
    return [*best, *others]


def _figure(offer: _Offer) -> tuple[str, str]:
    even = offer.break_even_per_s
    words = "never, even when full" if even is None else f"from {even:.3g} a second on"
    return (
        offer.machine.name,
        f"{offer.count} of them: {usd(offer.month_usd)} in 30 days; one is cheaper {words}",
    )


def _verdict(past: Past, peak: int, shown: Sequence[_Offer], best: _Offer | None, *, has_own: bool) -> str:
    if best is not None:
        words = (
            f"{best.count} × {best.machine.name} would hold its peak of {peak} for {usd(best.month_usd)} in 30 days; "
            f"Lambda costs {usd(past.month_usd)}."
        )
    else:
        rates = [offer.break_even_per_s for offer in shown if offer.break_even_per_s is not None]
        per_s = len(past.invocations) / past.window_s
        even = (
            f"; the first other place pays from {min(rates):.3g} invocations a second on, it has {per_s:.3g}"
            if rates
            else ""
        )
        words = f"Lambda is the cheapest place at {usd(past.month_usd)} in 30 days{even}."
    if not has_own:
        vcpus, gb = peak * past.memory_mb / MB_PER_VCPU, peak * past.memory_mb / 1024
        words += (
            f" An own server pays if it costs less than {usd(past.month_usd)} in 30 days with {vcpus:.2g} vCPU and "
            f"{gb:.2g} GB for it (--server USD,VCPU,GB)."
        )
    return words
