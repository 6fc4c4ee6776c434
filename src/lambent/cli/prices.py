"""What an invocation costs on AWS, computed from what its REPORT line says.

AWS's answers, unlike Lambent's, do not say a price, and a tuner asks what the same invocation would cost on another
architecture. So this one file of the command line reads the price list of the domain, which is data and arithmetic
(decision 0028).
"""

from __future__ import annotations

from lambent.cli.report import Report

FREE_EPHEMERAL_STORAGE_MB = 512


def price_usd(
    report: Report,
    *,
    architecture: str,
    runtime: str,
    ephemeral_storage_mb: int = FREE_EPHEMERAL_STORAGE_MB,
) -> float:
    """Return the list price of one invocation in us-east-1, its request included.

    Args:
        report: its REPORT line.
        architecture: ``x86_64`` or ``arm64``.
        runtime: the function's; restoring a snapshot costs nothing for Java.
        ephemeral_storage_mb: the size of its /tmp.
    """
    # Only what measures needs it; every other command should start without waiting for it.
    from lambent.domain.pricing import price_of

    cost = price_of(
        architecture=architecture,
        memory_mb=report.memory_mb,
        billed_duration_ms=report.billed_duration_ms,
        ephemeral_storage_mb=ephemeral_storage_mb,
        is_restored=report.restore_duration_ms is not None and not runtime.startswith("java"),
    )
    return float(cost.price_usd)
