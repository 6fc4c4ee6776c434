"""Message move tasks: dead letters go back to where they came from, or to another queue.

A task is a document; it goes on after a restart. One may be active per source.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import uuid
from dataclasses import dataclass, replace

import msgspec

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.message_queue import MessageQueue
from lambent.errors import InvalidParameterValueException, ResourceNotFoundException
from lambent.services import Members
from lambent.services.sqs.errors import QueueDoesNotExist, missing, no_queue
from lambent.services.sqs.lookup import Lookup
from lambent.services.sqs.queues import sources_of
from lambent.store import Documents, Put
from lambent.store.message_queues import MessageQueues
from lambent.store.queues import Queues

_log = logging.getLogger(__name__)
_KIND = "message-move-task"
_AT_ONCE_MAX = 100
_PER_SECOND_MAX = 500
_RESULTS_MAX = 10
_ACTIVE = ("RUNNING", "CANCELLING")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveTask:
    """One task."""

    id: str
    source: str
    """The key of the queue."""
    source_arn: str
    destination_arn: str | None
    per_second: int | None
    started_ms: int
    status: str = "RUNNING"
    """RUNNING, COMPLETED, CANCELLING, CANCELLED or FAILED."""
    moved: int = 0
    to_move: int = 0
    failure_reason: str | None = None

    @property
    def key(self) -> str:
        """Newest last, by source."""
        return f"{self.source}/{self.started_ms:015d}/{self.id}"

    @property
    def handle(self) -> str:
        """What callers call it."""
        content = json.dumps({"taskId": self.id, "sourceArn": self.source_arn}, separators=(",", ":"))
        return base64.b64encode(content.encode()).decode()


class MoveTasks:
    """Owns the tasks: kept as documents, each run by one coroutine."""

    def __init__(
        self, *, message_queues: MessageQueues, queues: Queues, documents: Documents, clock: Clock
    ) -> None:
        self._message_queues = message_queues
        self._queues = queues
        self._documents = documents
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}

    async def resume(self) -> None:
        """Go on with the tasks that an earlier server left."""
        for document in await self._documents.list(_KIND):
            task = msgspec.json.decode(document.body, type=MoveTask)
            if task.status in _ACTIVE:
                self._begin(task)

    async def close(self) -> None:
        """Stop; the next server goes on."""
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*list(self._running.values()), return_exceptions=True)

    async def begin(self, task: MoveTask) -> None:
        """Keep a new task and run it."""
        await self._keep(task)
        self._begin(task)

    async def cancel(self, task: MoveTask) -> MoveTask:
        """Stop a task and return it as it ended."""
        running = self._running.get(task.id)
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        ended = replace(await self._find(task) or task, status="CANCELLED")
        await self._keep(ended)
        return ended

    def _begin(self, task: MoveTask) -> None:
        running = asyncio.create_task(self._run(task))
        self._running[task.id] = running
        running.add_done_callback(lambda _: self._running.pop(task.id, None))

    async def _run(self, task: MoveTask) -> None:
        try:
            if task.destination_arn is None:
                await self._check_origins(task)
            while moved := await self._move_some(task):
                task = replace(task, moved=task.moved + moved)
                await self._keep(task)
                if task.per_second is not None:
                    await self._clock.sleep(1.0)
            await self._keep(replace(task, status="COMPLETED"))
        except QueueDoesNotExist:
            reason = "AWS.SimpleQueueService.NonExistentQueue"
            await self._keep(replace(task, status="FAILED", failure_reason=reason))
        except Exception as error:
            _log.exception("The move task of %s failed.", task.source_arn)
            await self._keep(replace(task, status="FAILED", failure_reason=type(error).__name__))

    async def _check_origins(self, task: MoveTask) -> None:
        """Raise before messages would go to a queue that has been deleted."""
        for origin in await self._queues.sources(f"sqs/{task.source}"):
            if await self._message_queues.get_with_revision(origin.removeprefix("sqs/")) is None:
                raise no_queue()

    async def _move_some(self, task: MoveTask) -> int:
        destination = None
        if task.destination_arn is not None:
            queue = await self._message_queues.find(task.destination_arn)
            if queue is None:
                raise no_queue()
            destination = queue.messages
        limit = min(_AT_ONCE_MAX if task.per_second is None else task.per_second, _PER_SECOND_MAX)
        return await self._queues.move(f"sqs/{task.source}", destination, limit=limit)

    async def of(self, source: MessageQueue) -> list[MoveTask]:
        """Return the tasks of a source, oldest first."""
        documents = await self._documents.list(_KIND, prefix=source.key + "/")
        return [msgspec.json.decode(document.body, type=MoveTask) for document in documents]

    async def _find(self, task: MoveTask) -> MoveTask | None:
        document = await self._documents.get(_KIND, task.key)
        return None if document is None else msgspec.json.decode(document.body, type=MoveTask)

    async def _keep(self, task: MoveTask) -> None:
        await self._documents.apply(Put(kind=_KIND, key=task.key, body=msgspec.json.encode(task)))


class MoveOperations:
    """The operations on move tasks."""

    def __init__(self, *, lookup: Lookup, queues: Queues, tasks: MoveTasks) -> None:
        self._lookup = lookup
        self._queues = queues
        self._tasks = tasks

    async def start_message_move_task(self, call: Call, parameters: Members) -> Members:
        """Begin to move the messages of a dead-letter queue (API page StartMessageMoveTask).

        Raises:
            ResourceNotFoundException: a queue does not exist.
            InvalidParameterValueException: the source is no dead-letter queue, a task of it is active, or the rate is
                out of range.
        """
        source = await self._queue(call, parameters, "SourceArn")
        destination: str | None = parameters.get("DestinationArn")
        if destination:
            target = await self._queue(call, parameters, "DestinationArn")
            if target.is_fifo != source.is_fifo:
                raise InvalidParameterValueException(
                    "Source queue and destination queue must be of the same type: both standard or both FIFO."
                )
        if not await sources_of(self._lookup, source):
            raise InvalidParameterValueException("Source queue must be configured as a Dead Letter Queue.")
        per_second: int | None = parameters.get("MaxNumberOfMessagesPerSecond")
        if per_second is not None and not 1 <= per_second <= _PER_SECOND_MAX:
            raise InvalidParameterValueException(
                f"Value {per_second} for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: Must be "
                f"between 1 and {_PER_SECOND_MAX}, if provided."
            )
        if any(task.status in _ACTIVE for task in await self._tasks.of(source)):
            raise InvalidParameterValueException(
                "There is already a task running. Only one active task is allowed for a source queue arn at a "
                "given time."
            )
        task = MoveTask(
            id=str(uuid.uuid4()),
            source=source.key,
            source_arn=source.arn,
            destination_arn=destination or None,
            per_second=per_second,
            started_ms=self._queues.now_ms,
            to_move=(await self._queues.counts(source.messages)).visible,
        )
        await self._tasks.begin(task)
        return {"TaskHandle": task.handle}

    async def cancel_message_move_task(self, call: Call, parameters: Members) -> Members:
        """Stop a task; what has been moved stays moved (API page CancelMessageMoveTask).

        Raises:
            ResourceNotFoundException: there is no such task that is active.
        """
        handle: str = parameters.get("TaskHandle") or ""
        if not handle:
            raise missing("TaskHandle")
        try:
            arn = json.loads(base64.b64decode(handle, validate=True))["sourceArn"]
        except (ValueError, KeyError, TypeError, binascii.Error):
            raise InvalidParameterValueException("Value for parameter TaskHandle is invalid.") from None
        source = await self._queue(call, {"SourceArn": arn}, "SourceArn")
        for task in await self._tasks.of(source):
            if task.handle == handle and task.status in _ACTIVE:
                return {"ApproximateNumberOfMessagesMoved": (await self._tasks.cancel(task)).moved}
        raise ResourceNotFoundException("Task does not exist.")

    async def list_message_move_tasks(self, call: Call, parameters: Members) -> Members:
        """Return the latest tasks of a source, newest first (API page ListMessageMoveTasks).

        Raises:
            ResourceNotFoundException: the queue does not exist.
        """
        source = await self._queue(call, parameters, "SourceArn")
        given: int | None = parameters.get("MaxResults")
        limit = 1 if given is None else given
        if not 1 <= limit <= _RESULTS_MAX:
            raise InvalidParameterValueException(
                f"Value {limit} for parameter MaxResults is invalid. Reason: Must be between 1 and "
                f"{_RESULTS_MAX}, if provided."
            )
        tasks = sorted(await self._tasks.of(source), key=lambda task: task.started_ms, reverse=True)
        return {"Results": [_shown(task) for task in tasks[:limit]]}

    async def _queue(self, call: Call, parameters: Members, member: str) -> MessageQueue:
        arn: str = parameters.get(member) or ""
        if not arn:
            raise missing(member)
        if parse_arn(arn) is None:
            raise InvalidParameterValueException(
                f"You must use this format to specify the {member}: "
                "arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
            )
        queue = await self._lookup.message_queues.find(arn)
        if queue is None or queue.account != call.account or queue.region != call.region:
            raise ResourceNotFoundException(
                f"The resource that you specified for the {member} parameter doesn't exist."
            )
        return queue


def _shown(task: MoveTask) -> dict[str, object]:
    shown: dict[str, object] = {
        "Status": task.status,
        "SourceArn": task.source_arn,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "StartedTimestamp": task.started_ms,
    }
    if task.status in _ACTIVE:
        shown["TaskHandle"] = task.handle
    if task.destination_arn:
        shown["DestinationArn"] = task.destination_arn
    if task.per_second is not None:
        shown["MaxNumberOfMessagesPerSecond"] = task.per_second
    if task.failure_reason is not None:
        shown["FailureReason"] = task.failure_reason
    return shown
