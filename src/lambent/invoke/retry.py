"""What happens to an asynchronous event after an attempt: done, again later, or given up. Pure.

AWS page "How Lambda handles errors and retries with asynchronous invocation".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lambent.domain.event_invoke_config import EventInvokeConfig
from lambent.domain.queued_event import QueuedEvent

RETRY_ATTEMPTS_DEFAULT = 2
EVENT_AGE_DEFAULT_S = 21_600
BACKOFF_MAX_S = 300.0
_DOUBLINGS_MAX = 12

SUCCESS = "Success"
RETRIES_EXHAUSTED = "RetriesExhausted"
EVENT_AGE_EXCEEDED = "EventAgeExceeded"
ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"
RECURSIVE_INVOCATION = "RecursiveInvocation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Another attempt, later."""

    event: QueuedEvent
    """As it is to be kept."""
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """No further attempt."""

    event: QueuedEvent
    condition: str
    """AWS's word for why, as records of outcomes have it."""

    @property
    def is_success(self) -> bool:
        """Whether the function ended without an error."""
        return self.condition == SUCCESS


def after_run(
    event: QueuedEvent, *, is_error: bool, config: EventInvokeConfig | None, base_s: float, now_s: float
) -> Again | Ended:
    """Decide after the function has run.

    Args:
        event: before this attempt was counted.
        is_error: whether it ended with a function error.
        config: the settings of the qualifier, if there are any.
        base_s: the delay before the first retry; before the second it is twice that.
        now_s: the time.
    """
    event = replace(event, attempts=event.attempts + 1, refusals=0)
    if not is_error:
        return Ended(event=event, condition=SUCCESS)
    retries = config.maximum_retry_attempts if config else None
    if event.attempts > (RETRY_ATTEMPTS_DEFAULT if retries is None else retries):
        return Ended(event=event, condition=RETRIES_EXHAUSTED)
    return _again(event, base_s * event.attempts, config, now_s)


def after_refusal(event: QueuedEvent, *, config: EventInvokeConfig | None, now_s: float) -> Again | Ended:
    """Decide after an attempt that did not run: throttled, or an error of ours."""
    delay_s = min(BACKOFF_MAX_S, 2.0 ** min(event.refusals, _DOUBLINGS_MAX))
    return _again(replace(event, refusals=event.refusals + 1), delay_s, config, now_s)


def is_too_old(event: QueuedEvent, config: EventInvokeConfig | None, at_s: float) -> bool:
    """Whether an event has reached its maximum age at a time."""
    maximum_s = config.maximum_event_age_s if config else None
    return at_s - event.accepted_s >= (EVENT_AGE_DEFAULT_S if maximum_s is None else maximum_s)


def _again(
    event: QueuedEvent, delay_s: float, config: EventInvokeConfig | None, now_s: float
) -> Again | Ended:
    if is_too_old(event, config, now_s + delay_s):
        return Ended(event=event, condition=EVENT_AGE_EXCEEDED)
    return Again(event=event, delay_s=delay_s)
