"""What the report of an invocation says of its environment: how that started, the memory it used, what it all costs."""

from __future__ import annotations

import math

from lambent.clock import Clock
from lambent.domain.concurrency import INITIALIZATION_TYPE
from lambent.domain.facts import Report
from lambent.domain.invocation import Invocation
from lambent.domain.pricing import price_of
from lambent.domain.pricing.price_list import FREE_SNAPSHOT_RUNTIMES
from lambent.node.ending import Ending
from lambent.node.plan import Plan
from lambent.sandbox import SandboxProcess

_MB = 1024 * 1024
_QUICK_MS = 20.0
_MEMORY_READ_PAUSE_S = 0.5
_RESET = "reset"


class Reporting:
    """Makes the reports of one environment; owns what the next one has to tell beside the invocation itself."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        """Begin with the environment's start, which is told with its first invocation."""
        self._plan = plan
        self._clock = clock
        self.init_duration_ms: float | None = None
        """Of an init on demand that the next invocation is charged with."""
        self.restore_duration_ms: float | None = None
        self.billed_restore_ms = 0
        """The part of it that is charged."""
        self._cold_start_reason: str | None = plan.cold_start_reason
        self._memory_bytes = 0
        self._memory_read_s = -math.inf

    def report(
        self,
        invocation: Invocation,
        ending: Ending,
        duration_ms: float,
        *,
        process: SandboxProcess | None,
        streamed_bytes: int | None = None,
    ) -> Report:
        """Return the report of an invocation, and owe nothing of what it tells to the next.

        Args:
            invocation: which.
            ending: how it ended.
            duration_ms: how long it ran, init and restore not counted.
            process: the runtime's, if there is one still.
            streamed_bytes: of a response that was streamed, what came of it.
        """
        version = self._plan.version
        init_ms, restore_ms, reason = self.init_duration_ms, self.restore_duration_ms, self._cold_start_reason
        is_restored = restore_ms is not None
        before_ms = self.billed_restore_ms if is_restored else init_ms or 0.0
        billed_ms = max(1, math.ceil(duration_ms + before_ms))
        cost = price_of(
            architecture=version.architecture,
            memory_mb=version.memory_mb,
            billed_duration_ms=billed_ms,
            ephemeral_storage_mb=version.ephemeral_storage_mb,
            is_restored=is_restored and not version.runtime.startswith(FREE_SNAPSHOT_RUNTIMES),
            is_provisioned=self._plan.origin.initialization_type == INITIALIZATION_TYPE
            and not invocation.is_spillover,
            is_tenants_new=invocation.tenant_id is not None and reason not in (None, _RESET),
            region=version.key.region,
            streamed_bytes=streamed_bytes or 0,
        )
        report = Report(
            at_s=self._clock.now_s(),
            origin=self._plan.origin,
            request_id=invocation.request_id,
            status=ending.status,
            error_type=ending.error_type,
            error_message=ending.error_message,
            duration_ms=duration_ms,
            billed_duration_ms=billed_ms,
            memory_size_mb=version.memory_mb,
            max_memory_used_mb=min(self._memory_used_mb(duration_ms, process), version.memory_mb),
            init_duration_ms=init_ms,
            restore_duration_ms=restore_ms,
            billed_restore_duration_ms=self.billed_restore_ms if is_restored else None,
            cold_start_reason=reason,
            gb_seconds=cost.gb_seconds,
            price_usd=cost.price_usd,
            trace_id=invocation.trace_id,
            tenant_id=invocation.tenant_id,
            is_spillover=invocation.is_spillover,
            invoked_arn=invocation.invoked_arn,
            source=invocation.source,
            attempt=invocation.attempt,
            request_bytes=len(invocation.payload),
            response_bytes=len(ending.payload) if streamed_bytes is None else streamed_bytes,
            streamed_bytes=streamed_bytes,
        )
        self.init_duration_ms = self.restore_duration_ms = self._cold_start_reason = None
        return report

    def reset(self) -> None:
        """Begin anew with another runtime, which the next invocation has to start."""
        self._memory_bytes, self._memory_read_s = 0, -math.inf
        self._cold_start_reason = _RESET

    def _memory_used_mb(self, duration_ms: float, process: SandboxProcess | None) -> int:
        """The most memory used so far.

        Asking the kernel costs as much as the rest of a quick invocation, and it keeps the peak for us: in a
        rapid series of quick invocations it is asked again only after a moment.
        """
        now_s = self._clock.monotonic_s()
        is_due = duration_ms >= _QUICK_MS or now_s - self._memory_read_s >= _MEMORY_READ_PAUSE_S
        if is_due and process is not None:
            self._memory_bytes = max(self._memory_bytes, process.peak_memory_bytes())
            self._memory_read_s = now_s
        return math.ceil(self._memory_bytes / _MB)
