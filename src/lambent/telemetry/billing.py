"""The listener that writes the ledger: facts of invocations, initialisations and restores become rows.

A batch of facts becomes one append. What cannot be written just now, because the disk is full, is tried again until
it can: a row that is heard is not lost while the server lives.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from lambent.domain.facts import Fact, InitReport, Origin, Report, RestoreReport
from lambent.domain.function import LATEST, FunctionKey
from lambent.domain.ledger import INITIALIZATION, INVOCATION, RESTORE, Category, Rare, Rows
from lambent.store.ledger import Ledger

_log = logging.getLogger(__name__)
_TROUBLE_S = 1.0
_TAGS_MAX = 20_000

TagsOf = Callable[[FunctionKey], Awaitable[Mapping[str, str] | None]]
"""Return the tags of a function; None when it is gone."""


class BillingListener:
    """Writes facts into the ledger; a `lambent.telemetry.stream.Listener`."""

    kinds = frozenset({Report, InitReport, RestoreReport})
    """The facts that it wants to hear."""

    def __init__(self, *, ledger: Ledger, tags_of: TagsOf, price_list: str) -> None:
        """Make the listener.

        Args:
            ledger: where rows go.
            tags_of: tells the tags of functions.
            price_list: the id of the list by which rows are priced.
        """
        self._ledger = ledger
        self._tags_of = tags_of
        self._price_list = price_list
        self._tags: OrderedDict[FunctionKey, tuple[tuple[str, str], ...]] = OrderedDict()
        """As last known: a function may be gone before its last row is written."""

    async def consume(self, facts: Sequence[Fact]) -> None:
        """Write the rows of a batch of facts; returns when they are durable."""
        groups: dict[tuple[object, ...], list[Report]] = {}
        others: list[InitReport | RestoreReport] = []
        for fact in facts:
            if type(fact) is Report:
                # By identity: an environment's facts share one origin.
                key = (id(fact.origin), fact.invoked_arn, fact.source, fact.tenant_id, fact.is_spillover)
                group = groups.get(key)
                if group is None:
                    groups[key] = [fact]
                else:
                    group.append(fact)
            elif isinstance(fact, InitReport | RestoreReport):
                others.append(fact)
        batches = [await self._of_start(fact) for fact in others]
        batches += [await self._of_reports(reports) for reports in groups.values()]
        if batches:
            await self._append(list(merged(batches)))

    async def _append(self, batches: Sequence[Rows]) -> None:
        has_failed = False
        while True:
            try:
                await self._ledger.append(batches)
            except OSError as error:
                if not has_failed:
                    _log.error(
                        "The ledger cannot be written (%s); it is tried again.", error.strerror or error
                    )
                has_failed = True
                await asyncio.sleep(_TROUBLE_S)
            else:
                return

    async def _of_reports(self, reports: Sequence[Report]) -> Rows:
        first = reports[0]
        category = self._category(
            INVOCATION,
            first.origin,
            tags=await self._tags_now(first.origin.function),
            alias=_alias(first.invoked_arn),
            tenant=first.tenant_id or "",
            is_spillover=first.is_spillover,
            source=first.source,
        )
        return Rows(
            category=category,
            at_ms=[int(report.at_s * 1000) for report in reports],
            request_ids=[report.request_id for report in reports],
            trace_ids=[_trace_root(report.trace_id) for report in reports],
            duration_us=[round(report.duration_ms * 1000) for report in reports],
            billed_ms=[report.billed_duration_ms for report in reports],
            max_memory_mb=[report.max_memory_used_mb for report in reports],
            request_bytes=[report.request_bytes for report in reports],
            response_bytes=[report.response_bytes for report in reports],
            rare={index: _rare(report) for index, report in enumerate(reports) if _is_rare(report)},
        )

    async def _of_start(self, fact: InitReport | RestoreReport) -> Rows:
        tags = await self._tags_now(fact.origin.function)
        kind = INITIALIZATION if isinstance(fact, InitReport) else RESTORE
        duration_us = round(fact.duration_ms * 1000)
        rare = Rare(
            status=fact.status,
            error_type=fact.error_type,
            init_us=duration_us if kind == INITIALIZATION else None,
            restore_us=duration_us if kind == RESTORE else None,
            billed_init_ms=fact.billed_duration_ms,
        )
        return Rows(
            category=self._category(kind, fact.origin, tags=tags),
            at_ms=[int(fact.at_s * 1000)],
            request_ids=[""],
            trace_ids=[""],
            duration_us=[duration_us],
            billed_ms=[fact.billed_duration_ms],
            max_memory_mb=[0],
            request_bytes=[0],
            response_bytes=[0],
            rare={0: rare},
        )

    def _category(
        self,
        kind: str,
        origin: Origin,
        *,
        tags: tuple[tuple[str, str], ...],
        alias: str = "",
        tenant: str = "",
        is_spillover: bool = False,
        source: str = "",
    ) -> Category:
        return Category(
            kind=kind,
            account=origin.function.account,
            region=origin.function.region,
            function=origin.function.name,
            version=origin.version,
            alias=alias,
            tenant=tenant,
            tags=tags,
            runtime=origin.runtime,
            architecture=origin.architecture,
            memory_mb=origin.memory_mb,
            ephemeral_storage_mb=origin.ephemeral_storage_mb,
            initialization_type=origin.initialization_type,
            is_spillover=is_spillover,
            source=source,
            price_list=self._price_list,
        )

    async def _tags_now(self, key: FunctionKey) -> tuple[tuple[str, str], ...]:
        tags = await self._tags_of(key)
        if tags is None:
            return self._tags.get(key, ())
        found = self._tags[key] = tuple(sorted(tags.items())) if tags else ()
        self._tags.move_to_end(key)
        if len(self._tags) > _TAGS_MAX:
            self._tags.popitem(last=False)
        return found


def merged(batches: Iterable[Rows]) -> Iterable[Rows]:
    """Put rows of one category together: several environments had a part in them."""
    found: dict[Category, Rows] = {}
    for rows in batches:
        earlier = found.get(rows.category)
        found[rows.category] = rows if earlier is None else earlier.then(rows)
    return found.values()


def _is_rare(report: Report) -> bool:
    return (
        report.cold_start_reason is not None
        or report.status != "success"
        or report.attempt != 1
        or report.init_duration_ms is not None
        or report.restore_duration_ms is not None
        or bool(report.streamed_bytes)
    )


def _rare(report: Report) -> Rare:
    init_ms, restore_ms = report.init_duration_ms, report.restore_duration_ms
    billed_init_ms = 0
    if init_ms is not None or restore_ms is not None:
        # What of the rounded sum is not the invocation itself.
        billed_init_ms = report.billed_duration_ms - min(
            report.billed_duration_ms, _whole(report.duration_ms)
        )
    return Rare(
        status=report.status,
        error_type=report.error_type,
        cold_start_reason=report.cold_start_reason,
        init_us=None if init_ms is None else round(init_ms * 1000),
        restore_us=None if restore_ms is None else round(restore_ms * 1000),
        billed_init_ms=billed_init_ms,
        streamed_bytes=report.streamed_bytes or 0,
        attempt=report.attempt,
    )


def _whole(duration_ms: float) -> int:
    return max(1, -int(-duration_ms // 1))


def _trace_root(trace_id: str) -> str:
    """Return the trace of ``Root=1-…;Parent=…``."""
    return trace_id[5:40] if trace_id.startswith("Root=") else ""


def _alias(invoked_arn: str) -> str:
    """Return the alias in a function's ARN, if one is named."""
    qualifier = invoked_arn.split(":", 7)[7] if invoked_arn.count(":") == 7 else ""
    return "" if qualifier == LATEST or qualifier.isdigit() else qualifier
