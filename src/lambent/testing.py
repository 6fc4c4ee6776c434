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
    KeptEvents,
    LogEvent,
    LogPage,
    LogQuery,
    Put,
    RevisionConflict,
    StreamKey,
    StreamSummary,
)
from lambent.store.log_order import Chunk, merge, message_bytes, page_of, window_of
from lambent.store.messages import (
    DEDUPLICATION_MS,
    Counts,
    Message,
    NewMessage,
    Postponement,
    Receipt,
    Sent,
    Take,
    Taken,
    Validity,
)


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
    ) -> list[list[KeptEvents]]:
        kept: list[list[KeptEvents]] = []
        for key, events in batches:
            kept.append([])
            if not events:
                continue
            # A chunk for each event: whatever expires, the ids of the others stay as they were.
            kept[-1] = [
                KeptEvents(next(self._numbers), [event])
                for event in sorted(events, key=lambda event: event.timestamp_ms)
            ]
            stream = self._groups.setdefault(key.group, {}).setdefault(key.stream, _Stream(ingestion_ms))
            stream.last_ingestion_ms = ingestion_ms
            stream.chunks += [
                Chunk(
                    number=run.chunk,
                    stream=key.stream,
                    ingestion_ms=ingestion_ms,
                    timestamps_ms=[event.timestamp_ms for event in run.events],
                    messages=[event.message.encode(errors="replace").decode() for event in run.events],
                )
                for run in kept[-1]
            ]
        return kept

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


@dataclass(slots=True)
class _Queued:
    """A message in memory."""

    new: NewMessage
    sequence: int
    sent_ms: int
    visible_ms: int
    attributes: bytes
    token: int | None = None
    first_received_ms: int | None = None
    receive_count: int = 0
    source: str | None = None


