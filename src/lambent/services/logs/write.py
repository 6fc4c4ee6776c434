"""PutLogEvents: what may be written into a stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import InvalidParameterException
from lambent.services import Members
from lambent.services.logs.lookup import Lookup
from lambent.store import LogEvent, LogEvents
from lambent.store.log_groups import DAY_MS
from lambent.store.log_order import message_bytes
from lambent.telemetry.log_subscriptions import LogSubscriptions

SEQUENCE_TOKEN = "49600000000000000000000000000000000000000000000000000000"  # noqa: S105 - says nothing, as at AWS
BATCH_MAX_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
SPAN_MAX_MS = DAY_MS
PAST_MAX_MS = 14 * DAY_MS
FUTURE_MAX_MS = 2 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which events of a batch are kept: those from `begin` up to `end`."""

    begin: int
    end: int
    rejected: Members
    """AWS's ``rejectedLogEventsInfo``; empty when all are kept."""


class Writing:
    """The operation that writes events."""

    def __init__(
        self, lookup: Lookup, log_events: LogEvents, clock: Clock, subscriptions: LogSubscriptions
    ) -> None:
        self._lookup = lookup
        self._log_events = log_events
        self._clock = clock
        self._subscriptions = subscriptions

    async def put_log_events(self, call: Call, parameters: Members) -> Members:
        """PutLogEvents. Sequence tokens are ignored, as AWS has done since 2023.

        Raises:
            InvalidParameterException: the batch is too large, spans more than a day or is not in order of
            time. ResourceNotFoundException: there is no such group or stream.
        """
        events = [LogEvent(event["timestamp"], event["message"]) for event in parameters["logEvents"]]
        check_size([event.message for event in events])
        moments_ms = [event.timestamp_ms for event in events]
        if any(later < earlier for earlier, later in pairwise(moments_ms)):
            raise InvalidParameterException(
                "Log events in a single PutLogEvents request must be in chronological order."
            )
        group = await self._lookup.group(call, parameters)
        key = await self._lookup.stream(group, parameters["logStreamName"])
        now_ms = int(self._clock.now_s() * 1000)
        admission = admit(moments_ms, now_ms=now_ms, expired_before_ms=group.expired_before_ms(now_ms))
        kept = events[admission.begin : admission.end]
        if kept:
            (runs,) = await self._log_events.append([(key, kept)], ingestion_ms=now_ms)
            await self._subscriptions.written([(group, key.stream, runs)])
        result: dict[str, Any] = {"nextSequenceToken": SEQUENCE_TOKEN}
        if admission.rejected:
            result["rejectedLogEventsInfo"] = admission.rejected
        return result


def check_size(messages: Sequence[str]) -> None:
    """Check a batch against AWS's limits of bytes.

    Raises:
        InvalidParameterException: one event or all together are too large.
    """
    sizes = [message_bytes(message) + EVENT_OVERHEAD_BYTES for message in messages]
    if max(sizes) > BATCH_MAX_BYTES:
        raise InvalidParameterException(
            f"Log event too large: {max(sizes)} bytes exceeds limit of {BATCH_MAX_BYTES}"
        )
    if sum(sizes) > BATCH_MAX_BYTES:
        raise InvalidParameterException(
            f"Upload too large: {sum(sizes)} bytes exceeds limit of {BATCH_MAX_BYTES}"
        )


def admit(moments_ms: Sequence[int], *, now_ms: int, expired_before_ms: int) -> Admission:
    """Decide which events of a batch in order of time are neither too old nor too new.

    Args:
        moments_ms: the events' timestamps.
        now_ms: the time.
        expired_before_ms: the group's retention ends here; 0 when it has none.

    Raises:
        InvalidParameterException: those that would be kept span more than 24 hours.
    """
    too_old = sum(moment_ms < now_ms - PAST_MAX_MS for moment_ms in moments_ms)
    expired = sum(moment_ms < expired_before_ms for moment_ms in moments_ms)
    end = sum(moment_ms <= now_ms + FUTURE_MAX_MS for moment_ms in moments_ms)
    begin = min(max(too_old, expired), end)
    if begin < end and moments_ms[end - 1] - moments_ms[begin] > SPAN_MAX_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    rejected: dict[str, int] = {}
    if end < len(moments_ms):
        rejected["tooNewLogEventStartIndex"] = end
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired:
        rejected["expiredLogEventEndIndex"] = expired
    return Admission(begin=begin, end=end, rejected=rejected)
