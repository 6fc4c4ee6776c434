"""The Logs service with its stores in memory, asked as callers ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from lambent.domain.call import Call, root_principal
from lambent.domain.parcel import Parcel
from lambent.errors import ServiceError
from lambent.services import Members
from lambent.services.logs import logs_service
from lambent.store import LogEvents
from lambent.store.functions import Functions
from lambent.telemetry.log_subscriptions import LogSubscriptions
from lambent.testing import ManualClock, MemoryLogEvents, MemoryStore

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Logs:
    """The service with its stores; operations are called by name and AWS member names."""

    def __init__(self, documents: MemoryStore) -> None:
        self.documents = documents
        self.events: LogEvents = MemoryLogEvents()
        self.clock = ManualClock()
        self.functions = Functions(documents)
        self.parcels: list[Parcel] = []
        self._operations = logs_service(
            documents=documents,
            log_events=self.events,
            functions=self.functions,
            subscriptions=LogSubscriptions(self._tell),
            clock=self.clock,
        )
        self.account, self.region = "000000000000", "us-east-1"

    async def _tell(self, parcels: Sequence[Parcel]) -> None:
        self.parcels += parcels

    @property
    def now_ms(self) -> int:
        return int(self.clock.now_s() * 1000)

    async def __call__(self, operation: str, **parameters: Any) -> Members:
        call = Call(
            account=self.account,
            region=self.region,
            request_id="r",
            access_key_id="k",
            principal=root_principal(self.account),
            endpoint_url="http://127.0.0.1:4566",
            at_s=self.clock.now_s(),
        )
        return await self._operations[operation](call, parameters)

    async def stream(self, group: str = "g", stream: str = "s") -> None:
        """Make a group with a stream."""
        await self("create_log_group", logGroupName=group)
        await self("create_log_stream", logGroupName=group, logStreamName=stream)

    async def put(self, *events: tuple[int, str], group: str = "g", stream: str = "s") -> Members:
        return await self(
            "put_log_events",
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": moment, "message": message} for moment, message in events],
        )

    async def fill(self, count: int, *, group: str = "g", stream: str = "s") -> list[str]:
        """Write messages, a second apart, the last one now."""
        messages = [f"line {number}" for number in range(count)]
        moments = [self.now_ms - (count - 1 - number) * 1000 for number in range(count)]
        await self.put(*zip(moments, messages, strict=True), group=group, stream=stream)
        return messages

    async def refused(self, error: type[ServiceError], operation: str, **parameters: Any) -> str:
        with pytest.raises(error) as refused:
            await self(operation, **parameters)
        return refused.value.message


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def messages_of(result: Members) -> list[str]:
    return [event["message"] for event in result["events"]]
