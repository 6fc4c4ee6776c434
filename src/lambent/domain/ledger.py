"""The ledger: what ran and what was kept, as immutable rows, and the sums of rows.

A row is an invocation, an initialisation, a restore, a while of provisioned concurrency, or a while for which the
snapshot of a version was kept. Rows that differ in nothing but their measurements have one `Category`; they are
written, kept and added up together, as the columns of `Rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from lambent.domain.limits import STREAMED_BURST_BYTES

INVOCATION = "invocation"
INITIALIZATION = "initialization"
RESTORE = "restore"
PROVISIONED = "provisioned-concurrency"
SNAPSHOT = "snapshot"
KINDS = (INVOCATION, INITIALIZATION, RESTORE, PROVISIONED, SNAPSHOT)

DAY_MS = 86_400_000


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """What rows have in common."""

    kind: str
    account: str
    region: str
    function: str
    version: str
    alias: str = ""
    """By which the version was invoked, or for which it was kept ready; empty: by none."""
    tenant: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    """The function's at that time, by key."""
    runtime: str = ""
    architecture: str = "x86_64"
    memory_mb: int = 128
    ephemeral_storage_mb: int = 512
    initialization_type: str = "on-demand"
    is_spillover: bool = False
    source: str = ""
    """Who asked, see `lambent.domain.invocation.Invocation`; only of invocations."""
    price_list: str = ""
    """By which its rows are priced, see `lambent.domain.pricing.price_list`."""


