"""When a version of a function moves to another version of its runtime. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeManagement:
    """The runtime update mode of a version (API page PutRuntimeManagementConfig)."""

    update_runtime_on: str = "Auto"
    """``Auto``, ``FunctionUpdate`` or ``Manual``."""
    runtime_version_arn: str | None = None
    """The runtime version that is kept; with ``Manual`` only."""
