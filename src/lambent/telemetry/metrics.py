"""The listener that counts: CloudWatch's metrics of Lambda, by AWS's names, since the server started.

Written in Prometheus' text format, ``aws_lambda_`` before each name. What runs in an environment is counted by its
report, in the batches in which facts come; the rest when it happens, which is an addition each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from lambent.domain.facts import Fact, Origin, Report
from lambent.domain.function import FunctionKey
from lambent.domain.function_facts import (
    DeliveryFailed,
    EventBegun,
    EventDropped,
    EventReceived,
    FunctionFact,
    LoopEnded,
    RecordsCounted,
    Throttled,
)

SERIES_MAX = 50_000
"""Of one metric; what would be one more is counted under the function name `_OTHERS`."""
_OTHERS = "(others)"
_PROVISIONED = "provisioned-concurrency"
_COUNTERS = {
    "Invocations": "Invocations that ran, failed ones included, throttled ones not.",
    "Errors": "Invocations that ended with a function error.",
    "Throttles": "Invocations that were refused: concurrency, rates, memory.",
    "ProvisionedConcurrencyInvocations": "Invocations that ran in provisioned environments.",
    "ProvisionedConcurrencySpilloverInvocations": "Invocations beyond the provisioned concurrency.",
    "RecursiveInvocationsDropped": "Invocations that were refused as part of a loop.",
    "AsyncEventsReceived": "Asynchronous events that were accepted.",
    "AsyncEventsDropped": "Asynchronous events that were given up without a success.",
    "DeadLetterErrors": "Events that could not be sent to a dead-letter queue.",
    "DestinationDeliveryFailures": "Records that could not be sent to a destination.",
    "PolledEventCount": "Records taken from a source.",
    "FilteredOutEventCount": "Records that no filter of the mapping wanted.",
    "InvokedEventCount": "Records that the function was invoked with.",
    "FailedInvokeEventCount": "Records that the function failed with.",
    "DeletedEventCount": "Records deleted from the queue after the function was done with them.",
}
_SUMMARIES = {
    "Duration": "How long invocations ran, in milliseconds, init not counted.",
    "AsyncEventAge": "From accepting an event to an attempt to run it, in milliseconds.",
}
_GAUGES = {
    "ConcurrentExecutions": "Invocations that run now, of an account in a region.",
    "UnreservedConcurrentExecutions": "Those of functions without a reservation.",
}
_PLAIN: dict[type[FunctionFact], str] = {
    Throttled: "Throttles",
    EventReceived: "AsyncEventsReceived",
    EventDropped: "AsyncEventsDropped",
    LoopEnded: "RecursiveInvocationsDropped",
}

Concurrency = Callable[[], Iterable[tuple[str, str, int, int]]]
"""Returns account, region, and how many invocations run there: all, and those that use no reservation."""
_Series = tuple[FunctionKey, str]
"""Whose, and the UUID of the mapping where there is one."""


class Metrics:
    """Counts what happens to functions; a `lambent.telemetry.stream.Listener`. Owns the counts."""

    kinds = frozenset({Report})
    """The facts that it wants to hear."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[_Series, int]] = {name: {} for name in _COUNTERS}
        self._sums: dict[str, dict[_Series, tuple[int, float]]] = {name: {} for name in _SUMMARIES}

    async def consume(self, facts: Sequence[Fact]) -> None:
        """Count a batch of facts of environments."""
        # By identity: an environment's facts share one origin.
        groups: defaultdict[int, list[Report]] = defaultdict(list)
        for fact in facts:
            if type(fact) is Report:
                groups[id(fact.origin)].append(fact)
        for reports in groups.values():
            self._count(reports[0].origin, reports)

    def hear(self, fact: FunctionFact) -> None:
        """Count a fact about a function; never waits and never fails."""
        key = fact.function
        if (name := _PLAIN.get(type(fact))) is not None:
            self._add(name, (key, ""))
        elif isinstance(fact, EventBegun):
            self._observe("AsyncEventAge", (key, ""), fact.age_ms)
        elif isinstance(fact, DeliveryFailed):
            self._add("DeadLetterErrors" if fact.is_dead_letter else "DestinationDeliveryFailures", (key, ""))
        elif isinstance(fact, RecordsCounted) and fact.count:
            self._add(fact.metric, (key, fact.mapping), fact.count)

    def text(self, concurrency: Concurrency) -> str:
        """Return everything in Prometheus' text format, version 0.0.4.

        Args:
            concurrency: says what runs now.
        """
        lines: list[str] = []
        for name, words in _COUNTERS.items():
            lines += _heading(name, words, "counter")
            lines += [f"aws_lambda_{name}{_labels(*it)} {count}" for it, count in self._counts[name].items()]
        for name, words in _SUMMARIES.items():
            lines += _heading(name, words, "summary")
            for series, (count, total) in self._sums[name].items():
                lines.append(f"aws_lambda_{name}_count{_labels(*series)} {count}")
                lines.append(f"aws_lambda_{name}_sum{_labels(*series)} {total:.3f}")
        now = list(concurrency())
        for number, (name, words) in enumerate(_GAUGES.items()):
            lines += _heading(name, words, "gauge")
            for account, region, *running in now:
                place = f'{{Account="{account}",Region="{region}"}}'
                lines.append(f"aws_lambda_{name}{place} {running[number]}")
        return "\n".join(lines) + "\n"

    def _count(self, origin: Origin, reports: Sequence[Report]) -> None:
        """Count invocations of one environment."""
        series, count = (origin.function, ""), len(reports)
        self._add("Invocations", series, count)
        self._observe("Duration", series, sum([report.duration_ms for report in reports]), count)
        if errors := sum([report.status != "success" for report in reports]):
            self._add("Errors", series, errors)
        if spilled := sum([report.is_spillover for report in reports]):
            self._add("ProvisionedConcurrencySpilloverInvocations", series, spilled)
        if origin.initialization_type == _PROVISIONED and count > spilled:
            self._add("ProvisionedConcurrencyInvocations", series, count - spilled)

    def _add(self, name: str, series: _Series, count: int = 1) -> None:
        counts = self._counts[name]
        series = _within(counts, series)
        counts[series] = counts.get(series, 0) + count

    def _observe(self, name: str, series: _Series, total: float, count: int = 1) -> None:
        sums = self._sums[name]
        series = _within(sums, series)
        count_before, total_before = sums.get(series, (0, 0.0))
        sums[series] = count_before + count, total_before + total


def _within(known: Mapping[_Series, object], series: _Series) -> _Series:
    """Return what to count a series as: there is no end of functions that come and go."""
    if series in known or len(known) < SERIES_MAX:
        return series
    key, _ = series
    return FunctionKey(account=key.account, region=key.region, name=_OTHERS), ""


def _heading(name: str, words: str, kind: str) -> list[str]:
    return [f"# HELP aws_lambda_{name} {words}", f"# TYPE aws_lambda_{name} {kind}"]


def _labels(key: FunctionKey, mapping: str) -> str:
    # Names of functions and accounts have no character that would have to be escaped.
    labels = f'FunctionName="{key.name}",Account="{key.account}",Region="{key.region}"'
    if mapping:
        labels += f',EventSourceMappingUUID="{mapping}"'
    return f"{{{labels}}}"
