"""Functions, kept as documents and remembered decoded.

The one place that knows how a `Function` is written down. Reading is a dictionary look-up after the first time;
this holds while one process owns the documents, as the embedded store does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lambent.domain.function import Function, FunctionKey, FunctionVersion
from lambent.store import Delete, Documents, Put

KIND = "function"
_REMEMBERED_MAX = 20_000


@dataclass(frozen=True, slots=True)
class _Head:
    """What lists show of a function: the decoder skips the other members, however many versions there are."""

    latest: FunctionVersion


class Functions:
    """Typed access to stored functions."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._remembered: OrderedDict[FunctionKey, tuple[int, Function]] = OrderedDict()
        self._deletions = 0

    async def get(self, key: FunctionKey) -> Function | None:
        """Return the function, or None."""
        if (remembered := self._remembered.get(key)) is not None:
            self._remembered.move_to_end(key)
            return remembered[1]
        found = await self.get_with_revision(key)
        return found[1] if found else None

    async def tags(self, key: FunctionKey) -> Mapping[str, str] | None:
        """Return the tags of a function; None when there is none."""
        function = await self.get(key)
        return None if function is None else function.tags

    async def get_with_revision(self, key: FunctionKey) -> tuple[int, Function] | None:
        """Return the function with the revision that `put` may expect, or None."""
        remembered = self._remembered.get(key)
        if remembered is not None:
            self._remembered.move_to_end(key)
            return remembered
        deletions = self._deletions
        document = await self._documents.get(KIND, key.path)
        if document is None:
            return None
        if deletions != self._deletions:
            # It may be gone, or made anew at a lower revision: what was read is not worth remembering.
            return document.revision, msgspec.json.decode(document.body, type=Function)
        return self._remember(key, document.revision, msgspec.json.decode(document.body, type=Function))

    async def put(
        self, function: Function, *, expect_revision: int | None = None, also: Sequence[Put | Delete] = ()
    ) -> int:
        """Keep the function durably and return its new revision.

        Args:
            function: what to keep.
            expect_revision: see `Put`.
            also: changes to documents that belong to it, made together with this one or not at all.

        Raises:
            RevisionConflict: it is not at the expected revision (0: it exists already).
        """
        body = msgspec.json.encode(function)
        revision, *_ = await self._documents.apply(
            Put(kind=KIND, key=function.key.path, body=body, expect_revision=expect_revision), *also
        )
        self._remember(function.key, revision, function)
        return revision

    async def delete(self, key: FunctionKey, *, also: Sequence[Put | Delete] = ()) -> None:
        """Forget the function, together with documents that belong to it."""
        await self._documents.apply(Delete(kind=KIND, key=key.path), *also)
        self._deletions += 1
        self._remembered.pop(key, None)

    async def list(self, account: str, region: str, *, after: str = "", limit: int = 50) -> list[Function]:
        """Return functions of an account and region in name order, after the given name."""
        prefix = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=prefix, after=prefix + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=Function) for document in documents]

    async def list_latest(
        self, account: str, region: str, *, after: str = "", limit: int = 50
    ) -> list[FunctionVersion]:
        """Return the ``$LATEST`` of functions in name order; of the rest of them nothing is decoded."""
        prefix = f"{account}/{region}/"
        documents = await self._documents.list(
            KIND, prefix=prefix, after=prefix + after if after else "", limit=limit
        )
        return [msgspec.json.decode(document.body, type=_Head).latest for document in documents]

    async def all(self) -> list[Function]:
        """Return every function of every account, and remember them as far as there is room; for start-up work."""
        functions: list[Function] = []
        after = ""
        while documents := await self._documents.list(KIND, after=after, limit=1000):
            for document in documents:
                function = msgspec.json.decode(document.body, type=Function)
                functions.append(function)
                if len(self._remembered) < _REMEMBERED_MAX:
                    self._remember(function.key, document.revision, function)
            after = documents[-1].key
        return functions

    def _remember(self, key: FunctionKey, revision: int, function: Function) -> tuple[int, Function]:
        # Two writers may finish in either order here; the higher revision is the later one.
        known = self._remembered.get(key)
        if known is None or known[0] <= revision:
            self._remembered[key] = known = (revision, function)
        while len(self._remembered) > _REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return known
