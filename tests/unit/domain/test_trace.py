"""Traces: continued when well formed, begun anew otherwise."""

from __future__ import annotations

import re

import pytest

from lambent.domain.trace import most_travelled, trace_of

ROOT = "1-5bdb40ca-556d8b0c50dc66f0511bf520"
PARENT = "0123456789abcdef"


def test_a_well_formed_trace_is_continued() -> None:
    trace = trace_of(f"Root={ROOT}; Parent={PARENT}; Sampled=1", at_s=0)
    assert str(trace) == f"Root={ROOT};Parent={PARENT};Sampled=1"
    assert trace.for_caller == f"Root={ROOT};Sampled=1"


def test_a_missing_parent_is_made() -> None:
    assert re.fullmatch(
        rf"Root={ROOT};Parent=[0-9a-f]{{16}};Sampled=0", str(trace_of(f"Root={ROOT}", at_s=0))
    )


@pytest.mark.parametrize(
    "header", ["", "nonsense", f"Root=2{ROOT[1:]};Sampled=1", f"Parent={PARENT};Sampled=1", "=;=;"]
)
def test_anything_else_begins_a_new_trace_that_is_not_sampled(header: str) -> None:
    trace = trace_of(header, at_s=1_767_323_045.6)
    assert re.fullmatch(r"1-695735a5-[0-9a-f]{24}", trace.root)
    assert not trace.is_sampled
    assert trace.parent != PARENT


FUNCTION, OTHER = "arn:aws:lambda:us-east-1:0:function:f", "arn:aws:lambda:us-east-1:0:function:g"


def test_a_trace_counts_how_often_it_went_through_a_function_and_carries_that_on() -> None:
    trace = trace_of("", at_s=0)
    for _ in range(3):
        trace = trace_of(str(trace.through(FUNCTION).through(OTHER)), at_s=0)
    trace = trace.through(OTHER)
    assert (trace.rounds(FUNCTION), trace.rounds(OTHER)) == (3, 4)
    assert trace.rounds("arn:aws:lambda:us-east-1:0:function:never") == 0
    assert "Lineage" not in trace.for_caller


def test_a_lineage_that_is_none_is_no_lineage_and_a_long_one_is_cut() -> None:
    assert trace_of(f"Root={ROOT};Lineage=x:y|zz", at_s=0).lineage == ()
    many = "|".join(f"{number:08x}:1" for number in range(100))
    trace = trace_of(f"Root={ROOT};Lineage={many}", at_s=0)
    assert len(trace.lineage) == 32
    assert len(trace.through(FUNCTION).lineage) == 32
    assert trace.through(FUNCTION).rounds(FUNCTION) == 1


def test_the_header_of_an_invocation_is_that_of_the_trace_through_its_function() -> None:
    fresh = trace_of("", at_s=0)
    for trace in (fresh, fresh.through(OTHER), fresh.through(FUNCTION)):
        assert trace.header_through(FUNCTION) == str(trace.through(FUNCTION))


def test_of_many_traces_the_one_that_went_through_the_function_most_often_goes_on() -> None:
    once, twice = (
        trace_of("", at_s=0).through(FUNCTION),
        trace_of("", at_s=0).through(FUNCTION).through(FUNCTION),
    )
    assert most_travelled([str(once), str(twice), ""], FUNCTION) == str(twice)
    assert most_travelled([], FUNCTION) == ""
