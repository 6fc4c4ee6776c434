"""The REPORT line of an invocation, and Lambent's own headers that say what it would cost on AWS.

Pure: text in, values out. The line's form is AWS's
(https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html); the headers are Lambent's, absent on AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from lambent.cli.terminal import usd_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A REPORT line, as it stands and taken apart. None: the line does not say it."""

    line: str
    duration_ms: float
    billed_duration_ms: int
    memory_mb: int
    max_memory_used_mb: int
    init_duration_ms: float | None = None  # of a cold start only
    restore_duration_ms: float | None = None  # of a start from a snapshot only


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What one invocation would cost on AWS."""

    billed_duration_ms: int
    gb_seconds: Decimal
    price_usd: Decimal

    def __str__(self) -> str:
        gb_seconds = f"{self.gb_seconds:.6f}".rstrip("0").rstrip(".")
        return (
            f"On AWS: {usd_text(self.price_usd)} for this call ({self.billed_duration_ms} ms, "
            f"{gb_seconds} GB-s), {usd_text(self.price_usd * 1_000_000)} for a million."
        )


def parse_report(log: str) -> Report | None:
    """Return the last report in a log, in either of Lambda's log formats, or None when there is none."""
    lines = [line for line in log.splitlines() if line.startswith("REPORT RequestId: ")]
    if not lines:
        return _parse_json_report(log)
    fields = dict(re.findall(r"\t([A-Z][A-Za-z ]+): ([\d.]+) (?:ms|MB)", lines[-1]))
    if not {"Duration", "Billed Duration", "Memory Size", "Max Memory Used"} <= fields.keys():
        return None
    init, restore = fields.get("Init Duration"), fields.get("Restore Duration")
    return Report(
        line=lines[-1].rstrip(),
        duration_ms=float(fields["Duration"]),
        billed_duration_ms=int(float(fields["Billed Duration"])),
        memory_mb=int(fields["Memory Size"]),
        max_memory_used_mb=int(fields["Max Memory Used"]),
        init_duration_ms=float(init) if init else None,
        restore_duration_ms=float(restore) if restore else None,
    )


def _parse_json_report(log: str) -> Report | None:
    lines = [line for line in log.splitlines() if line.startswith("{") and '"platform.report"' in line]
    for line in reversed(lines):
        try:
            content = json.loads(line)
            if content["type"] != "platform.report":
                continue
            metrics = content["record"]["metrics"]
            return Report(
                line=line,
                duration_ms=float(metrics["durationMs"]),
                billed_duration_ms=int(metrics["billedDurationMs"]),
                memory_mb=int(metrics["memorySizeMB"]),
                max_memory_used_mb=int(metrics["maxMemoryUsedMB"]),
                init_duration_ms=metrics.get("initDurationMs"),
                restore_duration_ms=metrics.get("restoreDurationMs"),
            )
        except (ValueError, KeyError, TypeError):  # the function's own line, which only looks like one
            continue
    return None


def parse_bill(headers: Mapping[str, str]) -> Bill | None:
    """Return what the headers of an Invoke response say of its price, or None when they say nothing (AWS)."""
    try:
        return Bill(
            billed_duration_ms=int(headers["x-lambent-billed-duration-ms"]),
            gb_seconds=Decimal(headers["x-lambent-gb-seconds"]),
            price_usd=Decimal(headers["x-lambent-price-usd"]),
        )
    except (KeyError, ValueError, InvalidOperation):
        return None
