"""How long things take: a distribution is a table of equally likely values, so that drawing from it is a look-up.

Thousands of midpoints of a continuous distribution's quantiles stand for it. Its mean and percentiles are kept to a
hundredth of a per cent; what is rarer than one in a hundred thousand is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from statistics import NormalDist

TABLE_SIZE = 65_536
_Z95 = NormalDist().inv_cdf(0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Equally likely durations."""

    values_s: tuple[float, ...] = field(repr=False)
    """At least one, in seconds, none negative."""
    words: str
    """What it is, for people: ``exponential, mean 100 ms``."""

    def draw(self, random: Random, count: int) -> list[float]:
        """Return so many durations in seconds, independent of each other."""
        if len(self.values_s) == 1:
            return [self.values_s[0]] * count
        return random.choices(self.values_s, k=count)

    @property
    def mean_s(self) -> float:
        """The mean in seconds."""
        return math.fsum(self.values_s) / len(self.values_s)


def constant(value_ms: float) -> Distribution:
    """Return the distribution of what always takes the same."""
    return Distribution(values_s=(value_ms / 1000,), words=f"{value_ms:g} ms")


def exponential(mean_ms: float) -> Distribution:
    """Return the exponential distribution of this mean."""
    values = (-math.log1p(-(i + 0.5) / TABLE_SIZE) for i in range(TABLE_SIZE))
    words = f"exponential, mean {mean_ms:g} ms"
    return Distribution(values_s=tuple(value * mean_ms / 1000 for value in values), words=words)


def lognormal(p50_ms: float, p95_ms: float) -> Distribution:
    """Return the log-normal distribution with this median and 95th percentile.

    Args:
        p50_ms: above 0.
        p95_ms: not below the median.
    """
    sigma = math.log(p95_ms / p50_ms) / _Z95
    quantile = NormalDist().inv_cdf
    values = (math.exp(sigma * quantile((i + 0.5) / TABLE_SIZE)) for i in range(TABLE_SIZE))
    words = f"log-normal, p50 {p50_ms:g} ms, p95 {p95_ms:g} ms"
    return Distribution(values_s=tuple(value * p50_ms / 1000 for value in values), words=words)


def measured(values_ms: Sequence[float], what: str) -> Distribution:
    """Return the distribution of what was measured.

    Args:
        values_ms: at least one.
        what: of what it is, for people: ``durations of the trace``.
    """
    return Distribution(
        values_s=tuple(value / 1000 for value in values_ms), words=f"{len(values_ms):,} measured {what}"
    )


def by_percentiles(points: Sequence[tuple[float, float]], *, size: int = 1_000) -> Distribution:
    """Return a distribution of which some percentiles are known: straight lines between them.

    Args:
        points: (per cent from 0 to 100, ms), rising in both; the first for 0 and the last for 100.
        size: of its table.
    """
    values: list[float] = []
    place = 0
    for i in range(size):
        percent = (i + 0.5) / size * 100
        while percent > points[place + 1][0]:
            place += 1
        (low, low_ms), (high, high_ms) = points[place], points[place + 1]
        values.append((low_ms + (high_ms - low_ms) * (percent - low) / (high - low)) / 1000)
    return Distribution(values_s=tuple(values), words="by percentiles")


def parse_distribution(text: str) -> Distribution:
    """Return the distribution that a text names: ``120``, ``exponential:120`` or ``lognormal:80,400``, all in ms.

    Raises:
        ValueError: it names none; the message is a sentence.
    """
    kind, _, numbers = text.rpartition(":")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if not values or not all(math.isfinite(value) and value >= 0 for value in values):
        raise ValueError(_FORMS.format(text))
    if kind == "" and len(values) == 1:
        return constant(values[0])
    if kind == "exponential" and len(values) == 1:
        return exponential(values[0])
    if kind == "lognormal" and len(values) == 2:
        if not 0 < values[0] <= values[1]:
            raise ValueError(f"The p95 of {text!r} must not be below its p50, which must be above 0.")
        return lognormal(values[0], values[1])
    raise ValueError(_FORMS.format(text))


_FORMS = "A duration must be MS, exponential:MEAN_MS or lognormal:P50_MS,P95_MS, not {!r}."
