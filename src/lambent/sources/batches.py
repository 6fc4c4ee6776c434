"""What batches are made of, and what becomes of their records. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from lambent.domain.invocation import Outcome
from lambent.domain.pattern import matches
from lambent.sources import Record

BATCH_MAX_BYTES = 6_291_456 - 65_536
"""Of the records; the payload that they make is a little larger."""
CONCURRENCY_AT_FIRST = 5
CONCURRENCY_PER_MINUTE = 300
CONCURRENCY_MAX = 1_250


def filters_of(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a mapping's filters, decoded."""
    filters: Sequence[Mapping[str, str]] = settings.get("FilterCriteria", {}).get("Filters", ())
    return [json.loads(one["Pattern"]) for one in filters if one.get("Pattern")]


def wanted(record: Record, filters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a record passes: without filters every one does, else one filter has to match."""
    return not filters or any(matches(pattern, record.content) for pattern in filters)


def fitting(records: Sequence[Record]) -> int:
    """Return how many of these records, from the first on, fit into one batch; one always does."""
    total_bytes = 0
    for count, record in enumerate(records):
        total_bytes += record.size_bytes
        if total_bytes > BATCH_MAX_BYTES and count:
            return count
    return len(records)


def concurrency(settings: Mapping[str, Any], *, busy_s: float, most: int) -> int:
    """Return how many batches may run at once.

    As at AWS it begins with five and grows while there is more to do (AWS page "Using Lambda with Amazon SQS",
    "Scaling behavior").

    Args:
        settings: the mapping's.
        busy_s: for how long there has been more to do.
        most: what this server allows.
    """
    maximum: int = settings.get("ScalingConfig", {}).get("MaximumConcurrency") or CONCURRENCY_MAX
    grown = CONCURRENCY_AT_FIRST + int(busy_s / 60 * CONCURRENCY_PER_MINUTE)
    return max(1, min(maximum, grown, CONCURRENCY_MAX, most))


def payload_of(records: Sequence[Record]) -> bytes:
    """Return the event that the function is given."""
    return json.dumps({"Records": [record.event for record in records]}, separators=(",", ":")).encode()


def succeeded(records: Sequence[Record], outcome: Outcome, *, reports_failures: bool) -> list[Record]:
    """Return the records that need not come again after the function has run.

    With ReportBatchItemFailures the answer names those that failed; an answer that names what is not in the
    batch, or nothing that could be a name, means that all failed (AWS page "Handling errors for an SQS event
    source in Lambda").
    """
    if outcome.function_error is not None:
        return []
    if not reports_failures:
        return list(records)
    failed = _failed_ids(outcome.payload)
    if failed is None or not failed <= {record.id for record in records}:
        return []
    return [record for record in records if record.id not in failed]


def _failed_ids(payload: bytes) -> set[str] | None:
    """Return the ids that an answer reports as failed; None when all have to be taken for failed."""
    try:
        answer = json.loads(payload or b"null")
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        # A function that returns nothing, or some text, reports nothing.
        return set()
    failures = cast("dict[str, Any]", answer).get("batchItemFailures")
    if failures is None:
        return set()
    if not isinstance(failures, list):
        return None
    ids: set[str] = set()
    for failure in cast("list[Any]", failures):
        identifier = (
            cast("dict[str, Any]", failure).get("itemIdentifier") if isinstance(failure, dict) else None
        )
        if not isinstance(identifier, str) or not identifier:
            return None
        ids.add(identifier)
    return ids
