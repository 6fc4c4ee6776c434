"""Budgets and how they stand, kept as documents. The one place that knows how they are written down."""

from __future__ import annotations

import msgspec

from lambent.domain.budget import Budget, Standing
from lambent.store import Delete, Documents, Put

KIND = "budget"
_STANDING = "budget-standing"


class Budgets:
    """Typed access to stored budgets."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def put(self, budget: Budget) -> None:
        """Keep a budget durably."""
        key = f"{budget.account}/{budget.name}"
        await self._documents.apply(Put(kind=KIND, key=key, body=msgspec.json.encode(budget)))

    async def get(self, account: str, name: str) -> Budget | None:
        """Return a budget, or None."""
        document = await self._documents.get(KIND, f"{account}/{name}")
        return None if document is None else msgspec.json.decode(document.body, type=Budget)

    async def all(self, account: str | None = None) -> list[Budget]:
        """Return the budgets of an account, or all there are, by name."""
        prefix = "" if account is None else f"{account}/"
        found: list[Budget] = []
        after = ""
        while documents := await self._documents.list(KIND, prefix=prefix, after=after):
            found += [msgspec.json.decode(document.body, type=Budget) for document in documents]
            after = documents[-1].key
        return found

    async def delete(self, budget: Budget) -> None:
        """Forget a budget and how it stood."""
        key = f"{budget.account}/{budget.name}"
        await self._documents.apply(Delete(kind=KIND, key=key), Delete(kind=_STANDING, key=key))

    async def standing(self, budget: Budget) -> Standing | None:
        """Return how a budget stood at the last look, or None."""
        document = await self._documents.get(_STANDING, f"{budget.account}/{budget.name}")
        return None if document is None else msgspec.json.decode(document.body, type=Standing)

    async def put_standing(self, budget: Budget, standing: Standing) -> None:
        """Keep durably how a budget stands."""
        key = f"{budget.account}/{budget.name}"
        await self._documents.apply(Put(kind=_STANDING, key=key, body=msgspec.json.encode(standing)))
