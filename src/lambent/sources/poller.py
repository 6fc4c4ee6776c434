"""The pollers: one per enabled mapping takes records, makes batches, and runs the function with each.

A poller waits for records without polling where the source can wake it. Batches run at the same time, as many
as the mapping and its age allow. What failed comes back by the source's own rules: a poller keeps nothing.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.function import FunctionKey
from lambent.domain.function_facts import EmitFunctionFact, LoopEnded, RecordsCounted, unheard
from lambent.domain.invocation import Outcome
from lambent.domain.mapping import EventSourceMapping
from lambent.domain.queued_event import QueuedEvent
from lambent.domain.trace import most_travelled
from lambent.errors import ServiceError
from lambent.invoke.queue import Invoke, PrepareAttempt
from lambent.sources import Record, Source, SourceMissing
from lambent.sources.batches import (
    concurrency,
    filters_of,
    fitting,
    payload_of,
    succeeded,
    wanted,
)

_log = logging.getLogger(__name__)

Open = Callable[[EventSourceMapping], Source]
"""Opens the source of a mapping."""
_LONG_WAIT_S = 20.0
_LEAST_WAIT_S = 0.5
"""A source that is empty is expected to wait longer than this."""
_TROUBLE_S = 1.0
_TROUBLE_MAX_S = 60.0
_DRAIN_S = 30.0


class Pollers:
    """Owns the pollers. Mappings whose source none of the openers knows are left alone."""

    def __init__(
        self,
        *,
        openers: Mapping[str, Open],
        invoke: Invoke,
        clock: Clock,
        most_at_once: int,
        emit: EmitFunctionFact = unheard,
    ) -> None:
        """Make it; nothing is polled before `start`.

        Args:
            openers: by kind of source.
            invoke: the path of every invocation.
            clock: the time.
            most_at_once: how many batches of one mapping run at once at most.
            emit: is told what becomes of records.
        """
        self._openers = openers
        self._invoke = invoke
        self._clock = clock
        self._most_at_once = most_at_once
        self._emit = emit
        self._prepare: PrepareAttempt | None = None
        self._pollers: dict[str, _Poller] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def start(self, mappings: Iterable[EventSourceMapping], prepare: PrepareAttempt) -> None:
        """Begin to poll.

        Args:
            mappings: those that there are.
            prepare: finds out what a batch means at the time when it runs.
        """
        self._prepare = prepare
        for mapping in mappings:
            self.changed(mapping)

    def changed(self, mapping: EventSourceMapping) -> None:
        """Take note of a mapping that was made, changed, disabled or deleted."""
        if self._prepare is None:
            return
        poller = self._pollers.pop(mapping.uuid, None)
        if poller is not None:
            task = asyncio.create_task(poller.close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        opener = self._openers.get(mapping.source)
        if opener is not None and mapping.state == "Enabled":
            self._pollers[mapping.uuid] = _Poller(
                mapping,
                opener(mapping),
                prepare=self._prepare,
                invoke=self._invoke,
                clock=self._clock,
                most_at_once=self._most_at_once,
                emit=self._emit,
            )

    def problem_of(self, mapping_uuid: str) -> str | None:
        """Return what keeps a mapping's source from being polled just now, or None."""
        poller = self._pollers.get(mapping_uuid)
        return None if poller is None else poller.problem

    async def close(self) -> None:
        """Take no more; what runs may end, but not for ever."""
        self._prepare = None
        closing = [asyncio.create_task(poller.close()) for poller in self._pollers.values()]
        await asyncio.gather(*closing, *self._leaving, return_exceptions=True)


