"""What a function may use of an account's concurrency, and what is kept ready for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

ALLOCATING = "IN_PROGRESS"
READY = "READY"
FAILED = "FAILED"
"""The statuses of provisioned concurrency (API page "ProvisionedConcurrencyConfigListItem")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedConcurrency:
    """How many environments a version or alias is to have ready at any time."""

    requested: int
    last_modified: str
    """``2026-01-02T03:04:05+0000``."""
    allocation_id: str
    """UUID; new with each request, so that asking again for the same number allocates again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How far provisioned concurrency has come."""

    status: str
    status_reason: str | None = None
    """Why it failed, for instance ``FUNCTION_ERROR_INIT_FAILURE``."""
    allocated: int = 0
    """Environments that are initialized."""
    available: int = 0
    """Those among them that run no invocation now."""
