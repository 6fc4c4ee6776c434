"""Retention: how long a group keeps its events, and what really removes what is older."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from lambent.clock import Clock
from lambent.domain.call import Call
from lambent.errors import InvalidParameterException
from lambent.services import Members
from lambent.services.logs.lookup import Lookup, group_key
from lambent.store import Documents, LogEvents
from lambent.store.log_groups import LogGroup, LogGroups

RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""What AWS lets one choose."""
_PAGE = 1_000


class Retention:
    """Operations on retention policies."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def put_retention_policy(self, call: Call, parameters: Members) -> Members:
        """PutRetentionPolicy.

        Raises:
            InvalidParameterException: not one of the numbers of days that AWS offers.
            ResourceNotFoundException: there is no such group.
        """
        days: int = parameters["retentionInDays"]
        if days not in RETENTION_DAYS:
            raise InvalidParameterException(
                f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: "
                f"Member must satisfy enum value set: [{', '.join(map(str, RETENTION_DAYS))}]"
            )
        await self._lookup.change(
            group_key(call, parameters), lambda group: replace(group, retention_days=days)
        )
        return {}

    async def delete_retention_policy(self, call: Call, parameters: Members) -> Members:
        """DeleteRetentionPolicy: events never expire again.

        Raises:
            ResourceNotFoundException: there is no such group.
        """
        await self._lookup.change(
            group_key(call, parameters), lambda group: replace(group, retention_days=None)
        )
        return {}


async def expire_logs(*, documents: Documents, log_events: LogEvents, clock: Clock) -> None:
    """Remove expired events, and events whose group was deleted while someone still wrote to it."""
    # First what the events know, then the groups: a group is always kept before its first event, so that one
    # without a document has been deleted.
    orphans = set(await log_events.sizes())
    now_ms = int(clock.now_s() * 1000)
    async for group in _all(LogGroups(documents)):
        orphans.discard(group.events_key)
        before_ms = group.expired_before_ms(now_ms)
        if before_ms:
            await log_events.expire(group.events_key, before_ms=before_ms)
    for events_key in sorted(orphans):
        await log_events.delete(events_key)


async def _all(groups: LogGroups) -> AsyncIterator[LogGroup]:
    after = ""
    while page := await groups.page_of_all(after=after, limit=_PAGE):
        for group in page:
            yield group
        after = page[-1].key.path
