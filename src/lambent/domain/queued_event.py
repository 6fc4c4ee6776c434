"""An event that waits to be run: what is kept of an asynchronous invocation until it has ended for good."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.domain.function import LATEST, FunctionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """One asynchronous invocation, without its payload, which is the body of its message."""

    request_id: str
    """The same in every attempt."""
    key: FunctionKey
    qualifier: str | None = None
    """As the caller gave it; what it means is found out at each attempt."""
    tenant_id: str | None = None
    trace_header: str = ""
    """The caller's trace, as far as it has come."""
    accepted_s: float
    """Seconds since the epoch."""
    attempts: int = 0
    """How often the function has run with it."""
    refusals: int = 0
    """How often in a row it could not be run: throttled, or an error of ours."""
    source: str = "event"
    """Who asked, see `lambent.domain.invocation.Invocation`."""

    @property
    def invoked_arn(self) -> str:
        """The function ARN as the caller named it."""
        return self.key.qualified_arn(self.qualifier) if self.qualifier else self.key.arn

    @property
    def recorded_arn(self) -> str:
        """The function ARN as records of outcomes name it: with ``$LATEST`` when nothing else was asked for."""
        return self.key.qualified_arn(self.qualifier or LATEST)
