"""The price of an invocation, from its REPORT line alone, is the one that Lambent's own header says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambent.cli.prices import price_usd
from lambent.cli.report import Report

REPORT = Report(line="", duration_ms=1.5, billed_duration_ms=2, memory_mb=128, max_memory_used_mb=30)


def test_a_request_and_its_gb_seconds_are_charged() -> None:
    """0.20 USD per million requests and 0.0000166667 per GB-s; AWS page "AWS Lambda pricing"."""
    price = price_usd(REPORT, architecture="x86_64", runtime="python3.12")
    assert price == pytest.approx(0.0000002 + 0.00025 * 0.0000166667)


def test_arm64_is_a_fifth_cheaper_but_for_the_request() -> None:
    x86, arm = (price_usd(REPORT, architecture=name, runtime="python3.12") for name in ("x86_64", "arm64"))
    assert (arm - 0.0000002) / (x86 - 0.0000002) == pytest.approx(0.8, abs=0.001)


def test_a_restore_is_charged_except_for_java() -> None:
    restored = replace(REPORT, restore_duration_ms=100.0)
    python, java = (
        price_usd(restored, architecture="x86_64", runtime=name) for name in ("python3.12", "java21")
    )
    assert python - java == pytest.approx(0.0001397998 / 8)


def test_a_larger_tmp_is_charged() -> None:
    small, large = (
        price_usd(REPORT, architecture="x86_64", runtime="python3.12", ephemeral_storage_mb=size)
        for size in (512, 1536)
    )
    assert large - small == pytest.approx(0.002 * 0.0000000309)
