"""What a platform is put under: who is invoked when, and how long it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import sub
from random import Random

from lambent.simulation.distribution import Distribution

INVOCATIONS_MAX = 20_000_000
"""Of one load. Each takes about a hundred bytes."""


class TraceError(Exception):
    """A load cannot be had from what was given. The message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Load:
    """Invocations in the order of their arrival."""

    at_s: Sequence[float]
    """When each arrives, from 0 on, never falling."""
    service_s: Sequence[float]
    """How long each runs, without its init."""
    names: tuple[str, ...] = ("function",)
    """The functions."""
    function: Sequence[int] = ()
    """The place of each one's function in `names`; empty if there is one function only."""
    starts: tuple[Distribution, ...]
    """The init phase of a cold start, by function; or one for all of them."""
    duration_s: float
    """How long invocations arrive: not less than the last arrival."""

    def __len__(self) -> int:
        return len(self.at_s)


def poisson(random: Random, *, per_s: float, duration_s: float) -> list[float]:
    """Return the arrivals of a Poisson process.

    Raises:
        TraceError: that would be too many.
    """
    check_count(per_s * duration_s)
    arrivals: list[float] = []
    at_s = random.expovariate(per_s)
    append, gap = arrivals.append, random.expovariate
    while at_s < duration_s:
        append(at_s)
        at_s += gap(per_s)
    return arrivals


def poisson_load(
    random: Random, *, per_s: float, duration_s: float, service: Distribution, start: Distribution
) -> Load:
    """Return the load of one function that is invoked at random, at a constant rate.

    Raises:
        TraceError: that would be too many, or there is none.
    """
    at_s = poisson(random, per_s=per_s, duration_s=duration_s)
    if not at_s:
        raise TraceError(
            f"No invocation came in {duration_s:g} s at {per_s:g} per second: take longer with --for."
        )
    return Load(at_s=at_s, service_s=service.draw(random, len(at_s)), starts=(start,), duration_s=duration_s)


def scaled(
    random: Random, at_s: Sequence[float], factor: float, *, jitter_s: float = 60.0
) -> list[tuple[float, int]]:
    """Return more or fewer arrivals of the same pattern: (when, place of the one that it was made from), in order.

    Each arrival comes as many times as the factor says, a fraction of one by chance. Copies are spread around the
    original, so that they do not come at the same moment.

    Raises:
        TraceError: that would be too many.
    """
    check_count(len(at_s) * factor)
    whole, part = divmod(factor, 1)
    last_s = at_s[-1] if at_s else 0.0
    found: list[tuple[float, int]] = []
    for place, at in enumerate(at_s):
        count = int(whole) + (random.random() < part)
        if count:
            found.append((at, place))
        for _ in range(count - 1):
            moved = at + random.uniform(-jitter_s, jitter_s) / 2
            found.append((min(max(0.0, moved), last_s), place))
    found.sort()
    return found


def check_count(count: float) -> None:
    """Refuse more invocations than memory is meant for.

    Raises:
        TraceError: it is too many.
    """
    if count > INVOCATIONS_MAX:
        raise TraceError(
            f"{count:,.0f} invocations are too many at once (at most {INVOCATIONS_MAX:,}): take a part with --scale."
        )


def most_in(at_s: Sequence[float], count: int, window_s: float) -> bool:
    """Return whether more than so many arrive within a window anywhere."""
    if len(at_s) <= count:
        return False
    return any(map(float.__lt__, map(sub, at_s[count:], at_s), repeat(window_s)))
