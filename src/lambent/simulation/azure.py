"""Traces in the shape of the Azure Functions trace of 2019: counts per minute of a day, and percentiles of durations.

The columns are those of its description, https://github.com/Azure/AzurePublicDataset/blob/master/
AzureFunctionsDataset2019.md: ``HashOwner,HashApp,HashFunction,Trigger,1,…,1440``, and ``HashOwner,HashApp,
HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,…_1,…_25,…_50,…_75,…_99,…_100`` with durations in ms.
When in its minute an invocation came, the trace does not say: any time is equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from random import Random

from lambent.simulation.distribution import Distribution, by_percentiles
from lambent.simulation.load import INVOCATIONS_MAX, Load, TraceError, check_count
from lambent.simulation.trace import Trace, leave_out

COUNTS_HEADER = "HashOwner,HashApp,HashFunction,Trigger,"
_PERCENTS = (0, 1, 25, 50, 75, 99, 100)
_MINUTE_S = 60.0
_NO_HEADER: tuple[int, list[str]] = (0, [])


def read_durations(lines: Iterable[str]) -> tuple[dict[str, Distribution], Trace]:
    """Return how long functions run, by HashFunction, and what could not be read.

    Raises:
        TraceError: the file has another header.
    """
    rows = _cells(lines)
    _, header = next(rows, _NO_HEADER)
    wanted = [f"percentile_Average_{percent}" for percent in _PERCENTS]
    if "HashFunction" not in header or not set(wanted) <= set(header):
        raise TraceError(
            "The file of durations must have the columns HashFunction and percentile_Average_0 to _100."
        )
    places = [header.index(name) for name in wanted]
    name = header.index("HashFunction")
    found: dict[str, Distribution] = {}
    problems = Trace()
    for number, cells in rows:
        try:
            points = [
                (percent, float(cells[place])) for percent, place in zip(_PERCENTS, places, strict=True)
            ]
            _check_rising(points)
        except (ValueError, IndexError):
            leave_out(problems, number, "its percentiles are no rising numbers")
            continue
        found[cells[name]] = by_percentiles(points)
    return found, problems


def _check_rising(points: list[tuple[int, float]]) -> None:
    values = [value for _, value in points]
    if not all(map(math.isfinite, values)) or values[0] < 0 or values != sorted(values):
        raise ValueError


def read_counts(
    lines: Iterable[str],
    random: Random,
    *,
    durations: Mapping[str, Distribution],
    service: Distribution | None,
    start: Distribution,
    scale: float = 1.0,
    function: str | None = None,
) -> tuple[Load, Trace]:
    """Return the load of counts per minute, and what could not be read.

    Args:
        lines: of the file of invocations.
        random: draws what the trace does not say.
        durations: by HashFunction.
        service: how long those run that have none there.
        start: how long the init of a cold start takes.
        scale: how many times as many invocations.
        function: only those whose HashFunction begins so.

    Raises:
        TraceError: the file has another shape, there are too many, or a function has no durations.
    """
    rows = _cells(lines)
    _, header = next(rows, _NO_HEADER)
    if ",".join(header[:4]) + "," != COUNTS_HEADER:
        raise TraceError(f"The trace's first line must begin with {COUNTS_HEADER}1,2,….")
    problems = Trace()
    arrivals: list[tuple[float, int, float]] = []
    names: list[str] = []
    for number, cells in rows:
        if function is not None and not "".join(cells[2:3]).startswith(function):
            continue
        try:
            counts = _counts(cells, len(header) - 4)
        except ValueError as error:
            leave_out(problems, number, str(error))
            continue
        times_s = _times_s(counts, random, scale, INVOCATIONS_MAX - len(arrivals))
        if not times_s:
            continue
        distribution = durations.get(cells[2]) or service
        if distribution is None:
            raise TraceError(
                f"There are no durations of function {cells[2][:12]}…: say with --service how long such ones run."
            )
        place = len(names)
        names.append(cells[2])
        arrivals += zip(times_s, [place] * len(times_s), distribution.draw(random, len(times_s)), strict=True)
    if not arrivals:
        of_it = f" of {function}" if function else ""
        raise TraceError(f"The trace has no invocations{of_it}.")
    arrivals.sort()
    load = Load(
        at_s=[at_s for at_s, _, _ in arrivals],
        service_s=[service_s for _, _, service_s in arrivals],
        names=tuple(names),
        function=[place for _, place, _ in arrivals] if len(names) > 1 else (),
        starts=(start,),
        duration_s=(len(header) - 4) * _MINUTE_S,
    )
    return load, problems


def _cells(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, [cell.strip() for cell in line.split(",")]


def _counts(cells: list[str], minutes: int) -> list[int]:
    if len(cells) != minutes + 4:
        raise ValueError(f"it has {len(cells)} cells, not {minutes + 4}")
    try:
        counts = [int(cell) for cell in cells[4:]]
    except ValueError:
        counts = [-1]
    if min(counts, default=0) < 0:
        raise ValueError("its counts are no whole numbers from 0")
    return counts


def _times_s(counts: list[int], random: Random, scale: float, left: int) -> list[float]:
    """Return arrivals in these minutes, at any time in each."""
    if sum(counts) * scale > left:
        check_count(INVOCATIONS_MAX - left + sum(counts) * scale)
    times_s: list[float] = []
    for minute, count in enumerate(counts):
        if not count:
            continue
        whole, part = divmod(count * scale, 1)
        number = int(whole) + (part > 0 and random.random() < part)
        times_s += [(minute + random.random()) * _MINUTE_S for _ in range(number)]
    return times_s
