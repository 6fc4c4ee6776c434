"""The lines that Lambda writes into a function's log: facts in, log lines out.

Text format is what CloudWatch Logs shows for START, END, REPORT and their kin; JSON format is the same facts
as ``platform.*`` records of the Telemetry API, filtered by the function's log levels. Pure: the node makes
the tail of ``X-Amz-Log-Result`` from it, the log listener the events of the function's log stream. It knows
nothing of streams and groups.

Follows the AWS pages "Sending Lambda function logs to CloudWatch Logs", "Log-level filtering" and "Lambda
Telemetry API Event schema reference" (aws-facts §9 and §10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lambent.clock import iso_ms
from lambent.domain.facts import (
    Fact,
    InitReport,
    InitStart,
    LogLine,
    LogsDropped,
    Output,
    Report,
    RestoreReport,
    RestoreStart,
    Start,
)

JSON_FORMAT = "JSON"
NOTHING: tuple[str, ...] = ()

_LEVELS = {"TRACE": 0, "DEBUG": 1, "INFO": 2, "WARN": 3, "WARNING": 3, "ERROR": 4, "FATAL": 5, "CRITICAL": 5}
_DEBUG, _INFO, _WARN = _LEVELS["DEBUG"], _LEVELS["INFO"], _LEVELS["WARN"]
_SUCCESS = "success"
_ON_DEMAND = "on-demand"
_PLATFORM_ERRORS = ("Runtime.", "Sandbox.", "Extension.", "Function.")
"""Beginnings of the error types that Lambda itself gives; others are the names of users' exceptions."""


def lines_of(fact: Fact) -> tuple[LogLine, ...]:
    """Return the log lines of a fact in the function's own log format, in order.

    Every line ends with a newline, so that a tail is the plain concatenation of the lines. A fact that leaves
    no trace in the log gives an empty tuple.
    """
    if type(fact) is Output:
        return _application_lines(fact) if fact.origin.log_format == JSON_FORMAT else _ended(fact.lines)
    return tuple([LogLine(at_s=fact.at_s, text=text) for text in platform_texts(fact)])


def platform_texts(fact: Fact) -> tuple[str, ...]:
    """Return the texts of the lines that the platform itself writes about a fact; all of them have its time."""
    if fact.origin.log_format == JSON_FORMAT:
        return _json_texts(fact)
    write = _TEXT.get(type(fact))
    return NOTHING if write is None else write(fact)


def _json_texts(fact: Fact) -> tuple[str, ...]:
    threshold = _LEVELS.get(fact.origin.system_log_level or "", _INFO)
    return tuple(
        _json(_record(fact.at_s, kind, record))
        for kind, level, record in platform_records(fact)
        if level >= threshold
    )


def platform_records(fact: Fact) -> tuple[tuple[str, int, dict[str, Any]], ...]:
    """Return the Telemetry API events of a fact as (type, system log level, record).

    The level is comparable with those of other records only: a higher one is more severe.
    """
    write = _RECORDS.get(type(fact))
    return () if write is None else write(fact)


# --- Text


def _text_init_start(fact: InitStart) -> tuple[str, ...]:
    origin = fact.origin
    text = (
        f"INIT_START Runtime Version: {origin.runtime_version}\t"
        f"Runtime Version ARN: {origin.runtime_version_arn}\n"
    )
    return (text,)


def _text_init_report(fact: InitReport) -> tuple[str, ...]:
    # A successful init on demand is told by the `Init Duration` of the first REPORT line; no other one is.
    if fact.status == _SUCCESS and fact.origin.initialization_type == _ON_DEMAND:
        return NOTHING
    error = f"\tError Type: {fact.error_type}" if fact.error_type and fact.status != "timeout" else ""
    status = "" if fact.status == _SUCCESS else f"\tStatus: {fact.status}{error}"
    text = f"INIT_REPORT Init Duration: {fact.duration_ms:.2f} ms\tPhase: {fact.phase}{status}\n"
    return (text,)


def _text_restore_start(fact: RestoreStart) -> tuple[str, ...]:
    origin = fact.origin
    text = (
        f"RESTORE_START Runtime Version: {origin.runtime_version}\t"
        f"Runtime Version ARN: {origin.runtime_version_arn}\n"
    )
    return (text,)


def _text_restore_report(fact: RestoreReport) -> tuple[str, ...]:
    error = f"\tError Type: {fact.error_type}" if fact.error_type and fact.status != "timeout" else ""
    status = "" if fact.status == _SUCCESS else f"\tStatus: {fact.status}{error}"
    text = f"RESTORE_REPORT Restore Duration: {fact.duration_ms:.2f} ms{status}\n"
    return (text,)


