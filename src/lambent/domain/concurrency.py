"""What a function may use of an account's concurrency, and what is kept ready for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

IN_PROGRESS = "IN_PROGRESS"
READY = "READY"
FAILED = "FAILED"
"""The statuses of provisioned concurrency (API page "ProvisionedConcurrencyConfigListItem")."""
INITIALIZATION_TYPE = "provisioned-concurrency"
"""What such an environment finds in ``AWS_LAMBDA_INITIALIZATION_TYPE``."""
SNAP_START = "snap-start"
"""Likewise one that starts from a snapshot, and the snapshot itself."""
INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"
"""The status reason when the function could not be initialized."""
INSUFFICIENT_MEMORY = "INSUFFICIENT_MEMORY"
"""The status reason when this machine has no memory left for it: ours, AWS's machines do not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionedConcurrency:
    """How many environments a version or alias is to have ready at any time."""

    requested: int
    last_modified: str
    """``2026-01-02T03:04:05+0000``."""
    allocation_id: str
    """UUID; new with each request, so that asking again for the same number allocates again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """The environments that are kept ready for a version."""

    allocated: int = 0
    """Those that are initialized."""
    available: int = 0
    """Those among them that run no invocation now."""


class ProvisioningError(Exception):
    """Provisioned concurrency cannot be allocated.

    Args:
        reason: AWS's word for it, ``StatusReason``, for instance ``FUNCTION_ERROR_INIT_FAILURE``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """How far provisioned concurrency has come."""

    status: str
    status_reason: str | None = None
    """Why it failed, for instance ``FUNCTION_ERROR_INIT_FAILURE``."""
    provisioned: Provisioned = Provisioned()
