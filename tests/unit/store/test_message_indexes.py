"""However many messages there are, each question about them is answered from the front of an index."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from lambent.store.messages import DeadLetters, NewMessage, Postponement, Take
from lambent.store.sqlite.light_writes import LightDatabase
from lambent.store.sqlite.messages import SqliteMessages

NOW_MS = 1_767_323_045_678
DEAD_LETTERS = DeadLetters(queue="dead", max_receive_count=1)


def test_no_question_looks_at_everything_or_sorts_it(tmp_path: Path) -> None:
    with contextlib.closing(
        LightDatabase(tmp_path / "queues.db", migrations="queues", full_sync=False)
    ) as database:
        asked: list[str] = []
        for connection in (database._writer, database._reader):
            connection.set_trace_callback(asked.append)
        asyncio.run(use_everything(SqliteMessages(database)))
        for connection in (database._writer, database._reader):
            connection.set_trace_callback(None)
        questions = {text for text in asked if text.lstrip().startswith(("SELECT", "UPDATE", "DELETE"))}
        assert len(questions) > 20
        for question in questions:
            for step in database.read(lambda c, q=question: plan(c, q)):
                is_scan = step.startswith("SCAN") and "CONSTANT ROW" not in step
                assert not is_scan and "TEMP B-TREE" not in step, (question, step)


def plan(connection: Any, question: str) -> list[str]:
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {question}")]


async def use_everything(messages: SqliteMessages) -> None:
    """Send, receive, postpone, delete, bury and move, with and without groups."""
    for group in (None, "g"):
        queue = f"queue of {group}"
        new = [
            NewMessage(message_id=str(n), body=b"", group=group, deduplication_id=f"{n}") for n in range(5)
        ]
        await messages.send(queue, new, now_ms=NOW_MS)
        take = Take(
            limit=2, visibility_ms=0, retention_ms=10**9, dead_letters=DEAD_LETTERS, is_fifo=group is not None
        )
        for _ in range(3):
            taken = (await messages.receive(queue, take, now_ms=NOW_MS)).messages
        late = Take(limit=2, visibility_ms=9000, is_fifo=group is not None)
        taken = (await messages.receive(queue, late, now_ms=NOW_MS)).messages
        postponed = [Postponement(receipt=its.receipt, visible_ms=NOW_MS) for its in taken]
        await messages.postpone(queue, postponed, now_ms=NOW_MS)
        await messages.delete(queue, [its.receipt for its in taken[:1]])
        await messages.move(queue, "elsewhere", limit=1, now_ms=NOW_MS)
        await messages.move("dead", None, limit=1, now_ms=NOW_MS)
