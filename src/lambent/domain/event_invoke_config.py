"""How events that a function is invoked with asynchronously are retried, and where their outcomes go. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvokeConfig:
    """The asynchronous invocation settings of one qualifier (API page "FunctionEventInvokeConfig")."""

    maximum_retry_attempts: int | None = None
    """None: never set; two are made."""
    maximum_event_age_s: int | None = None
    """None: never set; six hours."""
    on_success: str | None = None
    """The ARN of the destination of outcomes, None when there is none."""
    on_failure: str | None = None
    """The ARN of the destination of events that were given up."""
    last_modified_s: float
    """Seconds since the epoch."""
