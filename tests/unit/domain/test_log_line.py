"""The lines that Lambda writes, word for word."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from lambent.domain.facts import (
    EnvironmentStopped,
    Fact,
    InitReport,
    InitStart,
    LogLine,
    LogsDropped,
    Origin,
    Output,
    Report,
    Start,
)
from lambent.domain.function import FunctionKey
from lambent.domain.log_line import lines_of
from samples import replace

AT_S = 1_767_323_045.678
ID = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"
ORIGIN = Origin(
    environment_id="e-1",
    function=FunctionKey(account="000000000000", region="us-east-1", name="greet"),
    version="$LATEST",
    memory_mb=128,
    architecture="x86_64",
    log_group="/aws/lambda/greet",
    log_stream="2026/01/02/[$LATEST]0123456789abcdef0123456789abcdef",
    log_format="Text",
    runtime_version="python:3.12.v36",
    runtime_version_arn="arn:aws:lambda:us-east-1::runtime:abc",
)
REPORT = Report(
    at_s=AT_S,
    origin=ORIGIN,
    request_id=ID,
    status="success",
    error_type=None,
    duration_ms=27.4,
    billed_duration_ms=28,
    memory_size_mb=128,
    max_memory_used_mb=47,
    init_duration_ms=None,
    cold_start_reason=None,
    gb_seconds=Decimal("0.0035"),
    price_usd=Decimal("0.00000026"),
    trace_id="",
)


def texts(fact: Fact) -> list[str]:
    return [line.text for line in lines_of(fact)]


def records(fact: Fact, level: str | None = None) -> list[dict[str, Any]]:
    origin = replace(fact.origin, log_format="JSON", system_log_level=level)
    return [json.loads(text) for text in texts(replace(fact, origin=origin))]


def output(*lines: str, level: str | None = None, log_format: str = "Text") -> Output:
    origin = replace(ORIGIN, log_format=log_format, application_log_level=level)
    return Output(
        at_s=AT_S, origin=origin, request_id=ID, lines=tuple(LogLine(at_s=AT_S, text=line) for line in lines)
    )


class TestText:
    def test_the_start_of_a_runtime_names_its_version(self) -> None:
        assert texts(InitStart(at_s=AT_S, origin=ORIGIN, phase="init")) == [
            "INIT_START Runtime Version: python:3.12.v36\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:abc\n"
        ]

    @pytest.mark.parametrize(
        ("status", "error_type", "expected"),
        [
            ("success", None, []),
            ("timeout", None, ["INIT_REPORT Init Duration: 10009.92 ms\tPhase: init\tStatus: timeout\n"]),
            (
                "error",
                "Runtime.ImportModuleError",
                [
                    "INIT_REPORT Init Duration: 10009.92 ms\tPhase: init\tStatus: error\t"
                    "Error Type: Runtime.ImportModuleError\n"
                ],
            ),
        ],
    )
    def test_of_inits_on_demand_only_those_that_failed_are_reported_by_themselves(
        self, status: str, error_type: str | None, expected: list[str]
    ) -> None:
        fact = InitReport(
            at_s=AT_S,
            origin=ORIGIN,
            phase="init",
            status=status,
            error_type=error_type,
            duration_ms=10009.918,
        )
        assert texts(fact) == expected

    @pytest.mark.parametrize("initialization_type", ["provisioned-concurrency", "snap-start"])
    def test_an_init_that_no_invocation_reports_is_reported_by_itself(self, initialization_type: str) -> None:
        fact = InitReport(
            at_s=AT_S,
            origin=replace(ORIGIN, initialization_type=initialization_type),
            phase="init",
            status="success",
            error_type=None,
            duration_ms=612.33,
        )
        assert texts(fact) == ["INIT_REPORT Init Duration: 612.33 ms\tPhase: init\n"]

    def test_an_invocation_starts_with_its_id_and_version(self) -> None:
        fact = Start(at_s=AT_S, origin=ORIGIN, request_id=ID, trace_id="")
        assert texts(fact) == [f"START RequestId: {ID} Version: $LATEST\n"]

    def test_a_warm_invocation_ends_with_end_and_report(self) -> None:
        assert texts(REPORT) == [
            f"END RequestId: {ID}\n",
            f"REPORT RequestId: {ID}\tDuration: 27.40 ms\tBilled Duration: 28 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 47 MB\t\n",
        ]

    def test_the_reason_of_a_cold_start_is_not_in_the_text_that_is_aws_own(self) -> None:
        cold = replace(REPORT, cold_start_reason="scale-out", is_spillover=True)
        assert texts(cold) == texts(REPORT)

    def test_a_cold_start_reports_its_init_duration(self) -> None:
        assert texts(replace(REPORT, init_duration_ms=140.1))[-1] == (
            f"REPORT RequestId: {ID}\tDuration: 27.40 ms\tBilled Duration: 28 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 47 MB\tInit Duration: 140.10 ms\t\n"
        )

    def test_a_timeout_is_told_before_the_end_with_a_blank_line(self) -> None:
        fact = replace(REPORT, status="timeout", error_type="Sandbox.Timedout", duration_ms=3000.4)
        timeout, end, report = texts(fact)
        assert timeout == f"2026-01-02T03:04:05.678Z {ID} Task timed out after 3.00 seconds\n\n"
        assert end == f"END RequestId: {ID}\n"
        assert report.endswith("\tMax Memory Used: 47 MB\tStatus: timeout\n")

    def test_a_crash_is_told_before_the_end(self) -> None:
        message = f"RequestId: {ID} Error: Runtime exited with error: exit status 137"
        fact = replace(REPORT, status="error", error_type="Runtime.ExitError", error_message=message)
        crash, end, report = texts(fact)
        assert end == f"END RequestId: {ID}\n"
        assert report.endswith("\tMax Memory Used: 47 MB\tStatus: error\tError Type: Runtime.ExitError\n")
        assert crash == f"{message}\nRuntime.ExitError\n"

    def test_an_exception_of_the_function_is_no_status_of_the_platform(self) -> None:
        fact = replace(REPORT, status="error", error_type="ZeroDivisionError")
        assert texts(fact)[-1].endswith("Max Memory Used: 47 MB\t\n")

    def test_output_is_passed_on_and_every_line_ends(self) -> None:
        assert texts(output("one\n", "two")) == ["one\n", "two\n"]
        ended = output("one\n", "two\n")
        assert lines_of(ended) is ended.lines

    def test_output_of_json_lines_is_not_filtered(self) -> None:
        assert texts(output('{"level":"DEBUG"}', level="ERROR")) == ['{"level":"DEBUG"}\n']

    def test_dropped_output_leaves_a_mark(self) -> None:
        fact = LogsDropped(at_s=AT_S, origin=ORIGIN, reason="Too fast.", dropped_records=7, dropped_bytes=99)
        assert texts(fact) == ["LOGS_DROPPED Dropped Records: 7\tDropped Bytes: 99\tReason: Too fast.\n"]

    def test_what_is_of_no_interest_in_a_log_leaves_no_line(self) -> None:
        assert texts(EnvironmentStopped(at_s=AT_S, origin=ORIGIN, reason="idle")) == []


class TestJsonOfThePlatform:
    def test_a_report_has_aws_members_and_ours_beside_them(self) -> None:
        (line,) = records(replace(REPORT, init_duration_ms=140.1234, cold_start_reason="first"))
        assert line == {
            "time": "2026-01-02T03:04:05.678Z",
            "type": "platform.report",
            "record": {
                "requestId": ID,
                "metrics": {
                    "durationMs": 27.4,
                    "billedDurationMs": 28,
                    "memorySizeMB": 128,
                    "maxMemoryUsedMB": 47,
                    "initDurationMs": 140.123,
                },
                "status": "success",
                "lambent": {"coldStartReason": "first", "priceUsd": "0.00000026"},
            },
        }

    def test_a_warm_report_has_no_reason_for_a_cold_start(self) -> None:
        (line,) = records(REPORT)
        assert line["record"]["lambent"] == {"priceUsd": "0.00000026"}

    def test_a_report_says_that_it_ran_beyond_provisioned_concurrency(self) -> None:
        (line,) = records(replace(REPORT, is_spillover=True))
        assert line["record"]["lambent"]["isSpillover"] is True

    def test_a_failed_report_names_the_error(self) -> None:
        lines = records(replace(REPORT, status="error", error_type="Runtime.ExitError"), "WARN")
        assert [(line["record"]["status"], line["record"]["errorType"]) for line in lines] == [
            ("error", "Runtime.ExitError"),
            ("error", "Runtime.ExitError"),
        ]

    def test_the_end_of_the_runtimes_work_is_told_before_the_report(self) -> None:
        done, _ = records(replace(REPORT, response_bytes=12), "DEBUG")
        assert done == {
            "time": "2026-01-02T03:04:05.678Z",
            "type": "platform.runtimeDone",
            "record": {
                "requestId": ID,
                "status": "success",
                "metrics": {"durationMs": 27.4, "producedBytes": 12},
            },
        }

    def test_the_start_of_a_runtime_is_described(self) -> None:
        (line,) = records(InitStart(at_s=AT_S, origin=ORIGIN, phase="init"))
        assert line["type"] == "platform.initStart"
        assert line["record"] == {
            "initializationType": "on-demand",
            "phase": "init",
            "runtimeVersion": "python:3.12.v36",
            "runtimeVersionArn": "arn:aws:lambda:us-east-1::runtime:abc",
            "functionName": "greet",
            "functionVersion": "$LATEST",
            "instanceId": ORIGIN.log_stream,
            "instanceMaxMemory": 134_217_728,
        }

    def test_a_sampled_trace_is_named_and_another_is_not(self) -> None:
        trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
        start = Start(at_s=AT_S, origin=ORIGIN, request_id=ID, trace_id=trace)
        (line,) = records(start)
        assert line["record"] == {
            "requestId": ID,
            "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:greet",
            "version": "$LATEST",
            "tracing": {"type": "X-Amzn-Trace-Id", "value": trace},
        }
        (line,) = records(replace(start, trace_id=trace.replace("Sampled=1", "Sampled=0")))
        assert "tracing" not in line["record"]

    @pytest.mark.parametrize(
        ("fact", "level", "types"),
        [
            (Start(at_s=AT_S, origin=ORIGIN, request_id=ID, trace_id=""), None, ["platform.start"]),
            (Start(at_s=AT_S, origin=ORIGIN, request_id=ID, trace_id=""), "WARN", []),
            (REPORT, "INFO", ["platform.report"]),
            (REPORT, "WARN", []),
            (REPORT, "DEBUG", ["platform.runtimeDone", "platform.report"]),
            (replace(REPORT, status="timeout"), "WARN", ["platform.runtimeDone", "platform.report"]),
            (
                replace(REPORT, status="error", error_type="E"),
                "INFO",
                ["platform.runtimeDone", "platform.report"],
            ),
            (InitStart(at_s=AT_S, origin=ORIGIN, phase="init"), "INFO", ["platform.initStart"]),
            (InitStart(at_s=AT_S, origin=ORIGIN, phase="init"), "WARN", []),
        ],
    )
    def test_the_system_log_level_decides_what_is_written(
        self, fact: Fact, level: str | None, types: list[str]
    ) -> None:
        """Levels by event follow the table of the AWS page "Log-level filtering"; INFO is the default."""
        assert [line["type"] for line in records(fact, level)] == types

    @pytest.mark.parametrize(
        ("status", "started", "level", "types"),
        [
            ("success", "on-demand", "INFO", []),
            ("success", "on-demand", "DEBUG", ["platform.initRuntimeDone", "platform.initReport"]),
            ("success", "provisioned-concurrency", "INFO", ["platform.initReport"]),
            ("timeout", "on-demand", "WARN", ["platform.initRuntimeDone", "platform.initReport"]),
        ],
    )
    def test_an_init_report_matters_when_it_failed_or_was_not_on_demand(
        self, status: str, started: str, level: str, types: list[str]
    ) -> None:
        fact = InitReport(
            at_s=AT_S,
            origin=replace(ORIGIN, initialization_type=started),
            phase="init",
            status=status,
            error_type=None,
            duration_ms=1.0,
        )
        assert [line["type"] for line in records(fact, level)] == types

    def test_dropped_output_is_a_warning(self) -> None:
        fact = LogsDropped(at_s=AT_S, origin=ORIGIN, reason="Too fast.", dropped_records=7, dropped_bytes=99)
        (line,) = records(fact, "WARN")
        assert line["type"] == "platform.logsDropped"
        assert line["record"] == {"reason": "Too fast.", "droppedRecords": 7, "droppedBytes": 99}


class TestJsonOfTheFunction:
    @pytest.mark.parametrize(
        ("line", "level", "is_kept"),
        [
            ('{"level":"DEBUG","message":"x"}', None, False),
            ('{"level":"INFO","message":"x"}', None, True),
            ('{"level":"debug"}', "DEBUG", True),
            ('{"level":"info"}', "WARN", False),
            ('{"level":"WARNING"}', "WARN", True),
            ('{"log_level":"ERROR","errorType":"E"}', "ERROR", True),
            ('{"level":"CRITICAL"}', "FATAL", True),
            ('{"level":"ERROR"}', "FATAL", False),
            ('{"level":"TRACE"}', "TRACE", True),
            ('{"level":7}', "INFO", True),
            ('{"message":"no level counts as INFO"}', "WARN", False),
            ('{"message":"no level counts as INFO"}', "INFO", True),
            ("plain text counts as INFO", "WARN", False),
            ("plain text counts as INFO", "INFO", True),
            ('{"level":"DEBUG" broken', "INFO", True),
        ],
    )
    def test_lines_below_the_application_log_level_are_left_out(
        self, line: str, level: str | None, is_kept: bool
    ) -> None:
        assert texts(output(line, level=level, log_format="JSON")) == ([line + "\n"] if is_kept else [])
