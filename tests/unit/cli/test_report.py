"""REPORT lines and prices are read as they were written, and shown without an exponent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from lambent.cli.report import Bill, parse_bill, parse_report
from lambent.cli.terminal import one_line, size_text, usd_text

COLD = (
    "REPORT RequestId: 8f5\tDuration: 27.40 ms\tBilled Duration: 168 ms\tMemory Size: 128 MB\t"
    "Max Memory Used: 47 MB\tInit Duration: 140.10 ms\t\n"
)


def test_a_cold_report_says_how_long_the_start_took() -> None:
    report = parse_report(f"START RequestId: 8f5 Version: $LATEST\nhello\nEND RequestId: 8f5\n{COLD}")
    assert report is not None
    assert (report.duration_ms, report.billed_duration_ms) == (27.4, 168)
    assert (report.memory_mb, report.max_memory_used_mb) == (128, 47)
    assert report.init_duration_ms == 140.1
    assert report.line == COLD.rstrip()


def test_a_warm_report_has_no_start() -> None:
    report = parse_report(COLD.replace("Init Duration: 140.10 ms\t", ""))
    assert report is not None
    assert report.init_duration_ms is None


def test_a_restored_report_has_both_of_its_durations() -> None:
    line = COLD.replace(
        "Init Duration: 140.10 ms", "Restore Duration: 511.25 ms\tBilled Restore Duration: 303 ms"
    )
    report = parse_report(line)
    assert report is not None
    assert report.restore_duration_ms == 511.25
    assert report.billed_duration_ms == 168


def test_the_last_report_counts() -> None:
    report = parse_report(COLD + COLD.replace("168 ms", "1 ms"))
    assert report is not None
    assert report.billed_duration_ms == 1


@pytest.mark.parametrize(
    "log", ["", "hello\n", "REPORT RequestId: 8f5\tDuration: 1 ms", '{"type": "platform.report"}']
)
def test_a_log_without_a_whole_report_has_none(log: str) -> None:
    assert parse_report(log) is None


def test_a_bill_is_read_from_the_headers() -> None:
    headers = {
        "x-lambent-billed-duration-ms": "168",
        "x-lambent-gb-seconds": "0.021",
        "x-lambent-price-usd": "0.00000055",
    }
    bill = parse_bill(headers)
    assert bill == Bill(billed_duration_ms=168, gb_seconds=Decimal("0.021"), price_usd=Decimal("0.00000055"))
    assert str(bill) == "On AWS: $0.00000055 for this call (168 ms, 0.021 GB-s), $0.55 for a million."


@pytest.mark.parametrize("headers", [{}, {"x-lambent-price-usd": "much"}])
def test_without_the_headers_there_is_no_bill(headers: dict[str, str]) -> None:
    assert parse_bill(headers) is None


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("0", "$0.00"),
        ("2.1", "$2.10"),
        ("0.5", "$0.50"),
        ("0.0123", "$0.0123"),
        ("0.00000210001", "$0.0000021"),
        ("2.1E-7", "$0.00000021"),
        ("12345.678", "$12345.68"),
    ],
)
def test_a_price_is_written_for_people(price: str, text: str) -> None:
    assert usd_text(Decimal(price)) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1000.0 kB"), (52_428_800, "52.4 MB")],
)
def test_a_size_is_written_for_people(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


def test_line_breaks_become_spaces() -> None:
    assert one_line("a\n  b\r\n\tc") == "a b c"


def test_a_report_in_json_is_read_as_well() -> None:
    """As a function with JSON logs has it; lines of the function that only look alike are passed over."""
    metrics = '{"durationMs":1.25,"billedDurationMs":12,"memorySizeMB":128,"maxMemoryUsedMB":30,"initDurationMs":10.5}'
    log = (
        '{"time":"2026-11-01T00:00:00.000Z","type":"platform.report","record":{"requestId":"1","metrics":'
        + metrics
        + '}}\n{"message": "\\"platform.report\\""}\n{"type":"platform.report" broken\n'
    )
    report = parse_report(log)
    assert report is not None
    assert (report.duration_ms, report.billed_duration_ms) == (1.25, 12)
    assert (report.memory_mb, report.max_memory_used_mb) == (128, 30)
    assert report.init_duration_ms == 10.5
    assert report.restore_duration_ms is None
