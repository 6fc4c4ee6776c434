"""Log groups as targets: a parcel becomes a log event.

What is ``{"timestamp": …, "message": …}`` says both by itself (API page PutTargets, InputTransformer). Whoever sends
has a log stream of its own. The group has to be there; whether EventBridge may write to it is not asked.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import msgspec

from lambent.arn import parse_arn
from lambent.clock import Clock
from lambent.delivery import Undeliverable
from lambent.domain.parcel import Parcel
from lambent.store import Documents, LogEvent, LogEvents, StreamKey
from lambent.store.log_groups import LogGroupKey, LogGroups

_RESOURCE = re.compile(r"log-group:(?P<name>[^:]+)(:\*)?")
_STREAMS = uuid.UUID("0b3ec3a1-0c4f-4c0e-8a52-3a7a52f3f3b5")
"""The namespace of streams' names."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A log event as a template may have it."""

    timestamp: int | str
    """In milliseconds since the epoch, or as events have it."""
    message: str


class LogGroupTarget:
    """See `lambent.delivery.Target`.

    Args:
        documents: where log groups are kept.
        log_events: where log events go.
        clock: the time.
    """

    def __init__(self, *, documents: Documents, log_events: LogEvents, clock: Clock) -> None:
        self._groups = LogGroups(documents)
        self._log_events = log_events
        self._clock = clock

    async def deliver(self, parcel: Parcel) -> None:
        arn = parse_arn(parcel.arn)
        match = _RESOURCE.fullmatch(arn.resource) if arn is not None else None
        if arn is None or match is None:
            raise Undeliverable("it is no log group's ARN", is_final=True)
        key = LogGroupKey(account=arn.account, region=arn.region, name=match["name"])
        group = await self._groups.get(key)
        if group is None:
            raise Undeliverable("there is no such log group", is_missing=True)
        now_ms = int(self._clock.now_s() * 1000)
        stream = uuid.uuid5(_STREAMS, parcel.sender.source_arn if parcel.sender is not None else "")
        place = StreamKey(group=group.events_key, stream=str(stream))
        await self._log_events.append([(place, [_log_event(parcel.body, now_ms)])], ingestion_ms=now_ms)


def _log_event(body: bytes, now_ms: int) -> LogEvent:
    try:
        line = msgspec.json.decode(body, type=_Line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return LogEvent(now_ms, body.decode(errors="replace"))
    timestamp = line.timestamp
    if isinstance(timestamp, str):
        try:
            moment = datetime.fromisoformat(timestamp)
            timestamp = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            timestamp = now_ms
    return LogEvent(timestamp, line.message)
