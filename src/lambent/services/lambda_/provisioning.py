"""Keeping as many environments ready as provisioned concurrency asks for, in the background.

Owns the background tasks and how far each allocation has come; that is not stored, because environments do not
outlive the server: after a restart everything is allocated again. Of what is configured where, the functions
that `begin` is given are the only truth.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lambent.domain.concurrency import (
    FAILED,
    IN_PROGRESS,
    READY,
    Allocation,
    Provisioned,
    ProvisioningError,
)
from lambent.domain.function import Function, FunctionKey, FunctionVersion
from lambent.domain.ledger import PROVISIONED
from lambent.domain.upkeep import Upkeep
from lambent.services.lambda_.versions import qualified_version

_log = logging.getLogger(__name__)


class Environments(Protocol):
    """The environments that are kept ready, as `lambent.invoke` offers them."""

    async def provision(self, version: FunctionVersion, count: int) -> None:
        """Keep this many environments of a version ready, and return when they are.

        Raises:
            ProvisioningError: they cannot be; none is kept then.
        """
        ...

    def provisioned(self, version: FunctionVersion) -> Provisioned:
        """Return what is kept ready of a version now."""
        ...


@dataclass(slots=True, kw_only=True)
class _Entry:
    """The allocation for one version or alias."""

    allocation_id: str
    requested: int
    version: FunctionVersion
    serving: FunctionVersion | None
    """The version that an alias pointed to before, until the new one is ready."""
    status: str = IN_PROGRESS
    status_reason: str | None = None

    def upkeep(self, qualifier: str) -> Upkeep | None:
        """Return what is kept ready for its version or alias, if that is anything yet."""
        version = self.serving or (self.version if self.status == READY else None)
        if version is None:
            return None
        return Upkeep(
            id=self.allocation_id,
            kind=PROVISIONED,
            version=version,
            alias="" if qualifier.isdigit() else qualifier,
            count=self.requested,
        )

    def wanted(self, configuration_id: str) -> int:
        """How many environments of a configuration it needs."""
        versions = [self.serving, None if self.status == FAILED else self.version]
        return self.requested * any(
            v is not None and v.configuration_id == configuration_id for v in versions
        )


Keeps = Callable[[FunctionKey, Sequence[Upkeep]], None]
"""Takes note of all that is kept ready for a function now."""


class Provisioning:
    """Allocates and releases provisioned concurrency.

    Args:
        environments: those that are kept ready.
        keeps: told whenever something else is kept ready than before, since that is what is paid for.
    """

    def __init__(self, environments: Environments, keeps: Keeps = lambda key, kept: None) -> None:
        self._environments = environments
        self._keeps = keeps
        self._entries: dict[FunctionKey, dict[str, _Entry]] = {}
        self._configured: list[Function] = []
        self._held: dict[FunctionKey, dict[str, FunctionVersion]] = {}
        self._tasks: dict[FunctionKey, asyncio.Task[None]] = {}
        self._locks: defaultdict[FunctionKey, asyncio.Lock] = defaultdict(asyncio.Lock)

    def begin(self, function: Function) -> None:
        """Start to bring about what a stored function asks for; call it after each change of that."""
        known = self._entries.get(function.key, {})
        entries = {
            qualifier: _entry(function, qualifier, known.get(qualifier)) for qualifier in function.provisioned
        }
        if entries.keys() != known.keys() or any(entry is not known[q] for q, entry in entries.items()):
            self._begin(function.key, entries)

    def release(self, key: FunctionKey) -> None:
        """Let go of everything that is kept for a function that was deleted."""
        if key in self._entries:
            self._begin(key, {})

    def allocation(self, key: FunctionKey, qualifier: str) -> Allocation:
        """Return how far the provisioned concurrency of a version or alias has come."""
        entry = self._entries.get(key, {}).get(qualifier)
        if entry is None:
            return Allocation(status=IN_PROGRESS)
        now = self._environments.provisioned(entry.serving or entry.version)
        return Allocation(
            status=entry.status,
            status_reason=entry.status_reason,
            # Two aliases may share the environments of a version.
            provisioned=Provisioned(
                allocated=min(now.allocated, entry.requested), available=min(now.available, entry.requested)
            ),
        )

    def resume(self, functions: Iterable[Function]) -> None:
        """Learn at start what is configured, to be allocated when environments can be started."""
        self._configured = [function for function in functions if function.provisioned]

    def start(self) -> None:
        """Allocate what was configured before this server started."""
        configured, self._configured = self._configured, []
        for function in configured:
            self.begin(function)

    async def settled(self) -> None:
        """Return when nothing is being allocated or released."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def close(self) -> None:
        """Stop; the environments are left to their owner."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: FunctionKey, entries: dict[str, _Entry]) -> None:
        if entries:
            self._entries[key] = entries
        else:
            self._entries.pop(key, None)
        self._tell(key)
        if earlier := self._tasks.get(key):
            earlier.cancel()
        task = asyncio.create_task(self._work(key))
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._end(key, done))

    def _end(self, key: FunctionKey, task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
            del self._locks[key]

    async def _work(self, key: FunctionKey) -> None:
        # Work that was cancelled may need a moment to end.
        async with self._locks[key]:
            await self._bring_about(key)

    async def _bring_about(self, key: FunctionKey) -> None:
        held = self._held.setdefault(key, {})
        for entry in list(self._entries.get(key, {}).values()):
            if entry.status == IN_PROGRESS:
                held[entry.version.configuration_id] = entry.version
                await self._allocate(key, entry)
        # What an alias has left, or was given up, is released only now.
        for configuration_id, version in list(held.items()):
            count = self._wanted(key, configuration_id)
            await self._environments.provision(version, count)
            if count == 0:
                del held[configuration_id]
        if not held:
            self._held.pop(key, None)

    async def _allocate(self, key: FunctionKey, entry: _Entry) -> None:
        try:
            await self._environments.provision(
                entry.version, self._wanted(key, entry.version.configuration_id)
            )
        except ProvisioningError as error:
            entry.status, entry.status_reason = FAILED, error.reason
        except Exception:
            _log.exception("Provisioned concurrency of %s could not be allocated", entry.version.arn)
            entry.status, entry.status_reason = FAILED, "INTERNAL_ERROR"
        else:
            entry.status = READY
        entry.serving = None
        self._tell(key)

    def _tell(self, key: FunctionKey) -> None:
        kept = [entry.upkeep(qualifier) for qualifier, entry in self._entries.get(key, {}).items()]
        self._keeps(key, [upkeep for upkeep in kept if upkeep is not None])

    def _wanted(self, key: FunctionKey, configuration_id: str) -> int:
        return sum(entry.wanted(configuration_id) for entry in self._entries.get(key, {}).values())


def _entry(function: Function, qualifier: str, known: _Entry | None) -> _Entry:
    """Return the entry for a qualifier: the known one while it is what is asked for."""
    config = function.provisioned[qualifier]
    version = qualified_version(function, qualifier)
    assert version is not None, "what is configured for a version or alias goes with it"
    serving = None
    if known is not None:
        has_moved = known.version.configuration_id != version.configuration_id
        if known.allocation_id == config.allocation_id and not has_moved:
            return known
        if has_moved:
            serving = known.serving or (known.version if known.status == READY else None)
    return _Entry(
        allocation_id=config.allocation_id, requested=config.requested, version=version, serving=serving
    )
