"""Reading events: GetLogEvents (one stream, both directions) and FilterLogEvents (a group, with a pattern)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.domain.log_pattern import compile_pattern
from lambent.errors import InvalidParameterException
from lambent.services import Members
from lambent.services.logs.lookup import Lookup
from lambent.services.logs.tokens import invalid_token, place_of, token_of
from lambent.store import LogEvents, LogQuery, StoredEvent
from lambent.store.log_groups import LogGroup
from lambent.store.log_order import event_id, next_id, previous_id

EVENTS_MAX = 10_000
_BACKWARDS_FROM_MS = 1_704_067_200_000
"""2024-01-01; AWS reads backwards only from there on."""
_POSITION = re.compile(r"([fb])/(\d{56})/s", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Position:
    """Between two events of a stream, on the way to the later or to the earlier ones."""

    goes_forward: bool
    identifier: str
    """Forward: the last event before the position; backward: the first one behind it."""


class Reading:
    """Operations that read events."""

    def __init__(self, lookup: Lookup, log_events: LogEvents, clock: Clock) -> None:
        self._lookup = lookup
        self._log_events = log_events
        self._clock = clock

    async def get_log_events(self, call: Call, parameters: Members) -> Members:
        """GetLogEvents: a page of one stream, with tokens in both directions.

        At either end of the stream the page is empty and the token for going on is the one that was given, so
        that callers know when to stop, and may ask again later for what has come since.

        Raises:
            ResourceNotFoundException: there is no such group or stream.
            InvalidParameterException: the token is not ours.
        """
        group = await self._lookup.group(call, parameters)
        key = await self._lookup.stream(group, parameters["logStreamName"])
        position = _position_of(parameters.get("nextToken"))
        start_ms = self._start_ms(group, parameters)
        goes_forward = position.goes_forward if position else parameters.get("startFromHead", False)
        page = await self._log_events.read(
            LogQuery(
                group=key.group,
                streams=[key.stream],
                start_ms=start_ms,
                end_ms=parameters.get("endTime"),
                after=position.identifier if position and goes_forward else None,
                before=position.identifier if position and not goes_forward else None,
                newest_first=not goes_forward,
                limit=parameters.get("limit", EVENTS_MAX),
            )
        )
        events = page.events if goes_forward else page.events[::-1]
        shown = [
            {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingestion_ms}
            for event in events
        ]
        return {"events": shown} | _stream_tokens(events, position, start_ms)

    async def filter_log_events(self, call: Call, parameters: Members) -> Members:
        """FilterLogEvents: events of a group in order of time, of all or some streams, that match a pattern.

        A page may be empty and still have a token: a search is cut into pieces, as at AWS.

        Raises:
            ResourceNotFoundException: there is no such group or stream.
            InvalidParameterException: the pattern or the token is invalid, or streams are chosen in two ways.
        """
        group = await self._lookup.group(call, parameters)
        names: list[str] | None = parameters.get("logStreamNames")
        prefix: str = parameters.get("logStreamNamePrefix", "")
        if names and prefix:
            raise InvalidParameterException(
                "logStreamNamePrefix and logStreamNames are mutually exclusive parameters."
            )
        for name in names or ():
            await self._lookup.stream(group, name)
        goes_forward, position = _direction(parameters)
        pattern: str = parameters.get("filterPattern", "")
        end_ms: int | None = parameters.get("endTime")
        page = await self._log_events.read(
            LogQuery(
                group=group.events_key,
                streams=names,
                stream_prefix=prefix,
                start_ms=self._start_ms(group, parameters),
                # Unlike GetLogEvents, this operation's end is inclusive.
                end_ms=None if end_ms is None else end_ms + 1,
                after=position if goes_forward else None,
                before=None if goes_forward else position,
                newest_first=not goes_forward,
                matches=compile_pattern(pattern).matches if pattern.strip() else None,
                limit=parameters.get("limit", EVENTS_MAX),
            )
        )
        # AWS no longer says which streams were searched; the list is there and empty.
        result: dict[str, Any] = {
            "events": [_filtered(event) for event in page.events],
            "searchedLogStreams": [],
        }
        if page.position is not None:
            result["nextToken"] = token_of((goes_forward, page.position))
        return result

    def _start_ms(self, group: LogGroup, parameters: Members) -> int:
        """Return where to begin: expired events are not shown, even before the sweep removes them."""
        now_ms = int(self._clock.now_s() * 1000)
        return max(parameters.get("startTime", 0), group.expired_before_ms(now_ms))


def _position_of(token: str | None) -> _Position | None:
    if token is None:
        return None
    match = _POSITION.fullmatch(token)
    if match is None:
        raise invalid_token()
    return _Position(goes_forward=match[1] == "f", identifier=match[2])


def _stream_tokens(
    events: Sequence[StoredEvent], position: _Position | None, start_ms: int
) -> dict[str, str]:
    """Return the tokens for the pages on both sides of this one."""
    if events:
        forward, backward = events[-1].event_id, events[0].event_id
    elif position is None:
        # Nothing yet: whatever comes from the start on is still ahead.
        forward = backward = event_id((start_ms, 0, 0))
    elif position.goes_forward:
        forward, backward = position.identifier, next_id(position.identifier)
    else:
        forward, backward = previous_id(position.identifier), position.identifier
    return {"nextForwardToken": f"f/{forward}/s", "nextBackwardToken": f"b/{backward}/s"}


def _direction(parameters: Members) -> tuple[bool, str | None]:
    """Return whether a filter goes forward, and the event after which it goes on; a token knows both."""
    if "nextToken" in parameters:
        goes_forward, position = place_of(parameters["nextToken"], tuple[bool, str])
        if not re.fullmatch(r"\d{56}", position, re.ASCII):
            raise invalid_token()
        return goes_forward, position
    goes_forward = parameters.get("startFromHead", True)
    if not goes_forward and parameters.get("startTime", 0) < _BACKWARDS_FROM_MS:
        raise InvalidParameterException(
            "startFromHead=false is supported only when startTime is on or after Jan 1, 2024 00:00:00 UTC."
        )
    return goes_forward, None


def _filtered(event: StoredEvent) -> dict[str, Any]:
    return {
        "logStreamName": event.stream,
        "timestamp": event.timestamp_ms,
        "message": event.message,
        "ingestionTime": event.ingestion_ms,
        "eventId": event.event_id,
    }
