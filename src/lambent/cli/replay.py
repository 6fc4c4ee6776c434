"""What a simulation replays: Poisson arrivals, a trace from a file, or Azure's counts. Files are opened here."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, cast

from lambent.cli.client import Connection
from lambent.cli.terminal import CommandError, UsageError, notice

if TYPE_CHECKING:
    from lambent.simulation import Distribution, Load, Observed, Trace

SERVICE_MS, COLD_START_MS = 100, 200
"""What is assumed when nothing is known; the output says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What is replayed, and what is to be said about it."""

    load: Load
    source: str
    assumptions: tuple[str, ...] = ()
    broken: int = 0
    observed: Observed | None = None
    """What really happened, as far as a trace says it."""
    memory_mb: int | None = None
    """What most invocations of a trace had, if it says so; likewise the architecture."""
    architecture: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the load comes from, as the command line says it."""

    trace: Path | None
    per_s: float | None
    history: str | None
    """A function whose rows of the ledger are the trace."""
    since: str
    for_s: float
    function: str | None
    durations: Path | None
    service: str | None
    start: str | None
    scale: float
    random: Random = field(default_factory=Random)


def replay_of(source: Source, connection: Callable[[], Connection]) -> Replay:
    """Return what is to be replayed.

    Args:
        source: what it is.
        connection: to the server with the ledger; only called for a history.

    Raises:
        UsageError: the command line does not say what, or says it twice.
        CommandError: the trace cannot be used; the message says why.
    """
    from lambent.simulation import TraceError

    if [source.trace, source.per_s, source.history].count(None) != 2:
        raise UsageError("Say what to replay: a file with a trace, --history NAME or --poisson RATE.")
    try:
        if source.history is not None:
            return _history(source, source.history, connection())
        return _poisson(source, source.per_s) if source.per_s is not None else _traced(source)
    except TraceError as error:
        raise CommandError(str(error)) from None


def _poisson(source: Source, per_s: float) -> Replay:
    from lambent.simulation import poisson_load

    assumptions: list[str] = []
    rate = per_s * source.scale
    service = _distribution(source.service, "--service") or _assumed(
        "Invocations run", SERVICE_MS, assumptions
    )
    start = _distribution(source.start, "--cold-start") or _assumed("Inits take", COLD_START_MS, assumptions)
    load = poisson_load(source.random, per_s=rate, duration_s=source.for_s, service=service, start=start)
    words = (
        f"Poisson arrivals, {rate:g} per second for {_time_words(source.for_s)}, each runs {service.words}"
    )
    return Replay(load=load, source=words, assumptions=tuple(assumptions))


def _traced(source: Source) -> Replay:
    from lambent.simulation import COUNTS_HEADER

    assert source.trace is not None
    with _lines_of(source.trace) as lines:
        first = next(lines, "")
        everything = itertools.chain([first], lines)
        if first.lstrip("\ufeff").startswith(COUNTS_HEADER):
            return _azure(source, source.trace, everything)
        return _own(source, str(source.trace), everything)


def _history(source: Source, name: str, connection: Connection) -> Replay:
    from lambent.cli.history import ledger_lines

    lines = ledger_lines(connection, function=name, since=source.since)
    first = next(lines, None)
    if first is None:
        raise CommandError(nothing_in_ledger(connection, name, source.since))
    return _own(source, "the ledger", itertools.chain([first], lines))


def nothing_in_ledger(connection: Connection, name: str, since: str) -> str:
    """Return a sentence about a function of which the ledger has no invocations."""
    client = connection.client("lambda")
    try:
        client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return f"There is no function {name}, and the ledger has no invocations of one (--since {since})."
    return f"The ledger has no invocations of {name} (--since {since}): invoke it, or try --since all."


