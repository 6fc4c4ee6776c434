"""What is written to a log group goes to its subscribers, too: whoever writes events tells of them here.

The parcels are durable before the writer goes on. A group without subscription filters costs a look at its list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from lambent.domain.log_subscription import LogSource, parcels_of
from lambent.domain.parcel import Parcel
from lambent.store import KeptEvents
from lambent.store.log_groups import LogGroup
from lambent.store.log_order import identified

Tell = Callable[[Sequence[Parcel]], Awaitable[None]]
"""Keeps durably what is to be delivered."""


class LogSubscriptions:
    """Sends events to the subscribers of their groups."""

    def __init__(self, tell: Tell) -> None:
        """Make it; `tell` takes the parcels."""
        self._tell = tell

    async def written(self, written: Sequence[tuple[LogGroup, str, Sequence[KeptEvents]]]) -> None:
        """Send what was written; returns when it is kept durably.

        Args:
            written: group, stream, and what the store says that it kept there.
        """
        parcels: list[Parcel] = []
        for group, stream, kept in written:
            if group.subscription_filters and kept:
                # Patterns and compression of a megabyte take a while: the event loop need not wait.
                parcels += await asyncio.to_thread(_parcels, group, stream, kept)
        if parcels:
            await self._tell(parcels)


def _parcels(group: LogGroup, stream: str, kept: Sequence[KeptEvents]) -> list[Parcel]:
    source = LogSource(
        account=group.key.account,
        region=group.key.region,
        group=group.key.name,
        group_arn=group.key.arn,
        stream=stream,
    )
    return parcels_of(group.subscription_filters, source, identified(kept))
