"""What an invocation gets, and what is started although nobody waits for it."""

from __future__ import annotations

from lambent.invoke.assignment import Assignment, assign, starts_ahead


def test_an_idle_environment_is_reused_and_else_each_invocation_has_a_start_of_its_own() -> None:
    assert assign(idle=1, waiting=0, starting=5) is Assignment.REUSE
    assert assign(idle=0, waiting=0, starting=0) is Assignment.START
    assert assign(idle=0, waiting=2, starting=2) is Assignment.START
    assert assign(idle=0, waiting=1, starting=2) is Assignment.WAIT


def ahead(**changes: int | None) -> int:
    values: dict[str, int | None] = {"ahead": 2, "idle": 0, "coming": 0, "alive": 1, "most": None}
    return starts_ahead(**values | changes)  # type: ignore[arg-type]


def test_so_many_are_started_ahead_as_are_missing_beyond_those_that_run() -> None:
    assert ahead() == 2
    assert ahead(idle=1) == 1
    assert ahead(idle=1, coming=1) == 0
    assert ahead(idle=3) == 0


def test_no_more_are_started_ahead_than_the_functions_concurrency_could_use() -> None:
    assert ahead(alive=1, most=3) == 2
    assert ahead(alive=2, most=3) == 1
    assert ahead(alive=3, most=3) == 0
    assert ahead(alive=5, most=3) == 0
