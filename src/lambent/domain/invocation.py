"""An invocation and its outcome."""

from __future__ import annotations

import msgspec

from lambent.domain.facts import Report
from lambent.domain.function import FunctionVersion


class Invocation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event on its way to one version of a function."""

    request_id: str
    version: FunctionVersion
    invoked_arn: str
    """The ARN as the caller named the function: unqualified, or with version or alias."""
    payload: bytes
    """JSON text, passed on as it came."""
    client_context: str | None = None
    """JSON text (decoded from the header's base64)."""
    trace_id: str = ""
    """The ``X-Amzn-Trace-Id`` value: ``Root=…;Parent=…;Sampled=0``."""
    wants_log_tail: bool = False
    tenant_id: str | None = None
    """For whom it runs; only, and always, where the function isolates its tenants."""
    debug_port: int | None = None
    """Where on this machine its caller wants to attach a debugger, which it waits for; 0 picks a free port."""
    is_spillover: bool = False
    """Its version has provisioned concurrency, and it runs beyond that."""
    source: str = "invoke"
    """Who asked: ``invoke`` (and waits), ``event`` (an asynchronous invocation), ``url`` (a function URL), or the kind
    of an event source, for instance ``sqs``."""
    attempt: int = 1
    """Above 1: an event that is tried again."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an invocation came to. A failure of the user's function is an outcome, not an exception."""

    payload: bytes
    report: Report
    function_error: str | None = None
    """None, or ``Unhandled``."""
    log_tail: bytes = b""
    """The last 4,096 bytes of this invocation's log, when asked for."""
