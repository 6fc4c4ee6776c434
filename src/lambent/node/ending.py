"""How an invocation ended, as AWS tells it: from what the runtime did to payload, status and error type.

Pure. The payloads are aws-facts §5.2 (recorded from AWS).
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

import msgspec

from lambent.domain.limits import SYNC_RESPONSE_MAX_BYTES
from lambent.node.runtime_api import Answer

# The words that AWS's supervisor (a Go program) has for signals.
_SIGNAL_WORDS = {
    signal.SIGABRT: "aborted",
    signal.SIGBUS: "bus error",
    signal.SIGFPE: "floating point exception",
    signal.SIGHUP: "hangup",
    signal.SIGILL: "illegal instruction",
    signal.SIGINT: "interrupt",
    signal.SIGKILL: "killed",
    signal.SIGPIPE: "broken pipe",
    signal.SIGQUIT: "quit",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGTERM: "terminated",
    signal.SIGTRAP: "trace/breakpoint trap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeExit:
    """The runtime's process ended without answering."""

    code: int | None
    signal: int | None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The runtime's program could not be executed."""

    reason: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The time for it was over."""


End = Answer | RuntimeExit | NotStarted | TimedOut
"""What a runtime did, or what became of it."""


class Ending(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An invocation's end in AWS's words."""

    payload: bytes
    status: str
    """``success``, ``error`` (the function or its runtime failed) or ``timeout``."""
    error_type: str | None = None
    error_message: str | None = None
    """The line that AWS logs after the report when the runtime died."""

    @property
    def function_error(self) -> str | None:
        """The ``X-Amz-Function-Error`` header."""
        return None if self.status == "success" else "Unhandled"


def ending_of(
    end: End, *, request_id: str, timeout_s: float, response_max_bytes: int = SYNC_RESPONSE_MAX_BYTES
) -> Ending:
    """Return how an invocation ended; `response_max_bytes` is the limit of the response."""
    if isinstance(end, TimedOut):
        message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
        return Ending(
            payload=_payload("Sandbox.Timedout", message), status="timeout", error_type="Sandbox.Timedout"
        )
    if isinstance(end, RuntimeExit | NotStarted):
        error_type, reason = exit_reason(end)
        message = f"RequestId: {request_id} Error: {reason}"
        return Ending(
            payload=_payload(error_type, message),
            status="error",
            error_type=error_type,
            error_message=message,
        )
    if end.is_too_large:
        message = f"Response payload size exceeded maximum allowed payload size ({response_max_bytes} bytes)."
        error_type = "Function.ResponseSizeTooLarge"
        return Ending(payload=_payload(error_type, message), status="error", error_type=error_type)
    if end.is_error:
        return Ending(payload=end.body, status="error", error_type=end.error_type or "Runtime.Unknown")
    return Ending(payload=end.body, status="success")


def init_status(end: End | None) -> tuple[str, str | None]:
    """Return the status and the error type of an init or restore phase; None: it went well."""
    if end is None:
        return "success", None
    if isinstance(end, TimedOut):
        return "timeout", None
    if isinstance(end, RuntimeExit | NotStarted):
        return "error", exit_reason(end)[0]
    return "error", end.error_type


def exit_reason(end: RuntimeExit | NotStarted) -> tuple[str, str]:
    """Return the error type and the words for a runtime that ended without answering."""
    if isinstance(end, NotStarted):
        return "Runtime.InvalidEntrypoint", end.reason
    if end.out_of_memory:
        return "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
    if end.signal is not None:
        words = _SIGNAL_WORDS.get(signal.Signals(end.signal)) if end.signal in set(signal.Signals) else None
        return "Runtime.ExitError", f"Runtime exited with error: signal: {words or f'signal {end.signal}'}"
    if end.code:
        return "Runtime.ExitError", f"Runtime exited with error: exit status {end.code}"
    return "Runtime.ExitError", "Runtime exited without providing a reason"


def _payload(error_type: str, message: str) -> bytes:
    return msgspec.json.encode({"errorType": error_type, "errorMessage": message})