class MemoryMessages:
    """`lambent.store.messages.Messages` in memory, by looking at everything each time."""

    def __init__(self) -> None:
        self._queues: dict[str, list[_Queued]] = {}
        self._deduplications: dict[tuple[str, str], tuple[Sent, int]] = {}
        self._numbers = itertools.count(1)

    async def send(self, queue: str, messages: Sequence[NewMessage], *, now_ms: int) -> list[Sent]:
        return [self._send_one(queue, message, now_ms) for message in messages]

    def _send_one(self, queue: str, message: NewMessage, now_ms: int) -> Sent:
        key = (queue, message.deduplication_id or "")
        known, until_ms = self._deduplications.get(key, (None, 0))
        if known is not None and until_ms > now_ms:
            return Sent(message_id=known.message_id, sequence=known.sequence, is_duplicate=True)
        sent = Sent(message_id=message.message_id, sequence=next(self._numbers))
        if message.deduplication_id is not None:
            self._deduplications[key] = (sent, now_ms + DEDUPLICATION_MS)
        queued = _Queued(message, sent.sequence, now_ms, now_ms + message.delay_ms, message.attributes)
        self._queues.setdefault(queue, []).append(queued)
        return sent

    async def receive(self, queue: str, take: Take, *, now_ms: int) -> Taken:
        if take.retention_ms is not None:
            fresh = [m for m in self._of(queue) if m.sent_ms + take.retention_ms > now_ms]
            self._queues[queue] = fresh
        dead = 0
        taken: list[Message] = []
        locked = {m.new.group for m in self._of(queue) if m.token is not None and m.visible_ms > now_ms}
        candidates = sorted(self._of(queue), key=lambda m: m.sequence if take.is_fifo else m.visible_ms)
        for queued in candidates:
            if len(taken) == take.limit:
                break
            if take.is_fifo and queued.new.group in locked:
                continue
            if queued.visible_ms > now_ms:
                locked.add(queued.new.group)
                continue
            if take.dead_letters and queued.receive_count >= take.dead_letters.max_receive_count:
                self._move_one(queued, queue, take.dead_letters.queue, now_ms)
                queued.source = queue
                dead += 1
                continue
            taken.append(self._take_one(queued, now_ms, take.visibility_ms))
        next_ms = min((self._next_ms(queue, m, is_fifo=take.is_fifo) for m in self._of(queue)), default=None)
        return Taken(messages=tuple(taken), dead=dead, next_ms=None if taken else next_ms)

    def _next_ms(self, queue: str, queued: _Queued, *, is_fifo: bool) -> int:
        """When a message may be received: of a group, when its first can be and none is in flight."""
        if not is_fifo:
            return queued.visible_ms
        group = [m for m in self._of(queue) if m.new.group == queued.new.group]
        head = min(group, key=lambda m: m.sequence)
        return max(m.visible_ms for m in (head, *(m for m in group if m.token is not None)))

    def _take_one(self, queued: _Queued, now_ms: int, visibility_ms: int) -> Message:
        queued.token = next(self._numbers)
        queued.visible_ms = now_ms + visibility_ms
        queued.receive_count += 1
        queued.first_received_ms = now_ms if queued.first_received_ms is None else queued.first_received_ms
        return Message(
            receipt=Receipt(queued.sequence, queued.token),
            message_id=queued.new.message_id,
            body=queued.new.body,
            attributes=queued.attributes,
            group=queued.new.group,
            sent_ms=queued.sent_ms,
            first_received_ms=queued.first_received_ms,
            received_ms=now_ms,
            receive_count=queued.receive_count,
            source=queued.source,
        )

    async def delete(self, queue: str, receipts: Sequence[Receipt]) -> list[bool]:
        deleted: list[bool] = []
        for receipt in receipts:
            found = self._find(queue, receipt)
            deleted.append(found is not None)
            if found is not None:
                self._queues[queue].remove(found)
        return deleted

    async def validities(self, queue: str, receipts: Sequence[Receipt], *, now_ms: int) -> list[Validity]:
        return [self._validity(queue, receipt, now_ms) for receipt in receipts]

    def _validity(self, queue: str, receipt: Receipt, now_ms: int) -> Validity:
        if all(queued.sequence != receipt.sequence for queued in self._of(queue)):
            return "gone"
        found = self._find(queue, receipt)
        return "valid" if found is not None and found.visible_ms > now_ms else "expired"

    async def postpone(self, queue: str, postponements: Sequence[Postponement], *, now_ms: int) -> list[bool]:
        done: list[bool] = []
        for one in postponements:
            found = self._find(queue, one.receipt)
            if found is None or found.visible_ms <= now_ms:
                done.append(False)
                continue
            found.visible_ms = one.visible_ms
            found.attributes = found.attributes if one.attributes is None else one.attributes
            found.token = None if one.is_released else found.token
            done.append(True)
        return done

    async def counts(self, queue: str, *, now_ms: int) -> Counts:
        later = [m for m in self._of(queue) if m.visible_ms > now_ms]
        in_flight = sum(m.token is not None for m in later)
        return Counts(total=len(self._of(queue)), in_flight=in_flight, delayed=len(later) - in_flight)

    async def clear(self, queue: str) -> None:
        self._queues.pop(queue, None)
        for key in [key for key in self._deduplications if key[0] == queue]:
            del self._deduplications[key]

    async def sources(self, queue: str) -> set[str]:
        return {queued.source for queued in self._of(queue) if queued.source is not None}

    async def move(self, queue: str, destination: str | None, *, limit: int, now_ms: int) -> dict[str, int]:
        movable = [
            m for m in self._of(queue) if m.visible_ms <= now_ms and (destination or m.source is not None)
        ]
        moved: dict[str, int] = {}
        for queued in sorted(movable, key=lambda m: (m.visible_ms, m.sequence))[:limit]:
            target = destination or queued.source or ""
            self._move_one(queued, queue, target, now_ms)
            queued.receive_count, queued.first_received_ms, queued.source = 0, None, None
            moved[target] = moved.get(target, 0) + 1
        return moved

    async def resume(self, prefix: str, *, now_ms: int) -> list[str]:
        names = sorted(name for name, queue in self._queues.items() if queue and name.startswith(prefix))
        for queued in (m for name in names for m in self._queues[name] if m.token is not None):
            queued.token, queued.visible_ms = None, min(queued.visible_ms, now_ms)
        return names

    def _of(self, queue: str) -> list[_Queued]:
        return self._queues.get(queue, [])

    def _find(self, queue: str, receipt: Receipt) -> _Queued | None:
        same = (m for m in self._of(queue) if m.sequence == receipt.sequence and m.token == receipt.token)
        return next(same, None)

    def _move_one(self, queued: _Queued, source: str, target: str, now_ms: int) -> None:
        self._queues[source].remove(queued)
        queued.visible_ms, queued.token = now_ms, None
        moved = [*self._of(target), queued]
        self._queues[target] = sorted(moved, key=lambda m: m.sequence)
