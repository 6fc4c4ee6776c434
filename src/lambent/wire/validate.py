"""Whether parameters keep the constraints of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.wire.deviations import DEVIATIONS, Deviations
from lambent.wire.model import Operation


def validate(operation: Operation, params: Mapping[str, Any]) -> None:
    """Check required members, lengths, ranges, patterns and enums, all at once.

    Raises:
        ValidationException: ``N validation error(s) detected: Value 'x' at 'functionName' failed to satisfy
            constraint: …; …``. Services that have another word for it (CloudWatch Logs:
                InvalidParameterException) raise that.
    """
    if operation.check is None or DEVIATIONS.get(operation.api.service, Deviations()).checks_itself:
        return
    violations: list[str] = []
    operation.check(params, "", violations)
    if violations:
        raise _refusal(operation, violations)


def _refusal(operation: Operation, violations: list[str]) -> Exception:
    errors = "validation error" if len(violations) == 1 else "validation errors"
    error = DEVIATIONS.get(operation.api.service, Deviations()).error
    return error(f"{len(violations)} {errors} detected: {'; '.join(violations)}")
