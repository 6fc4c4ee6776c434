"""When an asynchronous event is tried again: AWS's delays, attempts and ages, as decisions."""

from __future__ import annotations

from typing import Any

import pytest

from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.queued_event import QueuedEvent
from lambent.invoke.retry import Again, Ended, after_refusal, after_run, is_too_old
from samples import KEY

BASE_S = 60.0


def event(**changes: Any) -> QueuedEvent:
    return QueuedEvent(**{"request_id": "r", "key": KEY, "accepted_s": 1000.0} | changes)


def config(**settings: Any) -> EventInvokeConfig:
    return EventInvokeConfig(last_modified_s=0, **settings)


def run(
    before: QueuedEvent,
    settings: EventInvokeConfig | None = None,
    *,
    is_error: bool = True,
    now_s: float = 1000.0,
) -> Again | Ended:
    return after_run(before, is_error=is_error, config=settings, base_s=BASE_S, now_s=now_s)


def test_a_success_ends_at_the_first_attempt() -> None:
    ended = run(event(), is_error=False)
    assert ended == Ended(event=event(attempts=1), condition="Success")


def test_function_errors_are_retried_after_one_and_after_two_minutes_and_then_given_up() -> None:
    first = run(event())
    assert first == Again(event=event(attempts=1), delay_s=60)
    second = run(first.event)
    assert second == Again(event=event(attempts=2), delay_s=120)
    assert run(second.event) == Ended(event=event(attempts=3), condition="RetriesExhausted")


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_as_many_retries_as_the_qualifier_has(retries: int) -> None:
    settings = config(maximum_retry_attempts=retries)
    assert isinstance(run(event(attempts=retries), settings), Ended)
    if retries:
        assert isinstance(run(event(attempts=retries - 1), settings), Again)


def test_a_retry_that_would_be_too_late_is_not_made() -> None:
    """Recorded at AWS: with an age of 60 s after one attempt, with 150 s after two."""
    assert run(event(), config(maximum_event_age_s=60)) == Ended(
        event=event(attempts=1), condition="EventAgeExceeded"
    )
    settings = config(maximum_event_age_s=150)
    first = run(event(), settings)
    assert isinstance(first, Again)
    assert run(first.event, settings, now_s=1060) == Ended(
        event=event(attempts=2), condition="EventAgeExceeded"
    )


def test_refusals_back_off_from_a_second_to_five_minutes_and_count_as_no_attempt() -> None:
    current, delays = event(), list[float]()
    for _ in range(12):
        decided = after_refusal(current, config=None, now_s=1000.0)
        assert isinstance(decided, Again)
        delays.append(decided.delay_s)
        current = decided.event
    assert delays == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert current.attempts == 0


def test_an_attempt_that_runs_begins_the_backoff_anew() -> None:
    decided = run(event(refusals=9))
    assert decided.event.refusals == 0


def test_an_event_that_is_only_refused_is_given_up_at_its_age() -> None:
    late_s = 1000.0 + 6 * 3600
    assert isinstance(after_refusal(event(), config=None, now_s=late_s - 2), Again)
    assert after_refusal(event(), config=None, now_s=late_s) == Ended(
        event=event(refusals=1), condition="EventAgeExceeded"
    )


def test_an_event_is_too_old_at_its_maximum_age() -> None:
    assert not is_too_old(event(), None, 1000.0 + 21_599)
    assert is_too_old(event(), None, 1000.0 + 21_600)
    assert is_too_old(event(), config(maximum_event_age_s=60), 1060.0)
