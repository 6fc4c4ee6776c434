"""Promises of Azure's traces: each counted invocation comes in its minute, and runs as long as such ones did."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from lambent.simulation.azure import read_counts, read_durations
from lambent.simulation.distribution import Distribution, constant
from lambent.simulation.load import INVOCATIONS_MAX, Load, TraceError
from lambent.simulation.trace import Trace

COUNTS = [
    "HashOwner,HashApp,HashFunction,Trigger,1,2,3,4",
    "o,a,f1,http,2,0,0,1",
    "o,a,f2,queue,0,5,0,0",
    "o,a,f3,timer,0,0,0,0",
]
DURATIONS = [
    "HashOwner,HashApp,HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,percentile_Average_1,"
    "percentile_Average_25,percentile_Average_50,percentile_Average_75,percentile_Average_99,percentile_Average_100",
    "o,a,f1,110,3,100,120,100,100,105,110,115,120,120",
    "o,a,f2,5,5,5,5,5,5,5,5,5,5,5",
]


def counts(lines: list[str], **options: Any) -> tuple[Load, Trace]:
    """The load of these lines."""
    settings: dict[str, Any] = {
        "durations": read_durations(DURATIONS)[0],
        "service": None,
        "start": constant(200),
    }
    return read_counts(lines, Random(1), **settings | options)


def test_every_counted_invocation_comes_in_its_minute_and_runs_as_its_function_does() -> None:
    load, problems = counts(COUNTS)
    assert problems.broken == 0
    assert load.names == ("f1", "f2")
    assert load.duration_s == 240
    assert load.at_s == sorted(load.at_s)
    by_function: dict[str, list[tuple[int, float]]] = {"f1": [], "f2": []}
    for at_s, place, service_s in zip(load.at_s, load.function, load.service_s, strict=True):
        by_function[load.names[place]].append((int(at_s // 60), service_s))
    assert [minute for minute, _ in by_function["f1"]] == [0, 0, 3]
    assert all(0.1 <= service <= 0.12 for _, service in by_function["f1"])
    assert by_function["f2"] == [(1, pytest.approx(0.005))] * 5


def test_a_part_of_a_trace_keeps_its_pattern() -> None:
    load, _ = counts([COUNTS[0], "o,a,f1,http,1000,0,0,3000"], scale=0.25)
    first = sum(at < 60 for at in load.at_s)
    assert (first, len(load) - first) == (250, 750)
    thin, _ = counts(
        [COUNTS[0], *(f"o,a,f{number},http,1,0,0,0" for number in range(2_000))],
        scale=0.1,
        service=constant(1),
    )
    assert len(thin) == pytest.approx(200, rel=0.25)


def test_only_functions_whose_hash_begins_so_are_read() -> None:
    load, _ = counts(COUNTS, function="f2")
    assert load.names == ("f2",)
    assert load.function == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("o,a,f1,http,1,2", "it has 6 cells, not 8"),
        ("o,a,f1,http,1,x,0,0", "its counts are no whole numbers from 0"),
        ("o,a,f1,http,1,-2,0,0", "its counts are no whole numbers from 0"),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_kept(line: str, why: str) -> None:
    load, problems = counts([*COUNTS, line])
    assert len(load) == 8
    assert (problems.broken, problems.first_broken) == (1, f"line 5: {why}")


def test_percentiles_that_do_not_rise_are_left_out() -> None:
    broken = "o,a,f3,5,5,5,5,5,5,9,5,5,5,5"
    found, problems = read_durations([*DURATIONS, broken, "o,a,f4"])
    assert sorted(found) == ["f1", "f2"]
    assert (problems.broken, problems.first_broken) == (2, "line 4: its percentiles are no rising numbers")


def test_a_function_without_durations_needs_some() -> None:
    lines = [*COUNTS, "o,a,unknown,http,1,0,0,0"]
    with pytest.raises(TraceError, match="no durations of function unknown"):
        counts(lines)
    service: Distribution = constant(7)
    load, _ = counts(lines, service=service)
    assert 0.007 in load.service_s


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (["x,y"], "must begin with HashOwner,HashApp,HashFunction,Trigger"),
        ([], "must begin with"),
        (COUNTS[:1], "The trace has no invocations."),
        ([COUNTS[0], f"o,a,f1,http,{INVOCATIONS_MAX},9,0,0"], "too many at once"),
    ],
)
def test_a_trace_of_which_nothing_can_be_used_is_refused_in_one_sentence(
    lines: list[str], sentence: str
) -> None:
    with pytest.raises(TraceError) as refused:
        counts(lines)
    assert sentence in str(refused.value)


def test_another_file_of_durations_is_refused() -> None:
    with pytest.raises(TraceError, match="percentile_Average_0"):
        read_durations(["a,b", "1,2"])