class Rare(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What most rows do not have: those that have nothing of it, leave it out."""

    status: str = "success"
    """``success``, ``error``, ``failure`` or ``timeout``."""
    error_type: str | None = None
    cold_start_reason: str | None = None
    init_us: int | None = None
    restore_us: int | None = None
    billed_init_ms: int = 0
    """The part of the billed duration that is init or restore."""
    streamed_bytes: int = 0
    attempt: int = 1
    count: int = 1
    """How many environments were kept ready."""


ORDINARY = Rare()


class Rows(msgspec.Struct, kw_only=True):
    """Rows of one category, in the order in which they happened, as columns of one length."""

    category: Category
    at_ms: list[int]
    """Since the epoch: when it ended, or when its while began."""
    request_ids: list[str]
    """Empty texts where there is none."""
    trace_ids: list[str]
    """``1-5759e988-bd862e3fe1be46a994272793``; likewise."""
    duration_us: list[int]
    billed_ms: list[int]
    """What is charged; for what is kept, how long."""
    max_memory_mb: list[int]
    request_bytes: list[int]
    response_bytes: list[int]
    rare: dict[int, Rare] = {}
    """By index."""

    def __len__(self) -> int:
        return len(self.at_ms)

    def then(self, others: Rows) -> Rows:
        """Return these rows and others of the category after them."""
        count = len(self)
        columns = {name: getattr(self, name) + getattr(others, name) for name in COLUMNS}
        rare = self.rare | {count + index: one for index, one in others.rare.items()}
        return Rows(category=self.category, rare=rare, **columns)

    def part(self, indexes: Sequence[int]) -> Rows:
        """Return some of the rows."""
        columns = {name: [getattr(self, name)[i] for i in indexes] for name in COLUMNS}
        rare = {new: self.rare[old] for new, old in enumerate(indexes) if old in self.rare}
        return Rows(category=self.category, rare=rare, **columns)


COLUMNS = (
    "at_ms",
    "request_ids",
    "trace_ids",
    "duration_us",
    "billed_ms",
    "max_memory_mb",
    "request_bytes",
    "response_bytes",
)


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row, as it is read."""

    sequence: int
    """Its place in the ledger: later rows have higher ones, and none is used twice."""
    category: Category
    at_ms: int
    request_id: str
    trace_id: str
    duration_us: int
    billed_ms: int
    max_memory_mb: int
    request_bytes: int
    response_bytes: int
    rare: Rare


class Sums(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What rows add up to; whole numbers, so that sums of sums are exact."""

    rows: int = 0
    requests: int = 0
    billed_ms: int = 0
    """Times the environments that were kept ready."""
    billed_init_ms: int = 0
    restores: int = 0
    """Those that are charged."""
    charged_stream_bytes: int = 0
    """Beyond what is free of each response."""
    duration_us: int = 0
    errors: int = 0
    cold_starts: int = 0
    new_environments: int = 0
    """Cold starts but for resets."""
    init_us: int = 0
    """Of restores, too."""
    request_bytes: int = 0
    response_bytes: int = 0
    streamed_bytes: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(**{name: getattr(self, name) + getattr(other, name) for name in SUMS})


SUMS: tuple[str, ...] = Sums.__struct_fields__


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The sums of a category on one day."""

    day: int
    """Days since the epoch, in UTC."""
    category: Category
    sums: Sums


def day_of(at_ms: int) -> int:
    """Return the day of a time."""
    return at_ms // DAY_MS


def day_text(day: int) -> str:
    """Return ``2026-01-02``."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def by_day(rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield the rows of each day; nearly always they are all of one."""
    first, last = day_of(min(rows.at_ms)), day_of(max(rows.at_ms))
    if first == last:
        yield first, rows
        return
    indexes: dict[int, list[int]] = {}
    for index, at_ms in enumerate(rows.at_ms):
        indexes.setdefault(day_of(at_ms), []).append(index)
    for day, chosen in indexes.items():
        yield day, rows.part(chosen)


def sums_of(rows: Rows) -> Sums:
    """Add rows up."""
    is_invocation = rows.category.kind == INVOCATION
    billed_ms = sum(rows.billed_ms)
    found: dict[str, int] = dict.fromkeys(SUMS, 0)
    for index, rare in rows.rare.items():
        billed_ms += rows.billed_ms[index] * (rare.count - 1)
        found["billed_init_ms"] += rare.billed_init_ms
        if rare.restore_us is not None and (is_invocation or rows.billed_ms[index]):
            found["restores"] += 1
        found["charged_stream_bytes"] += max(0, rare.streamed_bytes - STREAMED_BURST_BYTES)
        found["streamed_bytes"] += rare.streamed_bytes
        found["errors"] += rare.status != "success"
        found["cold_starts"] += is_invocation and rare.cold_start_reason is not None
        found["new_environments"] += is_invocation and rare.cold_start_reason not in (None, "reset")
        found["init_us"] += (rare.init_us or 0) + (rare.restore_us or 0)
    return Sums(
        **found
        | {
            "rows": len(rows),
            "requests": len(rows) if is_invocation else 0,
            "billed_ms": billed_ms,
            "duration_us": sum(rows.duration_us),
            "request_bytes": sum(rows.request_bytes),
            "response_bytes": sum(rows.response_bytes),
        }
    )


def by_category(usages: Iterable[Usage]) -> dict[Category, Sums]:
    """Add the sums of all days up."""
    added: dict[Category, Sums] = {}
    for usage in usages:
        known = added.get(usage.category)
        added[usage.category] = usage.sums if known is None else known + usage.sums
    return added


def flat(row: Row) -> dict[str, Any]:
    """Return a row as plain members, times in milliseconds."""
    category, rare = row.category, row.rare
    return {
        "sequence": row.sequence,
        "kind": category.kind,
        "at": _iso(row.at_ms),
        "request_id": row.request_id or None,
        "account": category.account,
        "region": category.region,
        "function": category.function,
        "version": category.version,
        "alias": category.alias or None,
        "tenant": category.tenant or None,
        "tags": dict(category.tags),
        "runtime": category.runtime or None,
        "architecture": category.architecture,
        "memory_mb": category.memory_mb,
        "ephemeral_storage_mb": category.ephemeral_storage_mb,
        "initialization_type": category.initialization_type,
        "is_spillover": category.is_spillover,
        "cold_start_reason": rare.cold_start_reason,
        "duration_ms": row.duration_us / 1000,
        "billed_ms": row.billed_ms,
        "billed_init_ms": rare.billed_init_ms,
        "init_ms": None if rare.init_us is None else rare.init_us / 1000,
        "restore_ms": None if rare.restore_us is None else rare.restore_us / 1000,
        "max_memory_mb": row.max_memory_mb,
        "request_bytes": row.request_bytes,
        "response_bytes": row.response_bytes,
        "streamed_bytes": rare.streamed_bytes,
        "status": rare.status,
        "error_type": rare.error_type,
        "trace_id": row.trace_id or None,
        "attempt": rare.attempt,
        "source": category.source or None,
        "count": rare.count,
    }


def _iso(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"
