"""Temporary functions say what they are, and a killed run's are told from a living one's."""

from __future__ import annotations

import os
import re
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.cli import temporary
from lambent.cli.temporary import (
    ORPHAN_AGE_S,
    TAG_MADE_AT,
    TAG_PLACE,
    TAG_PROCESS,
    TAG_PURPOSE,
    is_leftover,
    temporary_name,
    this_maker,
)

NOW_S = 1_800_000_000.0
TAGS = {TAG_PURPOSE: "tune", TAG_PLACE: "here", TAG_PROCESS: "7.100", TAG_MADE_AT: f"{NOW_S - 60:.0f}"}


def test_a_name_says_what_for_of_what_and_how_large() -> None:
    name = temporary_name("tune", "thumbnail", "512mb", "1f0c")
    assert name == "lambent-temporary-tune-thumbnail-512mb-1f0c"


@given(name=st.text(min_size=1, max_size=200))
@settings(max_examples=60)
def test_a_name_is_one_that_lambda_takes(name: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", temporary_name("tune", name, "10240mb", "1f0c"))


def test_what_a_living_run_uses_is_no_leftover() -> None:
    assert not is_leftover(TAGS, "here", "7.100", NOW_S)


def test_what_a_dead_run_made_is_a_leftover() -> None:
    assert is_leftover(TAGS, "here", None, NOW_S)


def test_a_process_that_only_has_the_same_number_keeps_nothing() -> None:
    assert is_leftover(TAGS, "here", "7.999", NOW_S)


def test_what_was_made_elsewhere_is_a_leftover_after_a_day() -> None:
    """Whether a process lives on another machine cannot be seen from here."""
    assert not is_leftover(TAGS, "there", None, NOW_S)
    assert is_leftover(TAGS, "there", None, NOW_S + ORPHAN_AGE_S)
    assert not is_leftover({**TAGS, TAG_MADE_AT: "?"}, "there", None, NOW_S + ORPHAN_AGE_S)


def test_a_function_that_only_has_such_a_name_is_left_alone() -> None:
    assert not is_leftover({}, "here", None, NOW_S)


def test_we_are_alive_to_ourselves_and_who_has_ended_is_not() -> None:
    maker = this_maker()
    number = int(maker.process.partition(".")[0])
    assert number == os.getpid()
    assert maker.process == f"{number}.{temporary._started(number)}"
    ended = subprocess.Popen(["true"])
    try:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert temporary._started(ended.pid) is None, "a zombie does no work any more"
    finally:
        ended.wait()
    assert temporary._started(ended.pid) is None
