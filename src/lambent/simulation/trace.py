"""Traces of one line per invocation: a CSV, or the ledger's lines of JSON.

What a line must have is when: ``at``, in seconds since the epoch or as ISO 8601. ``function``, ``duration_ms`` and
``init_ms`` (of a cold start) are taken when they are there. A line that cannot be read is counted and named, and the
others are taken.

Rows of the ledger (they have a ``kind``) say when an invocation ended; it came as long before as it and its init took.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

from lambent.simulation.distribution import Distribution, measured
from lambent.simulation.load import Load, TraceError, scaled

FUNCTION = "function"
"""The name of a function that has none."""
_AT = ("at", "at_s", "timestamp", "time")
_OTHERS = {
    "kind": ("kind",),
    "function": ("function", "function_name", "name"),
    "duration_ms": ("duration_ms",),
    "init_ms": ("init_ms", "init_duration_ms"),
    "restore_ms": ("restore_ms",),
    "memory_mb": ("memory_mb",),
    "architecture": ("architecture",),
}


@dataclass(slots=True, kw_only=True)
class Trace:
    """Invocations as they were found, in the order of the lines."""

    at_s: list[float] = field(default_factory=list[float])
    """Seconds since the epoch, or since anything."""
    function: list[int] = field(default_factory=list[int])
    """Places in `names`."""
    duration_ms: list[float] = field(default_factory=list[float])
    """NaN where the line does not say it."""
    init_ms: list[float] = field(default_factory=list[float])
    """Of cold starts; NaN where there was none, or the line does not say it."""
    memory: Counter[tuple[int, str]] = field(default_factory=Counter[tuple[int, str]])
    """MemorySize and architecture, where the lines say them, and how often."""
    names: list[str] = field(default_factory=list[str])
    broken: int = 0
    """Lines that were left out."""
    first_broken: str = ""
    """The first of them and why, as a clause: ``line 7: 'x' is no number``."""


def read_trace(lines: Iterable[str], *, function: str | None = None) -> Trace:
    """Read a trace.

    Args:
        lines: of a CSV with a header, or objects of JSON.
        function: only its invocations.

    Raises:
        TraceError: there is no header with a time, or no line that can be used.
    """
    trace, places = Trace(), dict[str, int]()
    for number, at, row in _rows(lines, trace):
        try:
            at_s = _seconds(at)
            if _is_other(row):
                continue
            duration_ms = _number(row.get("duration_ms"), "duration_ms")
            init_ms = _number(row.get("init_ms"), "init_ms")
            if math.isnan(init_ms):
                init_ms = _number(row.get("restore_ms"), "restore_ms")
            if row.get("kind"):
                at_s -= sum(took_ms for took_ms in (duration_ms, init_ms) if not math.isnan(took_ms)) / 1000
        except ValueError as error:
            leave_out(trace, number, str(error))
            continue
        name = str(row.get("function") or FUNCTION)
        if function is not None and name != function:
            continue
        place = places.setdefault(name, len(places))
        trace.at_s.append(at_s)
        trace.function.append(place)
        trace.duration_ms.append(duration_ms)
        trace.init_ms.append(init_ms)
        _note_memory(trace, row)
    trace.names = list(places)
    if not trace.at_s:
        of_it = f" of {function}" if function else ""
        broken = f" ({trace.broken} cannot be read; {trace.first_broken})" if trace.broken else ""
        raise TraceError(f"The trace has no invocations{of_it}{broken}.")
    return trace


def _is_other(row: Mapping[str, Any]) -> bool:
    """Whether a row of the ledger is of something else than an invocation."""
    return bool(row.get("kind")) and row["kind"] != "invocation"


def _note_memory(trace: Trace, row: Mapping[str, Any]) -> None:
    memory_mb = str(row.get("memory_mb") or "")
    if memory_mb.isdigit():
        trace.memory[int(memory_mb), str(row.get("architecture") or "x86_64")] += 1


def leave_out(trace: Trace, number: int, why: str) -> None:
    """Count a line that cannot be read, and keep the first one's number and reason."""
    trace.broken += 1
    trace.first_broken = trace.first_broken or f"line {number}: {why}"


def has_cold_starts(trace: Trace) -> bool:
    """Return whether any line says how long an init took."""
    return not all(map(math.isnan, trace.init_ms))