def _text_start(fact: Start) -> tuple[str, ...]:
    text = f"START RequestId: {fact.request_id} Version: {fact.origin.version}\n"
    return (text,)


def _text_report(fact: Report) -> tuple[str, ...]:
    request_id = fact.request_id
    init = "" if fact.init_duration_ms is None else f"Init Duration: {fact.init_duration_ms:.2f} ms\t"
    if fact.restore_duration_ms is not None:
        init = (
            f"Restore Duration: {fact.restore_duration_ms:.2f} ms\t"
            f"Billed Restore Duration: {fact.billed_restore_duration_ms} ms\t"
        )
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {fact.duration_ms:.2f} ms\t"
        f"Billed Duration: {fact.billed_duration_ms} ms\tMemory Size: {fact.memory_size_mb} MB\t"
        f"Max Memory Used: {fact.max_memory_used_mb} MB\t{init}{_text_status(fact)}\n"
    )
    lines = (f"END RequestId: {request_id}\n", report)
    if fact.status == "timeout":
        text = (
            f"{iso_ms(fact.at_s)} {request_id} Task timed out after {fact.duration_ms / 1000:.2f} seconds\n\n"
        )
        return (text, *lines)
    if fact.error_message is not None:
        text = f"{fact.error_message}\n{fact.error_type or 'Runtime.Unknown'}\n"
        return (text, *lines)
    return lines


def _text_status(fact: Report) -> str:
    if fact.status == "timeout":
        return "Status: timeout"
    if fact.status != _SUCCESS and fact.error_type and fact.error_type.startswith(_PLATFORM_ERRORS):
        return f"Status: error\tError Type: {fact.error_type}"
    return ""


def _text_logs_dropped(fact: LogsDropped) -> tuple[str, ...]:
    # AWS says this in JSON logs only; a gap that is not marked would be a lie in either format.
    text = (
        f"LOGS_DROPPED Dropped Records: {fact.dropped_records}\tDropped Bytes: {fact.dropped_bytes}\t"
        f"Reason: {fact.reason}\n"
    )
    return (text,)


# A table by type: the look-up is quicker than a chain of isinstance on the path of every invocation.
_TEXT: Mapping[type[Fact], Callable[[Any], tuple[str, ...]]] = {
    InitStart: _text_init_start,
    InitReport: _text_init_report,
    RestoreStart: _text_restore_start,
    RestoreReport: _text_restore_report,
    Start: _text_start,
    Report: _text_report,
    LogsDropped: _text_logs_dropped,
}


# --- what the function wrote