def _own(source: Source, name: str, lines: Iterable[str]) -> Replay:
    from lambent.simulation import has_cold_starts, load_of, observe, read_trace

    assumptions: list[str] = []
    trace = read_trace(lines, function=source.function)
    _tell_broken(trace, name)
    service, start = _distribution(source.service, "--service"), _distribution(source.start, "--cold-start")
    if start is None and not has_cold_starts(trace):
        start = _assumed("The trace has no cold starts: inits take", COLD_START_MS, assumptions)
    load = load_of(trace, source.random, service=service, start=start, scale=source.scale)
    common = trace.memory.most_common(1)
    memory_mb, architecture = common[0][0] if common else (None, None)
    if len(trace.memory) > 1:
        assumptions.append(f"The invocations had several memory sizes; all are billed as {memory_mb} MB.")
    return Replay(
        load=load,
        source=_trace_words(name, load),
        assumptions=tuple(assumptions),
        broken=trace.broken,
        observed=observe(trace),
        memory_mb=memory_mb,
        architecture=architecture,
    )


def _azure(source: Source, path: Path, lines: Iterable[str]) -> Replay:
    from lambent.simulation import read_counts, read_durations

    assumptions: list[str] = []
    by_function: dict[str, Distribution] = {}
    beside = source.durations or _beside(path)
    if beside is not None:
        with _lines_of(beside) as percentiles:
            by_function, problems = read_durations(percentiles)
        _tell_broken(problems, str(beside))
    service = _distribution(source.service, "--service")
    start = _distribution(source.start, "--cold-start") or _assumed("Inits take", COLD_START_MS, assumptions)
    load, problems = read_counts(
        lines,
        source.random,
        durations=by_function,
        service=service or _distribution(f"{SERVICE_MS}", "--service"),
        start=start,
        scale=source.scale,
        function=source.function,
    )
    _tell_broken(problems, str(path))
    unknown = sum(name not in by_function for name in load.names)
    if service is None and unknown:
        assumptions.append(
            f"{unknown:,} functions without percentiles of durations run {SERVICE_MS} ms (assumed)."
        )
    return Replay(
        load=load,
        source=_trace_words(str(path), load),
        assumptions=tuple(assumptions),
        broken=problems.broken,
    )


def _beside(path: Path) -> Path | None:
    """Return the file of durations that lies beside one of counts, by its name."""
    name = path.name.replace("invocations_per_function_md", "function_durations_percentiles")
    other = path.with_name(name)
    return other if name != path.name and other.exists() else None


@contextlib.contextmanager
def _lines_of(path: Path) -> Generator[Iterator[str]]:
    """Give the lines of a file, packed by gzip or not, or of stdin; what is no UTF-8 is for the reader to refuse."""
    if str(path) == "-":
        # Python has no stdin at all when it was closed before the start.
        yield iter(cast("IO[str] | None", sys.stdin) or ())
        return
    file: IO[str]
    if path.suffix == ".gz":
        file = io.TextIOWrapper(gzip.open(path), encoding="utf-8", errors="replace")  # noqa: SIM115 - closed below
    else:
        file = path.open(encoding="utf-8-sig", errors="replace")
    with file:
        try:
            yield iter(file)
        except (gzip.BadGzipFile, EOFError) as error:
            raise CommandError(f"{path}: it cannot be unpacked: {error}.") from None


def _distribution(text: str | None, name: str) -> Distribution | None:
    from lambent.simulation import parse_distribution

    if text is None:
        return None
    try:
        return parse_distribution(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _assumed(what: str, value_ms: float, assumptions: list[str]) -> Distribution:
    assumptions.append(f"{what} {value_ms:g} ms (assumed).")
    found = _distribution(f"{value_ms:g}", "")
    assert found is not None
    return found


def _tell_broken(trace: Trace, name: str) -> None:
    if trace.broken:
        lines = "line is" if trace.broken == 1 else "lines are"
        notice(f"{name}: {trace.broken:,} {lines} left out; {trace.first_broken}.", style="yellow")


def _trace_words(name: str, load: Load) -> str:
    functions = (
        f" of {len(load.names):,} functions" if len(load.names) > 1 else f" of {next(iter(load.names))}"
    )
    return f"{name}: {len(load):,} invocations{functions} in {_time_words(load.duration_s)}"


def _time_words(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.4g} {unit}"
    return f"{seconds:.4g} s"