def load_of(
    trace: Trace,
    random: Random,
    *,
    service: Distribution | None,
    start: Distribution | None,
    scale: float = 1.0,
) -> Load:
    """Return the load of a trace.

    Args:
        trace: what was found.
        random: draws what the trace does not say.
        service: how long invocations run; None: as long as they did, or as others of their function.
        start: how long the init of a cold start takes; None: as measured.
        scale: how many times as many invocations.

    Raises:
        TraceError: the trace does not say what is needed, or there are too many.
    """
    order = sorted(range(len(trace.at_s)), key=trace.at_s.__getitem__)
    first_s = trace.at_s[order[0]]
    at_s = [trace.at_s[place] - first_s for place in order]
    durations_s = _durations_s(trace, random, service)
    if scale != 1:
        arrivals = scaled(random, at_s, scale)
        order = [order[place] for _, place in arrivals]
        at_s = [at for at, _ in arrivals]
    is_single = len(trace.names) == 1
    return Load(
        at_s=at_s,
        service_s=[durations_s[place] for place in order],
        names=tuple(trace.names),
        function=() if is_single else [trace.function[place] for place in order],
        starts=_starts(trace, start),
        duration_s=at_s[-1] if at_s else 0.0,
    )


def _durations_s(trace: Trace, random: Random, service: Distribution | None) -> list[float]:
    if service is not None:
        return service.draw(random, len(trace.at_s))
    known: dict[int, list[float]] = {}
    for place, duration_ms in zip(trace.function, trace.duration_ms, strict=True):
        if not math.isnan(duration_ms):
            known.setdefault(place, []).append(duration_ms)
    if not known:
        raise TraceError(
            "The trace has no durations (duration_ms): say with --service how long invocations run."
        )
    everything = [duration_ms for durations in known.values() for duration_ms in durations]
    return [
        (random.choice(known.get(place, everything)) if math.isnan(duration_ms) else duration_ms) / 1000
        for place, duration_ms in zip(trace.function, trace.duration_ms, strict=True)
    ]


def _starts(trace: Trace, start: Distribution | None) -> tuple[Distribution, ...]:
    """By function: its own cold starts, or those of all, as far as there are any."""
    if start is not None:
        return (start,)
    by_function: dict[int, list[float]] = {}
    for place, init_ms in zip(trace.function, trace.init_ms, strict=True):
        if not math.isnan(init_ms):
            by_function.setdefault(place, []).append(init_ms)
    everything = [init_ms for found in by_function.values() for init_ms in found]
    if not everything:
        raise TraceError("The trace has no cold starts (init_ms): say with --cold-start how long they take.")
    return tuple(
        measured(by_function.get(place, everything), "cold starts") for place in range(len(trace.names))
    )


# Lines -----------------------------------------------------------------------------------------------------


def _rows(lines: Iterable[str], trace: Trace) -> Iterator[tuple[int, Any, Mapping[str, Any]]]:
    """Yield (line number, when, the rest by our names); what is no line of a trace is left out."""
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise TraceError("The trace is empty.")
    if first[1].lstrip().startswith("{"):
        yield from _json_rows([first], trace)
        yield from _json_rows(numbered, trace)
    else:
        yield from _csv_rows(first[1], numbered, trace)


def _json_rows(
    numbered: Iterable[tuple[int, str]], trace: Trace
) -> Iterator[tuple[int, Any, Mapping[str, Any]]]:
    for number, line in numbered:
        try:
            found: Any = json.loads(line)
        except ValueError:
            leave_out(trace, number, "it is not JSON")
            continue
        row = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        at = _first(row, _AT)
        if at is None:
            leave_out(trace, number, "it does not say when (at)")
            continue
        yield number, at, {ours: _first(row, theirs) for ours, theirs in _OTHERS.items()}


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _csv_rows(
    header: str, numbered: Iterator[tuple[int, str]], trace: Trace
) -> Iterator[tuple[int, Any, Mapping[str, Any]]]:
    columns = [name.strip().lower() for name in next(csv.reader([header]))]
    at = next((columns.index(name) for name in _AT if name in columns), None)
    if at is None:
        raise TraceError(
            "The trace's first line must name its columns, at least `at`; or each line must be an object of JSON."
        )
    others = [
        (ours, columns.index(name)) for ours, names in _OTHERS.items() for name in names if name in columns
    ]
    width = len(columns)
    for number, line in numbered:
        cells = next(csv.reader([line])) if '"' in line else line.rstrip("\r\n").split(",")
        if len(cells) != width:
            leave_out(trace, number, f"it has {len(cells)} cells, not {width}")
            continue
        yield number, cells[at], {ours: cells[place] for ours, place in others}


def _seconds(at: Any) -> float:
    """Return a time in seconds since the epoch."""
    if isinstance(at, bool) or at is None:
        raise ValueError(f"{at!r} is no time")
    try:
        at_s = float(at)
    except (TypeError, ValueError):
        at_s = _iso_seconds(str(at))
    if not math.isfinite(at_s):
        raise ValueError(f"{at!r} is no time")
    return at_s


def _iso_seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
        # A time that does not say of which zone it is, is UTC, as all of Lambda's are.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time") from None


def _number(value: Any, name: str) -> float:
    """Return a duration; NaN if there is none."""
    if value is None or value == "":
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not (math.isfinite(number) and number >= 0) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}")
    return number
