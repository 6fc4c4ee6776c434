"""Changes to event source mappings, each decided on what is stored, and their coming into effect.

A change is acknowledged while it is under way (``Creating``, ``Updating``, …) and comes to its end in the
background, also after a restart. Which moves are legal is said in `domain.mapping`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from lambent.clock import Clock
from lambent.domain.mapping import DELETED, EventSourceMapping, settled
from lambent.errors import ResourceConflictException
from lambent.services.lambda_.background import Background, insisted
from lambent.store import RevisionConflict
from lambent.store.mappings import Mappings

_ATTEMPTS_MAX = 8
_log = logging.getLogger(__name__)

Changed = Callable[[EventSourceMapping], None]
Refuse = Callable[[EventSourceMapping, str], ResourceConflictException]
"""Makes the error for a mapping that would be the same as the one with this UUID."""


class MappingStates:
    """Changes stored mappings and lets the changes come into effect."""

    def __init__(self, mappings: Mappings, clock: Clock, changed: Changed = lambda mapping: None) -> None:
        """Make it.

        Args:
            mappings: where mappings are kept.
            clock: the time.
            changed: told of every mapping whose change has come into effect; a deleted one is `DELETED`.
        """
        self._mappings = mappings
        self._clock = clock
        self._changed = changed
        self._background = Background()

    async def create(self, mapping: EventSourceMapping, *, refuse: Refuse) -> None:
        """Keep a new mapping and begin to settle it.

        Raises:
            ResourceConflictException: there is one with this source and function.
        """
        try:
            await self._mappings.create(mapping)
        except RevisionConflict as error:
            raise refuse(mapping, await self._mappings.find_same(mapping) or "") from error
        self.begin(mapping)

    async def change(
        self,
        account: str,
        region: str,
        uuid: str,
        decide: Callable[[EventSourceMapping], EventSourceMapping],
        *,
        refuse: Refuse,
    ) -> EventSourceMapping | None:
        """Replace a mapping by what `decide` makes of it, and return that.

        Args:
            account: whose it is.
            region: where it is.
            uuid: which it is.
            decide: pure; may raise a ServiceError, and may be asked again when somebody else was faster.
            refuse: makes the error for when another mapping has the same source and function.

        Returns:
            None when there is no such mapping.

        Raises:
            ResourceConflictException: another mapping has its new function, or others changed it meanwhile.
        """
        for _ in range(_ATTEMPTS_MAX):
            found = await self._mappings.get(account, region, uuid)
            if found is None:
                return None
            revision, before = found
            after = decide(before)
            try:
                await self._mappings.replace(before, after, expect_revision=revision)
            except RevisionConflict as error:
                same = await self._mappings.find_same(after)
                if same not in (None, uuid):
                    raise refuse(after, same or "") from error
                continue
            self.begin(after)
            return after
        raise ResourceConflictException(
            f"The operation cannot be performed at this time. An update is in progress for resource: {uuid}"
        )

    def begin(self, mapping: EventSourceMapping) -> None:
        """Let a change that is under way come into effect, in the background."""
        if not mapping.is_settled:
            self._background.begin(self._settle(mapping))

    def resume(self, mappings: Iterable[EventSourceMapping]) -> None:
        """Complete at start what a server that ended left under way."""
        for mapping in mappings:
            self.begin(mapping)

    async def settled(self) -> None:
        """Return when no change is under way."""
        await self._background.settled()

    async def close(self) -> None:
        """Stop; what is under way stays so and is completed after the next start."""
        await self._background.close()

    async def _settle(self, mapping: EventSourceMapping) -> None:
        await insisted(partial(self._try_to_settle, mapping), _log, f"The change of {mapping.arn}")

    async def _try_to_settle(self, mapping: EventSourceMapping) -> None:
        for _ in range(_ATTEMPTS_MAX):
            found = await self._mappings.get(mapping.account, mapping.region, mapping.uuid)
            if found is None or found[1].is_settled:
                return
            with contextlib.suppress(RevisionConflict):
                await self._write_settled(*found)
                return
        raise RuntimeError("others changed it again and again")

    async def _write_settled(self, revision: int, mapping: EventSourceMapping) -> None:
        if mapping.settles_in == DELETED:
            await self._mappings.delete(mapping, expect_revision=revision)
            self._changed(settled(mapping))
            return
        after = replace(settled(mapping), last_modified_s=self._clock.now_s())
        await self._mappings.replace(mapping, after, expect_revision=revision)
        self._changed(after)
