"""Metrics: AWS's names, counted from facts, in a text that Prometheus reads."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lambent.domain.function_facts import (
    DeliveryFailed,
    EventBegun,
    EventDropped,
    EventReceived,
    LoopEnded,
    RecordsCounted,
    Throttled,
)
from lambent.telemetry import metrics as module
from lambent.telemetry.metrics import Metrics
from samples import KEY, ORIGIN, invocation, replace, report

LABELS = f'FunctionName="{KEY.name}",Account="{KEY.account}",Region="{KEY.region}"'


def values(metrics: Metrics) -> dict[str, float]:
    """By name and labels, as a reader of the text has them."""
    lines = metrics.text(lambda: [(KEY.account, KEY.region, 3, 2)]).splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series.removeprefix("aws_lambda_").replace(f"{{{LABELS}}}", "")] = float(value)
    return found


def test_reports_are_invocations_errors_and_durations() -> None:
    metrics = Metrics()
    good = report(invocation())
    bad = replace(good, status="timeout", duration_ms=3000.5)
    asyncio.run(metrics.consume([good, bad]))
    found = values(metrics)
    assert (found["Invocations"], found["Errors"]) == (2, 1)
    assert (found["Duration_count"], found["Duration_sum"]) == (2, 3001.5)
    assert "ProvisionedConcurrencyInvocations" not in found


def test_provisioned_invocations_and_those_beyond_them_are_told_apart() -> None:
    metrics = Metrics()
    plain = report(invocation())
    provisioned = replace(plain, origin=replace(ORIGIN, initialization_type="provisioned-concurrency"))
    asyncio.run(metrics.consume([plain, provisioned, replace(plain, is_spillover=True)]))
    found = values(metrics)
    assert found["ProvisionedConcurrencyInvocations"] == 1
    assert found["ProvisionedConcurrencySpilloverInvocations"] == 1


def test_facts_about_functions_are_counted_by_awss_names() -> None:
    metrics = Metrics()
    for fact in (
        Throttled(function=KEY),
        EventReceived(function=KEY),
        EventReceived(function=KEY),
        EventBegun(function=KEY, age_ms=12.5),
        EventDropped(function=KEY),
        LoopEnded(function=KEY),
        DeliveryFailed(function=KEY, is_dead_letter=True),
        DeliveryFailed(function=KEY, is_dead_letter=False),
        DeliveryFailed(function=KEY, is_dead_letter=False),
        RecordsCounted(function=KEY, mapping="u-1", metric="PolledEventCount", count=10),
        RecordsCounted(function=KEY, mapping="u-1", metric="FilteredOutEventCount", count=0),
    ):
        metrics.hear(fact)
    place = f'{{Account="{KEY.account}",Region="{KEY.region}"}}'
    assert values(metrics) == {
        "Throttles": 1,
        "AsyncEventsReceived": 2,
        "AsyncEventAge_count": 1,
        "AsyncEventAge_sum": 12.5,
        "AsyncEventsDropped": 1,
        "RecursiveInvocationsDropped": 1,
        "DeadLetterErrors": 1,
        "DestinationDeliveryFailures": 2,
        f'PolledEventCount{{{LABELS},EventSourceMappingUUID="u-1"}}': 10,
        f"ConcurrentExecutions{place}": 3,
        f"UnreservedConcurrentExecutions{place}": 2,
    }


def test_every_metric_has_its_help_and_its_type_before_its_values() -> None:
    metrics = Metrics()
    metrics.hear(Throttled(function=KEY))
    lines = metrics.text(list).splitlines()
    number = lines.index(f"aws_lambda_Throttles{{{LABELS}}} 1")
    assert lines[number - 2].startswith("# HELP aws_lambda_Throttles ")
    assert lines[number - 1] == "# TYPE aws_lambda_Throttles counter"


def test_functions_without_end_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SERIES_MAX", 2)
    metrics = Metrics()
    for number in range(5):
        metrics.hear(Throttled(function=msgspec.structs.replace(KEY, name=f"f-{number}")))
    found = {series: value for series, value in values(metrics).items() if series.startswith("Throttles")}
    assert sorted(found.values()) == [1, 1, 3]
    assert any("(others)" in series for series in found)


def test_large_counts_are_written_whole() -> None:
    metrics = Metrics()
    metrics.hear(RecordsCounted(function=KEY, mapping="u", metric="PolledEventCount", count=12_345_678))
    assert 12_345_678 in values(metrics).values()
