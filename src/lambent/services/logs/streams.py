"""Log streams: create, delete, describe."""

from __future__ import annotations

from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import InvalidParameterException, ResourceAlreadyExistsException
from lambent.services import Members
from lambent.services.logs.lookup import Lookup
from lambent.services.logs.tokens import place_of, token_of
from lambent.services.logs.write import SEQUENCE_TOKEN
from lambent.store import LogEvents, StreamKey, StreamSummary
from lambent.store.log_groups import LogGroup

_DESCRIBE_LIMIT = 50


class Streams:
    """Operations on log streams themselves."""

    def __init__(self, lookup: Lookup, log_events: LogEvents, clock: Clock) -> None:
        self._lookup = lookup
        self._log_events = log_events
        self._clock = clock

    async def create_log_stream(self, call: Call, parameters: Members) -> Members:
        """CreateLogStream.

        Raises:
            ResourceAlreadyExistsException: the group has a stream of this name.
            ResourceNotFoundException: there is no such group.
        """
        group = await self._lookup.group(call, parameters)
        key = StreamKey(group=group.events_key, stream=parameters["logStreamName"])
        if not await self._log_events.create_stream(key, created_ms=int(self._clock.now_s() * 1000)):
            raise ResourceAlreadyExistsException("The specified log stream already exists")
        return {}

    async def delete_log_stream(self, call: Call, parameters: Members) -> Members:
        """DeleteLogStream: the stream with all its events.

        Raises:
            ResourceNotFoundException: there is no such group or stream.
        """
        group = await self._lookup.group(call, parameters)
        key = await self._lookup.stream(group, parameters["logStreamName"])
        await self._log_events.delete(key.group, stream=key.stream)
        return {}

    async def describe_log_streams(self, call: Call, parameters: Members) -> Members:
        """DescribeLogStreams, by name or by the time of the last event, at most 50 at once.

        Raises:
            ResourceNotFoundException: there is no such group.
            InvalidParameterException: a prefix together with the order of time, or the token is not ours.
        """
        group = await self._lookup.group(call, parameters)
        prefix: str = parameters.get("logStreamNamePrefix", "")
        by_last_event = parameters.get("orderBy") == "LastEventTime"
        if prefix and by_last_event:
            raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
        limit: int = parameters.get("limit", _DESCRIBE_LIMIT)
        token: str | None = parameters.get("nextToken")
        found = await self._log_events.streams(
            group.events_key,
            prefix=prefix,
            by_last_event=by_last_event,
            descending=parameters.get("descending", False),
            after=None if token is None else place_of(token, tuple[int, str]),
            limit=limit + 1,
        )
        result: dict[str, Any] = {"logStreams": [_described(group, stream) for stream in found[:limit]]}
        if len(found) > limit:
            last = found[limit - 1]
            result["nextToken"] = token_of((last.last_event_ms or 0, last.key.stream))
        return result


def _described(group: LogGroup, stream: StreamSummary) -> dict[str, Any]:
    described: dict[str, Any] = {
        "logStreamName": stream.key.stream,
        "creationTime": stream.created_ms,
        "uploadSequenceToken": SEQUENCE_TOKEN,
        "arn": f"{group.key.arn}:log-stream:{stream.key.stream}",
        # AWS stopped counting per stream in 2019 and has reported zero since.
        "storedBytes": 0,
    }
    for member, moment_ms in (
        ("firstEventTimestamp", stream.first_event_ms),
        ("lastEventTimestamp", stream.last_event_ms),
        ("lastIngestionTime", stream.last_ingestion_ms),
    ):
        if moment_ms is not None:
            described[member] = moment_ms
    return described