def _ended(lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    for line in lines:
        if not line.text.endswith("\n"):
            return tuple([_with_end(line) for line in lines])
    return lines


def _with_end(line: LogLine) -> LogLine:
    return line if line.text.endswith("\n") else LogLine(at_s=line.at_s, text=line.text + "\n")


class _Levelled(msgspec.Struct):
    """The members of a function's JSON line that tell its level; Python's error record says ``log_level``."""

    level: Any = None
    log_level: Any = None


_levelled = msgspec.json.Decoder(_Levelled)


def _application_lines(fact: Output) -> tuple[LogLine, ...]:
    threshold = _LEVELS.get(fact.origin.application_log_level or "", _INFO)
    return tuple(_with_end(line) for line in fact.lines if _level_of(line.text) >= threshold)


def _level_of(text: str) -> int:
    """Return the level of a line of the function; one that names none counts as INFO, as at AWS."""
    if not text.startswith("{"):
        return _INFO
    try:
        members = _levelled.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return _INFO
    level = members.level if members.level is not None else members.log_level
    return _LEVELS.get(level.upper(), _INFO) if isinstance(level, str) else _INFO


# --- JSON: what the platform says

_Records = tuple[tuple[str, int, dict[str, Any]], ...]


def _record(at_s: float, kind: str, record: dict[str, Any]) -> dict[str, Any]:
    return {"time": iso_ms(at_s), "type": kind, "record": record}


def _json(record: dict[str, Any]) -> str:
    return msgspec.json.encode(record).decode() + "\n"


def _records_of_init_start(fact: InitStart) -> _Records:
    origin = fact.origin
    record = {
        "initializationType": origin.initialization_type,
        "phase": fact.phase,
        "runtimeVersion": origin.runtime_version,
        "runtimeVersionArn": origin.runtime_version_arn,
        "functionName": origin.function.name,
        "functionVersion": origin.version,
        "instanceId": origin.log_stream,
        "instanceMaxMemory": origin.memory_mb * 1024 * 1024,
    }
    return (("platform.initStart", _INFO if origin.runtime_version else _DEBUG, record),)


def _records_of_init_report(fact: InitReport) -> _Records:
    started = fact.origin.initialization_type
    shared: dict[str, Any] = {"initializationType": started, "phase": fact.phase, "status": fact.status}
    if fact.error_type:
        shared["errorType"] = fact.error_type
    done_level = _DEBUG if fact.status == _SUCCESS else _WARN
    report_level = done_level if started == _ON_DEMAND else max(done_level, _INFO)
    report = {**shared, "metrics": {"durationMs": round(fact.duration_ms, 3)}}
    return (("platform.initRuntimeDone", done_level, shared), ("platform.initReport", report_level, report))


def _records_of_restore_start(fact: RestoreStart) -> _Records:
    origin = fact.origin
    record = {
        "runtimeVersion": origin.runtime_version,
        "runtimeVersionArn": origin.runtime_version_arn,
        "functionName": origin.function.name,
        "functionVersion": origin.version,
        "instanceId": origin.log_stream,
        "instanceMaxMemory": origin.memory_mb * 1024 * 1024,
    }
    return (("platform.restoreStart", _INFO, record),)


def _records_of_restore_report(fact: RestoreReport) -> _Records:
    shared: dict[str, Any] = {"status": fact.status}
    if fact.error_type:
        shared["errorType"] = fact.error_type
    is_success = fact.status == _SUCCESS
    report = {**shared, "metrics": {"durationMs": round(fact.duration_ms, 3)}}
    return (
        ("platform.restoreRuntimeDone", _DEBUG if is_success else _WARN, shared),
        ("platform.restoreReport", _INFO if is_success else _WARN, report),
    )


def _records_of_start(fact: Start) -> _Records:
    record: dict[str, Any] = {
        "requestId": fact.request_id,
        "functionArn": fact.origin.function.arn,
        "version": fact.origin.version,
    }
    return (("platform.start", _INFO, record | _tracing(fact.trace_id) | _tenancy(fact.tenant_id)),)


def _records_of_report(fact: Report) -> _Records:
    done: dict[str, Any] = {"requestId": fact.request_id, "status": fact.status}
    if fact.error_type:
        done["errorType"] = fact.error_type
    done["metrics"] = {"durationMs": round(fact.duration_ms, 3), "producedBytes": fact.response_bytes}
    done |= _tracing(fact.trace_id)
    metrics: dict[str, Any] = {
        "durationMs": round(fact.duration_ms, 3),
        "billedDurationMs": fact.billed_duration_ms,
        "memorySizeMB": fact.memory_size_mb,
        "maxMemoryUsedMB": fact.max_memory_used_mb,
    }
    if fact.init_duration_ms is not None:
        metrics["initDurationMs"] = round(fact.init_duration_ms, 3)
    if fact.restore_duration_ms is not None:
        metrics["restoreDurationMs"] = round(fact.restore_duration_ms, 3)
        metrics["billedRestoreDurationMs"] = fact.billed_restore_duration_ms
    record: dict[str, Any] = {"requestId": fact.request_id, "metrics": metrics}
    record |= _tracing(fact.trace_id) | _tenancy(fact.tenant_id)
    record["status"] = fact.status
    if fact.error_type:
        record["errorType"] = fact.error_type
    # Beside AWS's members, so that whoever reads those finds them unchanged.
    own: dict[str, Any] = {"priceUsd": f"{fact.price_usd:f}"}
    if fact.cold_start_reason is not None:
        own["coldStartReason"] = fact.cold_start_reason
    if fact.is_spillover:
        own["isSpillover"] = True
    record["lambent"] = own
    is_success = fact.status == _SUCCESS
    return (
        ("platform.runtimeDone", _DEBUG if is_success else _WARN, done),
        ("platform.report", _INFO if is_success else _WARN, record),
    )


def _records_of_logs_dropped(fact: LogsDropped) -> _Records:
    record = {
        "reason": fact.reason,
        "droppedRecords": fact.dropped_records,
        "droppedBytes": fact.dropped_bytes,
    }
    return (("platform.logsDropped", _WARN, record),)


def _tracing(trace_id: str) -> dict[str, Any]:
    # AWS names the trace only when it is sampled.
    if "Sampled=1" not in trace_id:
        return {}
    return {"tracing": {"type": "X-Amzn-Trace-Id", "value": trace_id}}


def _tenancy(tenant_id: str | None) -> dict[str, Any]:
    return {} if tenant_id is None else {"tenantId": tenant_id}


_RECORDS: Mapping[type[Fact], Callable[[Any], _Records]] = {
    InitStart: _records_of_init_start,
    InitReport: _records_of_init_report,
    RestoreStart: _records_of_restore_start,
    RestoreReport: _records_of_restore_report,
    Start: _records_of_start,
    Report: _records_of_report,
    LogsDropped: _records_of_logs_dropped,
}
