"""The meter of what is kept: provisioned concurrency and snapshots become rows of the ledger as their time passes.

It owns since when each is kept. That is not stored: a server that starts finds in the ledger what one before it has
put down, and goes on from there. Time in which no server ran is not charged. A killed server may have failed to put
down the last minute of provisioned concurrency, and the last quarter of an hour of a snapshot.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Self

from lambent.clock import Clock
from lambent.domain.concurrency import SNAP_START
from lambent.domain.function import FunctionKey, FunctionVersion
from lambent.domain.ledger import PROVISIONED, SNAPSHOT, Category, Rare, Rows
from lambent.domain.upkeep import SNAPSHOT_MIN_S, Tally, Upkeep, charged, due_s
from lambent.store.ledger import Ledger, RowQuery

_log = logging.getLogger(__name__)
_TICK_S = 60.0

TagsOf = Callable[[FunctionKey], Awaitable[Mapping[str, str] | None]]
Prepare = Callable[[FunctionVersion], Awaitable[bool]]
Forget = Callable[[FunctionKey, str | None], None]


class UpkeepMeter:
    """Puts down what is kept. Use as an async context manager: leaving it settles every tally."""

    def __init__(self, *, ledger: Ledger, tags_of: TagsOf, clock: Clock, price_list: str) -> None:
        """Make it.

        Args:
            ledger: where rows go.
            tags_of: tells the tags of functions.
            clock: the time.
            price_list: the id of the list by which rows are priced.
        """
        self._ledger = ledger
        self._tags_of = tags_of
        self._clock = clock
        self._price_list = price_list
        self._kept: dict[FunctionKey, dict[str, Upkeep]] = {}
        """By function and place."""
        self._tallies: dict[tuple[FunctionKey, str], Tally] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._writing = asyncio.Lock()
        self._ticking: asyncio.Task[None] | None = None

    def provisioned(self, key: FunctionKey, kept: Iterable[Upkeep]) -> None:
        """Take note of all that is kept ready for a function now; what was and is not any more has ended."""
        self._note(key, PROVISIONED, kept)

    def watching(self, prepare: Prepare) -> Prepare:
        """Return what makes a version ready as before, while snapshots that it takes are noted."""

        async def prepare_and_note(version: FunctionVersion) -> bool:
            has_snapshot = await prepare(version)
            if has_snapshot:
                self._note_snapshot(version)
            return has_snapshot

        return prepare_and_note

    def forgetting(self, forget: Forget) -> Forget:
        """Return what lets snapshots go as before, while that is noted."""

        def forget_and_note(key: FunctionKey, version: str | None) -> None:
            forget(key, version)
            others = [one for one in self._snapshots(key) if version not in (None, one.version.version)]
            self._note(key, SNAPSHOT, others)

        return forget_and_note

    async def tick(self) -> None:
        """Put down what is due."""
        async with self._writing:
            for upkeep in self._all():
                await self._put_down(upkeep, self._clock.monotonic_s())

    async def settled(self) -> None:
        """Return when everything that has begun or ended so far is in the ledger."""
        while self._work:
            await asyncio.wait(self._work)

    async def __aenter__(self) -> Self:
        self._ticking = asyncio.create_task(self._tick_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await self.settled()
        for upkeep in self._all():
            await self._put_down(upkeep, self._clock.monotonic_s(), is_over=upkeep.kind == SNAPSHOT)

    async def _tick_on(self) -> None:
        while True:
            await self._clock.sleep(_TICK_S)
            await self.tick()

    def _all(self) -> list[Upkeep]:
        return [upkeep for kept in self._kept.values() for upkeep in kept.values()]

    def _snapshots(self, key: FunctionKey) -> list[Upkeep]:
        return [upkeep for upkeep in self._kept.get(key, {}).values() if upkeep.kind == SNAPSHOT]

    def _note_snapshot(self, version: FunctionVersion) -> None:
        upkeep = Upkeep(
            id=version.configuration_id, kind=SNAPSHOT, version=version, is_new=not version.has_snapshot
        )
        self._note(version.key, SNAPSHOT, [*self._snapshots(version.key), upkeep])

    def _note(self, key: FunctionKey, kind: str, kept: Iterable[Upkeep]) -> None:
        """Begin and end what is needed so that this is all that is kept of a kind."""
        now_s = self._clock.monotonic_s()
        known = self._kept.get(key, {})
        wanted = {upkeep.place: known.get(upkeep.place, upkeep) for upkeep in kept}
        for place, upkeep in known.items():
            if upkeep.kind == kind and place not in wanted:
                self._do(partial(self._end, upkeep, now_s))
        for place, upkeep in wanted.items():
            if place not in known:
                self._do(partial(self._begin, upkeep, now_s))
        self._kept[key] = {at: one for at, one in known.items() if one.kind != kind} | wanted
        if not self._kept[key]:
            del self._kept[key]

    def _do(self, work: Callable[[], Awaitable[None]]) -> None:
        async def in_turn() -> None:
            # In the order in which it was asked for: an end never comes before its beginning.
            async with self._writing:
                try:
                    await work()
                except Exception:
                    _log.exception("What is kept could not be put down.")

        task = asyncio.create_task(in_turn())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _begin(self, upkeep: Upkeep, since_s: float) -> None:
        covered_s = await self._covered_s(upkeep)
        self._tallies[upkeep.version.key, upkeep.place] = Tally(since_s=since_s, charged_s=covered_s)
        await self._put_down(upkeep, since_s)

    async def _end(self, upkeep: Upkeep, at_s: float) -> None:
        await self._put_down(upkeep, at_s, is_over=True)
        self._tallies.pop((upkeep.version.key, upkeep.place), None)

    async def _covered_s(self, upkeep: Upkeep) -> int:
        """Return for how long from now on an earlier server has put it down already."""
        now_ms = int(self._clock.now_s() * 1000)
        key = upkeep.version.key
        query = RowQuery(
            account=key.account,
            function=key.name,
            region=key.region,
            kinds=(upkeep.kind,),
            since_ms=now_ms - SNAPSHOT_MIN_S * 1000,
            until_ms=now_ms + 1,
            limit=10_000,
        )
        page = await self._ledger.read(query)
        ends_ms = [row.at_ms + row.billed_ms for row in page.rows if row.request_id == upkeep.id]
        return max(0, -((now_ms - max(ends_ms, default=0)) // 1000))

    async def _put_down(self, upkeep: Upkeep, now_s: float, *, is_over: bool = False) -> None:
        place = (upkeep.version.key, upkeep.place)
        tally = self._tallies.get(place)
        if tally is None:
            return
        seconds = due_s(upkeep, tally, now_s, is_over=is_over)
        if not seconds:
            return
        # When the while began that is put down: it may be ahead of now, or past.
        ago_s = self._clock.monotonic_s() - (tally.since_s + tally.charged_s)
        try:
            await self._ledger.append([await self._row(upkeep, seconds, self._clock.now_s() - ago_s)])
        except OSError as error:
            _log.error(
                "What is kept of %s could not be put down: %s", upkeep.version.arn, error.strerror or error
            )
        else:
            self._tallies[place] = charged(tally, seconds)

    async def _row(self, upkeep: Upkeep, seconds: int, since_s: float) -> Rows:
        version = upkeep.version
        tags = await self._tags_of(version.key) or {}
        category = Category(
            kind=upkeep.kind,
            account=version.key.account,
            region=version.key.region,
            function=version.key.name,
            version=version.version,
            alias=upkeep.alias,
            tags=tuple(sorted(tags.items())),
            runtime=version.runtime,
            architecture=version.architecture,
            memory_mb=version.memory_mb,
            ephemeral_storage_mb=version.ephemeral_storage_mb,
            initialization_type=PROVISIONED if upkeep.kind == PROVISIONED else SNAP_START,
            price_list=self._price_list,
        )
        return Rows(
            category=category,
            at_ms=[max(0, int(since_s * 1000))],
            request_ids=[upkeep.id],
            trace_ids=[""],
            duration_us=[0],
            billed_ms=[seconds * 1000],
            max_memory_mb=[0],
            request_bytes=[0],
            response_bytes=[0],
            rare={0: Rare(count=upkeep.count)} if upkeep.count != 1 else {},
        )
