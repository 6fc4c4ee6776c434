"""For tests, ours and our users': implementations of the doors that need no disk and no waiting."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import itertools
import tempfile
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from lambent.store import (
    Delete,
    Document,
    LogEvent,
    LogPage,
    LogQuery,
    Put,
    RevisionConflict,
    StreamKey,
    StreamSummary,
)
from lambent.store.log_order import Chunk, merge, message_bytes, page_of, window_of


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, now_s: float = 1_767_323_045.678) -> None:
        self._now_s = now_s
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now_s(self) -> float:
        return self._now_s

    def monotonic_s(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._now_s + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on, waking sleepers in order, and let them run."""
        end_s = self._now_s + seconds
        while self._waiting and self._waiting[0][0] <= end_s:
            wake_s, _, future = heapq.heappop(self._waiting)
            self._now_s = max(self._now_s, wake_s)
            if not future.done():
                future.set_result(None)
            for _ in range(10):
                await asyncio.sleep(0)
        self._now_s = end_s


class MemoryStore:
    """`Documents` and `Blobs` in memory (blob files in a temporary directory)."""

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], Document] = {}
        self._directory = tempfile.TemporaryDirectory(prefix="lambent-blobs-")

    async def get(self, kind: str, key: str) -> Document | None:
        return self._documents.get((kind, key))

    async def list(
        self, kind: str, *, prefix: str = "", after: str = "", limit: int = 1000
    ) -> list[Document]:
        keys = sorted(
            key for k, key in self._documents if k == kind and key.startswith(prefix) and key > after
        )
        return [self._documents[kind, key] for key in keys[:limit]]

    async def apply(self, *changes: Put | Delete) -> tuple[int, ...]:
        draft = dict(self._documents)
        revisions: list[int] = []
        for change in changes:
            known = draft.get((change.kind, change.key))
            current = known.revision if known else 0
            if change.expect_revision is not None and change.expect_revision != current:
                raise RevisionConflict(
                    f"{change.kind} {change.key} is at {current}, not {change.expect_revision}"
                )
            if isinstance(change, Delete):
                draft.pop((change.kind, change.key), None)
                revisions.append(0)
            else:
                draft[change.kind, change.key] = Document(
                    kind=change.kind, key=change.key, body=change.body, revision=current + 1
                )
                revisions.append(current + 1)
        self._documents = draft
        return tuple(revisions)

    async def put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        path = Path(self._directory.name) / name
        if not path.is_file():
            path.write_bytes(content)
        return name

    def path(self, name: str) -> Path:
        path = Path(self._directory.name) / name
        if not path.is_file():
            raise KeyError(name)
        return path

    async def delete(self, name: str) -> None:
        (Path(self._directory.name) / name).unlink(missing_ok=True)

    async def keep_only(self, names: Set[str]) -> None:
        directory = Path(self._directory.name)
        for path in await asyncio.to_thread(lambda: list(directory.iterdir())):
            if path.name not in names:
                path.unlink()

    def close(self) -> None:
        """Remove the blob files."""
        self._directory.cleanup()


@dataclass(slots=True)
class _Stream:
    created_ms: int
    last_ingestion_ms: int | None = None
    chunks: list[Chunk] = field(default_factory=list[Chunk])

    def summary(self, key: StreamKey) -> StreamSummary:
        return StreamSummary(
            key=key,
            created_ms=self.created_ms,
            first_event_ms=min((chunk.timestamps_ms[0] for chunk in self.chunks), default=None),
            last_event_ms=max((chunk.timestamps_ms[-1] for chunk in self.chunks), default=None),
            last_ingestion_ms=self.last_ingestion_ms,
        )


class MemoryLogEvents:
    """`lambent.store.LogEvents` in memory."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, _Stream]] = {}
        self._numbers = itertools.count(1)

    async def create_stream(self, key: StreamKey, *, created_ms: int) -> bool:
        group = self._groups.setdefault(key.group, {})
        if key.stream in group:
            return False
        group[key.stream] = _Stream(created_ms)
        return True

    async def append(
        self, batches: Sequence[tuple[StreamKey, Sequence[LogEvent]]], *, ingestion_ms: int
    ) -> None:
        for key, events in batches:
            if not events:
                continue
            stream = self._groups.setdefault(key.group, {}).setdefault(key.stream, _Stream(ingestion_ms))
            stream.last_ingestion_ms = ingestion_ms
            # A chunk for each event: whatever expires, the ids of the others stay as they were.
            stream.chunks += [
                Chunk(
                    number=next(self._numbers),
                    stream=key.stream,
                    ingestion_ms=ingestion_ms,
                    timestamps_ms=[event.timestamp_ms],
                    messages=[event.message.encode(errors="replace").decode()],
                )
                for event in sorted(events, key=lambda event: event.timestamp_ms)
            ]

    async def read(self, query: LogQuery) -> LogPage:
        chosen = [
            chunk
            for name, stream in self._groups.get(query.group, {}).items()
            if (query.streams is None or name in query.streams) and name.startswith(query.stream_prefix)
            for chunk in stream.chunks
        ]
        chosen.sort(key=lambda chunk: chunk.timestamps_ms[0], reverse=query.newest_first)
        loads = [(chunk.timestamps_ms[0], lambda chunk=chunk: chunk) for chunk in chosen]
        return page_of(query, merge(loads, window_of(query), newest_first=query.newest_first))

    async def streams(
        self,
        group: str,
        *,
        prefix: str = "",
        by_last_event: bool = False,
        descending: bool = False,
        after: tuple[int, str] | None = None,
        limit: int = 1000,
    ) -> list[StreamSummary]:
        def place(summary: StreamSummary) -> tuple[int, str]:
            return (summary.last_event_ms or 0 if by_last_event else 0, summary.key.stream)

        summaries = [
            stream.summary(StreamKey(group=group, stream=name))
            for name, stream in self._groups.get(group, {}).items()
            if name.startswith(prefix)
        ]
        summaries.sort(key=place, reverse=descending)
        if after is not None:
            mark = after if by_last_event else (0, after[1])
            summaries = [s for s in summaries if (place(s) < mark if descending else place(s) > mark)]
        return summaries[:limit]

    async def sizes(self, groups: Sequence[str] | None = None) -> dict[str, int]:
        return {
            name: sum(
                message_bytes(message)
                for stream in streams.values()
                for chunk in stream.chunks
                for message in chunk.messages
            )
            for name, streams in self._groups.items()
            if groups is None or name in groups
        }

    async def delete(self, group: str, *, stream: str | None = None) -> None:
        if stream is None:
            self._groups.pop(group, None)
        else:
            self._groups.get(group, {}).pop(stream, None)

    async def expire(self, group: str, *, before_ms: int) -> None:
        for stream in self._groups.get(group, {}).values():
            stream.chunks = [chunk for chunk in stream.chunks if chunk.timestamps_ms[0] >= before_ms]
