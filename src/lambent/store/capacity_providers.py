"""Capacity providers, kept as documents."""

from __future__ import annotations

import msgspec

from lambent.domain.capacity_provider import CapacityProvider
from lambent.store import Delete, Documents, Put

KIND = "capacity-provider"


class CapacityProviders:
    """Typed access to stored capacity providers."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, account: str, region: str, name: str) -> tuple[int, CapacityProvider] | None:
        """Return a capacity provider with the revision that `put` may expect, or None."""
        document = await self._documents.get(KIND, f"{account}/{region}/{name}")
        if document is None:
            return None
        return document.revision, msgspec.json.decode(document.body, type=CapacityProvider)

    async def put(self, provider: CapacityProvider, *, expect_revision: int) -> None:
        """Keep a capacity provider durably.

        Raises:
            RevisionConflict: it is not at this revision (0: it exists already).
        """
        body = msgspec.json.encode(provider)
        await self._documents.apply(
            Put(kind=KIND, key=_key(provider), body=body, expect_revision=expect_revision)
        )

    async def delete(self, provider: CapacityProvider, *, expect_revision: int) -> None:
        """Forget a capacity provider.

        Raises:
            RevisionConflict: it is not at this revision.
        """
        await self._documents.apply(Delete(kind=KIND, key=_key(provider), expect_revision=expect_revision))

    async def list(
        self, account: str, region: str, *, after: str = "", limit: int = 1000
    ) -> list[CapacityProvider]:
        """Return capacity providers of an account and region in the order of names, after the given one."""
        prefix = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=prefix, after=prefix + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=CapacityProvider) for document in documents]


def _key(provider: CapacityProvider) -> str:
    return f"{provider.account}/{provider.region}/{provider.name}"
