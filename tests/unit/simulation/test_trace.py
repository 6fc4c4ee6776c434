"""Promises of traces: what a line says is taken, what cannot be read is named, and nothing else is lost."""

from __future__ import annotations

from random import Random

import pytest

from lambent.simulation.distribution import constant
from lambent.simulation.load import Load, TraceError
from lambent.simulation.trace import load_of, read_trace

CSV = """\
function,at,duration_ms,init_ms,note
a,2026-01-02T03:04:05.500Z,100,250,
b,2026-01-02T03:04:04Z,50,,x
a,1767323047.5,300,,
"""


def load(text: str, **options: object) -> Load:
    """The load of a text, with what it says of durations and cold starts."""
    settings: dict[str, object] = {"service": None, "start": None} | options
    return load_of(read_trace(text.splitlines(keepends=True)), Random(1), **settings)  # type: ignore[arg-type]


def test_a_csv_is_read_by_its_header_and_put_in_order() -> None:
    found = load(CSV)
    assert found.at_s == [0.0, 1.5, 3.5]
    assert found.service_s == [0.05, 0.1, 0.3]
    assert [found.names[place] for place in found.function] == ["b", "a", "a"]
    assert found.duration_s == 3.5


def test_a_function_without_cold_starts_has_those_of_the_others() -> None:
    found = load(CSV)
    assert [start.values_s for start in found.starts] == [(0.25,), (0.25,)]


def test_lines_of_json_are_read_as_well() -> None:
    text = '{"at": 5, "function": "a", "duration_ms": 10, "init_ms": 3}\n\n{"at": 4, "duration_ms": 20}\n'
    found = load(text)
    assert found.at_s == [0.0, 1.0]
    assert found.service_s == [0.02, 0.01]


def test_only_one_function_is_read_when_it_is_named() -> None:
    trace = read_trace(CSV.splitlines(), function="b")
    assert trace.names == ["b"]
    assert trace.duration_ms == [50.0]


def test_a_line_that_says_no_duration_gets_one_of_its_function() -> None:
    found = load("at,function,duration_ms,init_ms\n1,a,10,1\n2,a,\n3,a,,\n3,b,99,\n")
    assert found.service_s == [0.01, 0.01, 0.099]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("x,1,1", "'x' is no time"),
        ("nan,1,1", "'nan' is no time"),
        ("2026-13-01,1,1", "'2026-13-01' is no time"),
        ("5,abc,1", "duration_ms is 'abc'"),
        ("5,-1,1", "duration_ms is '-1'"),
        ("5,1,inf", "init_ms is 'inf'"),
        ("5,1", "it has 2 cells, not 3"),
        ("5,1,1,1", "it has 4 cells, not 3"),
    ],
)
def test_a_broken_line_is_named_and_the_others_are_kept(line: str, why: str) -> None:
    trace = read_trace(["at,duration_ms,init_ms", "1,10,5", line, "2,10,", line])
    assert trace.at_s == [1.0, 2.0]
    assert trace.broken == 2
    assert trace.first_broken == f"line 3: {why}"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "it is not JSON"),
        ("[1]", "it does not say when (at)"),
        ('{"duration_ms": 1}', "it does not say when (at)"),
        ('{"at": true}', "True is no time"),
        ('{"at": 1, "duration_ms": "x"}', "duration_ms is 'x'"),
    ],
)
def test_a_broken_line_of_json_is_named_too(line: str, why: str) -> None:
    trace = read_trace(['{"at": 1, "duration_ms": 5}', line])
    assert (trace.at_s, trace.broken, trace.first_broken) == ([1.0], 1, f"line 2: {why}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "The trace is empty."),
        ("\n\n", "The trace is empty."),
        ("a,b\n1,2\n", "must name its columns, at least `at`"),
        ("at,duration_ms\n", "The trace has no invocations."),
        ("at,duration_ms\nx,1\n", "no invocations (1 cannot be read; line 2: 'x' is no time)."),
    ],
)
def test_a_trace_of_which_nothing_can_be_used_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(TraceError) as refused:
        read_trace(text.splitlines(keepends=True))
    assert sentence in str(refused.value)


def test_a_function_that_is_not_in_the_trace_is_named() -> None:
    with pytest.raises(TraceError, match="no invocations of z"):
        read_trace(CSV.splitlines(), function="z")


def test_what_the_trace_does_not_say_must_be_said() -> None:
    with pytest.raises(TraceError, match="--service"):
        load("at\n1\n2\n", start=constant(1))
    with pytest.raises(TraceError, match="--cold-start"):
        load("at,duration_ms\n1,5\n")
    assert load("at\n1\n2\n", start=constant(1), service=constant(7)).service_s == [0.007, 0.007]


def test_a_scaled_trace_keeps_the_durations_of_its_lines() -> None:
    found = load(
        "at,duration_ms,init_ms\n" + "".join(f"{n},{10 if n < 500 else 20},1\n" for n in range(1_000)),
        scale=3,
    )
    assert len(found) == pytest.approx(3_000, rel=0.01)
    assert found.service_s.count(0.01) == pytest.approx(1_500, rel=0.05)