class _Poller:
    """One mapping at work."""

    def __init__(
        self,
        mapping: EventSourceMapping,
        source: Source,
        *,
        prepare: PrepareAttempt,
        invoke: Invoke,
        clock: Clock,
        most_at_once: int,
        emit: EmitFunctionFact,
    ) -> None:
        self._emit = emit
        self._mapping = mapping
        self._source = source
        self._prepare = prepare
        self._invoke = invoke
        self._clock = clock
        self._most_at_once = most_at_once
        self._key, self._qualifier = _function(mapping.function_arn)
        settings = mapping.settings
        self._batch_size: int = settings.get("BatchSize", 10)
        self._window_s = float(settings.get("MaximumBatchingWindowInSeconds", 0))
        self._filters = filters_of(settings)
        self._reports_failures = "ReportBatchItemFailures" in settings.get("FunctionResponseTypes", ())
        self._running: set[asyncio.Task[None]] = set()
        self._has_room = asyncio.Event()
        self._busy_since_s: float | None = None
        self._trouble_s = 0.0
        self._has_taken = False
        """Whether the last look at the source found anything."""
        self.problem: str | None = None
        """What keeps the source from being polled."""
        self._task = asyncio.create_task(self._poll())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=_DRAIN_S)
        for task in list(self._running):
            task.cancel()

    async def _poll(self) -> None:
        while True:
            await self._room()
            looked_s = self._clock.monotonic_s()
            try:
                batch = await self._next_batch()
                self.problem = None
            except SourceMissing as error:
                if self.problem is None:
                    _log.warning("%s cannot be polled: %s", self._mapping.arn, error)
                self.problem = str(error)
                await asyncio.sleep(_TROUBLE_S)
                continue
            except Exception:
                _log.exception("%s cannot be polled just now.", self._mapping.arn)
                await asyncio.sleep(_TROUBLE_S)
                continue
            if batch:
                self._start(batch)
            elif not self._has_taken and self._clock.monotonic_s() - looked_s < _LEAST_WAIT_S:
                # A source that does not wait must not be asked over and over.
                await asyncio.sleep(_TROUBLE_S)
            if self._trouble_s:
                await asyncio.sleep(self._trouble_s)

    async def _room(self) -> None:
        """Wait until another batch may run."""
        while len(self._running) >= self._allowed():
            self._has_room.clear()
            await self._has_room.wait()

    def _allowed(self) -> int:
        now_s = self._clock.monotonic_s()
        if not self._running:
            self._busy_since_s = None
        elif self._busy_since_s is None:
            self._busy_since_s = now_s
        busy_s = 0.0 if self._busy_since_s is None else now_s - self._busy_since_s
        return concurrency(self._mapping.settings, busy_s=busy_s, most=self._most_at_once)

    async def _next_batch(self) -> list[Record]:
        """Take records until a batch is full, large, or old enough."""
        batch: list[Record] = []
        self._has_taken = False
        end_s = 0.0
        loop = asyncio.get_running_loop()
        try:
            while len(batch) < self._batch_size:
                wait_s = self._first_wait_s() if not batch else end_s - loop.time()
                if batch and wait_s <= 0 and self._window_s:
                    break
                taken = await self._source.take(limit=self._batch_size - len(batch), wait_s=max(0.0, wait_s))
                self._has_taken = self._has_taken or bool(taken)
                if not batch:
                    end_s = loop.time() + self._window_s
                kept = await self._filter(taken)
                batch += kept
                if (count := fitting(batch)) < len(batch):
                    await self._source.give_back(batch[count:])
                    return batch[:count]
                if not taken or (batch and len(taken) < 10 and not self._window_s):
                    break
        except asyncio.CancelledError:
            if batch:
                await self._source.give_back(batch)
            raise
        return batch

    def _first_wait_s(self) -> float:
        """How long to wait for the first record: not at all while it is not known whether there is a source."""
        return _LONG_WAIT_S if self.problem is None else 0.0

    async def _filter(self, records: Sequence[Record]) -> list[Record]:
        """Let go of records that no filter wants."""
        kept = [record for record in records if wanted(record, self._filters)]
        self._count("PolledEventCount", len(records))
        self._count("FilteredOutEventCount", len(records) - len(kept))
        if len(kept) < len(records):
            await self._source.done([record for record in records if record not in kept])
        return kept

    def _start(self, batch: list[Record]) -> None:
        task = asyncio.create_task(self._run(batch))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._has_room.set()

    async def _run(self, batch: list[Record]) -> None:
        try:
            outcome = await self._invoke_with(batch)
        except ServiceError as error:
            # Throttled, or the function is not ready: the records come back by themselves; ask less often.
            self._trouble_s = min(_TROUBLE_MAX_S, max(_TROUBLE_S, self._trouble_s * 2))
            _log.warning("A batch of %s could not be run: %s", self._mapping.arn, error.message)
            return
        except Exception:
            _log.exception("A batch of %s failed.", self._mapping.arn)
            return
        self._trouble_s = 0.0
        if outcome is None:
            return
        done = succeeded(batch, outcome, reports_failures=self._reports_failures)
        self._count("InvokedEventCount", len(batch))
        self._count("FailedInvokeEventCount", len(batch) - len(done))
        if done:
            try:
                await self._source.done(done)
            except SourceMissing:
                return
            self._count("DeletedEventCount", len(done))

    def _count(self, metric: str, count: int) -> None:
        self._emit(RecordsCounted(function=self._key, mapping=self._mapping.uuid, metric=metric, count=count))

    async def _invoke_with(self, batch: list[Record]) -> Outcome | None:
        """Run the function with a batch; None when it is not to run."""
        key = self._key
        event = QueuedEvent(
            request_id=str(uuid.uuid4()),
            key=key,
            qualifier=self._qualifier,
            trace_header=most_travelled((record.trace_header for record in batch), key.arn),
            accepted_s=self._clock.now_s(),
            source=self._mapping.source,
        )
        attempt = await self._prepare(event, payload_of(batch))
        if attempt is None:
            _log.warning("%s: there is no function %s.", self._mapping.arn, event.invoked_arn)
            return None
        if attempt.is_recursive:
            _log.warning("%s: a recursive loop of %s is ended.", self._mapping.arn, event.invoked_arn)
            self._emit(LoopEnded(function=key))
            return None
        return await self._invoke(
            attempt.invocation,
            reserved_concurrency=attempt.reserved_concurrency,
            provisioned_concurrency=attempt.provisioned_concurrency,
            unreserved_concurrency=attempt.unreserved_concurrency,
        )


def _function(function_arn: str) -> tuple[FunctionKey, str | None]:
    arn = parse_arn(function_arn)
    assert arn is not None
    _, name, *qualifier = arn.resource.split(":")
    key = FunctionKey(account=arn.account, region=arn.region, name=name)
    return key, qualifier[0] if qualifier else None
