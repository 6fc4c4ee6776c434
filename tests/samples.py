"""Values for tests that need some, whatever they are."""

from __future__ import annotations

import dataclasses
import uuid
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from lambent.domain.facts import Origin, Report
from lambent.domain.function import Code, FunctionKey, FunctionVersion, LoggingConfig
from lambent.domain.invocation import Invocation

KEY = FunctionKey(account="000000000000", region="us-east-1", name="f")
VERSION = FunctionVersion(
    key=KEY,
    code=Code(blob="00" * 32, sha256="AAAA", size_bytes=1),
    runtime="python3.12",
    handler="app.handler",
    role="arn:aws:iam::000000000000:role/r",
    logging=LoggingConfig(group="/aws/lambda/f"),
    configuration_id="one",
)
ORIGIN = Origin(
    environment_id="e" * 32,
    function=KEY,
    version="$LATEST",
    memory_mb=128,
    architecture="x86_64",
    log_group="/aws/lambda/f",
    log_stream="2026/01/02/[$LATEST]" + "e" * 32,
    log_format="Text",
    runtime_version="python:3.12.1",
    runtime_version_arn="arn:aws:lambda:us-east-1::runtime:00",
)


def invocation(**changes: Any) -> Invocation:
    """An invocation of VERSION."""
    values: dict[str, Any] = {
        "request_id": str(uuid.uuid4()),
        "version": VERSION,
        "invoked_arn": KEY.arn,
        "payload": b"{}",
    }
    return Invocation(**values | changes)


def report(of: Invocation) -> Report:
    """A report of a successful invocation."""
    return Report(
        at_s=0.0,
        origin=ORIGIN,
        request_id=of.request_id,
        status="success",
        error_type=None,
        duration_ms=1.0,
        billed_duration_ms=1,
        memory_size_mb=128,
        max_memory_used_mb=10,
        init_duration_ms=None,
        cold_start_reason=None,
        gb_seconds=Decimal("0.000125"),
        price_usd=Decimal("0.0000002"),
        trace_id="",
    )


T = TypeVar("T")


def replace(value: T, **changes: Any) -> T:
    """Return a value with other members, be it a dataclass or a struct."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **changes)
    return dataclasses.replace(value, **changes)  # type: ignore[type-var]  # frozen values are one or the other
