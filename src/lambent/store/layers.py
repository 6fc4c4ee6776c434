"""Layers, kept as documents: one for each layer with all its versions.

A layer whose versions are all deleted stays, so that its numbers are not used again.
"""

from __future__ import annotations

import msgspec

from lambent.domain.layer import Layer, LayerKey
from lambent.store import Documents, Put

KIND = "layer"
_PAGE = 500


class Layers:
    """Typed access to stored layers."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def get(self, key: LayerKey) -> Layer | None:
        """Return the layer, or None."""
        found = await self.get_with_revision(key)
        return found[1] if found else None

    async def get_with_revision(self, key: LayerKey) -> tuple[int, Layer] | None:
        """Return the layer with the revision that `put` may expect, or None."""
        document = await self._documents.get(KIND, key.path)
        if document is None:
            return None
        return document.revision, msgspec.json.decode(document.body, type=Layer)

    async def put(self, layer: Layer, *, expect_revision: int) -> None:
        """Keep the layer durably.

        Raises:
            RevisionConflict: it is not at the expected revision (0: it exists already).
        """
        body = msgspec.json.encode(layer)
        await self._documents.apply(
            Put(kind=KIND, key=layer.key.path, body=body, expect_revision=expect_revision)
        )

    async def list(self, account: str, region: str) -> list[Layer]:
        """Return the layers of an account and region in the order of their names."""
        return await self._under(f"{account}/{region}/")

    async def all(self) -> list[Layer]:
        """Return every layer of every account; for start-up work."""
        return await self._under("")

    async def _under(self, prefix: str) -> list[Layer]:
        layers: list[Layer] = []
        after = ""
        while documents := await self._documents.list(KIND, prefix=prefix, after=after, limit=_PAGE):
            layers += [msgspec.json.decode(document.body, type=Layer) for document in documents]
            after = documents[-1].key
        return layers
