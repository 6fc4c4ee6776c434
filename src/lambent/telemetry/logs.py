"""The listener that writes functions' logs: facts become events of CloudWatch log streams.

The lines are those of `lambent.domain.log_line`; the group (``/aws/lambda/name`` unless configured otherwise)
is made by the first line that is written to it, as at AWS, and made again after it was deleted. A batch of
facts becomes one append: the events of an execution environment go into the store as one chunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lambent.clock import Clock
from lambent.domain.facts import Fact, Origin, Output
from lambent.domain.log_line import lines_of, platform_texts
from lambent.store import Documents, LogEvent, LogEvents, StreamKey
from lambent.store.log_groups import LogGroup, LogGroupKey, LogGroups
from lambent.telemetry.log_subscriptions import LogSubscriptions

_SLICE_FACTS = 500
"""So many become lines before others have their turn on the event loop: a millisecond's work."""
_MANY_STREAMS = 32
_PACE_S = 0.4
"""Every stream of a batch becomes a chunk, whatever is in it. While many environments are at work, their lines are seen
half a second after they were written."""


class LogListener:
    """Writes the log lines of facts into log streams; a `lambent.telemetry.stream.Listener`."""

    def __init__(
        self, *, documents: Documents, log_events: LogEvents, clock: Clock, subscriptions: LogSubscriptions
    ) -> None:
        """Make the listener.

        Args:
            documents: where log groups are kept.
            log_events: where events go.
            clock: tells when events were ingested.
            subscriptions: are told of what was written.
        """
        self._groups = LogGroups(documents)
        self._log_events = log_events
        self._clock = clock
        self._subscriptions = subscriptions
        self.pace_s = 0.0
        """For how long no batch is wanted after the last one."""

    async def consume(self, facts: Sequence[Fact]) -> None:
        """Write the lines of a batch of facts; returns when they are durable."""
        written = await _events_by_origin(facts)
        self.pace_s = _PACE_S if len(written) > _MANY_STREAMS else 0.0
        if not written:
            return
        now_ms = int(self._clock.now_s() * 1000)
        groups: dict[LogGroupKey, LogGroup] = {}
        batches: list[tuple[StreamKey, Sequence[LogEvent]]] = []
        for origin, events in written:
            key = _group_of(origin)
            if key not in groups:
                groups[key] = await self._groups.ensure(key, now_ms=now_ms)
            batches.append((StreamKey(group=groups[key].events_key, stream=origin.log_stream), events))
        kept = await self._log_events.append(batches, ingestion_ms=now_ms)
        if any(group.subscription_filters for group in groups.values()):
            await self._subscriptions.written(
                [
                    (groups[_group_of(origin)], origin.log_stream, runs)
                    for (origin, _), runs in zip(written, kept, strict=True)
                ]
            )


async def _events_by_origin(facts: Sequence[Fact]) -> list[tuple[Origin, list[LogEvent]]]:
    # By identity: an environment's facts share one origin, and hashing it for every fact would cost more than
    # the rest of this function.
    found: dict[int, tuple[Origin, list[LogEvent]]] = {}
    for begin in range(0, len(facts), _SLICE_FACTS):
        if begin:
            await asyncio.sleep(0)
        for fact in facts[begin : begin + _SLICE_FACTS]:
            origin = fact.origin
            entry = found.get(id(origin))
            if entry is None:
                entry = found[id(origin)] = (origin, [])
            add = entry[1].append
            if type(fact) is Output:
                for line in lines_of(fact):
                    add(LogEvent(int(line.at_s * 1000), line.text))
            else:
                at_ms = int(fact.at_s * 1000)
                for text in platform_texts(fact):
                    add(LogEvent(at_ms, text))
    return [(origin, events) for origin, events in found.values() if events]


def _group_of(origin: Origin) -> LogGroupKey:
    return LogGroupKey(account=origin.function.account, region=origin.function.region, name=origin.log_group)
