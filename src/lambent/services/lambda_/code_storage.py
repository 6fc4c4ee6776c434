"""An account's code storage: deployment packages as blobs, each kept for as long as something needs it.

Blobs are named by their content, so functions that were given the same zip share one. A package is needed
while a stored version of a function or layer refers to it (`Records` and `LayerRecords` report every change)
and while an operation is about to store such a version (`holding`). What nothing needs any more is deleted: at
once when no version ever referred to it, after a grace period when one did, because an invocation that was
assigned before may still have to unpack it. A server that is killed in between forgets nothing: the next one does so
when it starts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from lambent.clock import Clock
from lambent.domain.function import Code, Function
from lambent.domain.layer import Layer
from lambent.domain.limits import CODE_STORAGE_MAX_BYTES
from lambent.errors import CodeStorageExceededException
from lambent.services.lambda_.packages import check_package
from lambent.store import Blobs

GRACE_S = 900.0
"""The longest time that an invocation can wait for code that was replaced: Lambda's maximum timeout."""
Owner = Function | Layer
"""What has versions that packages are kept for."""
_LOCKS = 64
_INSPECTIONS_MAX = 4


class CodeStorage:
    """Keeps and forgets deployment packages."""

    def __init__(self, blobs: Blobs, clock: Clock) -> None:
        self._blobs = blobs
        self._clock = clock
        self._references: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._used_bytes: Counter[tuple[str, str]] = Counter()
        self._is_counted = False
        self._locks = [asyncio.Lock() for _ in range(_LOCKS)]
        self._inspecting = asyncio.Semaphore(_INSPECTIONS_MAX)
        self._forgetting: dict[str, asyncio.Task[None]] = {}

    async def count(self, owners: Iterable[Owner]) -> None:
        """Learn at start which packages are needed, and forget those that a killed server would have forgotten.

        Before this nothing is ever deleted.
        """
        for owner in owners:
            self._references.update(_blobs_of(owner))
            self._used_bytes[_place_of(owner)] += _size_bytes(owner)
        await self._blobs.keep_only({blob for blob, count in self._references.items() if count > 0})
        self._is_counted = True

    def used_bytes(self, account: str, region: str) -> int:
        """Return what an account's functions and layers take in a region: ``TotalCodeSize``."""
        return self._used_bytes[account, region]

    def check_room(self, account: str, region: str, added_bytes: int) -> None:
        """Hold an account to its code storage in a region.

        Raises:
            CodeStorageExceededException: a package of this size would not fit.
        """
        if self.used_bytes(account, region) + added_bytes > CODE_STORAGE_MAX_BYTES:
            raise CodeStorageExceededException("Code storage limit exceeded.")

    async def inspect(self, content: bytes) -> Code:
        """Check a deployment package and return what it would be stored as.

        Raises:
            InvalidParameterValueException: see `check_package`.
        """
        async with self._inspecting:
            return await asyncio.to_thread(_inspect, content)

    @asynccontextmanager
    async def holding(self, content: bytes) -> AsyncGenerator[Code]:
        """Check and store a deployment package; it stays at least until the block ends.

        Raises:
            InvalidParameterValueException: see `check_package`.
        """
        code = await self.inspect(content)
        self._held[code.blob] += 1
        try:
            async with self._lock(code.blob):
                await self._blobs.put(content)
            yield code
        finally:
            self._held[code.blob] -= 1
            if not self._is_needed(code.blob) and code.blob not in self._forgetting:
                await self._forget(code.blob)

    async def content(self, code: Code) -> bytes:
        """Return a package that is kept."""
        return await asyncio.to_thread(self._blobs.path(code.blob).read_bytes)

    def settle(self, before: Owner | None, after: Owner | None) -> None:
        """Take note of a change to a stored function or layer."""
        gone, come = _blobs_of(before), _blobs_of(after)
        for owner, sign in ((before, -1), (after, 1)):
            if owner is not None:
                self._used_bytes[_place_of(owner)] += sign * _size_bytes(owner)
        self._references.update(come)
        self._references.subtract(gone)
        for blob in gone - come:
            if not self._is_needed(blob):
                # The grace period counts from the last time that it was needed.
                if earlier := self._forgetting.get(blob):
                    earlier.cancel()
                self._forgetting[blob] = asyncio.create_task(self._forget_later(blob))

    async def close(self) -> None:
        """Delete now what nothing needs, instead of after the grace period."""
        waiting = dict(self._forgetting)
        for task in waiting.values():
            task.cancel()
        await asyncio.gather(*waiting.values(), return_exceptions=True)
        for blob in waiting:
            await self._forget(blob)

    async def _forget_later(self, blob: str) -> None:
        try:
            await self._clock.sleep(GRACE_S)
            await self._forget(blob)
        finally:
            if self._forgetting.get(blob) is asyncio.current_task():
                del self._forgetting[blob]

    async def _forget(self, blob: str) -> None:
        async with self._lock(blob):
            if self._is_counted and not self._is_needed(blob):
                await self._blobs.delete(blob)
        if not self._is_needed(blob):
            self._references.pop(blob, None)
            self._held.pop(blob, None)

    def _is_needed(self, blob: str) -> bool:
        return self._references[blob] > 0 or self._held[blob] > 0

    def _lock(self, blob: str) -> asyncio.Lock:
        # Storing and deleting the same content must not overlap: the later one would undo the earlier one.
        return self._locks[int(blob[:8], 16) % _LOCKS]


def _inspect(content: bytes) -> Code:
    unzipped_bytes = check_package(content)
    digest = hashlib.sha256(content)
    return Code(
        blob=digest.hexdigest(),
        sha256=base64.b64encode(digest.digest()).decode(),
        size_bytes=len(content),
        unzipped_bytes=unzipped_bytes,
    )


def _blobs_of(owner: Owner | None) -> Counter[str]:
    if owner is None:
        return Counter()
    if isinstance(owner, Layer):
        return Counter(version.code.blob for version in owner.versions.values())
    versions = [owner.latest, owner.serving, *owner.versions.values()]
    # Container images have no blob here.
    blobs = Counter(version.code.blob for version in versions if version is not None and version.code.blob)
    # A function keeps the layers that it has, also when they are deleted.
    blobs.update(layer.code.blob for version in versions if version is not None for layer in version.layers)
    return blobs


def _place_of(owner: Owner) -> tuple[str, str]:
    return owner.key.account, owner.key.region


def _size_bytes(owner: Owner) -> int:
    if isinstance(owner, Layer):
        return sum(version.code.size_bytes for version in owner.versions.values())
    return sum(version.code.size_bytes for version in (owner.latest, *owner.versions.values()))
