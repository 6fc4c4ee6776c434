"""Traces: continued when well formed, begun anew otherwise."""

from __future__ import annotations

import re

import pytest

from lambent.domain.trace import trace_of

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
