"""Facts: what happened in an execution environment, as typed records in the past tense.

The invocation path emits them and goes on; logs, metrics, traces and bills listen (`lambent.telemetry`). They
carry what AWS's Telemetry API events carry (aws-facts §9): the names of the fields are AWS's.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec

from lambent.domain.function import FunctionKey
from lambent.domain.limits import EPHEMERAL_STORAGE_DEFAULT_MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The execution environment that a fact is about."""

    environment_id: str
    function: FunctionKey
    version: str
    memory_mb: int
    architecture: str
    log_group: str
    log_stream: str
    log_format: str
    application_log_level: str | None = None
    system_log_level: str | None = None
    runtime_version: str
    """AWS's words for it, for instance ``python:3.12.v36``."""
    runtime_version_arn: str
    initialization_type: str = "on-demand"
    runtime: str = ""
    """The function's, for instance ``python3.12``; empty for an image."""
    ephemeral_storage_mb: int = EPHEMERAL_STORAGE_DEFAULT_MB


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened."""

    at_s: float
    """Seconds since the epoch."""
    origin: Origin


class InitStart(Fact, frozen=True, kw_only=True, gc=False):
    """The runtime was started."""

    phase: str
    """``init``, or ``invoke`` when a failed init is repeated inside an invocation."""


class InitReport(Fact, frozen=True, kw_only=True, gc=False):
    """The init phase ended."""

    phase: str
    status: str
    """``success``, ``error`` or ``timeout``."""
    error_type: str | None
    duration_ms: float
    billed_duration_ms: int = 0
    """What is charged for it by itself; 0 when it is charged with an invocation."""


class RestoreStart(Fact, frozen=True, kw_only=True, gc=False):
    """An environment was started from a snapshot."""


class RestoreReport(Fact, frozen=True, kw_only=True, gc=False):
    """The restore phase ended."""

    status: str
    """``success``, ``error`` or ``timeout``."""
    error_type: str | None
    duration_ms: float
    billed_duration_ms: int = 0
    """What is charged for it by itself; 0 when it is charged with an invocation."""


class Start(Fact, frozen=True, kw_only=True, gc=False):
    """An invocation was handed to the environment."""

    request_id: str
    trace_id: str
    tenant_id: str | None = None


class LogLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One log event of the function: a line of its output, or one framed message.

    The text may end with its newline or not; `lambent.domain.log_line.lines_of` gives every line one.
    """

    at_s: float
    text: str


class Output(Fact, frozen=True, kw_only=True, gc=False):
    """The function wrote log lines."""

    request_id: str | None
    """None during init."""
    lines: tuple[LogLine, ...]


class Report(Fact, frozen=True, kw_only=True, gc=False):
    """The runtime answered, failed or was stopped: what was measured of the invocation, and what it costs."""

    request_id: str
    status: str
    error_type: str | None
    duration_ms: float
    billed_duration_ms: int
    memory_size_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None
    """Only on a cold start."""
    cold_start_reason: str | None
    """None when warm; ``first``, ``scale-out``, ``new-version``, ``retired`` or ``reset``."""
    gb_seconds: Decimal
    price_usd: Decimal
    """At the first tier of its region, before the free tier."""
    trace_id: str
    tenant_id: str | None = None
    """For whom it ran, if the function isolates its tenants."""
    restore_duration_ms: float | None = None
    """Only after a restore: from the demand for the environment to the runtime's first request."""
    billed_restore_duration_ms: int | None = None
    """The part of it that is charged: the runtime's own, after-restore hooks included."""
    error_message: str | None = None
    """When the runtime died or could not start, AWS's sentence about it, for instance ``RequestId: … Error:
    Runtime exited with error: exit status 1``; None for errors that the runtime itself reported."""
    is_spillover: bool = False
    """Its version has provisioned concurrency and this ran beyond it, in another environment than those: AWS's
    ProvisionedConcurrencySpilloverInvocations. In one of those, ``origin.initialization_type`` says so."""
    invoked_arn: str = ""
    """The function ARN as the caller named it: unqualified, or with version or alias."""
    source: str = "invoke"
    """Who asked, see `lambent.domain.invocation.Invocation`."""
    attempt: int = 1
    """Above 1: an event that is tried again."""
    request_bytes: int = 0
    """Size of the event."""
    response_bytes: int = 0
    """Size of the answer, an error's included."""
    streamed_bytes: int | None = None
    """Of a response that was streamed, what the runtime had sent of it, whether or not anybody read it; None: it was
    not streamed. The price counts what is beyond the first 6 MB."""


class LogsDropped(Fact, frozen=True, kw_only=True, gc=False):
    """Output was given up because a listener could not keep up."""

    reason: str
    dropped_records: int
    dropped_bytes: int


class EnvironmentStopped(Fact, frozen=True, kw_only=True, gc=False):
    """An execution environment is gone."""

    reason: str
    """``idle``, ``aged``, ``evicted`` (its memory was needed), ``replaced``, ``deprovisioned``, ``failed`` or
    ``shutdown``."""
