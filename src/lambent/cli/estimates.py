"""What samples say about what they were drawn from, and how surely.

Pure: numbers in, numbers out, chance as an argument. Quantiles have intervals by order statistics (David and
Nagaraja, "Order Statistics", 7.1), which assume nothing about the distribution; means have them by the bootstrap's
percentiles (Efron and Tibshirani, "An Introduction to the Bootstrap", 13). All at `CONFIDENCE`.

Samples come in *strata*, one for each payload: a mean that leaves out the extremes must do so among invocations of the
same payload, else it would leave out the payloads that take long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

CONFIDENCE = 0.95
RESAMPLES = 1000
_TAIL = (1 - CONFIDENCE) / 2

Row = tuple[float, ...]
"""One sample: several quantities of one invocation, of which the first orders them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and where the true one lies. None: so few samples do not bound it on this side."""

    value: float
    low: float | None
    high: float | None

    def scaled(self, factor: float) -> Estimate:
        """Return the same in another unit."""
        low, high = (None if edge is None else edge * factor for edge in (self.low, self.high))
        return Estimate(value=self.value * factor, low=low, high=high)


def quantile(values: Sequence[float], q: float) -> Estimate:
    """Return a quantile: the smallest sample that at least this share of them does not exceed.

    Args:
        values: at least one sample, in any order.
        q: between 0 and 1; 0.5 is the median.
    """
    ordered = sorted(values)
    low, high = ranks(len(ordered), q)
    return Estimate(
        value=ordered[max(1, math.ceil(len(ordered) * q)) - 1],
        low=None if low is None else ordered[low - 1],
        high=None if high is None else ordered[high - 1],
    )


@lru_cache(maxsize=256)
def ranks(count: int, q: float) -> tuple[int | None, int | None]:
    """Return which two of so many ordered samples, counted from 1, have the quantile between them.

    How many samples lie below it is a binomial count, so each end is wrong with at most half of the error. None: not
    even the smallest, or the largest, sample is that sure.
    """
    low, high, below = None, None, 0.0
    for rank in range(1, count + 1):
        below += math.comb(count, rank - 1) * q ** (rank - 1) * (1 - q) ** (count - rank + 1)
        if below <= _TAIL:
            low = rank
        if high is None and below >= 1 - _TAIL:
            high = rank
    return low, high


def means(strata: Sequence[Sequence[Row]], trim: float) -> Row:
    """Return the means of all quantities, each stratum counting by its size.

    Args:
        strata: the samples of each payload; at least one sample in all.
        trim: this share of each stratum is left out at either end, by the first quantity; 0 to 0.4.
    """
    columns = len(next(row for stratum in strata for row in stratum))
    sums, total = [0.0] * columns, 0
    for stratum in strata:
        if not stratum:
            continue
        out = int(len(stratum) * trim)
        kept = sorted(stratum)[out : len(stratum) - out]
        total += len(stratum)
        for column in range(columns):
            sums[column] += math.fsum(row[column] for row in kept) / len(kept) * len(stratum)
    return tuple(total_sum / total for total_sum in sums)


def resampled(strata: Sequence[Sequence[Row]], trim: float, chance: Random) -> list[Row]:
    """Return the means of `RESAMPLES` samples that might as well have been drawn, each stratum for itself."""
    filled = [list(stratum) for stratum in strata if stratum]
    return [
        means([chance.choices(stratum, k=len(stratum)) for stratum in filled], trim) for _ in range(RESAMPLES)
    ]


def interval(value: float, resamples: Sequence[float]) -> Estimate:
    """Return a figure with the interval that its resamples span."""
    low, high = bounds(resamples)
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def bounds(resamples: Sequence[float]) -> tuple[float, float]:
    """Return between which values the middle `CONFIDENCE` of the resamples lies."""
    ordered = sorted(resamples)
    low = int(len(ordered) * _TAIL)
    return ordered[low], ordered[len(ordered) - 1 - low]


def is_change(
    before: Sequence[Sequence[float]],
    after: Sequence[Sequence[float]],
    figure: Callable[[Sequence[float]], float],
    chance: Random,
) -> bool:
    """Say whether a figure of two samples, each in its strata, differs by more than chance explains."""

    def drawn(strata: Sequence[Sequence[float]]) -> float:
        return figure([value for stratum in strata for value in chance.choices(stratum, k=len(stratum))])

    low, high = bounds([drawn(after) - drawn(before) for _ in range(RESAMPLES)])
    return low > 0 or high < 0
