"""Event source mappings, kept as documents.

Beside each mapping lies a small document under what makes it unique (source and function), written and deleted
in the same `apply`: of two callers who create the same mapping, one is told about the other's.
"""

from __future__ import annotations

import hashlib

import msgspec

from lambent.domain.mapping import EventSourceMapping
from lambent.store import Delete, Documents, Put

KIND = "event-source-mapping"
PAIR_KIND = "event-source-mapping-pair"
_PAGE = 1000
_READS_FROM = ("SelfManagedEventSource", "Topics", "Queues", "DocumentDBEventSourceConfig")


class Mappings:
    """Typed access to stored event source mappings."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, account: str, region: str, uuid: str) -> tuple[int, EventSourceMapping] | None:
        """Return a mapping with the revision that `replace` may expect, or None."""
        document = await self._documents.get(KIND, f"{account}/{region}/{uuid}")
        if document is None:
            return None
        return document.revision, msgspec.json.decode(document.body, type=EventSourceMapping)

    async def find_same(self, mapping: EventSourceMapping) -> str | None:
        """Return the UUID of the mapping that has the same source and function, or None."""
        document = await self._documents.get(PAIR_KIND, _pair_key(mapping))
        return None if document is None else document.body.decode()

    async def create(self, mapping: EventSourceMapping) -> None:
        """Keep a new mapping durably.

        Raises:
            RevisionConflict: there is one with this source and function.
        """
        await self._documents.apply(_put(mapping, 0), _put_pair(mapping))

    async def replace(
        self, before: EventSourceMapping, after: EventSourceMapping, *, expect_revision: int
    ) -> None:
        """Keep a changed mapping durably.

        Raises:
            RevisionConflict: it is not at this revision, or there is another one with the new function.
        """
        changes: list[Put | Delete] = [_put(after, expect_revision)]
        if _pair_key(before) != _pair_key(after):
            changes += [Delete(kind=PAIR_KIND, key=_pair_key(before)), _put_pair(after)]
        await self._documents.apply(*changes)

    async def delete(self, mapping: EventSourceMapping, *, expect_revision: int) -> None:
        """Forget a mapping.

        Raises:
            RevisionConflict: it is not at this revision.
        """
        await self._documents.apply(
            Delete(kind=KIND, key=_key(mapping), expect_revision=expect_revision),
            Delete(kind=PAIR_KIND, key=_pair_key(mapping)),
        )

    async def list(
        self, account: str, region: str, *, after: str = "", limit: int = _PAGE
    ) -> list[EventSourceMapping]:
        """Return mappings of an account and region in the order of their UUIDs, after the given one."""
        prefix = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=prefix, after=prefix + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=EventSourceMapping) for document in documents]

    async def all(self) -> list[EventSourceMapping]:
        """Return every mapping of every account; for start-up work."""
        mappings: list[EventSourceMapping] = []
        after = ""
        while documents := await self._documents.list(KIND, after=after, limit=_PAGE):
            mappings += [
                msgspec.json.decode(document.body, type=EventSourceMapping) for document in documents
            ]
            after = documents[-1].key
        return mappings


def _key(mapping: EventSourceMapping) -> str:
    return f"{mapping.account}/{mapping.region}/{mapping.uuid}"


def _pair_key(mapping: EventSourceMapping) -> str:
    read_from = {name: mapping.settings[name] for name in _READS_FROM if name in mapping.settings}
    pair = msgspec.json.encode(
        [mapping.function_arn, mapping.event_source_arn, read_from], order="deterministic"
    )
    return f"{mapping.account}/{mapping.region}/{hashlib.sha256(pair).hexdigest()}"


def _put(mapping: EventSourceMapping, expect_revision: int) -> Put:
    body = msgspec.json.encode(mapping)
    return Put(kind=KIND, key=_key(mapping), body=body, expect_revision=expect_revision)


def _put_pair(mapping: EventSourceMapping) -> Put:
    return Put(kind=PAIR_KIND, key=_pair_key(mapping), body=mapping.uuid.encode(), expect_revision=0)
